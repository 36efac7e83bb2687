package apps

import (
	"fmt"
	"strings"
	"time"

	"github.com/mraws/mraws/mr"
)

// rendezvous proves that tasks of different workers run at the same time, on
// whatever machines and without comparing clocks. All it has is side files:
//
//	<phase>/here/<worker>/<call>          a call of this worker is running
//	<phase>/ack/<worker>/<call>/<other>   worker other saw it
//	<phase>/end/<worker>/<call>/<n>       it is over, having met n workers
//
// A call announces itself (here), acknowledges the running calls of other
// workers, and waits until one of them has acknowledged it. An ack is only
// ever written by a call that is running, and this one can only have been
// written after this call's announcement; so between the announcement and
// the moment at which this call reads the ack, both were running. That is
// the proof: seeing an announcement alone would be none, since what wrote it
// may be long over, or dead.
//
// A call never waits in vain for the ack of a running call: before it ends, a call
// acknowledges all calls that it sees, and the calls that acknowledged it are among
// them. Ended calls are not acknowledged. Calls of crashed attempts are, but never
// answer.
//
// When two workers have met, the others need not wait long: once two workers have
// recorded it, a call that is alone gives up after linger.
type rendezvous struct {
	task    *mr.Task
	dir     string // "mtiming/" or "rtiming/"
	timeout time.Duration
	calls   int
}

// The interval at which a call looks for others, and the time for which it goes on
// after two workers have met.
const (
	firstPoll = 20 * time.Millisecond
	lastPoll  = 250 * time.Millisecond
	linger    = 500 * time.Millisecond
)

// timeoutParam is the parameter of the apps that meet.
func timeoutParam() mr.Param {
	return mr.Param{
		Name: "timeout", Default: "10s", Check: mr.CheckDuration,
		Help: "time that a task waits for a task of another worker",
	}
}

func newRendezvous(t *mr.Task, dir string) (*rendezvous, error) {
	timeout, err := t.Duration("timeout")
	return &rendezvous{task: t, dir: dir, timeout: timeout}, err
}

// meet announces a call of this worker and returns how many workers it saw
// running at the same time, itself among them, once it has met one or the
// time is up.
func (r *rendezvous) meet() (int, error) {
	r.calls++
	ctx, me := r.task.Context, sideName(r.task.Worker)
	call := fmt.Sprintf("%s/%s-%d", me, sideName(r.task.Attempt), r.calls)
	if err := r.task.Side.Put(ctx, r.dir+"here/"+call, nil); err != nil {
		return 0, err
	}
	start, pause := time.Now(), firstPoll
	for {
		seen, err := r.look(me, call)
		if err != nil {
			return 0, err
		}
		for _, other := range seen.unanswered {
			if err := r.task.Side.Put(ctx, r.dir+"ack/"+other+"/"+me, nil); err != nil {
				return 0, err
			}
		}
		waited := time.Since(start)
		if seen.acks > 0 || waited >= r.timeout || (seen.met && waited >= linger) {
			n := seen.acks + 1
			return n, r.task.Side.Put(ctx, fmt.Sprintf("%send/%s/%d", r.dir, call, n), nil)
		}
		if err := wait(ctx, pause); err != nil {
			return 0, err
		}
		pause = min(2*pause, lastPoll)
	}
}

// view is the result of one listing for a call.
type view struct {
	acks       int      // workers that acknowledged this call
	unanswered []string // running calls of others without an ack of this worker
	met        bool     // two workers have met before
}

// look lists the side files once. The listing is one moment's state, or,
// with a store that pages it, no older than its start: files are only ever
// added, so what is missed now is seen by the next look.
func (r *rendezvous) look(me, call string) (view, error) {
	names, err := r.task.Side.List(r.task.Context, r.dir)
	if err != nil {
		return view{}, err
	}
	var v view
	var here []string
	silent := map[string]bool{} // over, or acknowledged by this worker
	met := map[string]bool{}
	for _, name := range names {
		kind, rest, _ := strings.Cut(strings.TrimPrefix(name, r.dir), "/")
		at := strings.LastIndexByte(rest, '/')
		if at < 0 {
			continue // none of ours
		}
		whose, last := rest[:at], rest[at+1:]
		switch worker, _, _ := strings.Cut(rest, "/"); {
		case kind == "here" && worker != me:
			here = append(here, rest)
		case kind == "ack" && whose == call:
			v.acks++
		case kind == "ack" && last == me:
			silent[whose] = true
		case kind == "end":
			silent[whose] = true
			met[worker] = met[worker] || last != "1"
		}
	}
	for _, other := range here {
		if !silent[other] {
			v.unanswered = append(v.unanswered, other)
		}
	}
	n := 0
	for _, ok := range met {
		if ok {
			n++
		}
	}
	v.met = n >= 2
	return v, nil
}

// sideName makes s fit for one element of a side-file name: what is neither
// letter, digit nor '-' becomes its code between underscores.
func sideName(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "_%02x_", c)
		}
	}
	return b.String()
}
