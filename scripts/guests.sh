#!/usr/bin/env bash
# Builds the guests of examples/wasm by the lines of its README, counts words with
# each, and compares the counts with those of the app wc. Installs Debian's compilers
# for C and Rust, with what they need for WebAssembly, where they are not there.
set -euo pipefail
cd "$(dirname "$0")/.."
MRAWS_GUESTS=$(mktemp -d)
export MRAWS_GUESTS
trap 'rm -rf "$MRAWS_GUESTS"' EXIT
# A Rust of rustup stands before Debian's in PATH and may lack the target.
mkdir "$MRAWS_GUESTS/bin"
ln -s /usr/bin/rustc "$MRAWS_GUESTS/bin/rustc"
export PATH=$MRAWS_GUESTS/bin:$PATH
missing=()
echo '#include <stdlib.h>' | clang --target=wasm32-wasi -mexec-model=reactor -x c -o "$MRAWS_GUESTS/try" - 2>/dev/null ||
	missing+=(clang lld wasi-libc libclang-rt-dev-wasm32)
rustc --target wasm32-unknown-unknown --crate-type cdylib -o "$MRAWS_GUESTS/try" - </dev/null 2>/dev/null ||
	missing+=(rustc libstd-rust-dev-wasm32 lld)
if [ "${#missing[@]}" -gt 0 ]; then
	sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	$sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
# The lines of the README, each in the folder of its guest.
lines=$(grep -- '-o wc.wasm' examples/wasm/README.md)
for guest in c rust go; do
	line=$(grep "wc\.${guest/rust/rs}\$" <<<"$lines")
	(cd "examples/wasm/$guest" && bash -euc "${line/-o wc.wasm/-o $MRAWS_GUESTS/$guest.wasm}")
done
go test -vet=off -timeout 20m -count=1 -tags guests -run TestWasmGuests ./e2e
