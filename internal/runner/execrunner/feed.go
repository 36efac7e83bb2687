package execrunner

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/runner"
	"github.com/mraws/mraws/mr"
)

// feedBlock is how much is gathered for one write to a process, bytes: what a pipe
// holds. One write for each line takes ten times as long.
const feedBlock = 64 << 10

// feeder hands the records of a map attempt to one process after the other.
type feeder struct {
	in     runner.Records
	blocks bool // the records come many at a time
	// offsets says that each line has its offset before it.
	offsets bool
	binary  bool   // each record has its lengths in front
	whole   string // how a record that is an object is handed over; "" is lines
	dir     string // the working directory

	object string // which the process at hand gets
	offset int64  // of its first record
	rec    mr.Record
	has    bool // rec was not handed out yet
	over   bool // there are no more records
	buf    []byte
}

// open moves to the first record of the next object; false if there is none.
func (f *feeder) open() bool {
	if !f.has && (f.over || !f.next()) {
		return false
	}
	f.object, f.offset = f.rec.Object, f.rec.Offset
	return true
}

// next moves to the next record, or block of records.
func (f *feeder) next() bool {
	if f.blocks {
		f.rec, f.has = f.in.NextBlock()
	} else {
		f.rec, f.has = f.in.Next()
	}
	f.over = !f.has
	return f.has
}

// copy writes all records of the object, each with a line break behind it. When w
// takes no more it reads on without writing, so that the attempt has read the same
// whenever the process stopped to. It returns why the input has ended early.
func (f *feeder) copy(w io.Writer) error {
	g := gather{w: w, buf: f.buf[:0], binary: f.binary}
	switch {
	case f.whole == manifest.WholeBytes && f.binary:
		g.record(nil, f.rec.Data)
		f.next()
	case f.whole == manifest.WholeBytes:
		g.add(f.rec.Data)
		f.next()
	case f.whole == manifest.WholePath:
		path, err := f.save()
		if err != nil {
			return err
		}
		g.line([]byte(path))
		f.next()
	}
	for f.whole == "" && f.has && f.rec.Object == f.object {
		switch data := f.rec.Data; {
		case f.offsets:
			g.withOffsets(f.rec.Offset, data)
		case f.blocks && f.binary:
			for line := range bytes.Lines(data) {
				g.record(nil, bytes.TrimSuffix(line, []byte{'\n'}))
			}
		case f.blocks:
			g.add(data)
			if n := len(data); n > 0 && data[n-1] != '\n' {
				g.end()
			}
		default:
			g.line(data)
		}
		if f.blocks {
			g.flush()
		}
		f.next()
	}
	g.flush()
	f.buf = g.buf
	return f.in.Err()
}

// withOffsets writes lines, the last of them with a line break or without, each behind
// its offset and a tab. The first is at the offset.
func (g *gather) withOffsets(offset int64, lines []byte) {
	for {
		line, more, _ := bytes.Cut(lines, []byte{'\n'})
		g.buf = append(strconv.AppendInt(g.buf, offset, 10), '\t')
		g.line(line)
		if len(more) == 0 {
			return
		}
		offset, lines = offset+int64(len(line)+1), more
	}
}

// save writes the object into a file of the working directory, in the place of the
// one before, and returns its path there.
func (f *feeder) save() (string, error) {
	const dir = "input"
	if err := os.RemoveAll(filepath.Join(f.dir, dir)); err != nil {
		return "", fmt.Errorf("remove the input of a mapper: %w", err)
	}
	if err := os.Mkdir(filepath.Join(f.dir, dir), 0o700); err != nil {
		return "", fmt.Errorf("write the input of a mapper: %w", err)
	}
	name := path.Base(f.object)
	if !manifest.ValidFileName(name) {
		name = "object"
	}
	name = dir + "/" + name
	if err := os.WriteFile(filepath.Join(f.dir, name), f.rec.Data, 0o600); err != nil {
		return "", fmt.Errorf("write the input of a mapper: %w", err)
	}
	return name, nil
}

// gather writes in large pieces.
type gather struct {
	w      io.Writer
	binary bool // lines and pairs are records
	buf    []byte
	err    error // of w
}

// add writes p.
func (g *gather) add(p []byte) {
	if len(g.buf)+len(p) > feedBlock {
		g.flush()
		if len(p) >= feedBlock {
			g.write(p)
			return
		}
	}
	g.buf = append(g.buf, p...)
}

// end writes a line break.
func (g *gather) end() { g.buf = append(g.buf, '\n') }

// line writes a line.
func (g *gather) line(line []byte) {
	if g.binary {
		g.record(nil, line)
		return
	}
	g.add(line)
	g.end()
}

// flush hands on what was gathered.
func (g *gather) flush() {
	if len(g.buf) > 0 {
		g.write(g.buf)
		g.buf = g.buf[:0]
	}
}

func (g *gather) write(p []byte) {
	if g.err == nil {
		_, g.err = g.w.Write(p)
	}
}

// feedGroups writes each value of each key as a line "key TAB value", or as a
// record. When nobody takes more it reads on without writing. It returns why the input has ended early.
func feedGroups(in runner.Groups, g gather) error {
	values := in.Values()
	for in.Next() {
		if g.err != nil {
			continue // Next moves past the values
		}
		for v := range values {
			if g.err != nil {
				break
			}
			g.pair(in.Key(), v)
		}
	}
	g.flush()
	return in.Err()
}

// pair writes the line of a pair.
func (g *gather) pair(key, value []byte) {
	if g.binary {
		g.record(key, value)
		return
	}
	g.add(key)
	g.buf = append(g.buf, '\t')
	g.add(value)
	g.end()
}
