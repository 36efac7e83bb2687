#!/usr/bin/env bash
# The test command of the README: vet, linter, all Go tests (unit, property,
# simulator, command line, end to end over the embedded server), 20,000 seeds
# of the simulator and the lab's scripts. Installs what it needs: Go modules
# and the linter, from the module proxy. The race detector is on where there
# is a C compiler.
set -euo pipefail
cd "$(dirname "$0")/.."
race=-race
if [ "$(go env CGO_ENABLED)" != 1 ] || ! command -v "$(go env CC)" >/dev/null; then
	echo "no C compiler: the race detector stays off" >&2
	race=
fi
step() { echo "=== $*" >&2; "$@"; }
step go build ./...
step go vet -tags interop,awscli,netns ./...
step go vet -tags failpoint ./...
step scripts/lint.sh
step go test $race -timeout 20m ./...
step go test -timeout 20m ./internal/coordinator/sched -run TestSimulate -sim.seeds 20000
step scripts/test-mr-on-aws.sh
