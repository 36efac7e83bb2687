//go:build awscli

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAWSCLISeal: the program of docs/formats.md, in a language that is not
// ours, finds the seal in a copy of a job, and any damage of it.
func TestAWSCLISeal(t *testing.T) {
	b := fixtureOf(t, odd)
	job := b.sealedJob("fickle", "--max-bad-records", "3")
	doc, err := os.ReadFile("../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(doc), "\n```python\n")
	program, _, ok := strings.Cut(program, "```\n")
	if !ok {
		t.Fatal("docs/formats.md has no program in Python")
	}
	root := filepath.Join(b.dir, "copy")
	write := func(key string, data []byte) {
		path := filepath.Join(root, strings.TrimPrefix(key, b.layout.Prefix()))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	seal := func() (string, error) {
		out, err := exec.Command("python3", "-c", program, root).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	for key, o := range job {
		write(key, o.data)
	}
	got, err := seal()
	if want := sealByHand(t, b.layout, job); err != nil || got != want {
		t.Fatalf("the program says %s (%v), the seal is %s", got, err, want)
	}
	damaged := 0
	for key, o := range job {
		_, _, segment := b.layout.ParsePartition(key)
		_, input := b.layout.InputName(key)
		if segment || input || key == b.layout.Coordinator() || strings.HasPrefix(key, b.layout.EventsDir()) {
			continue // of which the program has no bytes to compare
		}
		data := append([]byte{}, o.data...)
		data[len(data)/2] ^= 1
		write(key, data)
		if out, err := seal(); err == nil {
			t.Errorf("%s: a bit flip is not found: %s", key, out)
		}
		write(key, o.data)
		damaged++
	}
	if damaged < 8 {
		t.Errorf("%d objects were damaged", damaged)
	}
}
