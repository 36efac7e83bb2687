//go:build race

package recordio

// Under the race detector sync.Pool drops items at random, so codecs may
// allocate for a block; 10,000 records in 20 blocks still tell.
const slack = 200
