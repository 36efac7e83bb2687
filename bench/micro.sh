#!/usr/bin/env bash
# Runs the micro-benchmarks of the hot path and sums them up with benchstat:
#
#   bench/micro.sh NAME             measures the tree as it is, as NAME.txt
#   bench/micro.sh NAME OLD         and compares with OLD.txt from before
#
# COUNT is how often each one runs (6), BENCH which ones (all). Results are
# kept in ${XDG_CACHE_HOME:-~/.cache}/mraws-bench/micro.
set -euo pipefail
cd "$(dirname "$0")/.."
name=${1:?name of this measurement, such as a commit}
dir=${XDG_CACHE_HOME:-$HOME/.cache}/mraws-bench/micro
mkdir -p "$dir"
go test -run '^$' -bench "${BENCH:-.}" -benchmem -count "${COUNT:-6}" -timeout 0 \
	./internal/apps ./internal/input ./internal/manifest ./internal/recordio ./internal/sortbuf ./internal/task ./internal/s3fs ./internal/coordinator/sched ./mr |
	tee "$dir/$name.txt" | grep -E '^(pkg|Benchmark)' >&2
benchstat() { go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da "$@"; }
if [ $# -gt 1 ]; then
	benchstat "$dir/$2.txt" "$dir/$name.txt"
else
	benchstat "$dir/$name.txt"
fi
