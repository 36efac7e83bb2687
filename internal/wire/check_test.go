package wire

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
)

var someHash = strings.Repeat("0a", 32)

// samples are valid messages of every kind, with a value in every field.
func samples() map[string]message {
	counts := func() map[string]int64 { return map[string]int64{"GetObject": 7} }
	traffic := func() *Traffic { return &Traffic{Requests: counts(), Sent: 5, Received: 9} }
	spent := func() *Spent { return &Spent{Sent: 7, Received: 11, Recorded: traffic()} }
	sample := func() *Sample {
		return &Sample{CpuMs: 9, CpuPercent: 150, Cores: 2, MemoryBytes: 7, ScratchFreeBytes: proto.Int64(5), S3Requests: 6, S3Throttled: 1, S3UsP50: 3, S3UsP95: 4}
	}
	at := func() *Attempt { return &Attempt{Phase: Phase_PHASE_REDUCE, Task: 3, Id: "e.r3.1"} }
	app := func() *App {
		return &App{
			Kind: manifest.Go, Name: "wc", Version: "1", Sha256: someHash, Params: map[string]string{"fold": "yes"}, Defaults: map[string]string{"fold": "no"},
			Required: []string{"words"}, SideEffects: true, Output: &Choice{Name: manifest.Lines},
			Input: &Choice{Name: manifest.Lines, Options: map[string]string{manifest.Numbered: "true"}}, Partitioner: &Choice{Name: manifest.Hash},
		}
	}
	phase := func() *PhaseStatus {
		return &PhaseStatus{
			Tasks: 9, Done: 8, Active: 7, Reused: 6, Granted: 5, Adopted: 4, Running: 3, Committed: 2, Failed: 1, Lost: 2,
			Released: 4, Superseded: 5, Canceled: 6, Speculative: 7, SpeculativeCommitted: 8, Retried: 3,
		}
	}
	return map[string]message{
		"discover": &DiscoverRequest{},
		"here":     &DiscoverReply{Bucket: "bucket", Prefix: "a/b", Protocol: Protocol, Version: "v1", Epoch: "e", Standby: true},
		"register": &RegisterRequest{
			Protocol: Protocol, Version: "v1", Worker: "w", Host: "host", Slots: 2, App: app(), Running: []*Attempt{at()}, Job: "job", Drain: &Drain{LeftMs: 5}, Told: traffic(),
		},
		"joined":    &RegisterReply{Epoch: "e", Bucket: "bucket", Prefix: "a/b", LeaseMs: 10_000, App: app(), Nreduce: 4, TaskTimeoutMs: 600_000},
		"poll":      &PollRequest{Worker: "w", Slot: 1, Seq: 7, MaxWaitMs: 15_000},
		"grant":     &PollReply{Job: "job", Spec: someHash, Answer: &PollReply_Grant{Grant: at()}},
		"wait":      &PollReply{Answer: &PollReply_Wait{Wait: &Wait{}}},
		"over":      &PollReply{Job: "job", Answer: &PollReply_Done{Done: &Done{Failure: "map task 3: no space"}}},
		"unknown":   &PollReply{Answer: &PollReply_Unknown{Unknown: &Unknown{}}},
		"heartbeat": &HeartbeatRequest{Worker: "w", Running: []*Progress{{Attempt: at(), Records: 5, Bytes: 9, StalledMs: 3}}, S3Requests: counts(), StalledMs: 4, Drain: &Drain{LeftMs: 5}, Spent: spent(), Sample: sample()},
		"beat":      &HeartbeatReply{Unknown: true, Revoked: []string{"e.r3.1"}, Done: &Done{Failure: "no"}, Overdue: true},
		"report": &ReportRequest{
			Worker: "w", Attempt: at(), Outcome: Outcome_OUTCOME_RELEASED, Error: "no space\non it", Fatal: true, Conflict: true,
			S3Requests: counts(), Restored: 2, Object: "a/b/input/x", Spent: spent(), S3: traffic(),
		},
		"heard": &ReportReply{Unknown: true},
		"leave": &LeaveRequest{Worker: "w", S3Requests: counts(), Spent: spent()},
		"left":  &LeaveReply{},
		"look":  &StatusRequest{},
		"status": &StatusReply{
			Job: "job", App: "wc", State: "map", Leading: true, Workers: map[string]int32{WorkerBusy: 4}, Slots: 9, PollsWaiting: 3, Exclusions: 2,
			CommitLookups: map[string]int32{LookupFound: 5},
			Epoch:         "e", Version: "v1", UptimeMs: 5, LeaseMs: 10_000, Map: phase(), Reduce: phase(),
			S3: traffic(), Usd: 0.25, Region: "eu-west-1", Prices: "2026-09-28",
			MapBytes: &Reading{Total: 9, Done: 5}, ReduceBytes: &Reading{Total: 1 << 40},
			Members:  []*WorkerStatus{{Name: "w", Host: "host", Slots: 2, Running: 1, State: WorkerIdle, SilentMs: 5, Sample: sample()}},
			Attempts: []*AttemptStatus{{Attempt: at(), Worker: "w", AgeMs: 5, Progress: 0.5, LeftMs: 7, Lags: true, Speculative: true}},
		},
	}
}

