package task

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/shipped"
	"github.com/mraws/mraws/mr"
)

// marking is an app whose mapper, combiner and reducer each put the text of a file of
// their own behind each value.
func marking() mr.App {
	read := func(t *mr.Task, name string) (string, error) {
		text, err := fs.ReadFile(t.Files, name)
		return string(text), err
	}
	return mr.App{
		Name: "marking", Version: "1",
		NewMapper: func(t *mr.Task) (mr.Mapper, error) {
			mark, err := read(t, "m")
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				out.Emit(rec.Data, []byte(mark))
				return nil
			}), err
		},
		Combine: mr.CombinerTask(func(t *mr.Task) (mr.Combiner, error) {
			mark, err := read(t, "c")
			return mr.CombinerFunc(func(acc, next []byte) []byte { return append(append(acc, mark...), next...) }), err
		}),
		NewReducer: func(t *mr.Task) (mr.Reducer, error) {
			mark, err := read(t, "r")
			return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
				for v := range values {
					out.Write(fmt.Appendf(nil, "%s%s", v, mark))
				}
				return nil
			}), err
		},
	}
}

// code is a bucket with the files that jobs ship, by key.
type code map[string]string

func (c code) OpenChunks(_ context.Context, key, _ string, _, _, _ int64, _ int) (io.ReadCloser, error) {
	text, ok := c[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// ship adds files to a job, and returns the bucket with them.
func (w *fixture) ship(files map[string]string) code {
	c := code{}
	for name, text := range files {
		sum := sha256.Sum256([]byte(text))
		f := manifest.CodeFile{Name: name, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(text))}
		w.Spec.App.Files = append(w.Spec.App.Files, f)
		c[layout.Layout{}.Code(f.SHA256)] = text
	}
	slices.SortFunc(w.Spec.App.Files, func(a, b manifest.CodeFile) int { return strings.Compare(a.Name, b.Name) })
	return c
}

// TestFiles: mapper, combiner and reducer read the files that the job ships. A job
// without files has an empty file system.
func TestFiles(t *testing.T) {
	w := newFixture(marking(), 1, 100, 1, file{"a", "x\nx\ny\n"})
	w.Scratch = t.TempDir()
	files := w.ship(map[string]string{"m": "1", "c": "+", "r": "!"})
	e := w.env(t)
	e.Files = shipped.NewCache(shipped.Options{Store: files, Scratch: w.Scratch})
	for _, a := range []Attempt{{mr.MapPhase, 0, "m0"}, {mr.ReducePhase, 0, "r0"}} {
		if _, err := e.Run(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Files.Close(); err != nil {
		t.Error(err)
	}
	w.Check(t)
	if got, want := w.Outputs(t)[0], "x 1+1!\ny 1!\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	none := newFixture(marking(), 1, 100, 1, file{"a", "x\n"})
	var app *AppError
	if _, err := none.env(t).Run(t.Context(), Attempt{mr.MapPhase, 0, "m0"}); !errors.As(err, &app) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no files: %v", err)
	}
}

// TestFilesDamaged: an attempt fails for good, before it calls the application, if a
// file that the job ships is gone or has other bytes.
func TestFilesDamaged(t *testing.T) {
	called := false
	app := marking()
	app.NewMapper = func(*mr.Task) (mr.Mapper, error) { called = true; return nil, errors.New("called") }
	w := newFixture(app, 1, 100, 1, file{"a", "x\n"})
	files := w.ship(map[string]string{"m": "1"})
	key := layout.Layout{}.Code(w.Spec.App.Files[0].SHA256)
	run := func() error {
		e := w.env(t)
		e.Files = shipped.NewCache(shipped.Options{Store: files, Scratch: w.Scratch})
		_, err := e.Run(context.Background(), Attempt{mr.MapPhase, 0, "m0"})
		return errors.Join(err, e.Files.Close())
	}
	check := func(want string) {
		t.Helper()
		var fatal *FatalError
		if err := run(); !errors.As(err, &fatal) || fatal.Key != key || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	files[key] = "2"
	check("shipped file m: fetch " + key + ": it has other bytes")
	delete(files, key)
	check("shipped file m: fetch " + key)
	var fatal *FatalError
	if _, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 0, "m0"}); !errors.As(err, &fatal) || !strings.Contains(err.Error(), "fetches none") {
		t.Errorf("a process that fetches no files: %v", err)
	}
	if called {
		t.Error("the application was called")
	}
}
