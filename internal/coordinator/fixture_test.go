package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait for what must happen.
const patience = time.Minute

// wc is an app as a worker describes it.
func wc() *wire.App {
	return wire.DescribeApp(mr.App{Name: "wc", Version: "1", Params: []mr.Param{{Name: "fold", Default: "no"}}}, nil)
}

// fixture is a bucket with input, on which coordinators run.
type fixture struct {
	t     *testing.T
	store *fake
	lay   layout.Layout
	known *manifest.Job // the spec; nil is what the bucket says
}

// newFixture puts n objects of one byte under input/: a map task each.
func newFixture(t *testing.T, n int) *fixture {
	b := &fixture{t: t, store: newFake(), lay: layout.New("p")}
	for i := range n {
		b.store.set(b.lay.Input(fmt.Sprintf("in-%d", i)), []byte("x"), nil)
	}
	t.Cleanup(func() { b.store.check(t) })
	return b
}

// clock is the scheduler's time: it stands still but for what the test adds,
// so that no lease ends, and no worker lags, because the machine stood still.
type clock struct{ at atomic.Int64 }

func (k *clock) pass(d time.Duration) { k.at.Add(int64(d)) }

func (k *clock) set(o *Options) {
	o.clock = func() sched.Time { return sched.Time(k.at.Load()) }
}

// service is a coordinator at work.
type service struct {
	*fixture
	c       *Coordinator
	conn    wire.CoordinatorClient
	cancel  context.CancelCauseFunc
	done    chan struct{} // closed when Run has returned
	result  *manifest.Success
	err     error
	workers []*fakeWorker
}

// errKilled ends the context of a coordinator in place of a signal.
var errKilled = errors.New("killed by the test")

// start runs a coordinator of app wc with two reduces; change adjusts it.
func (b *fixture) start(change func(*Options)) *service {
	b.t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	o := Options{
		Store: b.store, Layout: b.lay, Log: zerolog.Nop(), Version: "v",
		App: &mr.App{Name: "wc", Version: "1", Params: []mr.Param{{Name: "fold", Default: "no"}}}, NReduce: 2, SplitSize: 1 << 20, Pack: PackAuto,
		Lease: patience, MaxFailures: 4, MaxLost: 16,
		Listener: lis, Addresses: []string{lis.Addr().String()}, Security: wire.ServerOptions{Insecure: true},
		EventLog: true,
	}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	s := &service{fixture: b, c: New(o), cancel: cancel, done: make(chan struct{})}
	s.c.loop.apply = s.checked(s.c.loop.core)
	go func() {
		defer close(s.done)
		s.result, s.err = s.c.Run(ctx)
	}()
	conn, err := wire.Dial(lis.Addr().String(), wire.ClientOptions{Insecure: true})
	if err != nil {
		b.t.Fatal(err)
	}
	s.conn = wire.NewCoordinatorClient(conn)
	b.t.Cleanup(func() {
		_ = conn.Close()
		s.kill()
	})
	return s
}

// checked holds the core to its invariants, whatever the loop does to it.
func (s *service) checked(core *sched.Core) stepFunc {
	k := sched.NewChecker(core)
	return func(now sched.Time, ev sched.Event) []sched.Effect {
		out, err := k.Step(now, ev)
		if err != nil {
			s.t.Errorf("after %T %+v: %v", ev, ev, err)
		}
		return out
	}
}

// kill ends the coordinator as a signal does.
func (s *service) kill() {
	s.t.Helper()
	s.cancel(errKilled)
	s.ends()
}

// ends waits for Run to return, and lets every worker hear of it before.
func (s *service) ends() {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for final := false; !final && time.Now().Before(deadline); {
		ok := s.c.call(context.Background(), func() { final = s.c.loop.final != nil })
		if final = final || !ok; !final {
			continue
		}
		for _, h := range s.workers {
			s.hears(h, deadline)
		}
	}
	s.returns()
}

// hears lets a worker hear of the end. On a machine that stands still its connection may
// have ended: it calls again then, as a worker does, since Run waits a lease for it.
func (s *service) hears(h *fakeWorker, deadline time.Time) {
	for time.Now().Before(deadline) {
		_, err := s.conn.Heartbeat(context.Background(), &wire.HeartbeatRequest{Worker: h.name})
		if err == nil || !s.c.call(context.Background(), func() {}) {
			return
		}
		runtime.Gosched()
	}
}

