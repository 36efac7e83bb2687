package upload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/pick"
)

// TestPipes: the standard input and pipes are an object each.
func TestPipes(t *testing.T) {
	tree(t, "a.txt")
	if err := syscall.Mkfifo("fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	long := strings.Repeat("long\n", small/4) // more than is held in memory
	go func() {
		_, _ = w.WriteString(long)
		_ = w.Close()
	}()
	go func() { _ = os.WriteFile("fifo", []byte("of a fifo\n"), 0o600) }()
	p, err := Find([]string{"-", "a.txt", "fifo", fmt.Sprintf("/dev/fd/%d", r.Fd()), "/dev/stdin"}, Search{Filter: pick.Filter{Include: []string{"*.txt"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Spool(t.Context(), SpoolOptions{Dir: t.TempDir(), Stdin: strings.NewReader("of stdin\n"), Patience: time.Hour}); err != nil {
		t.Fatal(err)
	}
	f, l := newFake(), layout.New("p")
	report, err := Run(t.Context(), f, l, p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for key, o := range f.objects {
		got[key] = o.data
	}
	want := map[string]string{"p/input/stdin": "of stdin\n", "p/input/a.txt": "a.txt", "p/input/fifo": "of a fifo\n", "p/input/pipe-1": long}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if total := int64(len("of stdin\n"+"a.txt"+"of a fifo\n") + len(long)); report.UploadedBytes != total || p.Bytes != total {
		t.Errorf("uploaded %d of %d bytes, want %d", report.UploadedBytes, p.Bytes, total)
	}
	// What a pipe gave stays, to be compared.
	again, err := Run(t.Context(), f, l, p, Options{Compare: true})
	if err != nil || again.Same != 4 || len(again.Differ) > 0 {
		t.Errorf("the second time: %+v, %v", again, err)
	}
}

// TestAPipeThatGivesNothing is left when the context ends, and told of before.
func TestAPipeThatGivesNothing(t *testing.T) {
	tree(t)
	if err := syscall.Mkfifo("fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Find([]string{"fifo"}, Search{})
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	told := ""
	err = p.Spool(ctx, SpoolOptions{Patience: time.Millisecond, Waits: func(path string, n int64) { told = path; cancel(stop) }})
	if !errors.Is(err, stop) || told != p.Files[0].Path {
		t.Errorf("%v, told of %q", err, told)
	}
	w, err := os.OpenFile("fifo", os.O_RDWR, 0) // lets the reader go
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
}

// TestSizesThatAreWrong: files of the kernel say that they have no or 4,096
// bytes, and have others.
func TestSizesThatAreWrong(t *testing.T) {
	tree(t)
	for _, path := range []string{"/proc/version", "/proc/self/limits", "/sys/kernel/mm/transparent_hugepage/enabled", "/proc/kallsyms"} {
		info, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // not every kernel has the last two
		}
		want, rerr := os.ReadFile(path)
		if err != nil || rerr != nil || len(want) == 0 || info.Size() == int64(len(want)) {
			t.Fatalf("%s does not do for this test: %v, %v, %d of %d bytes", path, err, rerr, len(want), info.Size())
		}
		f, l := newFake(), layout.New("")
		p := plan(t, path)
		report, err := Run(t.Context(), f, l, p, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := f.objects[l.Input(p.Files[0].Name)].data; got != string(want) || report.UploadedBytes != int64(len(want)) {
			t.Errorf("%s: %d bytes were uploaded, %d reported, want %d", path, len(got), report.UploadedBytes, len(want))
		}
	}
}

// TestCompare sends nothing and names what is missing or different.
func TestCompare(t *testing.T) {
	tree(t, "a", "b", "c")
	f, l := newFake(), layout.New("")
	if _, err := Run(t.Context(), f, l, plan(t, "a", "b"), Options{}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("b", []byte("B"), 0o600); err != nil {
		t.Fatal(err)
	}
	puts := f.calls["put"]
	report, err := Run(t.Context(), f, l, plan(t, "a", "b", "c"), Options{Compare: true})
	if d := cmp.Diff([]string{"b", "c"}, report.Differ); d != "" || err != nil || report.Same != 1 || report.Uploaded != 0 || f.calls["put"] != puts {
		t.Errorf("%+v, %v, %d puts: %s", report, err, f.calls["put"]-puts, d)
	}
}
