// Package events is the event log of a job: what its coordinators did, in objects of
// the bucket that are written once. It can be read while the job runs and after every
// process is gone. docs/events.md is its documentation for users.
//
//	format.go    an event, and a segment: the lines of JSON in one object
//	log.go       what a coordinator writes with
//	reader.go    the segments of a bucket, in order
//	state.go     what the events come to: tasks, attempts, workers, totals
//	timeline.go  the state as a trace for Perfetto
//
// Segments are numbered from 1 without a gap. A coordinator creates each on the
// condition that its number is free, so all coordinators of a job share one order.
// Nothing that is committed depends on the log, and no decision is made by it.
package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// Schema names the kind and the version of a segment, in its first line.
const Schema = "mraws/events/v1"

// Type is what happened.
type Type string

// The types. [Fields] says which fields of an [Event] each has.
const (
	CoordinatorStarted Type = "coordinator.started"
	CoordinatorEnded   Type = "coordinator.ended"
	JobPlanned         Type = "job.planned"
	JobDone            Type = "job.done"
	JobFailed          Type = "job.failed"
	PhaseDone          Type = "phase.done"
	TaskRestored       Type = "task.restored"
	TaskReplaced       Type = "task.replaced"
	AttemptStarted     Type = "attempt.started"
	AttemptAdopted     Type = "attempt.adopted"
	AttemptEnded       Type = "attempt.ended"
	AttemptRerun       Type = "attempt.rerun"
	OutputGone         Type = "output.gone"
	WorkerJoined       Type = "worker.joined"
	WorkerChanged      Type = "worker.changed"
	WorkerSampled      Type = "worker.sampled"
	EventsDropped      Type = "events.dropped"
)

// work lists the fields of [Work].
const work = "seconds records bytes emitted wrote_records wrote_bytes keys key key_bytes skipped taken_over counters s3 wait_seconds upload_seconds throttled throttled_seconds spills spilled_bytes spill_seconds"

// sample lists the fields of [object.Sample].
const sample = "cpu_seconds cpu_percent cores memory_bytes scratch_free_bytes s3_requests s3_throttled s3_ms_p50 s3_ms_p95"

// Fields returns, by type, the fields that an event may have besides type, at and cut,
// apart by spaces. A field that is zero is left out.
func Fields() map[Type]string {
	return map[Type]string{
		CoordinatorStarted: "from cause",
		CoordinatorEnded:   "cause",
		JobPlanned:         "app maps reduces objects bytes",
		JobDone:            "cause totals s3 usd",
		JobFailed:          "task attempt worker cause",
		PhaseDone:          "phase task bytes",
		TaskRestored:       "task attempt worker started " + work,
		TaskReplaced:       "task attempt worker started " + work,
		AttemptStarted:     "task attempt worker slot speculative",
		AttemptAdopted:     "task attempt worker",
		AttemptEnded:       "task attempt worker outcome cause speculative started " + work,
		AttemptRerun:       "task attempt",
		OutputGone:         "task attempt worker started " + work,
		WorkerJoined:       "worker host slots",
		WorkerChanged:      "worker from to",
		WorkerSampled:      "worker " + sample,
		EventsDropped:      "dropped",
	}
}

// vital says whether the final state of a job depends on events of the type.
func (t Type) vital() bool {
	switch t {
	case CoordinatorStarted, WorkerJoined, WorkerChanged, WorkerSampled, PhaseDone:
		return false
	}
	return true
}

// Event is one line of the log. Fields that mean nothing for its type are zero.
type Event struct {
	Type        Type   `json:"type"`
	At          Time   `json:"at"`
	Task        string `json:"task,omitempty"` // "map-3" or "reduce-3"
	Attempt     string `json:"attempt,omitempty"`
	Worker      string `json:"worker,omitempty"`
	Slot        int    `json:"slot,omitempty"` // of the worker, from 0
	Speculative bool   `json:"speculative,omitempty"`
	Outcome     string `json:"outcome,omitempty"`
	Cause       string `json:"cause,omitempty"`
	From        string `json:"from,omitempty"`
	To          string `json:"to,omitempty"`
	Host        string `json:"host,omitempty"`
	Slots       int    `json:"slots,omitempty"`
	Phase       string `json:"phase,omitempty"` // map or reduce
	App         string `json:"app,omitempty"`
	Maps        int    `json:"maps,omitempty"`
	Reduces     int    `json:"reduces,omitempty"`
	Objects     int    `json:"objects,omitempty"`
	Started     Time   `json:"started,omitzero"` // by the clock of the worker
	Work
	*object.Sample         // what the process of a worker takes, by its word
	Totals         *Totals `json:"totals,omitempty"`
	USD            float64 `json:"usd,omitempty"`     // what S3 charges for the job, which S3 is of then
	Dropped        int64   `json:"dropped,omitempty"` // events
	Cut            bool    `json:"cut,omitempty"`     // counters and the end of a long cause are left out
}

