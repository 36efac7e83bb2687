//go:build !race

package recordio

// slack is how many allocations TestAllocs overlooks.
const slack = 0