// change is one forgery of a message.
type change struct {
	what string
	do   func()
}

// changes lists every way to change one field of a message, and of those
// within it, to what somebody might want.
func changes(at string, m protoreflect.Message) (all []change) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		name := at + "." + string(f.Name())
		all = append(all, change{name + " left out", func() { m.Clear(f) }})
		switch {
		case f.IsMap():
			for _, key := range forgedTexts() {
				all = append(all, change{fmt.Sprintf("%s has the name %.40q", name, key), func() {
					entry := m.Mutable(f).Map()
					entry.Set(protoreflect.ValueOfString(key).MapKey(), entry.NewValue())
				}})
			}
		case f.IsList():
			n := m.Get(f).List().Len()
			for _, many := range []int{1001, 100_000} {
				all = append(all, change{fmt.Sprintf("%s has %d", name, many), func() {
					l := m.Mutable(f).List()
					for l.Len() < many {
						l.Append(l.Get(0))
					}
				}})
			}
			if f.Message() != nil {
				all = append(all, change{name + " has an empty one", func() { m.Mutable(f).List().AppendMutable() }})
				for j := range n {
					all = append(all, changes(name, m.Mutable(f).List().Get(j).Message())...)
				}
				continue
			}
			for _, v := range forged(f) {
				all = append(all, change{fmt.Sprintf("%s holds %.40q", name, v.String()), func() { m.Mutable(f).List().Append(v) }})
			}
		case f.Message() != nil:
			if m.Has(f) {
				all = append(all, changes(name, m.Mutable(f).Message())...)
			} else {
				all = append(all, change{name + " is empty", func() { m.Mutable(f) }})
			}
		default:
			for _, v := range forged(f) {
				all = append(all, change{fmt.Sprintf("%s is %.40q", name, v.String()), func() { m.Set(f, v) }})
			}
		}
	}
	return all
}

// forged are values for a field.
func forged(f protoreflect.FieldDescriptor) (all []protoreflect.Value) {
	switch f.Kind() {
	case protoreflect.StringKind:
		for _, s := range forgedTexts() {
			all = append(all, protoreflect.ValueOfString(s))
		}
	case protoreflect.BoolKind:
		all = []protoreflect.Value{protoreflect.ValueOfBool(true), protoreflect.ValueOfBool(false)}
	case protoreflect.DoubleKind:
		for _, x := range []float64{-1, 0, 1, 1.5, 1e300, math.NaN(), math.Inf(1), math.Inf(-1)} {
			all = append(all, protoreflect.ValueOfFloat64(x))
		}
	case protoreflect.EnumKind:
		for _, n := range []int32{-1, 0, 1, 2, 3, 77, math.MinInt32, math.MaxInt32} {
			all = append(all, protoreflect.ValueOfEnum(protoreflect.EnumNumber(n)))
		}
	case protoreflect.Int32Kind:
		for _, n := range []int32{-1, 0, 1, 2, 4096, 4097, 1 << 20, 1<<20 + 1, math.MinInt32, math.MaxInt32} {
			all = append(all, protoreflect.ValueOfInt32(n))
		}
	case protoreflect.Int64Kind:
		for _, n := range []int64{-1, 0, 1, 1 << 53, 1<<53 + 1, 1 << 62, math.MinInt64, math.MaxInt64} {
			all = append(all, protoreflect.ValueOfInt64(n))
		}
	case protoreflect.Uint64Kind:
		all = []protoreflect.Value{protoreflect.ValueOfUint64(0), protoreflect.ValueOfUint64(math.MaxUint64)}
	}
	return all
}

var forgedTexts = sync.OnceValue(func() []string {
	return []string{
		"", ".", "..", "/", "../x", "a/../b", "a/b", "/a", "a/", "a//b", "a/output/b", "input", "elsewhere/victim.txt", "a b", "a;b",
		"a\nb", "\x1b[2J", "\x00", "wörker", strings.Repeat("x", 129), strings.Repeat("x", 1025), strings.Repeat("x", 1<<17), strings.Repeat("x", 1<<20),
		someHash, strings.ToUpper(someHash), "e.r3.1", "map-1.2", "$(id)",
	}
})

