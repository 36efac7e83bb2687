package sched

// node is a place in a list, embedded in its owner: leaving a list needs no
// search and joining one no allocation.
type node[T any] struct {
	prev, next *node[T]
	owner      *T
	in         *list[T] // nil for none
}

// list is an intrusive doubly linked list. Its zero value is empty.
type list[T any] struct {
	head, tail *node[T]
	n          int
}

// push appends the owner of nd; it is in no other list through nd.
func (l *list[T]) push(nd *node[T], owner *T) {
	nd.owner, nd.prev, nd.next, nd.in = owner, l.tail, nil, l
	if l.tail != nil {
		l.tail.next = nd
	} else {
		l.head = nd
	}
	l.tail = nd
	l.n++
}

// leave takes nd out of the list that it is in, if it is in one.
func (nd *node[T]) leave() {
	l := nd.in
	if l == nil {
		return
	}
	if nd.prev != nil {
		nd.prev.next = nd.next
	} else {
		l.head = nd.next
	}
	if nd.next != nil {
		nd.next.prev = nd.prev
	} else {
		l.tail = nd.prev
	}
	nd.prev, nd.next, nd.in = nil, nil, nil
	l.n--
}

// front returns the oldest owner, or nil.
func (l *list[T]) front() *T {
	if l.head == nil {
		return nil
	}
	return l.head.owner
}

// indexHeap is a binary min-heap of task indexes. A task may leave the state
// that put it here without leaving the heap; who pops looks at the state.
type indexHeap []int32

func (h *indexHeap) push(i int) {
	s := append(*h, int32(i))
	for k := len(s) - 1; k > 0; {
		p := (k - 1) / 2
		if s[p] <= s[k] {
			break
		}
		s[p], s[k] = s[k], s[p]
		k = p
	}
	*h = s
}

func (h *indexHeap) pop() (int, bool) {
	s := *h
	if len(s) == 0 {
		return 0, false
	}
	top, last := s[0], len(s)-1
	s[0] = s[last]
	s = s[:last]
	for k := 0; ; {
		m := 2*k + 1
		if m >= last {
			break
		}
		if m+1 < last && s[m+1] < s[m] {
			m++
		}
		if s[k] <= s[m] {
			break
		}
		s[k], s[m] = s[m], s[k]
		k = m
	}
	*h = s
	return int(top), true
}
