package manifest

import (
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"unicode"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/recordio"
)

// This file decodes control objects, and validates commit records, the summary
// and the announcement. It has the bounds of all kinds. validate_job.go validates
// the job spec, ranges.go the key ranges.
//
// Whoever may write to the bucket may write a control object, so nothing in
// one is believed for being there: every key has to be the one that the layout
// builds for that job, task and attempt, every count and size has to be one
// that the task can have, and every name and text has a bound. There is one
// Validate for each kind, and it is called where the object is decoded and
// before it is written. What it cannot tell is whether the application would
// say the same of the input: that is what package verify computes.

const (
	// Most bounds every count and size: 2^53, which any reader of JSON
	// keeps exactly, and of which a thousand add up without overflow.
	Most = 1 << 53
	// MostReduces bounds the reduce tasks of a job.
	MostReduces = 1 << 20
	// mostCounters bounds the counters of an attempt.
	mostCounters = 1000
	// MostCounterName bounds the name of a counter, in bytes.
	MostCounterName = 256
	// mostText bounds a version, an ETag and the like, in bytes.
	mostText = 1 << 10
	// mostSeconds is about 30 years.
	mostSeconds = 1e9
	// mostParams bounds the parameters of an app, in bytes.
	mostParams = 512 << 10
	// mostFailure bounds why a job failed, and why a record was skipped.
	mostFailure = 32 << 10
	// mostAddresses bounds the addresses of a coordinator.
	mostAddresses = 256
	// mostPEM bounds its certificate, in bytes.
	mostPEM = 64 << 10
	// MostLeaseMS bounds a lease: ten years.
	MostLeaseMS = 10 * 365 * 24 * 3600 * 1000
)

// OtherJobError says that a control object is of another job than the one
// that it was read for.
type OtherJobError struct{ Got, Want string }

// Error names both jobs.
func (e *OtherJobError) Error() string {
	return fmt.Sprintf("it is of job %q, not of %q", e.Got, e.Want)
}

// DecodeMap reads the commit record of a map task of job.
func DecodeMap(data []byte, lay layout.Layout, job *Job, task int) (*Map, error) {
	m, err := Decode[Map](data, MapSchema)
	if err != nil {
		return nil, err
	}
	return m, m.Validate(lay, job, task)
}

// DecodeReduce reads the record of an attempt at a reduce task of job.
func DecodeReduce(data []byte, lay layout.Layout, job *Job, task int, attempt string) (*Reduce, error) {
	r, err := Decode[Reduce](data, ReduceSchema)
	if err != nil {
		return nil, err
	}
	return r, r.Validate(lay, job, task, attempt)
}

// DecodeJob reads a job's spec.
func DecodeJob(data []byte, lay layout.Layout) (*Job, error) {
	j, err := Decode[Job](data, JobSchema)
	if err != nil {
		return nil, err
	}
	return j, j.Validate(lay)
}

// DecodeSuccess reads the summary of a job, whose bytes have to be those that
// were sealed; "" is any job.
func DecodeSuccess(data []byte, lay layout.Layout, job string) (*Success, error) {
	s, err := Decode[Success](data, SuccessSchema)
	if err != nil {
		return nil, err
	}
	if job != "" && s.Job != job {
		return nil, &OtherJobError{Got: s.Job, Want: job}
	}
	if _, err := CheckSeal(data); err != nil {
		return nil, err
	}
	return s, s.Validate(lay)
}

// DecodeRanges reads the key ranges of job.
func DecodeRanges(data []byte, job *Job) (*Ranges, error) {
	r, err := Decode[Ranges](data, RangesSchema)
	if err != nil {
		return nil, err
	}
	return r, r.Validate(job.ID, job.NReduce)
}

// DecodeCoordinator reads a coordinator's announcement.
func DecodeCoordinator(data []byte) (*Coordinator, error) {
	c, err := Decode[Coordinator](data, CoordinatorSchema)
	if err != nil {
		return nil, err
	}
	return c, c.Validate()
}

