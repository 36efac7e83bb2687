#!/usr/bin/env bash
# Runs all tests N times in a row and stops at the first round that fails.
set -uo pipefail
if [ $# -ne 1 ] || ! [ "$1" -gt 0 ] 2>/dev/null; then
	echo "usage: $0 N" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
if [ -z "${MRAWS_BIN:-}" ]; then
	(cd "$here/.." && go build -o "$bin/mraws" .) || exit 1
	export MRAWS_BIN=$bin/mraws
fi
for ((i = 1; i <= $1; i++)); do
	if ! "$here/test-mr-on-aws.sh"; then
		echo "*** FAILED in round $i of $1"
		exit 1
	fi
done
echo "*** PASSED ALL $1 ROUNDS"