// standsBy waits until the coordinator has seen that another one is active.
func (s *service) standsBy() {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		if st := s.c.Status(context.Background()); st == nil || time.Now().After(deadline) {
			s.t.Fatalf("the coordinator does not stand by: %v", st)
		} else if st.State == "standing by" {
			return
		}
	}
}

// returns waits for Run to return.
func (s *service) returns() {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(patience):
		s.t.Fatal("the coordinator does not return")
	}
}

// succeeds waits for the job's end and returns its summary.
func (s *service) succeeds() *manifest.Success {
	s.t.Helper()
	s.ends()
	if s.err != nil {
		s.t.Fatalf("the job did not succeed: %v", s.err)
	}
	s.sealed()
	s.logged()
	return s.result
}

// logged wants the event log to come to what the summary says.
func (s *service) logged() {
	s.t.Helper()
	st, faults := s.state()
	for _, line := range slices.Concat(faults, st.Missing(), st.Differences(s.result)) {
		s.t.Errorf("the event log: %s", line)
	}
	if s.t.Failed() {
		for _, e := range s.entries() {
			line, _ := json.Marshal(e)
			s.t.Log(string(line))
		}
	}
}

// entries returns the event log of the job.
func (b *fixture) entries() (all []events.Entry) {
	b.t.Helper()
	r := events.NewReader(b.store, b.lay, b.job())
	if err := r.Read(context.Background(), func(e events.Entry) error { all = append(all, e); return nil }); err != nil {
		b.t.Fatal(err)
	}
	return all
}

// state replays the event log. It returns what of it cannot be read too.
func (b *fixture) state() (st events.State, faults []string) {
	b.t.Helper()
	r := events.NewReader(b.store, b.lay, b.job())
	if err := r.Read(context.Background(), func(e events.Entry) error { st.Apply(e); return nil }); err != nil {
		b.t.Fatal(err)
	}
	return st, r.Faults()
}

// sealed holds the summary to seal what is in the bucket, whoever wrote it and
// whichever coordinator read it.
func (s *service) sealed() {
	s.t.Helper()
	digest := func(key string) manifest.Digest {
		data, ok := s.store.data(key)
		if !ok {
			s.t.Errorf("there is no %s", key)
		}
		return manifest.DigestOf([]byte(data))
	}
	data, _ := s.store.data(s.lay.Success())
	seal, err := manifest.CheckSeal([]byte(data))
	if err != nil || seal.String() != s.result.Seal {
		s.t.Errorf("the seal is %v, %v, want %s", seal, err, s.result.Seal)
	}
	want := manifest.Sealed{
		Job:  digest(s.lay.Job()).String(),
		Maps: manifest.DigestOfAll(s.result.Map.Tasks, func(m int) manifest.Digest { return digest(s.lay.MapCommit(m)) }),
		Reduces: manifest.DigestOfAll(s.result.NReduce, func(r int) manifest.Digest {
			return digest(s.lay.ReduceAttempt(r, s.result.Outputs[r].Attempt))
		}),
	}
	if data, ok := s.store.data(s.lay.Ranges()); ok {
		want.Ranges = manifest.DigestOf([]byte(data)).String()
	}
	if s.result.Sealed != want {
		s.t.Errorf("sealed are %+v, in the bucket is %+v", s.result.Sealed, want)
	}
}

// until waits for a condition on the loop's state.
func (s *service) until(what string, is func(*loop) bool) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for ok := false; !ok; {
		if !s.c.call(context.Background(), func() { ok = is(&s.c.loop) }) || time.Now().After(deadline) {
			s.t.Fatalf("it never came to be that %s", what)
		}
	}
}

// fakeWorker is a worker whose calls the test makes.
type fakeWorker struct {
	*service
	name string
	seq  uint64
}

// join registers a worker with slots slots. It tries again, as a worker does:
// on a machine that stands still connections end, and a coordinator that had
// no time to say that it ends leaves the next one to wait for its lease.
func (s *service) join(name string, slots int32, running ...*wire.Attempt) *fakeWorker {
	s.t.Helper()
	h := &fakeWorker{service: s, name: name}
	app := wc()
	if s.c.o.App != nil {
		app = wire.DescribeApp(*s.c.o.App, nil)
	}
	deadline := time.Now().Add(2 * patience)
	for {
		_, err := h.register(app, slots, "", running...)
		if err == nil {
			break
		}
		if !wire.IsUnreachable(err) || time.Now().After(deadline) {
			s.t.Fatal(err)
		}
	}
	s.workers = append(s.workers, h)
	return h
}

