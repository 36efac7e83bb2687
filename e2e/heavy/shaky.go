package main

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/mraws/mraws/mr"
)

// shaky fails the first attempts of each task, at their end: those of map
// have spilled, those of reduce have begun a multipart upload. It begins none
// without a permit, a file of the folder gate, so that a test can hold all
// attempts in one place and look. A line of its input is a number, for 60,000
// pairs of 100 bytes.
func shaky() mr.App {
	return mr.App{
		Name: "shaky", Version: "1", Help: "attempts that fail late, one after the other",
		Params: []mr.Param{
			{Name: "gate", Help: "folder with a file permit-N for each attempt that may begin"},
			{Name: "fail", Help: "how many attempts of a task fail", Default: "3", Check: mr.CheckInt},
		},
		NewMapper: func(t *mr.Task) (mr.Mapper, error) {
			if err := permit(t); err != nil {
				return nil, err
			}
			value := make([]byte, 90)
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				for n := range uint64(60_000) {
					letters(value, n)
					out.Emit(fmt.Appendf(nil, "%s-%d", rec.Data, n%1000), value)
				}
				return mayFail(t)
			}), nil
		},
		NewReducer: func(t *mr.Task) (mr.Reducer, error) {
			if err := permit(t); err != nil {
				return nil, err
			}
			failed := false
			return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
				n := 0
				for range values {
					n++
				}
				out.Write(fmt.Append(nil, n))
				if failed {
					return nil
				}
				failed = true
				err := mayFail(t)
				for range 10 {
					if err != nil { // 10 MiB in vain: more than one part of an upload
						out.Write(text(nil, 1<<20, 1))
					}
				}
				return err
			}), nil
		},
	}
}

// permit waits for a file of the gate, and takes it.
func permit(t *mr.Task) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		names, err := filepath.Glob(filepath.Join(t.Params["gate"], "permit-*"))
		if err != nil {
			return fmt.Errorf("look for a permit: %w", err)
		}
		for _, name := range names {
			if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		select {
		case <-t.Context.Done():
			return t.Context.Err()
		case <-tick.C:
		}
	}
}

// mayFail fails until as many attempts of the task have failed as shall.
func mayFail(t *mr.Task) error {
	fail, err := t.Int("fail")
	if err != nil {
		return err
	}
	for i := range fail {
		name := filepath.Join(t.Params["gate"], fmt.Sprintf("failed-%s-%d-%d", t.Phase, t.Index, i))
		switch err := os.Mkdir(name, 0o755); {
		case err == nil:
			return fmt.Errorf("failure %d of %d that were asked for", i+1, fail)
		case !errors.Is(err, fs.ErrExist):
			return err
		}
	}
	return nil
}
