package wire

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
)

// Nothing in a message is believed for having come: every name, path, count
// and text has a bound, as those of the control objects have (package
// manifest). There is one Validate for each kind. It is called where a message
// comes in: of a request before the handler, of an answer before the caller
// sees it. What needs the state of the job to judge, such as whether a task
// exists, whoever handles the message judges.

const (
	// MostSlots bounds the slots of a worker.
	MostSlots = 4096
	// MostRunning bounds the attempts that a worker may list for each slot:
	// those that it could not report yet are among them.
	MostRunning = 16
	// MostListed bounds the lists of a status, so that it fits into a message.
	MostListed = 1000

	// mostName bounds a text that names something, in bytes.
	mostName = 1 << 10
	// mostText bounds an error, in bytes.
	mostText = 32 << 10
	// mostCores bounds the cores of a machine.
	mostCores = 1 << 16
	// mostUSD bounds what a job costs, in dollars.
	mostUSD = 1e15
	// mostRequired bounds the parameters that an app needs.
	mostRequired = 1000
	// mostMS is the longest time that a [time.Duration] holds.
	mostMS = math.MaxInt64 / int64(time.Millisecond)
	// mostBytes is the largest number that every reader of JSON holds.
	mostBytes = 1<<53 - 1
)

// message is any message of the protocol.
type message interface{ Validate() error }

