package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mraws/mraws/internal/apps"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/mr/mrtest"
)

// Job is what is computed, and by that what must come out.
type Job struct {
	App     string
	Params  map[string]string
	NReduce int
	Inputs  map[string]string // by name
}

// Args are the flags of coordinator and worker that name the app.
func (j Job) Args() []string {
	args := []string{"--app", j.App}
	for name, value := range j.Params {
		args = append(args, "--app-arg", name+"="+value)
	}
	return args
}

// Want runs the job one task after the other in this process, and returns
// each output.
func (j Job) Want() ([]string, error) {
	for _, a := range apps.Table() {
		if a.Name != j.App {
			continue
		}
		params := j.Params
		if a.Reference != nil {
			a, params = *a.Reference, nil
		}
		res, err := mrtest.Job{App: a, NReduce: j.NReduce, Params: params, Inputs: j.Inputs}.Run(context.Background())
		return res.Partitions, err
	}
	return nil, fmt.Errorf("no app %s", j.App)
}

// Upload writes the inputs to files and uploads them.
func (l *Lab) Upload(j Job) error {
	dir := filepath.Join(l.Dir, "input")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	args := []string{"upload-input"}
	for name, text := range j.Inputs {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
		args = append(args, path)
	}
	return l.Run(l.User, patience, "upload", args...)
}

// object is the file that holds an object, which shows up as a whole.
func (l *Lab) object(key string) string {
	return filepath.Join(l.data(), "s3", "mapreducedata", filepath.FromSlash(key))
}

// Count counts the objects right below a prefix that ends in a slash.
func (l *Lab) Count(prefix string) int {
	entries, err := os.ReadDir(l.object(prefix))
	if err != nil {
		return 0 // nothing there yet
	}
	return len(entries)
}

// Has tells whether an object is there.
func (l *Lab) Has(key string) bool {
	_, err := os.Stat(l.object(key))
	return err == nil
}

// Read returns the bytes of an object.
func (l *Lab) Read(key string) ([]byte, error) { return os.ReadFile(l.object(key)) }

// Commits counts the map tasks that are committed.
func (l *Lab) Commits() int { return l.Count(layout.Layout{}.CommitDir()) }

// Outputs counts the reduce tasks that are committed.
func (l *Lab) Outputs() (n int) {
	lay := layout.Layout{}
	entries, err := os.ReadDir(l.object(lay.OutputDir()))
	if err != nil {
		return 0 // nothing there yet
	}
	for _, e := range entries {
		if _, ok := lay.ParseOutput(lay.OutputDir() + e.Name()); ok {
			n++
		}
	}
	return n
}

// Succeeded tells whether the job's summary is there.
func (l *Lab) Succeeded() bool { return l.Has(layout.Layout{}.Success()) }

// Exact compares the output with want, byte by byte: each part is there once,
// and nothing else but the summary.
func (l *Lab) Exact(want []string) error {
	lay := layout.Layout{}
	var err error
	for r, w := range want {
		got, rerr := os.ReadFile(l.object(lay.Output(r)))
		switch {
		case rerr != nil:
			err = errors.Join(err, rerr)
		case string(got) != w:
			err = errors.Join(err, fmt.Errorf("%s is wrong: %d bytes, want %d; %s", lay.Output(r), len(got), len(w), difference(string(got), w)))
		}
	}
	entries, rerr := os.ReadDir(l.object(lay.OutputDir()))
	for _, e := range entries {
		key := lay.OutputDir() + e.Name()
		if r, ok := lay.ParseOutput(key); (!ok || r >= len(want)) && key != lay.Success() {
			err = errors.Join(err, fmt.Errorf("%s does not belong to the output", key))
		}
	}
	if !l.Succeeded() {
		err = errors.Join(err, fmt.Errorf("there is no %s", lay.Success()))
	}
	return errors.Join(err, rerr)
}

// difference shows the first line in which two texts differ.
func difference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d is %.80q, want %.80q", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g)-1, len(w)-1)
}

// Verify runs mraws verify with the app.
func (l *Lab) Verify(j Job) error {
	return l.Run(l.User, 2*time.Minute, "verify", "verify", "--app", j.App)
}

// Reset runs mraws reset, and wants that nothing of the job is left.
func (l *Lab) Reset() error {
	if err := l.Run(l.User, time.Minute, "reset", "reset", "--yes"); err != nil {
		return err
	}
	lay := layout.Layout{}
	var err error
	for _, prefix := range []string{lay.IntermediateDir(), lay.OutputDir()} {
		werr := filepath.WalkDir(l.object(prefix), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && !d.IsDir() {
				err = fmt.Errorf("reset left %s", path)
			}
			return err
		})
		err = errors.Join(err, werr)
	}
	return err
}

// Witness looks at the bucket again and again, and remembers what was
// committed: a commit record or an output that is there stays as it is (I3,
// I5).
type Witness struct {
	lab  *Lab
	stop chan struct{}
	done sync.WaitGroup
	seen map[string][sha256.Size]byte
	err  error
}

// Witness begins to look.
func (l *Lab) Witness() *Witness {
	w := &Witness{lab: l, stop: make(chan struct{}), seen: map[string][sha256.Size]byte{}}
	w.done.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-w.stop:
				w.look()
				return
			case <-tick.C:
				w.look()
			}
		}
	})
	return w
}

// End looks for the last time and says what was wrong.
func (w *Witness) End() error {
	close(w.stop)
	w.done.Wait()
	return w.err
}

// look compares all that is committed with what it was.
func (w *Witness) look() {
	lay := layout.Layout{}
	found := map[string]bool{}
	for _, dir := range []string{lay.CommitDir(), lay.OutputDir()} {
		entries, err := os.ReadDir(w.lab.object(dir))
		if err != nil {
			continue // nothing there yet
		}
		for _, e := range entries {
			key := dir + e.Name()
			_, isMap := lay.ParseMapCommit(key)
			_, isReduce := lay.ParseOutput(key)
			if !isMap && !isReduce {
				continue
			}
			data, err := os.ReadFile(w.lab.object(key))
			if err != nil {
				continue // it is missed below
			}
			found[key] = true
			sum := sha256.Sum256(data)
			if old, ok := w.seen[key]; ok && !bytes.Equal(old[:], sum[:]) {
				w.err = errors.Join(w.err, fmt.Errorf("%s has changed after it was committed", key))
			}
			w.seen[key] = sum
		}
	}
	for key := range w.seen {
		if !found[key] {
			w.err = errors.Join(w.err, fmt.Errorf("%s was committed and is gone", key))
			delete(w.seen, key)
		}
	}
}
