package events

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
)

// Bucket is what a [Reader] needs of the bucket. Errors wrap fs.ErrNotExist where that
// applies.
type Bucket interface {
	// Get returns a small object whole.
	Get(ctx context.Context, key string) ([]byte, object.Info, error)
	// List yields every object below prefix in byte order of the key, or an error.
	List(ctx context.Context, prefix string) iter.Seq2[object.Info, error]
}

// Store is what a [Log] needs of the bucket besides. Errors wrap fs.ErrExist where that
// applies; any other error leaves open whether a write took place.
type Store interface {
	Bucket
	// Put writes an object atomically. With IfAbsent at most one of any number of
	// calls for a key succeeds.
	Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error)
}

// Options say whose log it is, and where it is kept.
type Options struct {
	Store       Store
	Layout      layout.Layout // of the job
	Log         zerolog.Logger
	Coordinator string // its epoch
	// Leads says whether this coordinator is the announced one. It is called when
	// another one has written to the log.
	Leads func(context.Context) (bool, error)
}

// Bounds of a log. A coordinator that is told more leaves events out and counts them.
const (
	flushBytes = 1 << 20  // of lines that are written at once, whenever the last segment was written
	maxSegment = 4 << 20  // bytes of lines in a segment
	maxHeld    = 16 << 20 // bytes of lines that wait to be written
	// After baseBytes and taskBytes for each task of lines a coordinator takes only
	// events on which the final state depends, without counters, and of each cause
	// shortText bytes.
	baseBytes, taskBytes = 64 << 20, 1 << 10
	shortText            = 200
	// maxLine bounds a line with counters. A longer one is written without them.
	maxLine = 1 << 20
)

// Times of a log.
const (
	// An event is written after a hundredth of the age of the coordinator, within
	// these bounds, so that long jobs have few segments.
	minDelay, maxDelay = 2 * time.Second, 15 * time.Second
	writeTime          = 10 * time.Second       // of one write
	retryDelay         = time.Second            // after a failed write
	urgentDelay        = 100 * time.Millisecond // the same while somebody waits
	// Somebody who looks at the job has events written sooner, for so long.
	hurryDelay, hurryTime = time.Second, 12 * time.Second
)

// Log takes the events of one coordinator and writes them in the background. No method
// but [Log.Settle] and [Log.Close] waits for the store, and no error of the store
// reaches the caller. A nil Log takes nothing.
type Log struct {
	o     Options
	began time.Time
	wake  chan struct{} // holds one: there is something new to decide

	mu       sync.Mutex
	job      string // "" until Begin: nothing is written before
	closed   bool   // nothing is taken or written any more
	limit    int64  // of bytes
	queue    []chunk
	held     int       // bytes of lines in queue
	since    time.Time // when the oldest event of queue came
	bytes    int64     // taken so far
	dropped  int64     // events since the last that was taken
	taken    int64     // events
	vital    int64     // of taken: the last on which the final state depends
	stored   int64     // events in the bucket
	urgent   bool      // somebody waits for stored to reach vital
	retry    time.Time // no write before
	hurry    time.Time // until then somebody looks at the job
	progress chan struct{}

	// Owned by whoever writes: Run, then Close.
	next    int      // number of the next segment
	segment *segment // that is being written; nil for none
	failing bool     // the last write failed, and that was logged
}

// chunk is a part of what waits to be written: lines, or the events of at.
type chunk struct {
	lines  []byte
	events int
	at     func(int) Event // makes event i; nil for lines
	from   int             // the first of at that is not written yet
}

// segment is an object that may be in the bucket already: it keeps its number and its
// bytes until that is known.
type segment struct {
	lines  []byte
	events int
	number int
	data   []byte
}

// New returns a log that writes nothing before [Log.Begin].
func New(o Options) *Log {
	return &Log{o: o, began: time.Now(), wake: make(chan struct{}, 1), progress: make(chan struct{}), limit: baseBytes, next: 1}
}

// Begin says which job it is, and how many tasks that has.
func (l *Log) Begin(job string, tasks int) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.job, l.limit = job, baseBytes+taskBytes*int64(tasks)
	l.signal()
}

// Discard drops all events, those to come too.
func (l *Log) Discard() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.close()
}

func (l *Log) close() {
	l.closed, l.queue, l.held = true, nil, 0
	l.signal()
}

// signal says that there is something new, to the writer and to those who wait.
func (l *Log) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
	close(l.progress)
	l.progress = make(chan struct{})
}

// now is the time by the clock of this machine, which does not jump between the events
// of one coordinator.
func (l *Log) now() Time { return TimeOf(l.began.Add(time.Since(l.began))) }

