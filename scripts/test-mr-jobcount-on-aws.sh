#!/usr/bin/env bash
# Each of the eight map tasks is run exactly once when nothing fails.
. "$(dirname "$0")/lib.sh"

body() {
	run_job jobcount 4 --nreduce 10
	"$mraws" verify --app jobcount >"$logs/verify" 2>&1
	test "$(output | awk '{print $2}')" = 8
}

verdict jobcount body
