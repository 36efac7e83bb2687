package sched

// eventQueue is a heap by time, then by order of arrival.
type eventQueue struct {
	heap []simEvent
	seq  uint64
}

type simEvent struct {
	at  Time
	seq uint64
	f   func()
}

func (q *eventQueue) less(i, j int) bool {
	a, b := &q.heap[i], &q.heap[j]
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

func (q *eventQueue) push(at Time, f func()) {
	q.seq++
	q.heap = append(q.heap, simEvent{at, q.seq, f})
	for k := len(q.heap) - 1; k > 0 && q.less(k, (k-1)/2); k = (k - 1) / 2 {
		q.heap[k], q.heap[(k-1)/2] = q.heap[(k-1)/2], q.heap[k]
	}
}

// pop takes the next event out; false if there is none.
func (q *eventQueue) pop() (simEvent, bool) {
	if len(q.heap) == 0 {
		return simEvent{}, false
	}
	e, last := q.heap[0], len(q.heap)-1
	q.heap[0] = q.heap[last]
	q.heap[last].f = nil
	q.heap = q.heap[:last]
	for k := 0; ; {
		m := 2*k + 1
		if m >= last {
			break
		}
		if m+1 < last && q.less(m+1, m) {
			m++
		}
		if !q.less(m, k) {
			break
		}
		q.heap[k], q.heap[m] = q.heap[m], q.heap[k]
		k = m
	}
	return e, true
}
