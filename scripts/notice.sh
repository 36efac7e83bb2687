#!/usr/bin/env bash
# Writes NOTICE anew: the licences of all modules that are part of the program.
# TestNotice, which every `go test ./...` runs, fails when go.mod has changed
# and NOTICE has not.
set -euo pipefail
cd "$(dirname "$0")/.."
go test -vet=off -count=1 -run TestNotice . -update
