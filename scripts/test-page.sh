#!/usr/bin/env bash
# The page of the dashboard in Chromium: what it shows, by keys and by pointer, in light, dark
# and on a phone, with axe-core. Installs Chromium with apt if there is none, and fetches
# axe-core with npm, once. Exits with 75 where neither can be had. Arguments go to `go test`:
# `scripts/test-page.sh -pictures` takes the pictures of docs/pictures.
set -euo pipefail
cd "$(dirname "$0")/.."
axe=4.14.1
sum=e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745
tools=${XDG_CACHE_HOME:-$HOME/.cache}/mraws-tools/axe-core-$axe
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
missing=()
command -v chromium >/dev/null || missing+=(chromium)
[ -s "$tools/axe.min.js" ] || command -v npm >/dev/null || missing+=(npm)
if [ "${#missing[@]}" -gt 0 ]; then
	sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	$sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || exit 75
fi
if [ ! -s "$tools/axe.min.js" ]; then
	(cd "$tmp" && npm pack --silent "axe-core@$axe" >/dev/null) || exit 75
	echo "$sum  $tmp/axe-core-$axe.tgz" | sha256sum --check --quiet
	tar -xzf "$tmp/axe-core-$axe.tgz" -C "$tmp" package/axe.min.js
	mkdir -p "$tools"
	mv "$tmp/package/axe.min.js" "$tools/axe.min.js"
fi
MRAWS_CHROMIUM=$(command -v chromium)
MRAWS_AXE=$tools/axe.min.js
MRAWS_BIN=$tmp/mraws
export MRAWS_CHROMIUM MRAWS_AXE MRAWS_BIN
go build -o "$MRAWS_BIN" .
go -C e2e/page vet ./...
go -C e2e/page test -vet=off -timeout 20m -count=1 . "$@"
