package sched

import (
	"fmt"

	"github.com/mraws/mraws/mr"
)

// The model store: objects that appear whole or not at all, and a PUT that
// creates only what is absent. It watches what the commit protocol promises
// and remembers the first broken promise.

type objectKind uint8

const (
	partObject    objectKind = iota // intermediate/mr-m-r
	attemptObject                   // intermediate/_attempts/map-m/attempt/r
	recordObject                    // intermediate/_commit/map-m
	outputObject                    // output/mr-out-r
	successObject                   // output/_SUCCESS
)

// objectKey is a key of the layout without its spelling.
type objectKey struct {
	kind    objectKind
	m, r    int
	attempt AttemptID
}

// pairs is the content of a partition: keys in order, with counts.
type pairs []pair

type pair struct {
	word string
	n    int
}

// object is immutable once it is in the store.
type object struct {
	attempt AttemptID // whose execution made the bytes
	hash    string    // of the content
	pairs   pairs     // of a partition
	parts   []part    // of a record, by r
	text    string    // of an output
}

// part is one partition in a commit record.
type part struct {
	key  objectKey
	hash string
}

type store struct {
	objects map[objectKey]*object
	puts    map[objectKey]int    // creations and overwrites
	pinned  map[objectKey]string // committed content: key -> hash
	mutant  mutant
	broken  func(error) // hears of the first broken promise
	created func(objectKey)
}

func newStore(m mutant, broken func(error)) *store {
	return &store{
		objects: map[objectKey]*object{}, puts: map[objectKey]int{},
		pinned: map[objectKey]string{}, mutant: m, broken: broken,
	}
}

// putIfAbsent creates the object; false is the 412 of S3. It is atomic.
func (s *store) putIfAbsent(k objectKey, o *object) bool {
	plain := s.mutant == mutantPlainParts && k.kind == partObject ||
		s.mutant == mutantPlainRecord && k.kind == recordObject ||
		s.mutant == mutantPlainOutput && k.kind == outputObject
	if _, ok := s.objects[k]; ok && !plain {
		return false
	}
	s.objects[k] = o
	s.puts[k]++
	s.watch(k, o)
	s.created(k)
	return true
}

// remove is what somebody does who is no part of the job. What is created in
// its place later has to be the same.
func (s *store) remove(k objectKey) {
	delete(s.objects, k)
	delete(s.puts, k)
}

// watch pins what o commits and compares it with what was pinned before.
func (s *store) watch(k objectKey, o *object) {
	if h, ok := s.pinned[k]; ok && h != o.hash {
		s.broken(fmt.Errorf("I3: committed %v changed from %s to %s", k, h, o.hash))
	}
	switch k.kind {
	case recordObject:
		if s.puts[k] > 1 {
			s.broken(fmt.Errorf("I1: the commit record of map-%d was written %d times", k.m, s.puts[k]))
		}
		s.pinned[k] = o.hash
		for _, p := range o.parts {
			s.pinned[p.key] = p.hash
			if at := s.objects[p.key]; at == nil || at.hash != p.hash {
				s.broken(fmt.Errorf("the record of map-%d by %s names %v with hash %s, which is not there", k.m, o.attempt, p.key, p.hash))
			}
		}
	case outputObject:
		if s.puts[k] > 1 {
			s.broken(fmt.Errorf("I1: output %d was written %d times", k.r, s.puts[k]))
		}
		s.pinned[k] = o.hash
	}
}

// committed is the one question that the coordinator asks of the bucket.
func (s *store) committed(id TaskID, reduces int) (AttemptID, bool) {
	k := objectKey{kind: outputObject, r: id.Index}
	if id.Phase == mr.MapPhase {
		k = objectKey{kind: recordObject, m: id.Index}
		if s.mutant == mutantNoRecord {
			return s.allParts(id.Index, reduces)
		}
	}
	o := s.objects[k]
	if o == nil {
		return "", false
	}
	return o.attempt, true
}

// allParts is what a design without commit records believes: that a map is
// done when all its partitions exist.
func (s *store) allParts(m, reduces int) (AttemptID, bool) {
	var by AttemptID
	for r := range reduces {
		o := s.objects[objectKey{kind: partObject, m: m, r: r}]
		if o == nil {
			return "", false
		}
		if by == "" {
			by = o.attempt
		}
	}
	return by, true
}