// Work is what the attempt did that committed a task, by its commit record.
type Work struct {
	Seconds      float64          `json:"seconds,omitempty"`       // by the clock of the worker
	Records      int64            `json:"records,omitempty"`       // read: of input, or pairs
	Bytes        int64            `json:"bytes,omitempty"`         // of these
	Emitted      int64            `json:"emitted,omitempty"`       // pairs, before a combiner
	WroteRecords int64            `json:"wrote_records,omitempty"` // pairs, or lines of the output
	WroteBytes   int64            `json:"wrote_bytes,omitempty"`   // of pairs, or of the output
	Keys         int64            `json:"keys,omitempty"`
	Key          string           `json:"key,omitempty"`        // the heaviest, quoted, if it has a tenth of the bytes or more
	KeyBytes     int64            `json:"key_bytes,omitempty"`  // read with it
	Skipped      int64            `json:"skipped,omitempty"`    // bad records
	TakenOver    string           `json:"taken_over,omitempty"` // the job whose segments these are
	Counters     map[string]int64 `json:"counters,omitempty"`
	// S3 is what the attempt asked of S3, as far as its commit record says; of one that did
	// not commit, by the word of its worker.
	S3 *object.Traffic `json:"s3,omitempty"`
	manifest.Delays
}

// TrafficOf is t for an event, nil for none.
func TrafficOf(t object.Traffic) *object.Traffic {
	if t.IsZero() {
		return nil
	}
	return &t
}

// heavyShare is the part of the bytes of a reduce task from which on its heaviest key
// is in the log, and heavyText how much of the key, in bytes.
const heavyShare, heavyText = 0.1, 64

// WorkOfMap returns what the commit record of a map task says.
func WorkOfMap(m *manifest.Map) Work {
	w := Work{
		Seconds: m.Seconds, Records: m.Input.Records, Bytes: m.Input.Bytes, Emitted: m.Emitted,
		TakenOver: m.TakenOver, Counters: m.Counters, Delays: m.Delays, S3: TrafficOf(m.S3),
	}
	for _, p := range m.Parts {
		w.WroteRecords += p.Sum.Records
		w.WroteBytes += p.Sum.Bytes
	}
	if m.Bad != nil {
		w.Skipped = m.Bad.Records
	}
	return w
}

// WorkOfReduce returns what the record of an output says. Of a map-only job that is
// the output of a map task.
func WorkOfReduce(r *manifest.Reduce) Work {
	w := Work{
		Seconds: r.Seconds, Records: r.Read.Records, Bytes: r.Read.Bytes, Keys: r.Keys,
		WroteRecords: r.Output.Lines, WroteBytes: r.Bytes(), TakenOver: r.TakenOver, Counters: r.Counters, Delays: r.Delays, S3: TrafficOf(r.S3),
	}
	if len(r.Heaviest) > 0 && float64(r.Heaviest[0].Bytes) >= heavyShare*float64(r.Read.Bytes) {
		w.Key, w.KeyBytes = escape.Short(r.Heaviest[0].Text, heavyText), r.Heaviest[0].Bytes
	}
	if r.Input != nil {
		w.Records, w.Bytes, w.Emitted = r.Input.Records, r.Input.Bytes, r.Output.Lines
		if r.Bad != nil {
			w.Skipped = r.Bad.Records
		}
	}
	return w
}

// Count is a number of records or lines, and their bytes.
type Count struct {
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"`
}

func (c *Count) add(records, bytes int64) {
	c.Records += records
	c.Bytes += bytes
}

