#!/bin/sh
# Writes N lines of data for the chains beside it, always the same: "visits" are users
# and paths, "edges" are pairs of nodes of a graph. Few paths and nodes have most lines.
set -eu
awk -v what="${1:?visits or edges}" -v n="${2:?number of lines}" '
function draw(below) { # a number of Lehmer from 0 to below - 1
	x = (x * 48271) % 2147483647
	return int(x / 2147483647 * below)
}
BEGIN {
	x = 20261130
	for (i = 0; i < n; i++) {
		few = int(draw(100) * draw(100) / 100)
		if (what == "visits") print "user" draw(50) " /page/" few
		else print "node" draw(100) " node" few
	}
}'
