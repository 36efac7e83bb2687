//go:build linux

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mraws/mraws/e2e/lab"
	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/failpoint"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/protocol"
	"github.com/mraws/mraws/internal/trace"
)

// Bounds of a round. They say what a machine that is busy with other things
// may take.
const (
	// calm is how long a job may take from the end of the last fault.
	calm = 2 * time.Minute
	// pardons is how many processes of a seat may end with a documented error
	// after the faults, since what they tried had begun before. Those of the
	// app that crashes may do so as often as they like.
	pardons = 3
)

// round is one job under one plan.
type round struct {
	plan    *plan
	lab     *lab.Lab
	seats   []*seat
	seat    map[string]*seat
	started time.Time
	log     *os.File // what was done when
	healed  bool

	played     int           // events
	incomplete bool          // the event log does not have all of the job
	after      time.Duration // from the end of the faults to the end of the last process
}

// play plays a plan in dir, which it makes, and returns what was wrong.
func play(ctx context.Context, p *plan, dir, bin string, net *lab.Network) (r *round, err error) {
	r = &round{plan: p, seat: map[string]*seat{}, started: time.Now()}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return r, errors.Join(err, net.Close())
	}
	if r.log, err = os.Create(filepath.Join(dir, "timeline.txt")); err != nil {
		return r, errors.Join(err, net.Close())
	}
	defer func() { err = errors.Join(err, r.log.Close()) }()
	text, err := json.MarshalIndent(p, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "plan.json"), text, 0o600)
	}
	if err != nil {
		return r, errors.Join(err, net.Close())
	}
	if r.lab, err = lab.New(dir, bin, net); err != nil {
		return r, errors.Join(err, net.Close())
	}
	defer func() {
		if err != nil {
			r.note("FAILED: %v", err)
		}
		err = errors.Join(err, r.lab.Close())
	}()
	if err := r.prepare(); err != nil {
		return r, err
	}
	witness := r.lab.Witness()
	err = errors.Join(r.storm(ctx), witness.End())
	if err != nil || ctx.Err() != nil {
		return r, err
	}
	return r, r.judge()
}

// note writes to the timeline.
func (r *round) note(format string, args ...any) {
	_, _ = fmt.Fprintf(r.log, "%6.2fs %s\n", time.Since(r.started).Seconds(), fmt.Sprintf(format, args...)) // shown, not relied on
}

// prepare makes the hosts and uploads the input, all of it in peace.
func (r *round) prepare() error {
	a, b, err := r.hosts()
	if err != nil {
		return err
	}
	r.add(store, r.lab.S3, func(string, ...string) (*lab.Process, error) { return r.lab.StartS3(r.faults(), r.plan.Seed) })
	for name, h := range map[string]*lab.Host{coordinator: a, rivalHost: b} {
		r.add(name, h, r.launch(h, slices.Concat([]string{"coordinator", "-v", "--port", fmt.Sprint(lab.Port), "--listen", h.Addr.String(),
			"--nreduce", fmt.Sprint(r.plan.NReduce)}, r.plan.Job.Args(), r.plan.Flags)))
	}
	for i, slots := range r.plan.Slots {
		name := fmt.Sprintf("worker%d", i)
		h, err := r.lab.Net.Host(name, byte(20+i))
		if err != nil {
			return err
		}
		args := slices.Concat([]string{"worker", "-v", "--slots", fmt.Sprint(slots), "--coord-timeout", r.plan.Patience.String()}, r.plan.Job.Args())
		if r.plan.Addresses {
			args = append(args, "--coord", fmt.Sprintf("%s:%d,%s:%d", a.Addr, lab.Port, b.Addr, lab.Port))
		}
		r.add(name, h, r.launch(h, args))
	}
	s3, err := r.lab.StartS3(nil, 0)
	if err != nil {
		return err
	}
	if err := r.lab.Upload(r.plan.Job); err != nil {
		return err
	}
	return s3.Kill()
}

// traceName is the file in the folder of a round to which all roles write what
// they do.
const traceName = "trace.jsonl"

// checkTrace wants each step of the trace to be one that the model of the
// protocol allows.
func (r *round) checkTrace() error {
	f, err := os.Open(filepath.Join(r.lab.Dir, traceName))
	if err != nil {
		return err
	}
	events, err := trace.Read(f)
	if err == nil {
		err = protocol.CheckTrace(events)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("%s: %w", traceName, err)
	}
	return nil
}