// register joins once the coordinator leads, if it is going to.
func (h *fakeWorker) register(app *wire.App, slots int32, job string, running ...*wire.Attempt) (*wire.RegisterReply, error) {
	h.t.Helper()
	deadline := time.Now().Add(patience)
	for !h.c.leading() && time.Now().Before(deadline) && h.c.call(context.Background(), func() {}) {
		runtime.Gosched()
	}
	return h.conn.Register(h.t.Context(), &wire.RegisterRequest{
		Protocol: wire.Protocol, Version: "v", Worker: h.name, Host: "h", Slots: slots, App: app, Running: running, Job: job,
	})
}

// next is the next poll of the worker's only slot.
func (h *fakeWorker) next() *wire.PollRequest {
	h.seq++
	return &wire.PollRequest{Worker: h.name, Seq: h.seq, MaxWaitMs: patience.Milliseconds()}
}

func (h *fakeWorker) poll(q *wire.PollRequest) *wire.PollReply {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	r, err := h.conn.Poll(ctx, q)
	if err != nil {
		h.t.Fatalf("poll: %v", err)
	}
	return r
}

// granted asks for work and wants some. It joins again where it is unknown, as
// a worker does: a coordinator that stood still has heard nothing of it either.
func (h *fakeWorker) granted() *wire.Attempt {
	h.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		r := h.poll(h.next())
		if r.GetUnknown() != nil && time.Now().Before(deadline) {
			if _, err := h.register(wc(), 1, ""); err != nil {
				h.t.Fatal(err)
			}
			continue
		}
		if r.GetGrant() == nil {
			h.t.Fatalf("worker %s was answered %v, not granted anything", h.name, r)
		}
		return r.GetGrant()
	}
}

// told asks for work and wants to hear that the job is over.
func (h *fakeWorker) told() *wire.Done {
	h.t.Helper()
	for {
		r := h.poll(h.next())
		if r.GetDone() != nil {
			return r.GetDone()
		}
		if r.GetWait() == nil {
			h.t.Fatalf("worker %s was answered %v, not that the job is over", h.name, r)
		}
	}
}

func (h *fakeWorker) report(a *wire.Attempt, change func(*wire.ReportRequest)) {
	h.t.Helper()
	q := &wire.ReportRequest{Worker: h.name, Attempt: a}
	if change != nil {
		change(q)
	}
	r, err := h.conn.Report(h.t.Context(), q)
	if err != nil || r.Unknown {
		h.t.Fatalf("report on %v: %v, %v", a, r, err)
	}
}

func failed(text string) func(*wire.ReportRequest) {
	return func(q *wire.ReportRequest) { q.Outcome, q.Error = wire.Outcome_OUTCOME_FAILED, text }
}