// believable fails over what no valid message may say. It knows the fields by
// name, so that a new one has to be thought of here as well.
func believable(at string, m protoreflect.Message) (err error) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := at + "." + string(f.Name())
		switch {
		case f.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
				if n := len(k.String()); n > 256 || !layout.ValidName(k.String()) && f.Name() != "s3_requests" {
					err = fmt.Errorf("%s has the name %.60q of %d bytes", name, k.String(), n)
				}
				return err == nil
			})
		case f.IsList():
			if v.List().Len() > MostSlots*MostRunning {
				err = fmt.Errorf("%s has %d", name, v.List().Len())
			}
			for i := range v.List().Len() {
				if f.Message() != nil {
					err = errors.Join(err, believable(name, v.List().Get(i).Message()))
				} else {
					err = errors.Join(err, believableText(name, v.List().Get(i).String()))
				}
			}
		case f.Message() != nil:
			err = believable(name, v.Message())
		case f.Kind() == protoreflect.StringKind:
			err = believableText(name, v.String())
		case f.Kind() == protoreflect.EnumKind:
			if f.Enum().Values().ByNumber(v.Enum()) == nil {
				err = fmt.Errorf("%s is %d", name, v.Enum())
			}
		case f.Kind() == protoreflect.DoubleKind:
			if x := v.Float(); !(x >= 0 && (x <= 1 || f.Name() == "usd" && x <= 1e15 || f.Name() == "cpu_percent" && x <= 1e7)) {
				err = fmt.Errorf("%s is %g", name, x)
			}
		case f.Kind() == protoreflect.Int32Kind, f.Kind() == protoreflect.Int64Kind:
			if n := v.Int(); n < 0 || n > 1<<53 || strings.HasSuffix(name, "_ms") && n > mostMS || strings.HasSuffix(name, ".slots") && strings.HasPrefix(name, "RegisterRequest") && n > MostSlots {
				err = fmt.Errorf("%s is %d", name, n)
			}
		}
		return err == nil
	})
	return err
}

// believableText judges the text of a field: most are names, which are part of
// keys, of logs and of command lines.
func believableText(name, s string) error {
	field := name[strings.LastIndexByte(name, '.')+1:]
	bad := false
	switch field {
	case "error", "failure", "state":
		bad = len(s) > 33<<10
	case "object":
		bad = len(s) > layout.MaxPlace
	case "host", "version":
		bad = len(s) > 1<<10
	case "prefix":
		keys := layout.New(s)
		bad = path.Clean("/"+keys.Job()) != "/"+keys.Job() || strings.ContainsAny(s, "\n\x00\x1b") || len(keys.Job()) > layout.MaxKey
	case "name":
		bad = strings.HasSuffix(name, "members.name") && !layout.ValidName(s) || len(s) > 1<<10 // of an app: see App.Validate
	default:
		bad = s != "" && !layout.ValidName(s)
	}
	if bad {
		return fmt.Errorf("%s is %.60q of %d bytes", name, s, len(s))
	}
	return nil
}

// sound judges a message as the other side of a connection does, once its bytes
// have come. One of another protocol is told so, and not judged.
func sound(m message) (refused bool, err error) {
	data, err := proto.Marshal(m.(proto.Message))
	if err != nil {
		return true, nil // gRPC sends no such text
	}
	got := m.(proto.Message).ProtoReflect().New().Interface()
	if err := proto.Unmarshal(data, got); err != nil || got.(message).Validate() != nil {
		return true, nil
	}
	switch q := got.(type) {
	case *RegisterRequest:
		if q.Protocol != Protocol {
			return false, nil
		}
	case *DiscoverReply:
		if q.Protocol != Protocol {
			return false, nil
		}
	}
	return false, believable(string(got.ProtoReflect().Descriptor().Name()), got.ProtoReflect())
}

// TestForged changes each field of every message: what is still
// believed names nothing but what a name may be, no path out of its folder, and
// no count, size or time out of bounds.
func TestForged(t *testing.T) {
	names := slices.Sorted(maps.Keys(samples()))
	cases, refused := 0, 0
	for _, name := range names {
		if err := samples()[name].Validate(); err != nil {
			t.Errorf("%s as it is: %v", name, err)
		}
		for i := range changes(name, samples()[name].(proto.Message).ProtoReflect()) {
			m := samples()[name]
			c := changes(name, m.(proto.Message).ProtoReflect())[i]
			c.do()
			cases++
			no, err := sound(m)
			if err != nil {
				t.Errorf("%s: it is believed, and %v", c.what, err)
			}
			if no {
				refused++
			}
		}
	}
	if refused < cases/3 {
		t.Errorf("of %d changes %d were refused", cases, refused)
	}
	t.Logf("%d changes, %d refused", cases, refused)
}