// logged is the bucket, for a reader of the event log.
type logged struct{ *lab.Lab }

func (b logged) Get(_ context.Context, key string) ([]byte, object.Info, error) {
	data, err := b.Read(key)
	return data, object.Info{Key: key}, err
}

func (logged) Put(context.Context, string, []byte, object.PutOptions) (object.Info, error) {
	return object.Info{}, errors.ErrUnsupported
}

func (b logged) List(_ context.Context, dir string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		for n, left := 1, b.Count(dir); left > 0; n++ {
			key := layout.Layout{}.Events(n)
			if !b.Has(key) {
				continue
			}
			left--
			if !yield(object.Info{Key: key}, nil) {
				return
			}
		}
	}
}

// checkLog wants the event log to come to what the summary says, or to say that it is
// incomplete.
func (r *round) checkLog() error {
	data, err := r.lab.Read(layout.Layout{}.Success())
	if err != nil {
		return err
	}
	success, err := manifest.Decode[manifest.Success](data, manifest.SuccessSchema)
	if err != nil {
		return err
	}
	var state events.State
	reader := events.NewReader(logged{r.lab}, layout.Layout{}, success.Job)
	if err := reader.Read(context.Background(), func(e events.Entry) error { state.Apply(e); return nil }); err != nil {
		return err
	}
	if lacks := append(reader.Faults(), state.Missing()...); len(lacks) > 0 {
		r.incomplete = true
		r.note("the event log is incomplete: %s", strings.Join(lacks, "; "))
		return nil
	}
	if differ := state.Differences(success); len(differ) > 0 {
		return fmt.Errorf("the event log: %s", strings.Join(differ, "; "))
	}
	return nil
}

// launch returns what starts a process of a seat, armed as the plan says.
func (r *round) launch(h *lab.Host, args []string) starter {
	return func(name string, more ...string) (*lab.Process, error) {
		env := []string{trace.Variable + "=" + filepath.Join(r.lab.Dir, traceName)}
		if what := r.plan.Armed[name]; what != "" && !r.healed {
			env = append(env, failpoint.Variable+"="+what)
		}
		return r.lab.StartWith(h, name, env, slices.Concat(args, more)...)
	}
}

func (r *round) hosts() (a, b *lab.Host, err error) {
	if a, err = r.lab.Net.Host(coordinator, 10); err != nil {
		return nil, nil, err
	}
	b, err = r.lab.Net.Host(rivalHost, 11)
	return a, b, err
}

// faults are those of a store that is started now.
func (r *round) faults() []string {
	if r.healed {
		return nil
	}
	return r.plan.Store
}

func (r *round) add(name string, h *lab.Host, start starter) {
	s := &seat{round: r, name: name, host: h, start: start}
	r.seats = append(r.seats, s)
	r.seat[name] = s
}

// workers are the seats of workers.
func (r *round) workers() []*seat {
	return slices.DeleteFunc(slices.Clone(r.seats), func(s *seat) bool { return !strings.HasPrefix(s.name, "worker") })
}

