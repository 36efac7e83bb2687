package upload

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestHeads: each file is looked at by its first bytes, a pipe that was spooled as well,
// and one that is gone has none.
func TestHeads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"empty": "", "long": strings.Repeat("x", 100), "gone": "y"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	plan, err := Find([]string{filepath.Join(dir, "*"), Stdin}, Search{})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	if err := plan.Spool(t.Context(), SpoolOptions{Dir: dir, Stdin: strings.NewReader("piped bytes")}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "gone")); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	if err := plan.Heads(5, func(name string, head []byte) error { got[name] = string(head); return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"empty": "", "long": "xxxxx", "gone": "", "stdin": "piped"}, got); diff != "" {
		t.Error(diff)
	}
	stop := errors.New("stop")
	looked := 0
	if err := plan.Heads(5, func(string, []byte) error { looked++; return stop }); !errors.Is(err, stop) || looked != 1 {
		t.Errorf("%d files were looked at, and it ended with %v", looked, err)
	}
}
