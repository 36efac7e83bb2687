//go:build !interop

package e2e

import (
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/s3fault"
)

// These tests are the S3 rows of docs/faults.md for whole jobs; those of
// single requests are in internal/s3fault.

// storm is how long TestThrottledStore goes on; 0 is for one job.
var storm = flag.Duration("storm", 0, "let the store throttle jobs for this long, such as 60s")

// through returns a fixture of the same job whose processes reach the store
// through a proxy that plays a script, and the proxy. As any other S3 server
// it is reached by an endpoint and the credentials of the environment.
func (b *fixture) through(lines ...string) (*fixture, *s3fault.Proxy) {
	b.t.Helper()
	at, err := datadir.Find(b.t.Context(), filepath.Join(b.dir, "data"))
	if err != nil {
		b.t.Fatal(err)
	}
	proxy, err := s3fault.New(at.URL, script(b.t, lines...), 1, s3fault.Options{AccessKey: at.AccessKey, SecretKey: at.SecretKey})
	if err != nil {
		b.t.Fatal(err)
	}
	front := httptest.NewServer(proxy)
	b.t.Cleanup(func() { proxy.Close(); front.Close() })
	return b.behind(front, at), proxy
}

// behind returns a fixture of the same job whose processes reach its embedded server
// through front. More are variables that they have besides.
func (b *fixture) behind(front *httptest.Server, at datadir.Endpoint, more ...string) *fixture {
	other := *b
	other.env = nil
	for _, e := range b.env {
		if !strings.HasPrefix(e, "MRAWS_LOCAL=") {
			other.env = append(other.env, e)
		}
	}
	other.env = append(other.env, "MRAWS_ENDPOINT="+front.URL, "MRAWS_REGION="+at.Region,
		"AWS_ACCESS_KEY_ID="+at.AccessKey, "AWS_SECRET_ACCESS_KEY="+at.SecretKey)
	other.env = append(other.env, more...)
	return &other
}