// TestForgedTogether does the same with two or three changes at a time.
func TestForgedTogether(t *testing.T) {
	names := slices.Sorted(maps.Keys(samples()))
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "message")
		m := samples()[name]
		for range rapid.IntRange(2, 3).Draw(t, "changes") {
			if all := changes(name, m.(proto.Message).ProtoReflect()); len(all) > 0 {
				c := all[rapid.IntRange(0, len(all)-1).Draw(t, "change")]
				if !strings.Contains(c.what, " has 1") { // lists of many take long
					c.do()
				}
			}
		}
		if _, err := sound(m); err != nil {
			t.Fatalf("%s is believed, and %v", name, err)
		}
	})
}

// FuzzValidate: whatever the bytes, what is believed is in bounds.
func FuzzValidate(f *testing.F) {
	like := samples()
	names := slices.Sorted(maps.Keys(like))
	for i, name := range names {
		data, err := proto.Marshal(like[name].(proto.Message))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint(i), data)
	}
	f.Fuzz(func(t *testing.T, i uint, data []byte) {
		name := names[i%uint(len(names))]
		m := like[name].(proto.Message).ProtoReflect().New().Interface()
		if proto.Unmarshal(data, m) != nil {
			return
		}
		if _, err := sound(m.(message)); err != nil {
			t.Fatalf("%s is believed, and %v", name, err)
		}
	})
}

// TestEveryMessageIsJudged: each method of the service has a validator for what
// it takes and for what it answers, and a sample of both.
func TestEveryMessageIsJudged(t *testing.T) {
	kinds := map[protoreflect.FullName]bool{}
	for _, m := range samples() {
		kinds[m.(proto.Message).ProtoReflect().Descriptor().FullName()] = true
	}
	methods := File_mraws_proto.Services().ByName("Coordinator").Methods()
	for i := range methods.Len() {
		for _, d := range []protoreflect.MessageDescriptor{methods.Get(i).Input(), methods.Get(i).Output()} {
			if !kinds[d.FullName()] {
				t.Errorf("there is no sample of %s", d.FullName())
			}
		}
	}
	if methods.Len() != 7 || len(kinds) != 2*methods.Len() {
		t.Errorf("%d methods, %d kinds", methods.Len(), len(kinds))
	}
}

// answering answers Poll as it is told.
type answering struct {
	echo
	reply *PollReply
	asked int
}

// Poll implements CoordinatorServer.
func (a *answering) Poll(context.Context, *PollRequest) (*PollReply, error) {
	a.asked++
	return a.reply, nil
}

// TestForgedMessagesGoNoFurther: a request that is not valid reaches no
// handler and is logged, an answer that is not valid reaches no caller.
func TestForgedMessagesGoNoFurther(t *testing.T) {
	impl := &answering{reply: &PollReply{Job: "job", Answer: &PollReply_Grant{Grant: &Attempt{Id: "../../x"}}}}
	told := make(chan string, 10)
	s, err := NewServer(impl, ServerOptions{Insecure: true, Refused: func(_ int64, why, from string) { told <- why + " " + from }})
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(lis) }()
	t.Cleanup(func() { s.Stop(); <-done })
	conn, err := Dial(lis.Addr().String(), ClientOptions{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := NewCoordinatorClient(conn)
	_, err = c.Poll(t.Context(), &PollRequest{Worker: "a\nb"})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), `the request Poll is not valid: it is of worker "a\nb"`) || impl.asked != 0 {
		t.Errorf("a forged request: %v, %d handled", err, impl.asked)
	}
	if got := <-told; !strings.Contains(got, "the request Poll is not valid") || !strings.HasSuffix(got, "127.0.0.1") {
		t.Errorf("it was told %q", got)
	}
	r, err := c.Poll(t.Context(), &PollRequest{Worker: "w"})
	if r != nil || status.Code(err) != codes.Internal || !strings.Contains(err.Error(), `the answer to Poll is not valid: it names the attempt "../../x"`) || impl.asked != 1 {
		t.Errorf("a forged answer: %v, %v, %d handled", r, err, impl.asked)
	}
	if IsUnreachable(err) || IsDenied(err) || IsLater(err) {
		t.Error("a forged answer is taken for trouble of the connection")
	}
}
