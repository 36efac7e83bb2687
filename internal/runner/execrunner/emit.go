package execrunner

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/mraws/mraws/internal/keyorder"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/runner"
	"github.com/mraws/mraws/internal/sortbuf"
)

// sink makes pairs of the lines of a mapper.
type sink struct {
	*attempt
	out       runner.Emitter
	order     *keyorder.Order // of what a combiner reads; nil without one
	separator []byte
	fields    int    // of the key
	lines     bool   // there is no reducer: what the mapper writes are lines, not pairs
	number    []byte // the key of each such line: that of the task; nil in a map-only job, where the line is the key
	line      []byte // scratch
	buf       *sortbuf.List
	failed    error // of out
}

// combineBuffer is how many bytes of pairs a combiner gets at a time. It is the
// same on every machine, so that each attempt at a task commits the same pairs.
const combineBuffer = 8 << 20

func newSink(a *attempt, out runner.Emitter) *sink {
	s := &sink{attempt: a, out: out, separator: []byte(a.exec.FieldSeparator()), fields: max(a.exec.KeyFields, 1)}
	s.lines = a.exec.Reducer == ""
	if s.lines && !a.job.MapOnly() {
		s.number = binary.BigEndian.AppendUint32(nil, uint32(a.task.Index))
	}
	if a.exec.Combiner != "" {
		o := a.job.KeyOrder()
		o.Values = manifest.ByInput
		s.order = keyorder.New(o)
		s.buf = (*sortbuf.Spare)(nil).List(combineBuffer, 0, nil)
	}
	return s
}

// partitionOfTask is the partition of a job without a reducer that key, the number
// of a map task, belongs to.
func partitionOfTask(key []byte, tasks, n int) int {
	if len(key) != 4 {
		return -1
	}
	return int(int64(binary.BigEndian.Uint32(key)) * int64(n) / int64(tasks))
}

// parser reads what a mapper writes.
func (s *sink) parser() parser {
	switch {
	case s.binary():
		return recordParser(s.pair)
	case s.lines:
		return lineParser(func(line []byte) error { return s.pair(nil, line) })
	}
	if s.buf == nil && s.fields == 1 && len(s.separator) == 1 { // most jobs
		return lineParser(s.emitLine)
	}
	return lineParser(func(line []byte) error { return s.pair(s.cut(line)) })
}

// emitLine emits the pair of a line whose key is the first field. The calls that other
// jobs make for each line would add 3% to the CPU time of a word count by Python.
func (s *sink) emitLine(line []byte) error {
	if i := bytes.IndexByte(line, s.separator[0]); i >= 0 {
		return s.emit(line[:i], line[i+1:])
	}
	return s.emit(line, nil)
}

// pair takes a pair of the mapper, without a key in a job without a reducer.
func (s *sink) pair(key, value []byte) error {
	if s.lines {
		switch {
		case s.number == nil && len(key) > 0 && len(value) > 0: // binary records
			s.line = append(append(append(s.line[:0], key...), '\t'), value...)
			return s.emit(s.line, nil)
		case s.number == nil:
			if len(key) == 0 {
				key = value
			}
			return s.emit(key, nil)
		case len(key) > 0:
			return errors.New("a mapper without a reducer writes records without a key: the value is the line")
		}
		return s.emit(s.number, value)
	}
	if s.buf == nil {
		return s.emit(key, value)
	}
	key = s.order.Encode(key, nil)
	for !s.buf.Add(0, key, value) {
		if err := s.combine(); err != nil {
			return err
		}
	}
	return nil
}

// cut cuts a line behind the fields of the key. A line of fewer fields is a key
// without a value.
func (s *sink) cut(line []byte) (key, value []byte) { return cut(line, s.separator, s.fields) }

// cut cuts a line behind so many fields.
func cut(line, separator []byte, fields int) (first, rest []byte) {
	at := 0
	for n := fields; ; n-- {
		i := bytes.Index(line[at:], separator)
		if i < 0 {
			return line, nil
		}
		if n == 1 {
			return line[:at+i], line[at+i+len(separator):]
		}
		at += i + len(separator)
	}
}

// cutCombined cuts a line that a combiner has written: as in those that it reads, a tab
// ends the key, whatever ends its fields. A line of fewer fields is a key without a
// value, and the tab at its end, with which the combiner has read it, is no part of it.
func cutCombined(line, separator []byte, fields int) (key, value []byte) {
	at := 0
	for n := fields; ; n-- {
		end := separator
		if n == 1 {
			end = []byte{'\t'}
		}
		i := bytes.Index(line[at:], end)
		switch {
		case i < 0:
			return bytes.TrimSuffix(line, []byte{'\t'}), nil
		case n == 1:
			return line[:at+i], line[at+i+1:]
		}
		at += i + len(end)
	}
}

func (s *sink) emit(key, value []byte) error {
	if s.failed == nil {
		s.failed = s.out.Emit(key, value)
	}
	return s.failed
}

// combine runs the combiner over the pairs that are held, and emits its own.
func (s *sink) combine() error {
	s.buf.Sort(1)
	p := &process{attempt: s.attempt, role: "combiner", commandLine: s.exec.Combiner}
	parse := lineParser(func(line []byte) error { return s.emit(cutCombined(line, s.separator, s.fields)) })
	if s.binary() {
		parse = recordParser(s.emit)
	}
	err := p.run(func(w io.Writer) error {
		if src := sortbuf.Partition(s.buf, 0); src != nil {
			if s.order != nil {
				src = orderedSource{src, s.order}
			}
			feedPairs(src, gather{w: w, binary: s.binary()}, s.beat)
		}
		return nil
	}, parse)
	s.buf.Reset()
	return firstOf(s.failed, err)
}

// orderedSource gives back the keys of the mapper from pairs that were just sorted.
type orderedSource struct {
	recordio.Source
	order *keyorder.Order
}

func (s orderedSource) Key() []byte { return s.order.Plain(s.Source.Key()) }

// feedPairs writes each pair, as long as somebody takes them.
func feedPairs(src recordio.Source, g gather, beat func()) {
	for n := 1; g.err == nil && src.Next(); n++ {
		g.pair(src.Key(), src.Value())
		if n%1024 == 0 {
			beat()
		}
	}
	g.flush()
}

// close combines what is left.
func (s *sink) close() error {
	if s.buf == nil || s.buf.Len() == 0 {
		return nil
	}
	return s.combine()
}
