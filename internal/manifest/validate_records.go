package manifest

import (
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"unicode"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/output"
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
	case m.Task != task || task < 0 || task >= job.Maps():
		return fmt.Errorf("it is of map task %d, not of %d", m.Task, task)
	case len(m.Parts) != job.NReduce:
		return fmt.Errorf("it has %d partitions, not %d", len(m.Parts), job.NReduce)
	}
	if m.TakenOver != "" && (m.TakenOver != job.Reuse.Job || m.Bad != nil) {
		return fmt.Errorf("its segments are those of job %.200q", m.TakenOver)
	}
	if err := validateAttempt(m.Attempt, m.Worker, m.Seconds, m.Delays, m.Counters, m.S3); err != nil {
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
	if n := m.Emitted; n < 0 || n > Most || total.Records > n || (total.Records == 0) != (n == 0) {
		return fmt.Errorf("it emitted %d pairs, and its partitions have %d records", n, total.Records)
	}
	return m.validateRead(lay, job)
}

// validateRead judges what the attempt has read of the input.
func (m *Map) validateRead(lay layout.Layout, job *Job) error {
	if err := m.Input.validate(job, m.Task); err != nil {
		return err
	}
	if err := m.validateExtents(job); err != nil {
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

// validate holds what an attempt has read against the pieces of its task.
func (n *Input) validate(job *Job, task int) error {
	bytes, least, most := int64(0), int64(0), int64(0)
	f := job.InputFormat()
	for _, p := range job.Tasks[task] {
		bytes += p.Length
		if job.Objects[p.Object].Compression != "" || job.Unknown(p) {
			most = Most
			continue
		}
		few, many := f.Count(p.Offset, p.Length)
		least, most = least+few, min(most+min(many, Most), Most)
	}
	if per := job.LinesPerTask(); per > 0 { // the task is one piece
		p := job.Tasks[task][0]
		if most = min(most, per); p.Offset+p.Length < job.Objects[p.Object].Size {
			least = per
		}
	}
	switch {
	case n.Bytes != bytes:
		return fmt.Errorf("it read %d bytes of input, the task has %d", n.Bytes, bytes)
	case n.Records < least || n.Records > most:
		return fmt.Errorf("it read %d records of the %d bytes of the task", n.Records, bytes)
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
		if err := m.validateBadRecord(b, job); err != nil {
			return err
		}
	}
	return nil
}

// validateBadRecord returns an error unless the record may lie in a piece of the
// task.
func (m *Map) validateBadRecord(b BadRecord, job *Job) error {
	f, guessed := job.InputFormat(), 0
	in := func(p Piece) bool {
		o := &job.Objects[p.Object]
		var extent Extent
		cut := job.Guessed(f, p)
		if cut {
			extent = m.Extents[guessed] // validateExtents has counted them
			guessed++
		}
		switch {
		case o.Name != b.Object || o.ETag != b.ETag:
			return false
		case cut:
			return extent.Holds(b.Position()) && (o.Compression != "" || b.Length <= o.Size-b.Offset)
		}
		return (b.Within == 0 || b.Within > 0 && input.Grouped(job.Input.Name)) && (o.Compression != "" || job.Unknown(p) || b.Offset >= p.Offset && b.Offset <= p.Offset+p.Length && b.Length <= o.Size-b.Offset)
	}
	if b.Offset < 0 || b.Length < 0 || b.Line < 0 || len(b.Error) > mostFailure || !slices.ContainsFunc(job.Tasks[m.Task], in) {
		return fmt.Errorf("it skips %d bytes at %d of %q, where map task %d has no record", b.Length, b.Offset, b.Object, m.Task)
	}
	return nil
}

// Validate returns an error unless r can be the record of an attempt at a
// reduce task of job. A record of another job is an [*OtherJobError].
func (r *Reduce) Validate(lay layout.Layout, job *Job, task int, attempt string) error {
	switch {
	case r.Job != job.ID:
		return &OtherJobError{Got: r.Job, Want: job.ID}
	case r.Task != task || task < 0 || task >= job.Outputs() || r.Attempt != attempt:
		return fmt.Errorf("it is of attempt %q at reduce task %d, not of %q at %d", r.Attempt, r.Task, attempt, task)
	case !validSum(r.Read) || r.Keys < 0 || r.Keys > r.Read.Records || (r.Keys == 0) != (r.Read.Records == 0):
		return fmt.Errorf("it read %d records with %d keys", r.Read.Records, r.Keys)
	}
	if err := validateAttempt(r.Attempt, r.Worker, r.Seconds, r.Delays, r.Counters, r.S3); err != nil {
		return err
	}
	if err := r.validateInput(lay, job); err != nil {
		return err
	}
	if err := validateHeaviest(r.Heaviest, r.Read); err != nil {
		return err
	}
	if err := job.OutputFormat().Check(r.Output.Lines, r.Output.Size); err != nil {
		return fmt.Errorf("output %d has %w", task, err)
	}
	if err := r.validateBesides(lay, job); err != nil {
		return err
	}
	return r.Output.validate(job.Layout(lay), task)
}

// validateInput judges what the attempt has read of the input: all of a split in a
// map-only job, else nothing.
func (r *Reduce) validateInput(lay layout.Layout, job *Job) error {
	switch {
	case job.MapOnly() != (r.Input != nil), r.Input == nil && (r.Bad != nil || r.Extents != nil):
		return errors.New("what it has read of the input does not fit to its job")
	case r.TakenOver != "" && (r.Input == nil || r.TakenOver != job.Reuse.Job || r.Bad != nil):
		return fmt.Errorf("its output is that of job %.200q", r.TakenOver)
	case r.Input == nil:
		return nil
	case r.Read != recordio.Sum{}:
		return fmt.Errorf("it read %d pairs of a map-only job, which has none", r.Read.Records)
	}
	return r.Reading().validateRead(lay, job)
}

// validateHeaviest returns an error unless keys can be those with the most bytes of
// what was read.
func validateHeaviest(keys []HeavyKey, read recordio.Sum) error {
	if len(keys) > MostHeavyKeys || !slices.IsSortedFunc(keys, Heavier) {
		return fmt.Errorf("it has %d heaviest keys, more than %d or not in order", len(keys), MostHeavyKeys)
	}
	var records, bytes int64
	for _, k := range keys {
		if len(k.Text) > MostHeavyKey || k.Records < 1 || !within(k.Records, k.Bytes, read) {
			return fmt.Errorf("it has a heaviest key with %d records and %d bytes", k.Records, k.Bytes)
		}
		records, bytes = records+k.Records, bytes+k.Bytes
	}
	if !within(records, bytes, read) {
		return fmt.Errorf("its heaviest keys have %d records and %d bytes, more than it read", records, bytes)
	}
	return nil
}

// within tells whether records with so many bytes can be some of those that were read.
func within(records, bytes int64, read recordio.Sum) bool {
	return records >= 0 && records <= read.Records && bytes >= 0 && bytes <= read.Bytes
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
	case s.NReduce < 0 || s.NReduce > MostReduces || s.NReduce > 0 && len(s.Outputs) != s.NReduce:
		return fmt.Errorf("it has %d outputs of %d reduce tasks", len(s.Outputs), s.NReduce)
	case s.NReduce == 0 && (len(s.Outputs) != s.Map.Tasks || s.Read.Records > 0 || len(s.Outputs) > MostReduces):
		return fmt.Errorf("it has %d outputs of %d tasks of a map-only job, and %d pairs", len(s.Outputs), s.Map.Tasks, s.Read.Records)
	case s.TakenOver < 0 || s.TakenOver > s.Map.Tasks:
		return fmt.Errorf("it took %d of %d map tasks over", s.TakenOver, s.Map.Tasks)
	case !validSeconds(s.Seconds), !validSeconds(s.Waited):
		return fmt.Errorf("it took %g seconds, and waited %g", s.Seconds, s.Waited)
	case s.Skew != nil && (s.Skew.Partition < 0 || s.Skew.Partition >= s.NReduce || !within(s.Skew.Records, s.Skew.Bytes, s.Read)):
		return fmt.Errorf("its heaviest partition is %d of %d with %d bytes", s.Skew.Partition, s.NReduce, s.Skew.Bytes)
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
	lay, err := s.layout(lay)
	if err != nil {
		return err
	}
	for r := range s.Outputs {
		if err := s.Outputs[r].validate(lay, r); err != nil {
			return err
		}
	}
	if err := s.validateNamed(lay); err != nil {
		return err
	}
	for _, a := range []Attempts{s.Map, s.Reduce} {
		all := []int{a.Tasks, a.Reused, a.Granted, a.Adopted, a.Failed, a.Lost, a.Released, a.Superseded, a.Speculative, a.SpeculativeCommitted, a.CommittedRerun}
		if slices.ContainsFunc(all, func(n int) bool { return !validCount(int64(n)) }) {
			return fmt.Errorf("it counts the attempts %+v", a)
		}
	}
	if s.Skew != nil {
		if err := validateHeaviest(s.Skew.Heaviest, s.Read); err != nil {
			return err
		}
	}
	if !s.Receipt.valid() {
		return fmt.Errorf("it has the receipt %+v", *s.Receipt)
	}
	for _, counts := range []map[string]int64{s.Counters, s.Requests} {
		if err := validateCounters(counts, math.MaxInt); err != nil {
			return err
		}
	}
	return nil
}

// layout returns lay with outputs of the format that s says.
func (s *Success) layout(lay layout.Layout) (layout.Layout, error) {
	c := s.choice()
	f, err := output.Resolve(c.Name, c.Options)
	if err != nil {
		return lay, err
	}
	var columns []output.Column
	if t, ok := f.(output.Table); ok {
		columns = t.Columns()
	}
	if !slices.Equal(columns, s.Columns) {
		return lay, fmt.Errorf("it has the columns %s of outputs with %s", output.FormatColumns(s.Columns), output.FormatColumns(columns))
	}
	return c.Layout(lay), nil
}

// choice is the format of the outputs.
func (s *Success) choice() Choice {
	if s.Format != nil {
		return *s.Format
	}
	return Choice{Name: Lines}
}

// Describe says in the summary of which format the outputs are.
func (s *Success) Describe(c Choice) {
	if c.Name == Lines && len(c.Options) == 0 {
		return
	}
	c.Given = false
	s.Format = &c
	if f, err := output.Resolve(c.Name, c.Options); err == nil {
		if t, ok := f.(output.Table); ok {
			s.Columns = t.Columns()
		}
	}
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
	case !validTraffic(c.S3) || !c.Receipt.valid():
		return fmt.Errorf("it counts the S3 traffic %+v", c.S3)
	case c.Cancelled != nil && !validText(c.Cancelled.By):
		return fmt.Errorf("it was cancelled by %.200q", c.Cancelled.By)
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
func validateAttempt(id, worker string, seconds float64, d Delays, counters map[string]int64, s3 object.Traffic) error {
	switch {
	case !layout.ValidName(id):
		return fmt.Errorf("it is of attempt %q", id)
	case worker != "" && !layout.ValidName(worker):
		return fmt.Errorf("it is of worker %q", worker)
	case !validSeconds(seconds):
		return fmt.Errorf("it took %g seconds", seconds)
	case !d.valid():
		return fmt.Errorf("it was held up by %+v", d)
	case !validTraffic(s3):
		return fmt.Errorf("it counts the S3 traffic %+v", s3)
	}
	return validateCounters(counters, mostCounters)
}

func (d Delays) valid() bool {
	return validSeconds(d.WaitSeconds) && validSeconds(d.UploadSeconds) && validSeconds(d.ThrottledSeconds) && validSeconds(d.SpillSeconds) &&
		validCount(d.Throttled) && validCount(d.Spills) && validCount(d.SpilledBytes)
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

// validTraffic tells whether a job can have asked that of S3.
func validTraffic(t object.Traffic) bool {
	for _, n := range t.Requests {
		if !validCount(n) {
			return false
		}
	}
	return validateCounters(t.Requests, mostCounters) == nil && validCount(t.Sent) && validCount(t.Received)
}

func (r *Receipt) valid() bool {
	return r == nil || validCount(r.Sent) && validCount(r.Received) && r.USD >= 0 && validText(r.Region) && validText(r.Prices) && validTraffic(r.Committed)
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
