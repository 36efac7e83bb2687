#!/usr/bin/env bash
# Two workers run map tasks at the same time.
. "$(dirname "$0")/lib.sh"

body() {
	run_job mtiming 2 --nreduce 10
	"$mraws" verify --app mtiming >"$logs/verify" 2>&1
	test "$(output | grep -c '^times-')" = 2
	output | grep -q '^parallel.* 2'
}

verdict mtiming body
