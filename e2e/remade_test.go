//go:build !interop

package e2e

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/failpoint"
)

// sealOf is the seal of the job, which verify has found whole.
func (b *fixture) sealOf(app string) string {
	b.t.Helper()
	out, _ := b.run(0, "verify", "--app", app)
	_, seal, ok := strings.Cut(out, "\nseal       ok       ")
	if !ok {
		b.t.Fatalf("no seal:\n%s", out)
	}
	seal, _, _ = strings.Cut(seal, "\n")
	return seal
}

// TestRemade: something of a job that is done is deleted, and the same line runs again. It
// makes what is missing, and no more, the output has the same bytes as before, the job is
// whole and its seal holds, also where the coordinator was killed before it could seal the
// job again.
func TestRemade(t *testing.T) {
	for name, c := range map[string]struct {
		line   []string
		lost   func(b *fixture) string
		again  bool // nothing had to run
		killed bool
	}{
		"output":         {lost: func(b *fixture) string { return b.layout.Output(1) }},
		"output, killed": {lost: func(b *fixture) string { return b.layout.Output(1) }, killed: true},
		"map record":     {lost: func(b *fixture) string { return b.layout.MapCommit(0) }},
		"attempt record": {lost: func(b *fixture) string { return b.layout.ReduceAttempt(0, b.success().Outputs[0].Attempt) }},
		"summary":        {lost: func(b *fixture) string { return b.layout.Success() }, again: true},
		"output, map-only": {
			line: []string{"run", "--app", "grep", "--app-arg", "pattern=e", "--nreduce", "0"},
			lost: func(b *fixture) string { return b.layout.Output(1) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := fixtureOf(t, armable)
			b.fill("books")
			line := c.line
			if line == nil {
				line = []string{"run", "--app", "wc", "--nreduce", "2"}
			}
			b.run(0, line...)
			app, first, before := line[2], b.sealOf(line[2]), b.outputs()
			if err := b.store.Delete(t.Context(), c.lost(b)); err != nil {
				t.Fatal(err)
			}
			b.run(8, "verify")
			if c.killed {
				armed := *b
				armed.set(failpoint.Variable, "coordinator.put.success.before=kill@2")
				if code := b.exit(armed.start(line...)); code != 137 {
					t.Fatalf("exit code %d", code)
				}
			}
			_, says := b.run(0, line...)
			if c.again == strings.Contains(says, "has a new seal") {
				t.Errorf("the log says:\n%s", says)
			}
			if done := b.success(); done.Map.Granted+done.Reduce.Granted > 1 {
				t.Errorf("%d attempts at map tasks and %d at reduce tasks", done.Map.Granted, done.Reduce.Granted)
			}
			second := b.sealOf(app)
			if second == first {
				t.Errorf("the seal is the same")
			}
			if diff := cmp.Diff(before, b.outputs()); diff != "" {
				t.Error(diff)
			}
			out, _ := b.run(0, line...)
			if third := b.sealOf(app); third != second || !strings.Contains(out, "already done") {
				t.Errorf("nothing was missing, and the seal was %s and is %s:\n%s", second, third, out)
			}
		})
	}
}