func (h *fakeWorker) heartbeat(running ...*wire.Attempt) *wire.HeartbeatReply {
	h.t.Helper()
	q := &wire.HeartbeatRequest{Worker: h.name}
	for _, a := range running {
		q.Running = append(q.Running, &wire.Progress{Attempt: a})
	}
	r, err := h.conn.Heartbeat(h.t.Context(), q)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// job returns the job's id, from the spec in the bucket.
func (b *fixture) job() string { return b.plan().ID }

// plan returns the job's spec, from the bucket.
func (b *fixture) plan() *manifest.Job {
	b.t.Helper()
	if b.known != nil {
		return b.known
	}
	data, _ := b.store.data(b.lay.Job())
	job, err := manifest.DecodeJob([]byte(data), b.lay)
	if err != nil {
		b.t.Fatal(err)
	}
	return job
}

// commit writes what a worker writes to commit an attempt: one record in
// each partition.
func (b *fixture) commit(a *wire.Attempt) {
	b.t.Helper()
	if a.Phase == wire.Phase_PHASE_REDUCE {
		b.commitReduce(int(a.Task), a.Id)
		return
	}
	b.commitMap(int(a.Task), a.Id, false)
}

func (b *fixture) commitMap(m int, id string, displaced bool) {
	if _, there := b.store.data(b.lay.MapCommit(m)); there {
		return // as for a worker, whose creation of the record fails
	}
	if b.packs() {
		b.commitPacked(m, id, displaced)
		return
	}
	rec := manifest.Map{Schema: manifest.MapSchema, Job: b.job(), Task: m, Attempt: id, Worker: "w", Input: b.inputOf(m), Emitted: 2, Counters: map[string]int64{"n": 1}}
	for r := range 2 {
		key := b.lay.Partition(m, r)
		if displaced {
			b.store.set(key, []byte("other"), nil)
			key = b.lay.MapAttempt(m, id, r)
		}
		info := b.store.set(key, []byte("part"), nil)
		rec.Parts = append(rec.Parts, manifest.Part{Key: key, ETag: info.ETag, Size: info.Size, Hash: partHash, Sum: recordio.Sum{Records: 1, Hash: 1, Bytes: 2}})
	}
	b.put(b.lay.MapCommit(m), rec, nil)
}

// inputOf is what an attempt at map task m says that it has read.
func (b *fixture) inputOf(m int) (in manifest.Input) {
	b.t.Helper()
	job := b.plan()
	for _, p := range job.Tasks[m] {
		in.Bytes += p.Length
	}
	in.Records = in.Bytes
	return in
}

// packs tells whether the job packs partitions.
func (b *fixture) packs() bool {
	data, _ := b.store.data(b.lay.Job())
	return strings.Contains(data, `"shuffle": "packed"`)
}

// commitPacked is commitMap of a job that packs.
func (b *fixture) commitPacked(m int, id string, displaced bool) {
	rec := manifest.Map{Schema: manifest.MapSchema, Job: b.job(), Task: m, Attempt: id, Worker: "w", Input: b.inputOf(m), Emitted: 2, Counters: map[string]int64{"n": 1}}
	for r := range 2 {
		rec.Parts = append(rec.Parts, manifest.Part{Offset: int64(2 * r), Size: 2, Hash: partHash, Sum: recordio.Sum{Records: 1, Hash: 1, Bytes: 2}})
	}
	key := b.lay.Packed(m)
	if displaced {
		b.store.set(key, []byte("other"), nil)
		key = b.lay.MapAttemptPacked(m, id)
	}
	info := b.store.set(key, []byte("part"), nil)
	rec.Packed = &manifest.Packed{Key: key, ETag: info.ETag, Size: info.Size, Hash: manifest.PackedHash(rec.Parts)}
	b.put(b.lay.MapCommit(m), rec, nil)
}

// partHash is what commit records say of every partition.
const partHash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func (b *fixture) commitReduce(r int, id string) {
	b.t.Helper()
	var read recordio.Sum
	job := b.plan()
	for m := range job.Tasks {
		sum := recordio.Sum{Records: 1, Hash: 1, Bytes: 2} // as commitMap has it
		data, _ := b.store.data(b.lay.MapCommit(m))
		if rec, err := manifest.DecodeMap([]byte(data), b.lay, job, m); err == nil {
			sum = rec.Parts[r].Sum
		}
		read.Add(sum)
	}
	rec := manifest.Reduce{
		Schema: manifest.ReduceSchema, Job: job.ID, Task: r, Attempt: id, Worker: "w",
		Read: read, Keys: min(read.Records, 1), Output: manifest.Output{Key: b.lay.Output(r), Size: 4, Lines: 1, Hash: partHash},
	}
	for _, n := range job.Output.Named() {
		key := b.lay.NamedAttempt(r, id, n.Name)
		meta := map[string]string{manifest.MetaJob: b.job(), manifest.MetaAttempt: id, manifest.MetaHash: partHash}
		info := b.store.set(key, []byte("e 1\n"), meta)
		rec.Named = append(rec.Named, manifest.NamedOutput{Name: n.Name, Key: key, ETag: info.ETag, Task: r, Size: 4, Lines: 1, Hash: partHash})
	}
	if job.Output.Partitioned() {
		key := b.lay.NamedAttempt(r, id, "key=k")
		meta := map[string]string{manifest.MetaJob: b.job(), manifest.MetaAttempt: id, manifest.MetaHash: partHash}
		info := b.store.set(key, []byte("value\n1\n"), meta)
		rec.Partitions = []manifest.NamedOutput{{Name: "key=k", Key: key, ETag: info.ETag, Task: r, Size: 8, Lines: 1, Hash: partHash}}
	}
	b.put(b.lay.ReduceAttempt(r, id), rec, nil)
	b.store.set(b.lay.Output(r), []byte("k 1\n"), map[string]string{manifest.MetaJob: b.job(), manifest.MetaAttempt: id})
}

func (b *fixture) put(key string, v any, meta map[string]string) {
	b.t.Helper()
	data, err := manifest.Encode(v)
	if s, ok := v.(manifest.Success); ok {
		data, err = manifest.EncodeSealed(&s)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.store.set(key, data, meta)
}

// work asks, commits and reports until n tasks are done.
func (h *fakeWorker) work(n int) {
	h.t.Helper()
	for range n {
		a := h.granted()
		h.commit(a)
		h.report(a, nil)
	}
}
