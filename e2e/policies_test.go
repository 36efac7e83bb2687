//go:build !interop

package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/s3fault"
)

// iamStatement is one of a policy of deploy/aws/mraws.yaml: one right.
type iamStatement struct {
	Sid, Action string
	Resource    iamResources // patterns of ARNs
}

// iamResources are one pattern or several.
type iamResources []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (r *iamResources) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		return n.Decode((*[]string)(r))
	}
	*r = iamResources{n.Value}
	return nil
}

// policiesOf returns the policies of the stack by role, those of the machines' processes
// and those for people, for a bucket and a prefix.
func policiesOf(t *testing.T, prefix string) map[string][]iamStatement {
	t.Helper()
	data, err := os.ReadFile("../deploy/aws/mraws.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("!Sub ", "", "!Ref ", "", "!GetAtt ", "", "${AWS::Partition}", "aws",
		"${Bucket}", "mapreducedata", "${Prefix}", prefix).Replace(string(data))
	type document struct {
		Statement yaml.Node `yaml:"Statement"`
	}
	var stack struct {
		Resources map[string]struct {
			Properties struct {
				PolicyDocument document `yaml:"PolicyDocument"`
				Policies       []struct {
					PolicyName     string   `yaml:"PolicyName"`
					PolicyDocument document `yaml:"PolicyDocument"`
				} `yaml:"Policies"`
			} `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal([]byte(text), &stack); err != nil {
		t.Fatal(err)
	}
	all := map[string][]iamStatement{}
	add := func(role string, d document) {
		var list []struct {
			Sid      string       `yaml:"Sid"`
			Action   string       `yaml:"Action"`
			Resource iamResources `yaml:"Resource"`
		}
		if err := d.Statement.Decode(&list); err != nil {
			t.Fatalf("%s: %v", role, err)
		}
		for _, s := range list {
			all[role] = append(all[role], iamStatement(s))
		}
	}
	for name, r := range stack.Resources {
		if role, ok := strings.CutSuffix(name, "Policy"); ok {
			add(strings.ToLower(role), r.Properties.PolicyDocument)
		}
		for _, p := range r.Properties.Policies {
			if p.PolicyName == "coordinator" || p.PolicyName == "worker" {
				add(p.PolicyName, p.PolicyDocument)
			}
		}
	}
	return all
}

// guard allows what the statements allow, and keeps count.
type guard struct {
	mu     sync.Mutex
	policy []iamStatement
	used   map[string]int // requests by iamStatement
	denied []s3fault.Right
}

func (g *guard) allowed(r s3fault.Right) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	arn := "arn:aws:s3:::mapreducedata"
	if r.Key != "" {
		arn += "/" + r.Key
	}
	for _, s := range g.policy {
		for _, pattern := range s.Resource {
			folder, whole := strings.CutSuffix(pattern, "*")
			if s.Action == r.Action && (arn == pattern || whole && strings.HasPrefix(arn, folder)) {
				g.used[s.Sid]++
				return true
			}
		}
	}
	g.denied = append(g.denied, r)
	return false
}

// as returns a fixture of the same job whose processes have the rights of a policy.
func (b *fixture) as(policy []iamStatement, faults ...string) (*fixture, *guard) {
	b.t.Helper()
	at, err := datadir.Find(b.t.Context(), filepath.Join(b.dir, "data"))
	if err != nil {
		b.t.Fatal(err)
	}
	g := &guard{policy: policy, used: map[string]int{}}
	proxy, err := s3fault.New(at.URL, script(b.t, faults...), 1, s3fault.Options{AccessKey: at.AccessKey, SecretKey: at.SecretKey, Allowed: g.allowed})
	if err != nil {
		b.t.Fatal(err)
	}
	front := httptest.NewServer(proxy)
	b.t.Cleanup(func() { proxy.Close(); front.Close() })
	return b.behind(front, at), g
}

// broken lets each upload in parts of a role fail at its end, so that it has to be aborted.
const broken = "CompleteMultipartUpload * 403"

// play does what the roles of the stack are for, in turn, each with its policy. It ends when
// something fails, and returns what did: "" for nothing, else the command and its exit code.
// Without makes it short: no upload in parts.
func (b *fixture) play(policies map[string][]iamStatement, without bool) (failed string, guards map[string]*guard) {
	b.t.Helper()
	guards = map[string]*guard{}
	as := func(role string, faults ...string) *fixture {
		f, g := b.as(policies[role], faults...)
		if old := guards[role]; old != nil {
			g.used, g.denied = old.used, old.denied
		}
		guards[role] = g
		return f
	}
	step := func(role string, args ...string) bool {
		p := as(role).start(args...)
		if code := b.exit(p); code != 0 {
			failed = fmt.Sprintf("`%s` ends with exit code %d", args[0], code)
		}
		return failed == ""
	}
	large, words := filepath.Join(b.dir, "large.txt"), b.file("words.txt", strings.Repeat("some words in a line\n", 100))
	if !without {
		if err := os.WriteFile(large, bytes.Repeat([]byte("some words in a line\n"), 66<<20/21), 0o644); err != nil {
			b.t.Fatal(err)
		}
		b.exit(as("upload", broken).start("upload-input", large))
	}
	if !step("upload", "upload-input", words) || !step("upload", "upload-input", words) {
		return failed, guards
	}
	// Jobs whose output is an upload in parts that fails, also without the right to abort it,
	// which leaves an upload for reset. Then one that ends.
	c := as("coordinator")
	pair := func(app string, worker *fixture, args ...string) {
		failed = ""
		leads := c.start(append([]string{"coordinator", "--app", app, "--lines-per-task", "100000"}, args...)...)
		works := worker.start("worker", "--slots", "1", "--drain-timeout", "0", "--coord-timeout", "1m")
		select {
		case <-leads.done:
		case <-works.done:
		}
		if !leads.ended() {
			if code := b.exit(works); code != 0 {
				failed = fmt.Sprintf("`worker` ends with exit code %d", code)
				b.kill(leads)
				return
			}
		}
		if code := b.exit(leads); code != 0 {
			failed = fmt.Sprintf("`coordinator` ends with exit code %d", code)
			b.kill(works)
			return
		}
		b.exit(works)
	}
	if !without {
		b.exit(as("upload").start("upload-input", large))
		pair("sort", as("worker", broken), "--nreduce", "1", "--max-attempts", "1")
		mute, _ := b.as(slices.DeleteFunc(slices.Clone(policies["worker"]), func(s iamStatement) bool { return s.Action == "s3:AbortMultipartUpload" }), broken)
		b.run(0, "reset", "--yes")
		pair("sort", mute, "--nreduce", "1", "--max-attempts", "1")
		failed = "" // both had to
	}
	if !step("reset", "reset", "--yes") {
		return failed, guards
	}
	pair("wc", as("worker"), "--nreduce", "2")
	if failed != "" {
		return failed, guards
	}
	for _, args := range [][]string{{"status"}, {"cat", "--head", "1"}, {"jobs"}, {"events"}, {"logs", "map-0"}, {"explain"}, {"trace"}, {"verify", "--app", "wc"}} {
		if !step("read", args...) {
			return failed, guards
		}
	}
	if !step("reset", "reset", "--yes") {
		return failed, guards
	}
	leads := as("coordinator").start("coordinator", "--app", "wc")
	b.until("the coordinator announces itself", func() bool { return len(b.keys(b.layout.Coordinator())) > 0 || leads.ended() })
	if !step("cancel", "cancel", "last") {
		b.kill(leads)
		return failed, guards
	}
	b.exit(leads)
	return failed, guards
}

// TestPolicies: each role of deploy/aws/mraws.yaml can do what it is for, no request of it is
// denied, and each statement of its policy is used. Without any one of them, what
// docs/fleet.md says fails.
func TestPolicies(t *testing.T) {
	b := newPlainFixture(t)
	policies := policiesOf(t, b.layout.Prefix())
	failed, guards := b.play(policies, false)
	if failed != "" {
		t.Fatal(failed)
	}
	for _, role := range []string{"coordinator", "worker", "upload", "read", "cancel", "reset"} {
		if len(guards[role].denied) > 0 {
			t.Errorf("%s: denied: %v", role, guards[role].denied)
		}
		for _, s := range policies[role] {
			t.Logf("%s %s: %d requests", role, s.Sid, guards[role].used[s.Sid])
			if guards[role].used[s.Sid] == 0 {
				t.Errorf("%s: no request needs %s", role, s.Sid)
			}
		}
	}
}

// TestPoliciesWithout: without any one statement a command fails as docs/fleet.md says. Those
// about uploads that are aborted are only of use when something else has failed, which
// TestPolicies shows.
func TestPoliciesWithout(t *testing.T) {
	b := newPlainFixture(t)
	doc, err := os.ReadFile("../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	all := policiesOf(t, b.layout.Prefix())
	for _, role := range []string{"coordinator", "worker", "upload", "read", "cancel", "reset"} {
		for _, s := range all[role] {
			if s.Action == "s3:AbortMultipartUpload" || s.Action == "s3:ListMultipartUploadParts" {
				continue
			}
			less := maps.Clone(all)
			less[role] = slices.DeleteFunc(slices.Clone(all[role]), func(o iamStatement) bool { return o.Sid == s.Sid })
			failed, guards := b.play(less, true)
			row := fmt.Sprintf("| %s | `%s` | %s |", role, s.Sid, failed)
			t.Log(row)
			if failed == "" || len(guards[role].denied) == 0 {
				t.Errorf("%s without %s: nothing fails", role, s.Sid)
			}
			if !strings.Contains(string(doc), row) {
				t.Errorf("docs/fleet.md has no row %s", row)
			}
			b.run(0, "reset", "--yes", "--force", "--input")
		}
	}
}
