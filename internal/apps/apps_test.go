package apps

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/mr/mrtest"
)

func goRoot(tb testing.TB) string {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, app := range Table() {
		if err := app.Validate(); err != nil {
			t.Error(err)
		}
		if seen[app.Name] {
			t.Errorf("two apps are called %s", app.Name)
		}
		if seen[app.Name] = true; app.Help == "" || app.Version == "" {
			t.Errorf("app %s has no help or no version", app.Name)
		}
		for _, p := range app.Params {
			if p.Help == "" {
				t.Errorf("app %s: parameter %s has no help", app.Name, p.Name)
			}
		}
	}
}

func TestNocrash(t *testing.T) {
	want := []string{"a a.txt a.txt c.txt empty.txt", "b 5 5 5 9", "c 0 12 35 43", "d xyzzy xyzzy xyzzy xyzzy"}
	for _, r := range []int{1, 10} {
		if diff := cmp.Diff(want, mrtest.Run(t, nocrash(), r, texts)); diff != "" {
			t.Errorf("R = %d (-want +got):\n%s", r, diff)
		}
	}
}

// TestNamesInOutput: the applications that print names print any.
func TestNamesInOutput(t *testing.T) {
	inputs := map[string]string{"x/a\nb c": "1", "y/a\nb c": "2", "d": "3"}
	if diff := cmp.Diff([]string{`a a\nb\x20c a\nb\x20c d`, "b 1 5 5", "c 1 1 1", "d xyzzy xyzzy xyzzy"}, mrtest.Run(t, nocrash(), 2, inputs)); diff != "" {
		t.Errorf("nocrash (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{`a\nb c 2`, "d 1"}, mrtest.Run(t, *earlyExit().Reference, 2, inputs)); diff != "" {
		t.Errorf("early_exit (-want +got):\n%s", diff)
	}
}
