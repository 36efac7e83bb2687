package sched

import (
	"fmt"
	"time"
)

// The attempts of a worker: the commit protocol, one request after another.

// request is one request to the store, tried five times. Each try may be
// applied at any time, also after its caller gave up or died, and its reply
// may be lost. apply returns what only this try knows. A store that hangs is
// given longer than one that fails.
func (r *run) request(what string, apply func() any, then func(any)) {
	s, tries := r.p.s, 0
	r.waits = s.now
	var try func()
	try = func() {
		if tries++; tries > 5 {
			r.waits = 0
			r.report(false, what+": "+errStore.Error())
			return
		}
		settled := false
		settle := func(f func()) {
			r.p.do(func() {
				if !settled && !r.stopped {
					settled = true
					f()
				}
			})
		}
		patience := 4 * time.Second
		if r.p.hung {
			patience = 30 * time.Second
		}
		s.after(patience, func() { settle(try) })
		switch {
		case r.p.cutStore, r.p.hung:
			return
		case s.chance(s.storeErr):
			s.after(50*time.Millisecond, func() { settle(try) }) // 503, not applied
			return
		}
		d := s.between(5*time.Millisecond, 50*time.Millisecond)
		if s.chance(s.slow) {
			d = s.between(time.Second, 30*time.Second) // applied by and by
		}
		s.after(d, func() {
			answer := apply()
			if s.chance(s.storeErr) || r.p.cutStore || r.p.hung {
				return // applied, reply lost
			}
			s.after(s.between(time.Millisecond, 50*time.Millisecond), func() { settle(func() { r.waits = 0; then(answer) }) })
		})
	}
	try()
}

func (r *run) put(k objectKey, o *object, then func(created bool)) {
	r.request(fmt.Sprint("put ", k), func() any { return r.p.s.store.putIfAbsent(k, o) }, func(a any) { then(a.(bool)) })
}

// runMap is the map attempt of the commit protocol.
func (r *run) runMap() {
	salt := uint64(0)
	if r.p.s.nondet {
		salt = 1 + r.p.s.rng.Uint64()>>1
	}
	r.parts = mapWords(r.p.s.docs[r.Task.Index], r.p.s.reduces, salt)
	r.putPart(0)
}

// putPart creates partition i, adopts an equal one or steps aside.
func (r *run) putPart(i int) {
	if i == len(r.parts) {
		r.putRecord()
		return
	}
	k := objectKey{kind: partObject, m: r.Task.Index, r: i}
	o := &object{attempt: r.Attempt, pairs: r.parts[i], hash: r.parts[i].hash()}
	next := func(k objectKey) {
		r.named = append(r.named, part{k, o.hash})
		r.putPart(i + 1)
	}
	r.put(k, o, func(created bool) {
		if created {
			next(k)
			return
		}
		r.request("head", func() any { return r.p.s.store.objects[k] }, func(a any) {
			there := a.(*object)
			if there.hash == o.hash || r.p.s.mutant == mutantAdoptAny ||
				r.p.s.mutant == mutantReuseEpoch && there.attempt == r.Attempt {
				if r.p.s.mutant == mutantAdoptAny {
					o = there
				}
				next(k)
				return
			}
			own := objectKey{attemptObject, k.m, k.r, r.Attempt}
			r.put(own, o, func(bool) { next(own) }) // not created: my own, its reply was lost
		})
	})
}

func (r *run) putRecord() {
	k := objectKey{kind: recordObject, m: r.Task.Index}
	o := &object{attempt: r.Attempt, parts: r.named, hash: string(r.Attempt)}
	r.put(k, o, func(bool) { r.report(true, "") }) // mine, or another's: the map is committed
}

// runReduce reads through the records and creates the output.
func (r *run) runReduce() {
	s := r.p.s
	r.request("read records", func() any {
		var named []part
		for m := range s.maps {
			if s.mutant == mutantNoRecord {
				named = append(named, part{key: objectKey{kind: partObject, m: m, r: r.Task.Index}})
				continue
			}
			o := s.store.objects[objectKey{kind: recordObject, m: m}]
			if o == nil {
				s.broken(fmt.Errorf("I2: %s reads map-%d, which is not committed", r.Attempt, m))
				return named
			}
			named = append(named, o.parts[r.Task.Index])
		}
		return named
	}, func(a any) { r.readParts(a.([]part)) })
}

func (r *run) readParts(named []part) {
	s := r.p.s
	r.request("read partitions", func() any {
		var parts []pairs
		for _, p := range named {
			o := s.store.objects[p.key]
			if o == nil || o.hash != p.hash && s.mutant != mutantNoRecord {
				s.broken(fmt.Errorf("I3: %s finds %v changed or gone", r.Attempt, p.key))
				return parts
			}
			parts = append(parts, o.pairs)
		}
		return parts
	}, func(a any) {
		text := reduceWords(a.([]pairs))
		k := objectKey{kind: outputObject, r: r.Task.Index}
		r.put(k, &object{attempt: r.Attempt, text: text, hash: text}, func(bool) { r.report(true, "") })
	})
}