func script(t *testing.T, lines ...string) *s3fault.Script {
	t.Helper()
	s, err := s3fault.Parse(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// played checks that every rule of a script has done harm.
func played(t *testing.T, p *s3fault.Proxy) {
	t.Helper()
	for _, c := range p.Counts() {
		if c.Played == 0 {
			t.Errorf("%q saw %d calls and did nothing", c.Rule, c.Seen)
		}
	}
}

// job runs wc with r reduces, by a coordinator and two workers of this fixture.
// Over a bad store it may take the coordinator long to announce itself.
func (b *fixture) job(r string) {
	b.t.Helper()
	c, address := b.coordinator("--app", "wc", "--nreduce", r)
	w1 := b.start("worker", "--coord", address, "--app", "wc", "--slots", "2", "--coord-timeout", "1m")
	w2 := b.start("worker", "--app", "wc", "--slots", "2", "--coord-timeout", "1m")
	for _, p := range []*process{c, w1, w2} {
		if code := b.exit(p); code != 0 {
			b.t.Fatalf("mraws %s: exit code %d\n%s", p.name, code, p.errout.String())
		}
	}
}

// exact wants the reference's output.
func (b *fixture) exact(app string, r int) {
	b.t.Helper()
	if d := cmp.Diff(reference(b.t, app, r), outputList(b.outputs())); d != "" {
		b.t.Error(d)
	}
}

// TestThrottledStore is row 29: 30% of all replies are 503, from the upload
// to the verification, by `mraws s3 --faults`.
func TestThrottledStore(t *testing.T) {
	b := newFixture(t)
	faults, data := filepath.Join(b.dir, "faults.txt"), filepath.Join(b.dir, "faulty")
	if err := os.WriteFile(faults, []byte("# a busy store\n* * p=0.3 503\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	server := b.start("s3", "--data-dir", data, "--faults", faults, "--fault-seed", "29")
	b.until("the faulty server runs", func() bool { return strings.Contains(server.out.String(), "endpoint") })
	b.env = append(b.env, "MRAWS_DATA_DIR="+data)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	jobs := 0
	for end := time.Now().Add(*storm); ; jobs++ {
		b.job("3")
		b.run(0, "verify", "--app", "wc")
		if time.Now().After(end) {
			break
		}
		b.run(0, "reset", "--yes")
	}
	if err := server.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := b.exit(server); code != 130 {
		t.Errorf("server: exit code %d", code)
	}
	wants(t, server.errout.String(), "--fault-seed 29", `"rule":"* * p=0.3 503"`, `"seen":`, `"played":`)
	t.Logf("%d jobs, %s", jobs+1, regexp.MustCompile(`"seen":.*"played":\d+`).FindString(server.errout.String()))
}

// TestMixedFaults is rows 30, 31 and 33: everything at once, at 5% each.
func TestMixedFaults(t *testing.T) {
	b := newFixture(t)
	f, proxy := b.through(
		"* * p=0.05 500", "* * p=0.05 502", "* * p=0.05 504", "* * p=0.05 lost-reply",
		"GetObject * p=0.05 reset", "GetObject * p=0.05 short", "PutObject * p=0.05 409", "* * p=0.05 delay 30ms")
	f.run(0, append([]string{"upload-input"}, b.books()...)...)
	f.job("5")
	b.exact("wc", 5)
	b.run(0, "verify", "--app", "wc")
	played(t, proxy)
}

// TestHangs is row 31: a store that takes a request and never answers, and
// one that stops in the middle of a body, cost their deadlines and no more.
func TestHangs(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	f, proxy := b.through(
		"PutObject *intermediate/mr-* nth=3 no-headers", "GetObject *input/* nth=2 stall 100", "PutObject *_commit/* nth=2 stall")
	f.job("2")
	b.exact("wc", 2)
	b.run(0, "verify", "--app", "wc")
	played(t, proxy)
}

// TestFlippedBits is row 32: a bit that flips in a segment or in a record
// never reaches the output.
func TestFlippedBits(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	f, proxy := b.through("GetObject *intermediate/mr-* no-checksum", "GetObject *intermediate/mr-* first=3 flip", "GetObject *intermediate/_* first=3 flip",
		"PutObject *intermediate/mr-* every=5 flip", "PutObject *output/* every=2 flip")
	f.job("3")
	b.exact("wc", 3)
	if s := b.success(); s.Reduce.Failed == 0 {
		t.Errorf("no attempt has failed over a damaged segment: %+v", s.Reduce)
	}
	b.run(0, "verify", "--app", "wc")
	played(t, proxy)
}

// TestFlippedInput is the limit of row 32: input has no checksum of ours,
// and S3 sends none with a range, so over plain HTTP only the verifier's own
// reading tells. (TLS would tell at once.)
func TestFlippedInput(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	f, proxy := b.through("GetObject *input/* no-checksum", "GetObject *input/* nth=3 flip 0")
	f.job("3")
	out, _ := b.run(8, "verify", "--app", "wc")
	wants(t, out, "mismatch", "mr-out-")
	played(t, proxy)
}

// TestHiddenPages is the other half of row 37: a store that hides entries of
// a listing and says that there are none. Where a job goes on from the
// bucket, what it does not see it finds committed when it runs it again.
// Where it plans, less input is no error that a reader of the listing could
// see; the verifier, who lists by itself, does.
func TestHiddenPages(t *testing.T) {
	t.Run("resume", func(t *testing.T) {
		b := newFixture(t)
		b.run(0, append([]string{"upload-input"}, b.books()...)...)
		b.job("4")
		outputs := b.outputs()
		if err := b.store.Delete(t.Context(), b.layout.Success(), b.layout.Output(3)); err != nil {
			t.Fatal(err)
		}
		f, proxy := b.through("ListObjectsV2 *_commit/ drop-page 5", "ListObjectsV2 *output/ drop-page 1")
		f.job("4")
		if d := cmp.Diff(outputs, b.outputs()); d != "" {
			t.Error(d)
		}
		b.run(0, "verify", "--app", "wc")
		played(t, proxy)
	})
	t.Run("plan", func(t *testing.T) {
		b := newFixture(t)
		b.run(0, append([]string{"upload-input"}, b.books()...)...)
		uploaded := time.Now()
		b.until("the upload is some seconds old", func() bool { return time.Since(uploaded) > 4*time.Second })
		f, proxy := b.through("ListObjectsV2 *input/ drop-page 5")
		f.job("2")
		out, _ := b.run(8, "verify", "--app", "wc")
		wants(t, out, "unread", "pg-book7.txt", "the job did not read it")
		played(t, proxy)
	})
}

// TestIgnoredConditions is row 34: a store that ignores conditions is
// refused before anything is written to it.
func TestIgnoredConditions(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	f, proxy := b.through("PutObject * ignore-condition")
	_, stderr := f.run(2, "coordinator", "--app", "wc")
	wants(t, stderr, "store does not honour conditional writes", "concurrent creations", "hint:", "--unsafe-single-coordinator")
	if left := b.keys(b.layout.IntermediateDir()); len(left) > 0 {
		t.Errorf("the refused job has written %v", left)
	}
	played(t, proxy)
}

// TestDenied is row 35: what the store denies ends the command, with the
// action and the key.
func TestDenied(t *testing.T) {
	b := newFixture(t)
	books := b.books()
	for _, tt := range []struct {
		rule string
		line []string
		want []string
	}{
		{"PutObject *input/pg-book3.txt 403", append([]string{"upload-input"}, books...), []string{"s3:PutObject", b.layout.Input("pg-book3.txt")}},
		{"ListObjectsV2 * 403", []string{"worker", "--app", "wc"}, []string{"s3:ListBucket", "mapreducedata"}},
		{"ListObjectsV2 *input/ 403", []string{"coordinator", "--app", "wc"}, []string{"s3:ListBucket", b.layout.InputDir()}},
		{"PutObject *_job.json 403", []string{"coordinator", "--app", "wc", "--allow-empty"}, []string{"s3:PutObject", b.layout.Job()}},
		{"PutObject * expired", []string{"coordinator", "--app", "wc"}, []string{"ExpiredToken", "put s3://", b.layout.IntermediateDir()}},
		{"GetObject * expired", []string{"verify", "--app", "wc"}, []string{"ExpiredToken", "get s3://", b.layout.Job()}},
	} {
		f, proxy := b.through(tt.rule)
		_, stderr := f.run(6, tt.line...)
		wants(t, stderr, append(tt.want, "hint:")...)
		played(t, proxy)
	}
	f, _ := b.through()
	f.env = append(f.env, "MRAWS_BUCKET=nobodys")
	_, stderr := f.run(2, "coordinator", "--app", "wc")
	wants(t, stderr, "no bucket nobodys", "`aws s3 mb s3://nobodys --endpoint-url http://")
}

// TestRefusedCredentials: every command names at once what the store has
// against the credentials, the clock or the region, with its exit code.
func TestRefusedCredentials(t *testing.T) {
	b := newFixture(t)
	for _, tt := range []struct {
		fault string
		code  int
		want  []string
	}{
		{"expired", 6, []string{"credentials expired: ExpiredToken", "hint: fetch new credentials"}},
		{"bad-key", 6, []string{"credentials refused: InvalidAccessKeyId", "does not know this key id: check AWS_ACCESS_KEY_ID"}},
		{"bad-secret", 6, []string{"credentials refused: SignatureDoesNotMatch", "check AWS_SECRET_ACCESS_KEY"}},
		{"skewed", 6, []string{"request time refused: this machine's clock is 1h0m0s behind the store's", "hint: set this machine's clock"}},
		{"other-region", 2, []string{"bucket is in another region: it is in eu-west-3", "hint: use --region eu-west-3"}},
		{"bad-region", 2, []string{"bucket is in another region: it is in eu-west-3", "hint: use --region eu-west-3"}},
	} {
		f, _ := b.through("* * " + tt.fault)
		for _, line := range [][]string{{"status"}, {"coordinator", "--app", "wc"}, append([]string{"run", "--app", "wc"}, b.books()...)} {
			_, stderr := f.run(tt.code, line...)
			wants(t, stderr, tt.want...)
			if strings.Contains(stderr, "not allowed") || strings.Contains(stderr, "BadRequest") {
				t.Errorf("%s, %v:\n%s", tt.fault, line, stderr)
			}
		}
	}
	f, _ := b.through()
	f.env = append(f.env, "AWS_ACCESS_KEY_ID=AKIAEXAMPLE\r")
	_, stderr := f.run(6, "status")
	wants(t, stderr, "the access key id in AWS_ACCESS_KEY_ID contains a carriage return", "hint: remove that character")
	f, _ = b.through()
	f.env = append(f.env, "AWS_CA_BUNDLE=/nope")
	_, stderr = f.run(2, "status")
	wants(t, stderr, "AWS_CA_BUNDLE: open /nope", "hint: AWS_CA_BUNDLE must name")
	for _, wrong := range []string{"AWS_ACCESS_KEY_ID=NOBODYS", "AWS_SECRET_ACCESS_KEY=wrong"} { // told by a real server
		f, _ = b.through()
		f.env = append(f.env, wrong)
		_, stderr = f.run(6, "status")
		wants(t, stderr, "credentials refused: ", "hint: ")
	}
}

// TestDeniedInAJob is row 35 for a worker in the middle of a job: the job
// ends and says what was denied.
func TestDeniedInAJob(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	f, _ := b.through("GetObject *input/pg-book2.txt 403")
	c, address := b.coordinator("--app", "wc")
	w := f.start("worker", "--coord", address, "--app", "wc")
	if code := b.exit(c); code != 4 {
		t.Errorf("coordinator: exit code %d, want 4", code)
	}
	if code := b.exit(w); code == 0 {
		t.Errorf("worker: exit code %d", code)
	}
	wants(t, c.errout.String(), "s3:GetObject is not allowed", b.layout.Input("pg-book2.txt"))
	if n := strings.Count(c.errout.String(), "attempt failed"); n != 1 {
		t.Errorf("%d attempts failed, want 1: there is no other worker to ask", n)
	}
}

// TestDeniedToOne is row 15: what one worker may not read another may, so the
// word of the first does not end the job. After a few tasks it gets no more.
func TestDeniedToOne(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	f, _ := b.through("GetObject *input/* 403")
	c, address := b.coordinator("--app", "jobcount", "--app-arg", "stall=500ms")
	line := []string{"worker", "--coord", address, "--app", "jobcount", "--slots", "1"}
	w := b.start(line...)
	b.until("the first worker is there", func() bool { return strings.Contains(c.errout.String(), "worker joined") })
	denied := f.start(line...)
	b.exits(c, w, denied)
	if s := b.success(); s.Map.Failed == 0 || s.Map.Lost > 0 {
		t.Errorf("%+v", s.Map)
	}
	wants(t, c.errout.String(), "s3:GetObject is not allowed", "worker excluded: several tasks failed on it")
}

// TestStraggler is row 7: a worker whose input comes slowly, though it comes,
// has the last task of the phase when all others are done. Another runs it
// too and is done first; nothing failed and nothing is lost.
func TestStraggler(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	f, proxy := b.through("GetObject *input/* slow 50ms") // minutes for a book, and no stall
	c, address := b.coordinator("--app", "wc", "--nreduce", "2", "--lease", "1s")
	line := []string{"worker", "--coord", address, "--app", "wc", "--slots", "1"}
	slow := f.start(line...)
	b.until("the slow worker is at a task", func() bool { return proxy.Counts()[0].Played > 0 })
	b.exits(c, b.start(line...), slow)
	if s := b.success(); s.Map.SpeculativeCommitted != 1 || s.Map.Speculative != 1 || s.Map.Failed+s.Map.Lost > 0 {
		t.Errorf("%+v", s.Map)
	}
	b.run(0, "verify", "--app", "wc")
}

// TestCoordinatorCutFromS3 is row 20: a coordinator that does not reach the
// store says nothing is done that it has not seen there, and goes on when it
// can see again.
func TestCoordinatorCutFromS3(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	f, proxy := b.through()
	line := []string{"--app", "jobcount", "--app-arg", "stall=200ms", "--nreduce", "2"}
	c, address := f.coordinator(line...)
	w := b.start("worker", "--coord", address, "--app", "jobcount", "--slots", "1", "--coord-timeout", "1m")
	b.until("two maps are committed", func() bool { return b.commits() >= 2 })
	proxy.Play(script(t, "GetObject *_commit/* drop", "* * drop"))
	b.until("the coordinator has looked for a commit that it cannot see", func() bool { return proxy.Counts()[0].Played > 3 })
	select {
	case <-c.done:
		if c.ProcessState.ExitCode() == 0 {
			t.Error("the coordinator declared success without the store")
		}
	default:
	}
	if len(b.outputs()) > 0 {
		t.Error("there is output of a job that is in its map phase")
	}
	proxy.Play(script(t))
	if code := b.exit(c); code != 0 { // it may give up, but then another goes on
		t.Logf("the coordinator gave up with exit code %d", code)
		again, _ := b.coordinator(line...)
		if code := b.exit(again); code != 0 {
			t.Errorf("coordinator, again: exit code %d", code)
		}
	}
	if code := b.exit(w); code != 0 {
		t.Errorf("worker: exit code %d", code)
	}
	if s := b.success(); s.Map.CommittedRerun+s.Reduce.CommittedRerun != 0 {
		t.Errorf("committed tasks were run again: %+v %+v", s.Map, s.Reduce)
	}
	b.run(0, "verify", "--app", "jobcount")
}

// TestCoordinatorSwallowed is the same with a store that swallows the
// coordinator's requests: the workers' slots do not wait for it. They run what
// there is, and all of it is found when the store answers again.
func TestCoordinatorSwallowed(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	f, proxy := b.through()
	c, address := f.coordinator("--app", "jobcount", "--app-arg", "stall=200ms", "--nreduce", "2")
	w := b.start("worker", "--coord", address, "--app", "jobcount", "--slots", "1")
	b.until("two maps are committed", func() bool { return b.commits() >= 2 })
	proxy.Play(script(t, "GetObject *_commit/* no-headers", "* * no-headers"))
	cut := time.Now()
	b.until("all maps are committed", func() bool { return b.commits() == 8 })
	t.Logf("all maps were committed %v after the cut", time.Since(cut))
	b.until("the coordinator has been away for longer than a worker waits for one", func() bool { return time.Since(cut) > 20*time.Second })
	if len(b.outputs()) > 0 {
		t.Error("there is output, and the coordinator cannot have seen the last map")
	}
	proxy.Play(script(t))
	healed := time.Now()
	for _, p := range []*process{c, w} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	t.Logf("the job ended %v after the store was back", time.Since(healed))
	if s := b.success(); s.Map.Granted != 8 || s.Map.Lost+s.Map.CommittedRerun+s.Reduce.CommittedRerun != 0 {
		t.Errorf("tasks were run again: %+v %+v", s.Map, s.Reduce)
	}
	b.run(0, "verify", "--app", "jobcount")
}

// TestWorkerCutFromS3 is row 19: the tasks of a worker that talks to the
// coordinator but not to the store end up with another.
func TestWorkerCutFromS3(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	c, address := b.coordinator("--app", "wc", "--nreduce", "3")
	f, proxy := b.through("* *intermediate/_job.json delay 1ms", "* *input/* drop", "* *intermediate/mr-* drop")
	victim := f.start("worker", "--coord", address, "--app", "wc", "--slots", "1")
	b.until("the victim has a task", func() bool { return proxy.Counts()[1].Played > 0 })
	w := b.start("worker", "--coord", address, "--app", "wc", "--slots", "2")
	for _, p := range []*process{c, w, victim} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	b.exact("wc", 3)
	b.run(0, "verify", "--app", "wc")
}

// TestSwallowedRequests is the other half of row 19: every request of one
// worker is taken and never answered. Its tasks are with another within a few
// leases, not after the time-outs of all tries, and it gets no more of them.
// (There are no speculative attempts, which would hide it.)
func TestSwallowedRequests(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	c, address := b.coordinator("--app", "wc", "--nreduce", "3", "--speculation", "off")
	f, proxy := b.through("GetObject *input/* no-headers", "* *intermediate/mr-* no-headers", "* *_job.json after=1 no-headers")
	victim := f.start("worker", "--coord", address, "--app", "wc", "--slots", "2")
	b.until("the victim has a task", func() bool { return proxy.Counts()[0].Played > 0 })
	hung := time.Now()
	w := b.start("worker", "--coord", address, "--app", "wc", "--slots", "2")
	for _, p := range []*process{c, w, victim} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	t.Logf("the job and both workers ended %v after the first swallowed request", time.Since(hung))
	// Five seconds without a sign, a lease of three, and a busy machine.
	if took := time.Since(hung); took > 40*time.Second {
		t.Errorf("the job ended %v after the store had stopped to answer one of two workers", took)
	}
	if s := b.success(); s.Map.Lost == 0 || s.Map.Lost > 2 || s.Map.Failed+s.Reduce.Lost+s.Reduce.Failed != 0 {
		t.Errorf("the victim's two attempts are lost and it gets no others: map %+v reduce %+v", s.Map, s.Reduce)
	}
	wants(t, c.errout.String(), "transfers no data to or from the store")
	b.exact("wc", 3)
	b.run(0, "verify", "--app", "wc")
}

// TestDeletedIntermediate is row 38: committed segments that somebody has
// deleted, or replaced, are made again from the same input, and the output is
// that of a job to which nothing happened.
func TestDeletedIntermediate(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	b.job("3")
	outputs, commits := b.outputs(), b.keys(b.layout.CommitDir())
	gone, replaced := b.layout.Partition(5, 1), b.layout.Partition(2, 2)
	if err := b.store.Delete(t.Context(), b.layout.Success(), b.layout.Output(1), b.layout.Output(2), gone); err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Put(t.Context(), replaced, []byte("something else"), putOptions); err != nil {
		t.Fatal(err)
	}
	c, address := b.coordinator("--app", "wc", "--nreduce", "3")
	w1 := b.start("worker", "--coord", address, "--app", "wc", "--slots", "1")
	w2 := b.start("worker", "--coord", address, "--app", "wc", "--slots", "1")
	for _, p := range []*process{c, w1, w2} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	wants(t, w1.errout.String()+w2.errout.String(), gone, "its map task is run again")
	wants(t, c.errout.String(), "lost or damaged")
	if d := cmp.Diff(outputs, b.outputs()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(commits, b.keys(b.layout.CommitDir())); d != "" {
		t.Error(d)
	}
	if s := b.success(); s.Map.Granted+s.Map.CommittedRerun != 0 || s.Reduce.Failed != 0 {
		t.Errorf("no task but the reduces was granted: map %+v reduce %+v", s.Map, s.Reduce)
	}
	b.run(0, "verify", "--app", "wc")
}

// TestDeletedOfFickle: what only a run that is over could make cannot be made
// again. The job ends and says so; nothing wrong is put out.
func TestDeletedOfFickle(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	line := []string{"--app", "mtiming", "--app-arg", "timeout=100ms", "--nreduce", "2"}
	b.run(0, append([]string{"run", "--workers", "2"}, line...)...)
	gone := []string{b.layout.Success(), b.layout.Output(0), b.layout.Output(1), b.layout.Partition(5, 0), b.layout.Partition(5, 1)}
	if err := b.store.Delete(t.Context(), gone...); err != nil {
		t.Fatal(err)
	}
	c, address := b.coordinator(line...)
	w := b.start("worker", "--coord", address, "--app", "mtiming", "--slots", "2")
	if code := b.exit(c); code != 4 {
		t.Errorf("coordinator: exit code %d, want 4", code)
	}
	b.exit(w)
	wants(t, c.errout.String(), "committed by map task 5", "intermediate/mr-5-", "gave another output for the same input")
	if len(b.outputs()) > 0 {
		t.Error("there is an output made of something else than was committed")
	}
}

// TestChangedInput is row 45: input that changes after the plan ends the job
// with its key; so does a coordinator that is started again over it.
func TestChangedInput(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	c, address := b.coordinator("--app", "wc", "--nreduce", "2")
	b.until("the job is planned", func() bool { return len(b.keys(b.layout.Job())) == 1 })
	key := b.layout.Input("pg-book4.txt")
	if _, err := b.store.Put(t.Context(), key, []byte("other words\n"), putOptions); err != nil {
		t.Fatal(err)
	}
	w := b.start("worker", "--coord", address, "--app", "wc", "--slots", "2")
	if code := b.exit(c); code != 4 {
		t.Errorf("coordinator: exit code %d, want 4", code)
	}
	b.exit(w)
	wants(t, c.errout.String(), "input changed", key)
	if len(b.outputs()) > 0 {
		t.Error("there is output of a mixed input")
	}
	_, stderr := b.run(7, "coordinator", "--app", "wc", "--nreduce", "2")
	wants(t, stderr, "has changed since job", "input changed: \"pg-book4.txt\"")
}
