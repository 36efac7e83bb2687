#!/usr/bin/env bash
# Runs golangci-lint, built once from the module proxy into a cache. Any
# arguments replace "run ./...".
set -euo pipefail
cd "$(dirname "$0")/.."
version=v2.15.0
tools=${XDG_CACHE_HOME:-$HOME/.cache}/mraws-tools/golangci-lint
lint=$tools/golangci-lint
if ! go version -m "$lint" 2>/dev/null | grep -q "golangci-lint/v2.*$version"; then
	echo "building golangci-lint $version (once, a few minutes)" >&2
	mkdir -p "$tools"
	(cd "$tools" && GOFLAGS= GOBIN=$tools go install -trimpath -ldflags '-s -w' "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$version")
fi
[ $# -gt 0 ] || set -- run ./...
exec "$lint" "$@"
