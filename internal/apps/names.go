package apps

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// shortNames tells by which name indexer lists an object: the shortest end of
// its name, of whole path elements, in which no other input object ends, and
// all of it if there is none. It keeps what it has found out for the last list
// of objects, as all attempts of a worker have the same. Its zero value is
// ready for use.
type shortNames struct {
	mu      sync.Mutex
	objects []string // in byte order
	starts  []int32  // of the short name in each
}

// of returns the short name of one of the objects, which are in byte order.
func (s *shortNames) of(object string, objects []string) (string, error) {
	i, ok := slices.BinarySearch(objects, object)
	if !ok {
		return "", noInput(object)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.objects) != len(objects) || &s.objects[0] != &objects[0] {
		s.objects, s.starts = objects, shortStarts(objects)
	}
	return object[s.starts[i]:], nil
}

func noInput(object string) error { return fmt.Errorf("object %q is not an input of the job", object) }

// shortStarts returns where the short name of each object begins. Objects that
// end alike come together when they are sorted from their last byte on.
func shortStarts(objects []string) []int32 {
	order := make([]int32, len(objects))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(i, j int32) int {
		a, b := objects[i], objects[j]
		n := sameEnd(a, b)
		return cmp.Compare(fromEnd(a, n), fromEnd(b, n))
	})
	starts := make([]int32, len(objects))
	before := 0
	for i, at := range order {
		behind := 0
		if i+1 < len(order) {
			behind = sameEnd(objects[at], objects[order[i+1]])
		}
		starts[at] = int32(shortStart(objects[at], max(before, behind)))
		before = behind
	}
	return starts
}

// shortStart returns where the shortest end of name begins that starts behind
// a "/", is not of slashes alone, and with that "/" is longer than same bytes.
func shortStart(name string, same int) int {
	slashes := len(name) - len(strings.TrimRight(name, "/"))
	start := len(name)
	for start > 0 && (len(name)-start < same || len(name)-start <= slashes) {
		start = strings.LastIndexByte(name[:start-1], '/') + 1
	}
	return start
}

// sameEnd returns how many bytes at the end of "/"+a and "/"+b are the same.
func sameEnd(a, b string) int {
	n := 0
	for fromEnd(a, n) >= 0 && fromEnd(a, n) == fromEnd(b, n) {
		n++
	}
	return n
}

// fromEnd returns a byte of "/"+s, counted from the last, or -1 before the first.
func fromEnd(s string, i int) int {
	switch {
	case i < len(s):
		return int(s[len(s)-1-i])
	case i == len(s):
		return '/'
	}
	return -1
}
