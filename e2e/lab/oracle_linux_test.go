package lab

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/layout"
)

// bucket is a lab without processes whose store holds objects.
func bucket(t *testing.T, objects map[string]string) *Lab {
	t.Helper()
	l := &Lab{Dir: t.TempDir()}
	for key, text := range objects {
		put(t, l, key, text)
	}
	return l
}

func put(t *testing.T, l *Lab, key, text string) {
	t.Helper()
	err := errors.Join(os.MkdirAll(filepath.Dir(l.object(key)), 0o700), os.WriteFile(l.object(key), []byte(text), 0o600))
	if err != nil {
		t.Fatal(err)
	}
}

// TestExact: each way in which an output can be wrong is seen.
func TestExact(t *testing.T) {
	lay := layout.Layout{}
	for _, test := range []struct {
		name, key, text string // what is put over a right output; no text removes it
		says            string // "" if nothing is wrong
	}{
		{name: "right"},
		{name: "list of bad records", key: lay.OutputDir() + "mr-out-x", text: "?", says: "does not belong"},
		{name: "one byte", key: lay.Output(1), text: "b 2\nc 4\n", says: `line 2 is "c 4", want "c 3"`},
		{name: "a line less", key: lay.Output(1), text: "b 2\n", says: `line 2 is "", want "c 3"`},
		{name: "a part less", key: lay.Output(0), says: "no such file"},
		{name: "a part more", key: lay.Output(2), text: "d 1\n", says: "does not belong"},
		{name: "no summary", key: lay.Success(), says: "there is no output/_SUCCESS"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := bucket(t, map[string]string{lay.Output(0): "a 1\n", lay.Output(1): "b 2\nc 3\n", lay.Success(): "{}"})
			if test.text != "" {
				put(t, l, test.key, test.text)
			} else if test.key != "" {
				if err := os.Remove(l.object(test.key)); err != nil {
					t.Fatal(err)
				}
			}
			complains(t, l.Exact([]string{"a 1\n", "b 2\nc 3\n"}), test.says)
		})
	}
}

// TestWitness: a commit that changes or goes away is seen, and one more is
// nothing.
func TestWitness(t *testing.T) {
	lay := layout.Layout{}
	for _, test := range []struct {
		name   string
		change func(t *testing.T, l *Lab)
		says   string
	}{
		{"more", func(t *testing.T, l *Lab) { put(t, l, lay.MapCommit(2), "z") }, ""},
		{"other bytes", func(t *testing.T, l *Lab) { put(t, l, lay.MapCommit(1), "z") }, "has changed"},
		{"gone", func(t *testing.T, l *Lab) {
			if err := os.Remove(l.object(lay.Output(0))); err != nil {
				t.Fatal(err)
			}
		}, "is gone"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := bucket(t, map[string]string{lay.MapCommit(1): "x", lay.Output(0): "y"})
			w := &Witness{lab: l, seen: map[string][32]byte{}}
			w.look()
			test.change(t, l)
			w.look()
			complains(t, w.err, test.says)
		})
	}
}

// TestAutopsy: a crash and a file that is left are seen.
func TestAutopsy(t *testing.T) {
	for _, test := range []struct{ name, stderr, file, says string }{
		{"fine", "mraws: error: no coordinator\n", "", ""},
		{"panic", "x\npanic: runtime error: index\n\ngoroutine 1\n", "", `says "panic: runtime error: index"`},
		{"race", "WARNING: DATA RACE\n", "", "DATA RACE"},
		{"scratch", "", "spill", "left "},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			p := &Process{Name: "worker", err: filepath.Join(dir, "err"), scratch: filepath.Join(dir, "scratch")}
			err := errors.Join(os.WriteFile(p.err, []byte(test.stderr), 0o600), os.Mkdir(p.scratch, 0o700))
			if test.file != "" {
				err = errors.Join(err, os.WriteFile(filepath.Join(p.scratch, test.file), nil, 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
			complains(t, p.Autopsy(), test.says)
		})
	}
}

// complains wants an error that says something, or none.
func complains(t *testing.T, err error, says string) {
	t.Helper()
	if says == "" {
		if err != nil {
			t.Error(err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v, want %q", err, says)
	}
}
