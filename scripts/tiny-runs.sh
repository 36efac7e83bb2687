#!/usr/bin/env bash
# Runs a job of one line RUNS times with each number of workers and prints how
# long the slowest took. It fails if one took LIMIT_MS or more, which holds on
# an idle machine only: a job that ends late has waited for a lease.
#
#   scripts/tiny-runs.sh [RUNS [WORKERS...]]     default: 2000 2 4 16
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-2000}
workers=("${@:2}")
[ ${#workers[@]} -gt 0 ] || workers=(2 4 16)
limit=${LIMIT_MS:-1000}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go build -o "$dir/mraws" .
echo 'a tiny job' >"$dir/in.txt"
late=0
for w in "${workers[@]}"; do
	slowest=0 over=0 sum=0
	for ((i = 1; i <= runs; i++)); do
		begin=$(date +%s%N)
		if ! "$dir/mraws" run --local --data-dir "$dir/data" --app wc --workers "$w" --nreduce 2 -q "$dir/in.txt" >"$dir/out" 2>&1; then
			cat "$dir/out"
			exit 1
		fi
		ms=$((($(date +%s%N) - begin) / 1000000))
		sum=$((sum + ms))
		((ms > slowest)) && slowest=$ms
		((ms >= limit)) && over=$((over + 1))
		((i % 100)) || rm -rf "$dir/data"
	done
	late=$((late + over))
	echo "$runs runs with $w workers: $((sum / runs)) ms each, the slowest $slowest ms, $over of $limit ms or more"
done
((late == 0))
