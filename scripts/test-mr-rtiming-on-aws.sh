#!/usr/bin/env bash
# Two workers run reduce tasks at the same time.
. "$(dirname "$0")/lib.sh"

body() {
	run_job rtiming 2 --nreduce 10
	"$mraws" verify --app rtiming >"$logs/verify" 2>&1
	test "$(output | grep -c '^[a-z] 2')" -ge 2
}

verdict rtiming body
