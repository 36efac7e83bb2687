#!/usr/bin/env bash
# Workers that exit or stall at random still give the output of nocrash.
. "$(dirname "$0")/lib.sh"

# steady N keeps worker N alive until the coordinator is gone.
steady() {
	while kill -0 "$coord_pid" 2>/dev/null; do
		"$mraws" worker --coord "$coord" --app crash --slots 1 --coord-timeout 2s >>"$logs/worker-$1" 2>&1 || sleep 0.1
	done
}

body() {
	local i keepers=()
	coordinator --nreduce 10
	for i in 1 2 3; do
		steady "$i" &
		keepers+=($!)
	done
	wait "$coord_pid"
	wait "${keepers[@]}" || true
	"$mraws" verify --app crash >"$logs/verify" 2>&1
	output | LC_ALL=C sort >"$work/crash"
	reset
	run_job nocrash 1 --nreduce 10
	output | LC_ALL=C sort >"$work/nocrash"
	cmp "$work/crash" "$work/nocrash"
	grep -q '"msg":"worker joined"\|worker joined' "$logs/coordinator"
}

verdict crash body
