#!/usr/bin/env bash
# Jobs over a network that is cut, one-sided, slow or lossy (e2e/network), and
# jobs under random faults of everything (e2e/chaos).
# Every process is in a network namespace of its own, so it needs root, or
# root of a user namespace:  unshare -Ur scripts/test-net.sh
# It fails where it may not make namespaces: nothing is passed over in silence.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/beside.sh
if [ ! -e /dev/net/tun ] && [ "$(id -u)" = 0 ]; then
	mkdir -p /dev/net
	mknod /dev/net/tun c 10 200 || echo "/dev/net/tun is missing and cannot be created" >&2
fi
# Both mostly wait for time-outs, so they run side by side, and more at a time
# than there are cores. The rounds of chaos are played under the race detector,
# the networks are not: what these are about is time.
#
# Each run plays the same plans: what is red here should be so because of the
# change that is tested, as far as real processes allow. To look for what nobody
# has met yet is what `make chaos` is for, which takes a new seed each time.
beside chaos go run ./e2e/chaos -rounds 0 -for "${CHAOS_FOR:-2m}" -seed 1 -parallel 3 $race
step go test -tags netns -vet=off -count=1 -timeout 10m -parallel 8 ./e2e/network "$@"
