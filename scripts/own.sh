#!/usr/bin/env bash
# Builds and tests examples/own, a program with a go.mod of its own, and says
# how large it is. Fails if it links the embedded server, the runtime of
# WebAssembly modules or Parquet, which it does not import.
set -euo pipefail
cd "$(dirname "$0")/../examples/own"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
if ! go vet . || ! go test .; then
	echo "if go.mod is not up to date: go -C examples/own mod tidy" >&2
	exit 1
fi
go build -trimpath -ldflags='-s -w' -o "$tmp/own" .
go version -m "$tmp/own" >"$tmp/modules"
if grep -E 'versitygw|gofiber|wazero|parquet-go' "$tmp/modules"; then
	echo "examples/own links the embedded server, the runtime of modules or Parquet" >&2
	exit 1
fi
"$tmp/own" apps | grep -q '^longest '
code=0
"$tmp/own" run --app longest 2>"$tmp/said" || code=$?
if [ "$code" != 2 ] || ! grep -q 'no bucket is named' "$tmp/said"; then
	echo "run without a bucket: exit code $code, want 2, and:" >&2
	cat "$tmp/said" >&2
	exit 1
fi
echo "examples/own: $(stat -c %s "$tmp/own") bytes, $(grep -c '^	dep' "$tmp/modules") modules"
