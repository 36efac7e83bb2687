#!/usr/bin/env bash
# wc on three workers gives what the sequential reference gives.
. "$(dirname "$0")/lib.sh"

body() {
	run_job wc 3 --nreduce 10
	"$mraws" verify --app wc >"$logs/verify" 2>&1
}

verdict wc body
