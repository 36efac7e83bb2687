package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/mraws/mraws/mr"
)

// block is the size in bytes of a large value.
const block = 64 << 10

// fickle counts words. Each of its attempts emits other values, so that no
// two attempts at a map task have equal partitions or equal lists of bad
// records, and yet all outputs are the same. Some lines are commands:
//
//	!TEXT      fails, with an error that names the attempt
//	zeros N    emits N values of 64 KiB that compress to nothing
//	noise N    emits N values of 64 KiB that do not compress
//	long N     makes the output longer by N lines of 1 MiB
func fickle() mr.App {
	return mr.App{
		Name:    "fickle",
		Help:    "count words, with other intermediate data each time",
		Version: "1",
		Params: []mr.Param{
			{Name: "stall", Default: "0s", Check: mr.CheckDuration, Help: "each map attempt takes so long"},
			{Name: "side", Default: "false", Check: mr.CheckBool, Help: "write and read side files"},
			{Name: "named", Default: "false", Check: mr.CheckBool, Help: "write to named outputs"},
		},
		NamedOutputs: []string{"long", "seen=csv"},
		NewMapper:    newFickleMapper,
		NewReducer:   newFickleReducer,
	}
}

// seenDir is where each map task leaves a side file.
const seenDir = "seen/"

func newFickleMapper(t *mr.Task) (mr.Mapper, error) {
	side, err := t.Bool("side")
	if err != nil {
		return nil, err
	}
	if side {
		err := t.Side.Create(t.Context, seenDir+strconv.Itoa(t.Index), []byte("x"))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	stall, err := t.Duration("stall")
	if err != nil {
		return nil, err
	}
	if stall > 0 {
		select {
		case <-time.After(stall):
		case <-t.Context.Done():
			return nil, t.Context.Err()
		}
	}
	named, err := t.Bool("named")
	if err != nil {
		return nil, err
	}
	return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
		if t.MapOnly && named {
			t.Named.Emit("seen", rec.Data, []byte("x"))
		}
		if t.MapOnly && !bytes.HasPrefix(rec.Data, []byte("!")) { // which is the output
			out.Emit(rec.Data, nil)
			return nil
		}
		return fickleMap(t, string(rec.Data), out)
	}), nil
}

func fickleMap(t *mr.Task, line string, out mr.Emitter) error {
	if text, bad := strings.CutPrefix(line, "!"); bad {
		return fmt.Errorf("attempt %s does not like %s", t.Attempt, text)
	}
	command, arg, _ := strings.Cut(line, " ")
	n, err := strconv.Atoi(arg)
	if err != nil {
		command = ""
	}
	switch command {
	case "zeros", "noise":
		value := make([]byte, block)
		for range n {
			if command == "noise" {
				_, _ = rand.Read(value) // never fails
			}
			out.Emit([]byte(command), value)
		}
	case "long":
		for range n {
			out.Emit([]byte(command), []byte(rand.Text()))
		}
	default:
		for word := range strings.FieldsSeq(line) {
			out.Emit([]byte(word), []byte(rand.Text()))
		}
	}
	return nil
}

func newFickleReducer(t *mr.Task) (mr.Reducer, error) {
	side, err := t.Bool("side")
	if err != nil {
		return nil, err
	}
	if side {
		names, err := t.Side.List(t.Context, seenDir)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if _, err := t.Side.Get(t.Context, name); err != nil {
				return nil, err
			}
		}
	}
	named, err := t.Bool("named")
	if err != nil {
		return nil, err
	}
	return mr.ReducerFunc(func(key []byte, values iter.Seq[[]byte], out mr.Output) error {
		n := int64(0)
		for range values {
			n++
			if string(key) == "long" {
				line := bytes.Repeat([]byte{'a' + byte(n%26)}, 1<<20)
				out.Write(line)
				if named {
					t.Named.Emit("long", key, line)
				}
			}
		}
		if named {
			t.Named.Emit("seen", key, strconv.AppendInt(nil, n, 10))
		}
		out.Write(strconv.AppendInt(nil, n, 10))
		return nil
	}), nil
}