// storm runs the job under the faults of the plan, ends all faults, and
// waits for the job's end.
func (r *round) storm(ctx context.Context) error {
	if r.plan.Delay > 0 || r.plan.Loss > 0 {
		r.lab.Net.Impose(lab.Rule{Delay: r.plan.Delay, Loss: r.plan.Loss})
	}
	for _, s := range append([]*seat{r.seat[store], r.seat[coordinator]}, r.workers()...) {
		if err := s.fill(); err != nil {
			return err
		}
	}
	if err := r.events(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	if err := r.endFaults(); err != nil {
		return err
	}
	end := time.Now()
	err := r.finish(ctx, end.Add(calm))
	r.after = time.Since(end)
	return err
}

// step is one thing to do at a time of the plan.
type step struct {
	at time.Duration
	do func() error
}

// events plays the plan's events, until they are over or the job is done.
func (r *round) events(ctx context.Context) error {
	var steps []step
	for _, e := range r.plan.Events {
		undo := func() error { return nil }
		steps = append(steps,
			step{e.At, func() (err error) {
				r.played++
				r.note("%s", e)
				undo, err = r.begin(e)
				return err
			}},
			step{e.At + e.For, func() error {
				r.note("end of %s", e)
				return undo()
			}})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	start := time.Now()
	for _, s := range steps {
		for time.Since(start) < s.at {
			if r.lab.Succeeded() {
				r.note("the job is done before the faults")
				return nil
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(min(50*time.Millisecond, s.at-time.Since(start))):
			}
		}
		if err := s.do(); err != nil {
			return err
		}
	}
	return nil
}

// begin does what an event says, and returns what ends it.
func (r *round) begin(e event) (undo func() error, err error) {
	s := r.seat[e.Host]
	var peer *lab.Host
	if e.Peer != "" {
		peer = r.seat[e.Peer].host
	}
	refill := func() error { return s.fill() }
	lift := func(f func()) (func() error, error) { return func() error { f(); return nil }, nil }
	switch e.Kind {
	case kill:
		return refill, s.signal(syscall.SIGKILL)
	case term:
		return refill, s.signal(syscall.SIGTERM)
	case stop:
		return func() error { return s.signal(syscall.SIGCONT) }, s.signal(syscall.SIGSTOP)
	case cut:
		return lift(r.lab.Net.Cut(s.host, peer))
	case dropEgress:
		return lift(r.lab.Net.Impose(lab.Rule{From: s.host, To: peer, Cut: true}))
	case dropIngress:
		return lift(r.lab.Net.Impose(lab.Rule{From: peer, To: s.host, Cut: true}))
	case slow:
		bad := lab.Rule{From: s.host, To: peer, Delay: 300 * time.Millisecond, Loss: 0.1}
		back := bad
		back.From, back.To = bad.To, bad.From
		there, home := r.lab.Net.Impose(bad), r.lab.Net.Impose(back)
		return lift(func() { there(); home() })
	case rival:
		return func() error { return nil }, s.fill()
	case takeover:
		return func() error { return nil }, s.fill("--takeover")
	}
	return nil, fmt.Errorf("no event %q", e.Kind)
}

// endFaults ends all faults: the network is whole, nobody is stopped, the store
// answers, and each seat whose process died has another, unless the job is
// done.
func (r *round) endFaults() error {
	r.note("all faults have ended")
	r.healed = true
	r.lab.Net.Heal()
	if err := r.wake(); err != nil {
		return err
	}
	s3 := r.seat[store]
	if s3.running() {
		if err := s3.process.Kill(); err != nil {
			return err
		}
	}
	return s3.fill()
}

// wake lets whoever is stopped go on.
func (r *round) wake() error {
	for _, s := range r.seats {
		if err := s.signal(syscall.SIGCONT); err != nil {
			return err
		}
	}
	return nil
}

// finish waits until nobody but the store is left, and puts new processes in
// the place of those that ended too early.
func (r *round) finish(ctx context.Context, deadline time.Time) error {
	filled := map[*seat]int{}
	refill := func(s *seat) error {
		if s.running() || filled[s] > pardons && r.plan.App != crash {
			return nil
		}
		filled[s]++
		return s.fill()
	}
	for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if err := r.wake(); err != nil { // those that were armed may yet stop themselves
			return err
		}
		busy := r.seat[coordinator].running() || r.seat[rivalHost].running()
		if !busy && !r.lab.Succeeded() {
			if err := refill(r.seat[coordinator]); err != nil {
				return err
			}
			busy = true
		}
		for _, s := range r.workers() {
			code, ended := s.code()
			if ended && code != 0 && !r.lab.Succeeded() {
				if err := refill(s); err != nil {
					return err
				}
			}
			busy = busy || s.running()
		}
		switch {
		case !busy:
			r.note("all have ended")
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("no end %s after the last fault: %s", calm, strings.Join(r.codes(), ", "))
		}
	}
	return nil
}

// judge checks all that can be seen when everybody has ended.
func (r *round) judge() error {
	var err error
	for _, w := range r.codes() {
		err = errors.Join(err, errors.New(w))
	}
	want, werr := r.plan.Job.Want()
	if werr != nil {
		return errors.Join(err, werr)
	}
	err = errors.Join(err, r.lab.Exact(want), r.lab.Verify(r.plan.Job), r.lab.Autopsy(), r.checkTrace(), r.checkLog())
	if err != nil {
		return err // and leave the bucket as it is, for people
	}
	return r.lab.Reset()
}