// Validate returns an error unless m can be the commit record of a map task of
// job. A record of another job is an [*OtherJobError].
func (m *Map) Validate(lay layout.Layout, job *Job, task int) error {
	switch {
	case m.Job != job.ID:
		return &OtherJobError{Got: m.Job, Want: job.ID}
	case m.Task != task || task < 0 || task >= len(job.Tasks):
		return fmt.Errorf("it is of map task %d, not of %d", m.Task, task)
	case len(m.Parts) != job.NReduce:
		return fmt.Errorf("it has %d partitions, not %d", len(m.Parts), job.NReduce)
	}
	if err := validateAttempt(m.Attempt, m.Worker, m.Seconds, m.Counters); err != nil {
		return err
	}
	if err := m.CheckParts(job); err != nil {
		return err
	}
	total := recordio.Sum{}
	for r := range m.Parts {
		if err := m.validatePart(lay, r); err != nil {
			return err
		}
		total.Add(m.Parts[r].Sum)
		if total.Records > Most || total.Bytes > Most {
			return errors.New("its partitions have more records than any task")
		}
	}
	if p := m.Packed; p != nil && p.Size > 0 && (p.Key != lay.Packed(task) && p.Key != lay.MapAttemptPacked(task, m.Attempt) || !validETag(p.ETag)) {
		return fmt.Errorf("its packed partitions have the key %q and the ETag %q, which no attempt at the task writes", p.Key, p.ETag)
	}
	if err := m.validateCounts(job, total); err != nil {
		return err
	}
	return m.validateBad(lay, job)
}

// validatePart judges partition r, of which CheckParts has seen the place.
func (m *Map) validatePart(lay layout.Layout, r int) error {
	p := &m.Parts[r]
	switch stored := m.Packed == nil && p.Size > 0; {
	case p.Size > Most || !validSum(p.Sum) || p.Largest < 0 || p.Largest > p.Sum.Bytes:
		return fmt.Errorf("partition %d has %d bytes, %d records and the largest record %d", r, p.Size, p.Sum.Records, p.Largest)
	case !validHash(p.Hash):
		return fmt.Errorf("partition %d has the hash %q", r, p.Hash)
	case m.Packed == nil && p.Offset != 0:
		return fmt.Errorf("partition %d begins at byte %d of an object of its own", r, p.Offset)
	case stored && p.Key != lay.Partition(m.Task, r) && p.Key != lay.MapAttempt(m.Task, m.Attempt, r):
		return fmt.Errorf("partition %d has the key %q, which no attempt at the task writes", r, p.Key)
	case stored && !validETag(p.ETag), !stored && p.ETag != "":
		return fmt.Errorf("partition %d has the ETag %q", r, p.ETag)
	}
	return nil
}

// validateCounts holds what the attempt counted against the task's pieces
// and against the partitions. A combiner makes of the pairs of a key at least
// one.
func (m *Map) validateCounts(job *Job, total recordio.Sum) error {
	bytes, least, most := int64(0), int64(0), int64(0)
	f := job.InputFormat()
	for _, p := range job.Tasks[m.Task] {
		bytes += p.Length
		if job.Objects[p.Object].Compression != "" {
			most = Most
			continue
		}
		few, many := f.Count(p.Offset, p.Length)
		least, most = least+few, min(most+min(many, Most), Most)
	}
	if per := job.LinesPerTask(); per > 0 { // the task is one piece
		p := job.Tasks[m.Task][0]
		if most = min(most, per); p.Offset+p.Length < job.Objects[p.Object].Size {
			least = per
		}
	}
	switch n := m.Input.Records; {
	case m.Input.Bytes != bytes:
		return fmt.Errorf("it read %d bytes of input, the task has %d", m.Input.Bytes, bytes)
	case n < least || n > most:
		return fmt.Errorf("it read %d records of the %d bytes of the task", n, bytes)
	case m.Emitted < 0 || m.Emitted > Most || total.Records > m.Emitted || (total.Records == 0) != (m.Emitted == 0):
		return fmt.Errorf("it emitted %d pairs, and its partitions have %d records", m.Emitted, total.Records)
	}
	return nil
}

// validateBad judges what the attempt skipped.
func (m *Map) validateBad(lay layout.Layout, job *Job) error {
	q := m.Bad
	switch {
	case q == nil:
		return nil
	case q.Key != lay.Bad(m.Task) && q.Key != lay.MapAttemptBad(m.Task, m.Attempt):
		return fmt.Errorf("its list of bad records has the key %q, which no attempt at the task writes", q.Key)
	case !validHash(q.Hash):
		return fmt.Errorf("its list of bad records has the hash %q", q.Hash)
	case !validETag(q.ETag) || q.Size < 1 || q.Size > Most:
		return fmt.Errorf("its list of bad records has %d bytes and the ETag %q", q.Size, q.ETag)
	case q.Records < 1 || q.Records > m.Input.Records || len(q.First) != int(min(q.Records, FirstBad)):
		return fmt.Errorf("it skips %d of %d records and names %d", q.Records, m.Input.Records, len(q.First))
	}
	for _, b := range q.First {
		if err := b.validate(job, m.Task); err != nil {
			return err
		}
	}
	return nil
}