// Totals are the sums over the committed attempts of a job, and the attempts of the
// coordinator that finished it.
type Totals struct {
	Map       manifest.Attempts `json:"map"`
	Reduce    manifest.Attempts `json:"reduce"`
	Input     Count             `json:"input"`
	Emitted   int64             `json:"emitted"`
	Skipped   int64             `json:"skipped"`
	Shuffled  Count             `json:"shuffled"`
	Read      Count             `json:"read"`
	Keys      int64             `json:"keys"`
	Output    Count             `json:"output"`
	TakenOver int               `json:"taken_over,omitempty"` // map tasks
	Counters  map[string]int64  `json:"counters,omitempty"`
}

// TotalsOf returns what the summary of a job says.
func TotalsOf(s *manifest.Success) Totals {
	t := Totals{
		Map: s.Map, Reduce: s.Reduce, Input: Count(s.Input), Emitted: s.Emitted, Skipped: s.Skipped,
		Shuffled: Count{s.Shuffled.Records, s.Shuffled.Bytes}, Read: Count{s.Read.Records, s.Read.Bytes},
		Keys: s.Keys, TakenOver: s.TakenOver, Counters: s.Counters,
	}
	t.Output.add(s.Wrote())
	return t
}

// Time is a time in milliseconds since 1970. In JSON it is RFC 3339 in UTC with three
// digits of the second. Zero is none.
type Time int64

// TimeOf returns t in milliseconds.
func TimeOf(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixMilli())
}

// Time returns the time, the zero one for none.
func (t Time) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(t)).UTC()
}

const timeFormat = "2006-01-02T15:04:05.000Z"

// MarshalJSON implements [json.Marshaler].
func (t Time) MarshalJSON() ([]byte, error) {
	return t.Time().AppendFormat(make([]byte, 0, len(timeFormat)+2), `"`+timeFormat+`"`), nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Time) UnmarshalJSON(data []byte) error {
	at, err := time.Parse(`"`+timeFormat+`"`, string(data))
	if err != nil {
		return err
	}
	*t = TimeOf(at)
	return nil
}

// Header is the first line of a segment.
type Header struct {
	Schema      string `json:"schema"`
	Job         string `json:"job"`
	Coordinator string `json:"coordinator"` // the epoch of the one that wrote it
	Segment     int    `json:"segment"`     // its number, from 1
	Events      int    `json:"events"`      // lines that follow
}

// mostBytes bounds a segment before it is compressed. A segment that a coordinator
// writes has at most maxSegment bytes and one event.
const mostBytes = 64 << 20

// encode returns the object of a segment: a header and lines, compressed.
func encode(h Header, lines []byte) ([]byte, error) {
	first, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode a segment of the event log: %w", err)
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("encode a segment of the event log: %w", err)
	}
	return enc.EncodeAll(append(append(first, '\n'), lines...), nil), enc.Close()
}

// Decode reads the object of a segment. It returns an error for one that this version
// did not write.
func Decode(data []byte) (h Header, events []Event, err error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(mostBytes))
	if err != nil {
		return h, nil, err
	}
	defer dec.Close()
	text, err := dec.DecodeAll(data, nil)
	if err != nil {
		return h, nil, fmt.Errorf("decompress: %w", err)
	}
	first, rest, _ := bytes.Cut(text, []byte{'\n'})
	if err := json.Unmarshal(first, &h); err != nil {
		return h, nil, fmt.Errorf("line 1: %w", err)
	}
	if h.Schema != Schema {
		return h, nil, fmt.Errorf("it has the schema %q, want %q", h.Schema, Schema)
	}
	events = make([]Event, 0, min(max(h.Events, 0), bytes.Count(rest, []byte{'\n'})))
	var lines parser
	for len(rest) > 0 {
		line, after, ok := bytes.Cut(rest, []byte{'\n'})
		if !ok {
			return h, nil, errors.New("its last line is cut off")
		}
		events = append(events, Event{})
		if err := lines.parse(line, &events[len(events)-1]); err != nil {
			return h, nil, fmt.Errorf("line %d: %w", len(events)+1, err)
		}
		rest = after
	}
	if len(events) != h.Events {
		return h, nil, fmt.Errorf("it has %d events, its first line says %d", len(events), h.Events)
	}
	return h, events, nil
}
