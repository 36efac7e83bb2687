package failpoint

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"worker.get.job":        "is not name=kill, =stop or =error",
		"worker.get.job=pause":  "is not name=kill, =stop or =error",
		"worker.get.job=kill@0": "is no number from 1",
		"worker.get.job=kill@x": "is no number from 1",
		"worker.get.jobs=kill":  "there is no point",
		"":                      "",
		"worker.get.job=kill@2": "",
		",worker.get.job=stop,": "",
		"worker.get.job=error,worker.get.job=kill@3": "",
	} {
		_, err := parse(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// TestHit: each rule acts once, at its time, and says so before.
func TestHit(t *testing.T) {
	s, err := parse("worker.get.job=kill@2,worker.get.job=error@3,worker.call.poll.after=stop")
	if err != nil {
		t.Fatal(err)
	}
	var did []string
	s.act = func(a Action) { did = append(did, string(a)) }
	s.say = func(format string, a ...any) { did = append(did, fmt.Sprintf(format, a...)) }
	for range 4 {
		var failed *Error
		switch err := s.hit("worker.get.job"); {
		case errors.As(err, &failed):
			did = append(did, failed.Error())
		case err != nil:
			t.Fatal(err)
		default:
			did = append(did, "-")
		}
	}
	if err := errors.Join(s.hit("worker.call.poll.after"), s.hit("worker.call.poll.after"), s.hit("worker.get.success")); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"-",
		"failpoint worker.get.job: kill\n", "kill", "-",
		"failpoint worker.get.job: error\n", "failpoint worker.get.job",
		"-",
		"failpoint worker.call.poll.after: stop\n", "stop",
	}
	if d := cmp.Diff(want, did); d != "" {
		t.Error(d)
	}
	if err := s.hit("worker.get.nothing"); !errors.Is(err, errNoPoint) {
		t.Errorf("a step without a name: %v", err)
	}
}

// TestPoints: every name is there once and says where it belongs.
func TestPoints(t *testing.T) {
	all := Points()
	slices.Sort(all)
	if n := len(slices.Compact(slices.Clone(all))); n != len(all) {
		t.Errorf("%d names of %d are there more than once", len(all)-n, len(all))
	}
	for _, p := range all {
		parts := strings.Split(string(p), ".")
		if len(parts) < 3 || parts[0] != "worker" && parts[0] != "coordinator" {
			t.Errorf("%s is not role.operation.thing", p)
		}
		// Who can be killed in front of a write can be killed behind it.
		if before, ok := strings.CutSuffix(string(p), ".before"); ok && !slices.Contains(all, Point(before+".after")) {
			t.Errorf("%s has no other side", p)
		}
	}
}
