#!/usr/bin/env bash
# No worker and no coordinator exits before all output is final: what is
# there when the first process ends is what is there when the last one has.
. "$(dirname "$0")/lib.sh"

body() {
	local i
	coordinator --nreduce 10
	for i in 1 2 3; do worker "$i" early_exit; done
	wait -n "$coord_pid" "${pids[@]:1}"
	output | LC_ALL=C sort >"$work/first"
	for p in $(jobs -p); do wait "$p"; done
	output | LC_ALL=C sort >"$work/last"
	cmp "$work/first" "$work/last"
	test -s "$work/first"
	"$mraws" verify --app early_exit >"$logs/verify" 2>&1
}

verdict early-exit body
