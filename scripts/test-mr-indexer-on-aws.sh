#!/usr/bin/env bash
# indexer on three workers gives what the sequential reference gives.
. "$(dirname "$0")/lib.sh"

body() {
	run_job indexer 3 --nreduce 10
	"$mraws" verify --app indexer >"$logs/verify" 2>&1
}

verdict indexer body
