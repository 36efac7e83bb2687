#!/usr/bin/env bash
# Runs every test that holds a promise of memory, descriptors or time RUNS
# times beside LOOPS busy loops, and prints how often each package failed. A
# promise holds on a loaded machine as well. It takes about two hours on two
# cores.
#
#   scripts/test-loaded.sh [RUNS [LOOPS]]     default: 20 4
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-20} loops=${2:-4}
promises=(
	internal/coordinator 'TestStatusIsBounded'
	internal/coordinator/sched 'TestMemory'
	internal/decompress 'TestBomb'
	internal/input 'TestSkipBounded'
	internal/recordio 'TestReaderMemory|TestCombinerMemory|TestLyingHeader'
	internal/s3local 'TestDescriptors|TestSilentConnections|TestLimits'
	internal/wire 'TestHeldStreams|TestSilentConnectionsKeepNobodyOut|TestMembersAreBounded'
	internal/sortbuf 'TestSpare'
	internal/task 'TestMemory|TestLargeRecords|TestManySpills|TestSpare|TestBudgets|TestSlotMemory'
	cmd 'TestAutoMemory|TestDefaultMemory|TestSilentStore'
	e2e 'TestMemoryBudget|TestMemoryLimit|TestBomb|TestVerifyMemory|TestFewDescriptors|TestFailover'
)
dir=$(mktemp -d)
busy=()
trap 'kill "${busy[@]}" 2>/dev/null; rm -rf "$dir"' EXIT
set -- "${promises[@]}"
while [ $# -gt 0 ]; do
	go test -c -o "$dir/$1/run" "./$1"
	shift 2
done
for ((i = 0; i < loops; i++)); do
	while :; do :; done &
	busy+=($!)
done
status=0
set -- "${promises[@]}"
while [ $# -gt 0 ]; do
	failed=0 ran=0
	for ((i = 0; i < runs; i++)); do
		ran=$((ran + 1))
		if ! (cd "$1" && "$dir/$1/run" -test.run "^($2)" -test.timeout 30m) >"$dir/log" 2>&1; then
			failed=$((failed + 1)) status=1
			cat "$dir/log"
		fi
	done
	echo "$1: $failed of $ran runs failed ($2)"
	shift 2
done
exit $status
