#!/usr/bin/env bash
# Runs every test-mr-*-on-aws.sh, building the binary once.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
if [ -z "${MRAWS_BIN:-}" ]; then
	(cd "$here/.." && go build -o "$bin/mraws" .) || exit 1
	export MRAWS_BIN=$bin/mraws
fi
failed=0
for test in wc indexer jobcount mtiming rtiming early-exit crash; do
	"$here/test-mr-$test-on-aws.sh" || failed=$((failed + 1))
done
if [ "$failed" -gt 0 ]; then
	echo "*** FAILED $failed TESTS"
	exit 1
fi
echo "*** PASSED ALL TESTS"