// validate returns an error unless the record may lie in a piece of a map
// task.
func (b BadRecord) validate(job *Job, task int) error {
	in := func(p Piece) bool {
		o := job.Objects[p.Object]
		if o.Name != b.Object || o.ETag != b.ETag {
			return false
		}
		return o.Compression != "" || b.Offset >= p.Offset && b.Offset <= p.Offset+p.Length && b.Length <= o.Size-b.Offset
	}
	if b.Offset < 0 || b.Length < 0 || b.Line < 0 || len(b.Error) > mostFailure || !slices.ContainsFunc(job.Tasks[task], in) {
		return fmt.Errorf("it skips %d bytes at %d of %q, where map task %d has no record", b.Length, b.Offset, b.Object, task)
	}
	return nil
}

// Validate returns an error unless r can be the record of an attempt at a
// reduce task of job. A record of another job is an [*OtherJobError].
func (r *Reduce) Validate(lay layout.Layout, job *Job, task int, attempt string) error {
	switch {
	case r.Job != job.ID:
		return &OtherJobError{Got: r.Job, Want: job.ID}
	case r.Task != task || task < 0 || task >= job.NReduce || r.Attempt != attempt:
		return fmt.Errorf("it is of attempt %q at reduce task %d, not of %q at %d", r.Attempt, r.Task, attempt, task)
	case !validSum(r.Read) || r.Keys < 0 || r.Keys > r.Read.Records || (r.Keys == 0) != (r.Read.Records == 0):
		return fmt.Errorf("it read %d records with %d keys", r.Read.Records, r.Keys)
	}
	if err := validateAttempt(r.Attempt, r.Worker, r.Seconds, r.Counters); err != nil {
		return err
	}
	if err := job.OutputFormat().Check(r.Output.Lines, r.Output.Size); err != nil {
		return fmt.Errorf("output %d has %w", task, err)
	}
	return r.Output.validate(job.Layout(lay), task)
}

// validate returns an error unless o can be the output of a reduce task, of any
// format.
func (o *Output) validate(lay layout.Layout, task int) error {
	switch {
	case o.Key != lay.Output(task):
		return fmt.Errorf("output %d has the key %q", task, o.Key)
	case o.Size < 0 || o.Size > Most || o.Lines < 0 || o.Lines > Most || o.Size == 0 && o.Lines > 0:
		return fmt.Errorf("output %d has %d bytes and %d lines", task, o.Size, o.Lines)
	case o.Attempt != "" && !layout.ValidName(o.Attempt):
		return fmt.Errorf("output %d is of attempt %q", task, o.Attempt)
	case !validHash(o.Hash) || (o.Size == 0) != (o.Hash == noRecords):
		return fmt.Errorf("output %d has %d bytes and the hash %q", task, o.Size, o.Hash)
	}
	return nil
}

// Validate returns an error unless s can be the summary of a job that keeps
// its objects in lay.
func (s *Success) Validate(lay layout.Layout) error {
	if !layout.ValidName(s.Job) {
		return fmt.Errorf("it is of job %q", s.Job)
	}
	if err := s.App.validate(); err != nil {
		return err
	}
	switch {
	case s.NReduce < 1 || s.NReduce > MostReduces || len(s.Outputs) != s.NReduce:
		return fmt.Errorf("it has %d outputs of %d reduce tasks", len(s.Outputs), s.NReduce)
	case !validSeconds(s.Seconds):
		return fmt.Errorf("it took %g seconds", s.Seconds)
	case s.Shuffled != s.Read:
		return fmt.Errorf("the maps committed %d records, the reduces read %d", s.Shuffled.Records, s.Read.Records)
	case !validSum(s.Read) || s.Keys < 0 || s.Keys > s.Read.Records || !validCount(s.Emitted) || s.Emitted < s.Read.Records:
		return fmt.Errorf("%d pairs were emitted, %d records read with %d keys", s.Emitted, s.Read.Records, s.Keys)
	case !validCount(s.Input.Records) || !validCount(s.Input.Bytes) || s.Skipped < 0 || s.Skipped > s.Input.Records:
		return fmt.Errorf("%d of %d records were skipped", s.Skipped, s.Input.Records)
	}
	for _, d := range []string{s.Sealed.Job, s.Sealed.Ranges, s.Sealed.Maps, s.Sealed.Reduces, s.Seal} {
		if d != "" && !validHash(d) {
			return fmt.Errorf("it has the digest %q", d)
		}
	}
	for r := range s.Outputs {
		if err := s.Outputs[r].validate(lay, r); err != nil {
			return err
		}
	}
	for _, a := range []Attempts{s.Map, s.Reduce} {
		all := []int{a.Tasks, a.Reused, a.Granted, a.Failed, a.Lost, a.Released, a.Superseded, a.Speculative, a.SpeculativeCommitted, a.CommittedRerun}
		if slices.ContainsFunc(all, func(n int) bool { return !validCount(int64(n)) }) {
			return fmt.Errorf("it counts the attempts %+v", a)
		}
	}
	for _, counts := range []map[string]int64{s.Counters, s.Requests} {
		if err := validateCounters(counts, math.MaxInt); err != nil {
			return err
		}
	}
	return nil
}