// Append takes one event and sets its time.
func (l *Log) Append(e Event) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if l.held >= maxHeld || l.bytes >= l.limit && !e.Type.vital() {
		l.dropped++
		return
	}
	l.noteDropped()
	l.take(e)
}

// noteDropped takes an event that says how many were dropped, if any were.
func (l *Log) noteDropped() {
	if l.dropped > 0 {
		l.take(Event{Type: EventsDropped, Dropped: l.dropped})
		l.dropped = 0
	}
}

func (l *Log) take(e Event) {
	e.At = l.now()
	line := e.line(l.bytes >= l.limit)
	first := len(l.queue) == 0
	if n := len(l.queue); n == 0 || l.queue[n-1].at != nil || len(l.queue[n-1].lines) >= maxSegment {
		l.queue = append(l.queue, chunk{})
	}
	last := &l.queue[len(l.queue)-1]
	last.lines = append(last.lines, line...)
	last.events++
	l.count(1, e.Type)
	l.bytes += int64(len(line))
	l.held += len(line)
	if first {
		l.since = time.Now()
	}
	if first || l.held >= flushBytes {
		l.signal()
	}
}

// line returns the event as JSON with its line feed. A short one has no counters and
// not all of a long cause.
func (e Event) line(short bool) []byte {
	if short {
		e = e.short()
	}
	line, err := json.Marshal(e)
	if err == nil && len(line) > maxLine {
		line, err = json.Marshal(e.short())
	}
	if err != nil { // it is plain data, but a number of an application may be none
		line, _ = json.Marshal(Event{Type: EventsDropped, At: e.At, Dropped: 1})
	}
	return append(line, '\n')
}

func (e Event) short() Event {
	e.S3 = nil
	if len(e.Counters) > 0 {
		e.Counters, e.Cut = nil, true
	}
	if len(e.Cause) > shortText {
		e.Cause, e.Cut = escape.Short(e.Cause, shortText), true
	}
	if e.Totals != nil && len(e.Totals.Counters) > 0 {
		t := *e.Totals
		t.Counters = nil
		e.Totals, e.Cut = &t, true
	}
	return e
}

func (l *Log) count(n int, t Type) {
	l.taken += int64(n)
	if t.vital() {
		l.vital = l.taken
	}
}

// AppendAll takes n events, of which the i-th is at(i). They are made when they are
// written, by another goroutine, so what at reads must not change.
func (l *Log) AppendAll(t Type, n int, at func(i int) Event) {
	if l == nil || n == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.noteDropped()
	now := l.now()
	if len(l.queue) == 0 {
		l.since = time.Now()
	}
	l.queue = append(l.queue, chunk{events: n, at: func(i int) Event {
		e := at(i)
		e.Type, e.At = t, now
		return e
	}})
	l.count(n, t)
	l.signal()
}

// Urge has all events written at once on which the final state depends.
func (l *Log) Urge() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noteDropped()
	l.urgent = true
	l.signal()
}

// Hurry has events written within a second for some time. Somebody looks at the job who
// reads the log, and calls it again and again.
func (l *Log) Hurry() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hurry = time.Now().Add(hurryTime)
	l.signal()
}

// Settle waits until all events are in the bucket on which the final state depends, or
// cannot get there, for at most patience.
func (l *Log) Settle(ctx context.Context, patience time.Duration) {
	if l == nil {
		return
	}
	l.Urge()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		l.mu.Lock()
		settled, progress := l.settled(), l.progress
		l.mu.Unlock()
		if settled {
			return
		}
		select {
		case <-progress:
		case <-ctx.Done():
			return
		case <-late.C:
			l.o.Log.Warn().Str("waited", patience.String()).Msg("the end of the event log is not written yet")
			return
		}
	}
}

func (l *Log) settled() bool { return l.closed || l.stored >= l.vital }

// due is how long the writer waits before it writes; ok is false if there is nothing
// to write.
func (l *Log) due() (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.job == "" || len(l.queue) == 0 && l.segment == nil {
		return 0, false
	}
	delay := min(max(time.Since(l.began)/100, minDelay), maxDelay)
	if time.Now().Before(l.hurry) {
		delay = hurryDelay
	}
	wait = delay - time.Since(l.since)
	if l.urgent && !l.settled() || l.held >= flushBytes || l.segment != nil || len(l.queue) > 0 && l.queue[0].at != nil {
		wait = 0
	}
	return max(wait, time.Until(l.retry)), true
}

// Run writes until ctx ends. It is called once.
func (l *Log) Run(ctx context.Context) {
	if l == nil {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait, ok := l.due()
		if !ok {
			wait = time.Hour
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
			continue
		case <-timer.C:
		}
		if ok {
			l.write(ctx)
		}
	}
}