// judge lets no request in that is not valid, and logs one in a minute.
func judge(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if info.FullMethod == grpc_health_v1.Health_Check_FullMethodName {
		return next(ctx, req)
	}
	m, ok := req.(message)
	if !ok {
		return nil, status.Errorf(codes.Internal, "a request of type %T has no validator", req)
	}
	if err := m.Validate(); err != nil {
		err = fmt.Errorf("the request %s is not valid: %w", path.Base(info.FullMethod), err)
		if c, ok := callerOf(ctx); ok {
			c.guest.door.tell(err.Error(), c.guest.from)
		}
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return next(ctx, req)
}

// believe lets no caller see an answer that is not valid.
func believe(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if err := invoke(ctx, method, req, reply, cc, opts...); err != nil {
		return err
	}
	m, ok := reply.(message)
	if !ok {
		return status.Errorf(codes.Internal, "an answer of type %T has no validator", reply)
	}
	if err := m.Validate(); err != nil {
		return status.Errorf(codes.Internal, "the answer to %s is not valid: %v", path.Base(method), err)
	}
	return nil
}

// Validate returns an error unless the request can be a worker's. Of one that
// speaks another protocol nothing is known but that.
func (q *RegisterRequest) Validate() error {
	switch {
	case !validText(q.Version):
		return errors.New("its version is no short text of one line")
	case q.Protocol != Protocol:
		return nil
	case !layout.ValidName(q.Worker):
		return fmt.Errorf("it is of worker %.200q", q.Worker)
	case len(q.Host) > mostName:
		return fmt.Errorf("its host has a name of %d bytes", len(q.Host))
	case q.Slots < 1 || q.Slots > MostSlots:
		return fmt.Errorf("it has %d slots, want 1 to %d", q.Slots, MostSlots)
	case len(q.Running) > MostRunning*int(q.Slots):
		return fmt.Errorf("it runs %d attempts on %d slots", len(q.Running), q.Slots)
	case !nameOrNone(q.Job):
		return fmt.Errorf("it runs attempts of job %.200q", q.Job)
	}
	for _, a := range q.Running {
		if err := a.Validate(); err != nil {
			return err
		}
	}
	if q.App != nil {
		if err := q.App.Validate(); err != nil {
			return err
		}
	}
	return errors.Join(q.Told.Validate(), q.Drain.Validate())
}

// Validate returns an error unless the answer can be a coordinator's.
func (r *RegisterReply) Validate() error {
	switch {
	case !layout.ValidName(r.Epoch):
		return fmt.Errorf("its epoch is %.200q", r.Epoch)
	case r.LeaseMs < 1 || r.LeaseMs > manifest.MostLeaseMS:
		return fmt.Errorf("it has a lease of %d ms", r.LeaseMs)
	case r.Nreduce < 0 || r.Nreduce > manifest.MostReduces:
		return fmt.Errorf("it has %d reduce tasks", r.Nreduce)
	case !validMS(r.TaskTimeoutMs):
		return fmt.Errorf("it has a task time-out of %d ms", r.TaskTimeoutMs)
	}
	if err := validPlace(r.Bucket, r.Prefix); err != nil {
		return err
	}
	return r.App.Validate()
}

// Validate returns an error unless a can describe an app.
func (a *App) Validate() error {
	if n := len(a.GetRequired()); n > mostRequired {
		return fmt.Errorf("its app needs %d parameters", n)
	}
	for _, name := range a.GetRequired() {
		if !layout.ValidName(name) {
			return fmt.Errorf("its app needs the parameter %.200q", name)
		}
	}
	for _, params := range []map[string]string{a.GetDefaults(), a.GetParams()} {
		if err := a.Spec(params).Validate(); err != nil {
			return err
		}
	}
	return nil
}

// Validate returns an error unless a can be an attempt at a task of some job.
func (a *Attempt) Validate() error {
	switch {
	case a == nil:
		return errors.New("it names no attempt")
	case a.Phase != Phase_PHASE_MAP && a.Phase != Phase_PHASE_REDUCE:
		return fmt.Errorf("it names an attempt of phase %d", a.Phase)
	case a.Task < 0 || a.Phase == Phase_PHASE_REDUCE && a.Task >= manifest.MostReduces:
		return fmt.Errorf("it names an attempt at task %d", a.Task)
	case !layout.ValidName(a.Id):
		return fmt.Errorf("it names the attempt %.200q", a.Id)
	}
	return nil
}

// Validate returns an error unless d can be a worker's word; nil is none.
func (d *Drain) Validate() error {
	if !validMS(d.GetLeftMs()) {
		return fmt.Errorf("it drains for %d ms", d.GetLeftMs())
	}
	return nil
}

// Validate returns an error unless the request can be a worker's.
func (q *PollRequest) Validate() error {
	switch {
	case !layout.ValidName(q.Worker):
		return fmt.Errorf("it is of worker %.200q", q.Worker)
	case q.Slot < 0 || q.Slot >= MostSlots:
		return fmt.Errorf("it is of slot %d", q.Slot)
	case !validMS(q.MaxWaitMs):
		return fmt.Errorf("it waits for %d ms", q.MaxWaitMs)
	}
	return nil
}

// Validate returns an error unless the answer can be a coordinator's.
func (r *PollReply) Validate() error {
	if !nameOrNone(r.Job) {
		return fmt.Errorf("it is of job %.200q", r.Job)
	}
	if r.Spec != "" && !validHash(r.Spec) {
		return fmt.Errorf("the spec of its job has the digest %.200q", r.Spec)
	}
	switch a := r.Answer.(type) {
	case *PollReply_Grant:
		if r.Job == "" {
			return errors.New("it grants an attempt of no job")
		}
		return a.Grant.Validate()
	case *PollReply_Done:
		return a.Done.Validate()
	case *PollReply_Wait, *PollReply_Unknown:
		return nil
	}
	return errors.New("it answers nothing")
}

// Validate returns an error unless d can be the end of a job; nil is none.
func (d *Done) Validate() error {
	if n := len(d.GetFailure()); n > mostText {
		return fmt.Errorf("the failure of its job has %d bytes", n)
	}
	return nil
}

// Validate returns an error unless the request can be a worker's. The counts
// of S3 requests are judged by whoever adds them up.
func (q *HeartbeatRequest) Validate() error {
	switch {
	case !layout.ValidName(q.Worker):
		return fmt.Errorf("it is of worker %.200q", q.Worker)
	case len(q.Running) > MostRunning*MostSlots:
		return fmt.Errorf("it runs %d attempts", len(q.Running))
	case !validMS(q.StalledMs):
		return fmt.Errorf("it was stalled for %d ms", q.StalledMs)
	}
	for _, p := range q.Running {
		if err := p.Validate(); err != nil {
			return err
		}
	}
	return errors.Join(validOperations(q.S3Requests), q.Spent.Validate(), q.Drain.Validate(), q.Sample.Validate())
}

// Validate returns an error unless p can be the progress of an attempt.
func (p *Progress) Validate() error {
	switch {
	case !validCount(p.GetRecords()) || !validCount(p.GetBytes()):
		return fmt.Errorf("an attempt has read %d records and %d bytes", p.GetRecords(), p.GetBytes())
	case !validMS(p.GetStalledMs()):
		return fmt.Errorf("an attempt was stalled for %d ms", p.GetStalledMs())
	}
	return p.GetAttempt().Validate()
}

// Validate returns an error unless the answer can be a coordinator's.
func (r *HeartbeatReply) Validate() error {
	if len(r.Revoked) > MostRunning*MostSlots {
		return fmt.Errorf("it revokes %d attempts", len(r.Revoked))
	}
	for _, id := range r.Revoked {
		if !layout.ValidName(id) {
			return fmt.Errorf("it revokes the attempt %.200q", id)
		}
	}
	return r.Done.Validate()
}

// Validate returns an error unless the request can be a worker's. The counts
// of S3 requests are judged by whoever adds them up.
func (q *ReportRequest) Validate() error {
	_, known := Outcome_name[int32(q.Outcome)]
	switch {
	case !layout.ValidName(q.Worker):
		return fmt.Errorf("it is of worker %.200q", q.Worker)
	case !known:
		return fmt.Errorf("it tells of the outcome %d", q.Outcome)
	case len(q.Error) > mostText:
		return fmt.Errorf("its error has %d bytes", len(q.Error))
	case len(q.Object) > layout.MaxPlace:
		return fmt.Errorf("its object has a key of %d bytes", len(q.Object))
	case q.Restored < 0:
		return fmt.Errorf("it has put back %d objects", q.Restored)
	}
	return errors.Join(validOperations(q.S3Requests), q.Spent.Validate(), q.S3.Validate(), q.Attempt.Validate())
}

// Validate returns an error unless the request can be a worker's. The counts
// of S3 requests are judged by whoever adds them up.
func (q *LeaveRequest) Validate() error {
	if !layout.ValidName(q.Worker) {
		return fmt.Errorf("it is of worker %.200q", q.Worker)
	}
	return errors.Join(validOperations(q.S3Requests), q.Spent.Validate())
}

// Validate returns an error unless t can be what somebody has asked of S3; nil is nothing.
func (t *Traffic) Validate() error {
	if !validCount(t.GetSent()) || !validCount(t.GetReceived()) {
		return fmt.Errorf("it has sent %d bytes and received %d", t.GetSent(), t.GetReceived())
	}
	for name, n := range t.GetRequests() {
		if !layout.ValidName(name) || !validCount(n) {
			return fmt.Errorf("it counts %d of the operation %.200q", n, name)
		}
	}
	return nil
}

// Validate returns an error unless s can be a worker's word; nil is none.
func (s *Spent) Validate() error {
	if !validCount(s.GetSent()) || !validCount(s.GetReceived()) {
		return fmt.Errorf("it has sent %d bytes and received %d", s.GetSent(), s.GetReceived())
	}
	return s.GetRecorded().Validate()
}

// Validate returns an error unless s can be a worker's word; nil is none.
func (s *Sample) Validate() error {
	if s == nil {
		return nil
	}
	switch p := s.CpuPercent; {
	case !validMS(s.CpuMs) || !(p >= 0 && p <= 100*mostCores) || s.Cores < 0 || s.Cores > mostCores: // or is not a number
		return fmt.Errorf("a sample has %d ms and %g%% of processor time on %d cores", s.CpuMs, p, s.Cores)
	case s.MemoryBytes < 0 || s.MemoryBytes > mostBytes || s.GetScratchFreeBytes() < 0 || s.GetScratchFreeBytes() > mostBytes:
		return fmt.Errorf("a sample has %d bytes of memory and %d of scratch", s.MemoryBytes, s.GetScratchFreeBytes())
	case !validCount(s.S3Requests) || !validCount(s.S3Throttled):
		return fmt.Errorf("a sample has %d requests, %d of them throttled", s.S3Requests, s.S3Throttled)
	case !validMS(s.S3UsP50) || !validMS(s.S3UsP95):
		return fmt.Errorf("requests of a sample took %d and %d µs", s.S3UsP50, s.S3UsP95)
	}
	return nil
}

// Validate returns an error unless the answer can be a coordinator's. Of one
// that speaks another protocol nothing is known but that.
func (r *DiscoverReply) Validate() error {
	switch {
	case !validText(r.Version):
		return errors.New("its version is no short text of one line")
	case r.Protocol != Protocol:
		return nil
	case !layout.ValidName(r.Epoch):
		return fmt.Errorf("its epoch is %.200q", r.Epoch)
	}
	return validPlace(r.Bucket, r.Prefix)
}

// Validate returns an error unless the answer can be a coordinator's.
func (r *StatusReply) Validate() error {
	switch {
	case !nameOrNone(r.Job) || !nameOrNone(r.App) || !nameOrNone(r.Epoch):
		return fmt.Errorf("it is of job %.200q, app %.200q and epoch %.200q", r.Job, r.App, r.Epoch)
	case !validText(r.Version):
		return errors.New("its version is no short text of one line")
	case len(r.State) > mostText:
		return fmt.Errorf("its state has %d bytes", len(r.State))
	case min(r.Slots, r.PollsWaiting, r.Exclusions) < 0:
		return errors.New("it has a negative count")
	case !validMS(r.UptimeMs) || !validMS(r.LeaseMs):
		return fmt.Errorf("it is up for %d ms and has a lease of %d ms", r.UptimeMs, r.LeaseMs)
	case !nameOrNone(r.Region) || !nameOrNone(r.Prices) || !(r.Usd >= 0 && r.Usd <= mostUSD):
		return fmt.Errorf("it has cost $%g by the prices %.200q of %.200q", r.Usd, r.Prices, r.Region)
	case len(r.Members) > MostListed || len(r.Attempts) > MostListed:
		return fmt.Errorf("it lists %d workers and %d attempts", len(r.Members), len(r.Attempts))
	}
	if err := errors.Join(validCounts(r.Workers, WorkerStates()), validCounts(r.CommitLookups, LookupResults()), r.S3.Validate(), r.Map.Validate(), r.Reduce.Validate(),
		r.MapBytes.Validate(), r.ReduceBytes.Validate()); err != nil {
		return err
	}
	for _, m := range r.Members {
		if err := m.Validate(); err != nil {
			return err
		}
	}
	for _, a := range r.Attempts {
		if err := a.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// validCounts returns an error unless all counts are of known names.
func validCounts(counts map[string]int32, names []string) error {
	for name, n := range counts {
		if n < 0 || !slices.Contains(names, name) {
			return fmt.Errorf("it counts %d of %.200q", n, name)
		}
	}
	return nil
}

// Validate returns an error unless p can be the counts of a phase; nil is none.
func (p *PhaseStatus) Validate() error {
	if p == nil {
		return nil
	}
	if min(p.Tasks, p.Done, p.Active, p.Reused, p.Granted, p.Adopted, p.Running, p.Committed, p.Failed, p.Lost,
		p.Released, p.Superseded, p.Canceled, p.Speculative, p.SpeculativeCommitted, p.Retried) < 0 {
		return errors.New("a phase has a negative count")
	}
	return nil
}

// Validate returns an error unless r can be what a phase reads; nil is unknown.
func (r *Reading) Validate() error {
	if r.GetDone() < 0 || r.GetDone() > r.GetTotal() || r.GetTotal() > mostBytes {
		return fmt.Errorf("a phase has read %d of %d bytes", r.Done, r.Total)
	}
	return nil
}

// Validate returns an error unless w can be a worker's status.
func (w *WorkerStatus) Validate() error {
	switch {
	case !layout.ValidName(w.GetName()):
		return fmt.Errorf("it lists the worker %.200q", w.GetName())
	case !validText(w.GetHost()):
		return errors.New("the host of a worker is no short text of one line")
	case !validText(w.GetVersion()):
		return errors.New("the version of a worker is no short text of one line")
	case w.GetSlots() < 0 || w.GetRunning() < 0:
		return fmt.Errorf("a worker runs %d attempts on %d slots", w.GetRunning(), w.GetSlots())
	case !slices.Contains(WorkerStates(), w.GetState()):
		return fmt.Errorf("a worker is %.200q", w.GetState())
	case !validMS(w.GetSilentMs()):
		return fmt.Errorf("a worker was silent for %d ms", w.GetSilentMs())
	}
	return w.GetSample().Validate()
}

// Validate returns an error unless a can be the status of an attempt.
func (a *AttemptStatus) Validate() error {
	switch p := a.GetProgress(); {
	case !layout.ValidName(a.GetWorker()):
		return fmt.Errorf("an attempt is on worker %.200q", a.GetWorker())
	case !validMS(a.GetAgeMs()) || !validMS(a.GetLeftMs()):
		return fmt.Errorf("an attempt runs for %d ms and %d ms more", a.GetAgeMs(), a.GetLeftMs())
	case !(p >= 0 && p <= 1): // or is not a number
		return fmt.Errorf("an attempt has the progress %g", p)
	}
	return a.GetAttempt().Validate()
}

// Validate of a message without a field finds nothing.
func (*DiscoverRequest) Validate() error { return nil }

// Validate of a message without a field finds nothing.
func (*StatusRequest) Validate() error { return nil }

// Validate of a message without a field finds nothing.
func (*LeaveReply) Validate() error { return nil }

// Validate finds nothing: either value is possible.
func (*ReportReply) Validate() error { return nil }

// validPlace judges where a coordinator says that its job is.
func validPlace(bucket, prefix string) error {
	if !layout.ValidName(bucket) {
		return fmt.Errorf("it is of bucket %.200q", bucket)
	}
	if clean, err := layout.CheckPrefix(prefix); err != nil || clean != prefix {
		return fmt.Errorf("it is of prefix %.200q", prefix)
	}
	return nil
}

func validOperations(requests map[string]int64) error {
	for name := range requests {
		if len(name) > manifest.MostCounterName {
			return fmt.Errorf("it counts an operation with a name of %d bytes", len(name))
		}
	}
	return nil
}

func nameOrNone(s string) bool { return s == "" || layout.ValidName(s) }

func validCount(n int64) bool { return n >= 0 && n <= manifest.Most }

func validMS(n int64) bool { return n >= 0 && n <= mostMS }

// validText tells whether s is a short text of one line.
func validText(s string) bool {
	return len(s) <= mostName && !strings.ContainsFunc(s, unicode.IsControl)
}

// validHash tells whether s is a SHA-256 in hex.
func validHash(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
