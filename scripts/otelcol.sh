#!/bin/sh
# Prints the path of the OpenTelemetry Collector that scripts/otelcol builds from
# the module proxy: its receiver of OTLP and its debug exporter. The first call takes
# about two minutes; concurrent calls wait for that one build. It runs as a process
# of its own and is never linked into mraws. Exits with 75 if it cannot be built.
set -eu
cd "$(dirname "$0")/otelcol"
dir=${XDG_CACHE_HOME:-$HOME/.cache}/mraws-tools/otelcol
bin=$dir/otelcol
mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9
sum=$(cat go.mod go.sum main.go | sha256sum)
if [ ! -x "$bin" ] || [ "$(cat "$dir/sum" 2>/dev/null)" != "$sum" ]; then
	go mod download >&2 || exit 75
	go build -o "$bin" . >&2
	echo "$sum" >"$dir/sum"
fi
echo "$bin"