// Close writes what is left, for at most patience, unless all events are written on
// which the final state depends: then it drops the rest. [Log.Run] has returned before.
func (l *Log) Close(ctx context.Context, patience time.Duration) {
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for ctx.Err() == nil {
		l.mu.Lock()
		l.noteDropped()
		over := l.job == "" || l.settled()
		l.mu.Unlock()
		if over {
			break
		}
		if !l.write(ctx) {
			select {
			case <-ctx.Done():
			case <-time.After(urgentDelay):
			}
		}
	}
	l.Discard()
}

// write writes one segment, and says whether it is in the bucket now.
func (l *Log) write(ctx context.Context) (done bool) {
	if l.segment == nil {
		if l.segment = l.cut(); l.segment == nil {
			return true
		}
	}
	short, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	lost, err := l.put(short)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case lost:
		l.o.Log.Warn().Msg("another coordinator leads the job: this one writes no more events")
		l.close()
		return false
	case err != nil:
		if !l.failing && ctx.Err() == nil {
			l.o.Log.Warn().Err(err).Msg("the event log cannot be written: events wait in memory")
		}
		delay := retryDelay
		if l.urgent {
			delay = urgentDelay
		}
		l.failing, l.retry = true, time.Now().Add(delay)
		return false
	}
	if l.failing {
		l.o.Log.Info().Msg("the event log is written again")
	}
	l.failing, l.retry = false, time.Time{}
	l.stored += int64(l.segment.events)
	l.segment, l.next = nil, l.segment.number+1
	l.signal()
	return true
}

// cut takes the lines of a segment from the queue; nil if there are none.
func (l *Log) cut() *segment {
	s := &segment{}
	for len(s.lines) < maxSegment {
		l.mu.Lock()
		if len(l.queue) == 0 {
			l.mu.Unlock()
			break
		}
		c := l.queue[0]
		l.queue = l.queue[1:]
		l.held -= len(c.lines)
		l.since = time.Now() // of what comes next; near enough
		l.mu.Unlock()
		if c.at == nil {
			s.lines = append(s.lines, c.lines...)
			s.events += c.events
			continue
		}
		was, short := len(s.lines), l.long()
		c = c.make(s, short)
		l.mu.Lock()
		l.bytes += int64(len(s.lines) - was)
		if c.from < c.events && !l.closed {
			l.queue = append([]chunk{c}, l.queue...)
		}
		l.mu.Unlock()
	}
	if s.events == 0 {
		return nil
	}
	return s
}

// make adds events of a chunk to a segment until that is full, and returns the rest.
func (c chunk) make(s *segment, short bool) chunk {
	for ; c.from < c.events && len(s.lines) < maxSegment; c.from++ {
		s.lines = append(s.lines, c.at(c.from).line(short)...)
		s.events++
	}
	return c
}

// long says whether the log has reached its limit.
func (l *Log) long() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes >= l.limit
}

// put creates the object of the segment. It says that the log is lost to another
// coordinator, or returns an error, after which the same segment is written again.
func (l *Log) put(ctx context.Context) (lost bool, err error) {
	s := l.segment
	for {
		if s.data == nil {
			s.number = l.next
			h := Header{Schema: Schema, Job: l.job, Coordinator: l.o.Coordinator, Segment: s.number, Events: s.events}
			if s.data, err = encode(h, s.lines); err != nil {
				return false, err
			}
		}
		key := l.o.Layout.Events(s.number)
		_, err := l.o.Store.Put(ctx, key, s.data, object.PutOptions{IfAbsent: true, ContentType: "application/zstd"})
		if err == nil || !errors.Is(err, fs.ErrExist) {
			return false, err
		}
		// Another's, or this one, whose reply was lost.
		there, _, err := l.o.Store.Get(ctx, key)
		switch {
		case err == nil && bytes.Equal(there, s.data):
			return false, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, object.ErrDamaged):
			return false, err
		}
		if leads, err := l.o.Leads(ctx); err != nil || !leads {
			return err == nil, err
		}
		if l.next, err = l.end(ctx, s.number); err != nil {
			return false, err
		}
		s.data = nil
	}
}

// end returns the number behind that of the last segment in the bucket, which is above
// taken.
func (l *Log) end(ctx context.Context, taken int) (int, error) {
	last := taken
	for o, err := range l.o.Store.List(ctx, l.o.Layout.EventsDir()) {
		if err != nil {
			return 0, fmt.Errorf("list the event log: %w", err)
		}
		if n, ok := l.o.Layout.ParseEvents(o.Key); ok {
			last = max(last, n)
		}
	}
	return last + 1, nil
}
