#!/usr/bin/env bash
# Regenerates internal/wire/*.pb.go from mraws.proto. Needs Go and npm; only
# people who change the protocol run it, since its output is committed.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${XDG_CACHE_HOME:-$HOME/.cache}/mraws-tools/protoc
mkdir -p "$tools"
GOBIN=$tools go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
GOBIN=$tools go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
[ -x "$tools/node_modules/.bin/buf" ] || (cd "$tools" && npm install --silent --no-save @bufbuild/buf@1.75.0)
cd internal/wire
PATH=$tools:$PATH "$tools/node_modules/.bin/buf" generate --template '{
  "version": "v2",
  "plugins": [
    {"local": "protoc-gen-go", "out": ".", "opt": "paths=source_relative"},
    {"local": "protoc-gen-go-grpc", "out": ".", "opt": "paths=source_relative"}
  ]
}'