// Validate returns an error unless c can be a coordinator's announcement.
func (c *Coordinator) Validate() error {
	switch {
	case !layout.ValidName(c.Epoch):
		return fmt.Errorf("its epoch is %q", c.Epoch)
	case c.App != "" && !layout.ValidName(c.App):
		return fmt.Errorf("its app is %q", c.App)
	case !validText(c.Version) || !validText(c.Token):
		return errors.New("its version or its token is no text of one line")
	case len(c.CertPEM) > mostPEM || len(c.Failure) > mostFailure:
		return fmt.Errorf("its certificate has %d bytes, its failure %d", len(c.CertPEM), len(c.Failure))
	case c.LeaseMS < 1 || c.LeaseMS > MostLeaseMS || c.Workers < 0 || c.Workers > Most:
		return fmt.Errorf("it has a lease of %d ms and %d workers", c.LeaseMS, c.Workers)
	case len(c.Addresses) > mostAddresses:
		return fmt.Errorf("it has %d addresses", len(c.Addresses))
	}
	for _, a := range c.Addresses {
		if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" || !validText(a) || strings.ContainsAny(a, "/?#@ ") {
			return fmt.Errorf("it has the address %q, want host:port", a)
		}
	}
	p := c.Process
	if p.PID < 0 || p.PID > math.MaxInt32 {
		return fmt.Errorf("its process is %+v", p)
	}
	for _, s := range []string{p.Boot, p.PIDNS, p.NetNS, p.Listen} {
		if !validText(s) {
			return fmt.Errorf("its process is %+v", p)
		}
	}
	return nil
}

// validateAttempt judges what records of both phases say of their attempt.
func validateAttempt(id, worker string, seconds float64, counters map[string]int64) error {
	switch {
	case !layout.ValidName(id):
		return fmt.Errorf("it is of attempt %q", id)
	case worker != "" && !layout.ValidName(worker):
		return fmt.Errorf("it is of worker %q", worker)
	case !validSeconds(seconds):
		return fmt.Errorf("it took %g seconds", seconds)
	}
	return validateCounters(counters, mostCounters)
}

func validateCounters(counters map[string]int64, most int) error {
	if len(counters) > most {
		return fmt.Errorf("it has %d counters, more than %d", len(counters), most)
	}
	for name := range counters {
		if len(name) > MostCounterName {
			return fmt.Errorf("it has a counter with a name of %d bytes, more than %d", len(name), MostCounterName)
		}
	}
	return nil
}

func validCount(n int64) bool { return n >= 0 && n <= Most }

func validSeconds(s float64) bool { return s >= 0 && s <= mostSeconds }

// validSum tells whether any records have the sum.
func validSum(s recordio.Sum) bool {
	if s.Records == 0 {
		return s == recordio.Sum{}
	}
	return s.Records > 0 && s.Records <= Most && s.Bytes >= 0 && s.Bytes <= Most
}

// validHash tells whether s is a SHA-256 in the one form that the engine
// writes.
func validHash(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 64
}

func validETag(s string) bool { return s != "" && validText(s) }

// validText tells whether s is a short text of one line.
func validText(s string) bool {
	return len(s) <= mostText && !strings.ContainsFunc(s, unicode.IsControl)
}
