#!/usr/bin/env bash
# The test command of the README: vet, linter, all Go tests (unit, property,
# simulator, command line, end to end over the embedded server), 20,000 seeds
# of the simulator and the lab's scripts. Installs what it needs: Go modules
# and the linter, from the module proxy. The race detector is on where there
# is a C compiler.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/beside.sh
step go build ./...
# The linter vets as well: all but what is behind a tag that is not its own.
step go vet -tags failpoint ./...
step scripts/lint.sh
# End to end tests wait as much as they work, so the others run beside them.
# Their processes are under the race detector and not the tests themselves,
# and a result from the cache says nothing of a program that they build.
beside end-to-end go test -vet=off -timeout 30m -count=1 -parallel 4 ./e2e ${race:+-e2e.race}
# shellcheck disable=SC2046 # a word for each package
step go test $race -vet=off -timeout 20m $(go list ./... | grep -vx github.com/mraws/mraws/e2e) -skip '^TestScripts$'
# Scripts of the command line start hundreds of processes, which the race detector
# slows down several times; the processes of the end to end tests are under it.
step go test -vet=off -timeout 20m ./cmd -run '^TestScripts$'
step go test -vet=off -timeout 20m ./internal/coordinator/sched -run TestSimulate -sim.seeds 20000
step scripts/own.sh
step go -C scripts/site test -count=1 ./...
step scripts/test-mr-on-aws.sh
