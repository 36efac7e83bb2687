package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// keepDifferences is how many differing lines a report shows.
const keepDifferences = 10

// comparison is the mr.Output of the reference of one partition. It holds
// each line against the job's output. Where lines differ it goes on with the
// side that is behind, as both are sorted, so that one line too many does
// not make all that follow differ.
type comparison struct {
	r     int
	key   []byte // that is being reduced
	lines *outputReader
	text  bool        // the lines are all bytes of the output
	mixed bool        // the lines are not in the order of their bytes
	table *tableShape // whose rows the lines are; nil for none
	got   []byte      // line of the output that is not matched yet
	has   bool        // there is one

	line  []byte // scratch: expected line with "\n"
	sha   hash.Hash
	n     int64 // expected lines
	bad   int64 // lines that differ
	diffs []Different
	err   error

	parts  *partReference  // of an output with partitions; nil for none
	named  *namedReference // of the reducer
	counts counts          // of the reducer
	code   *Code           // that writes
}

func (c *comparison) start(r int, lines *outputReader, text bool) {
	c.r, c.lines, c.text, c.sha = r, lines, text, sha256.New()
	c.take()
}

// close frees the buffers.
func (c *comparison) close() {
	if c.lines != nil {
		c.lines.close()
	}
	if c.named != nil {
		c.named.close()
	}
}

// take moves to the next line of the output.
func (c *comparison) take() {
	if c.err != nil {
		return
	}
	got, err := c.lines.next()
	c.got, c.has = got, err == nil
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
}

// Write takes an expected line from the reducer.
func (c *comparison) Write(value []byte) {
	if c.err != nil {
		return
	}
	if c.table != nil {
		c.expectRow(c.key, value, true)
		return
	}
	if c.text && (bytes.IndexByte(c.key, '\n') >= 0 || bytes.IndexByte(value, '\n') >= 0) {
		c.err = errors.New("a line break in the key or the value")
		return
	}
	c.line = append(append(append(append(c.line[:0], c.key...), ' '), value...), '\n')
	c.expect(len(c.key) + 1)
}

// WriteLine takes an expected line without its key from the reducer.
func (c *comparison) WriteLine(line []byte) {
	if c.err != nil {
		return
	}
	if c.table != nil && bytes.HasPrefix(line, c.key) {
		c.expectRow(nil, line, false)
		return
	}
	if !bytes.HasPrefix(line, c.key) || bytes.IndexByte(line, '\n') >= 0 {
		c.err = errors.New("a line that does not begin with its key, or with a line break")
		return
	}
	c.line = append(append(c.line[:0], line...), '\n')
	c.expect(len(c.line))
}

// expectRow takes an expected record of a table.
func (c *comparison) expectRow(key, text []byte, pair bool) {
	if c.parts != nil {
		c.code.move()
		c.n++
		if err := c.parts.take(key, text, pair); err != nil {
			c.err = fmt.Errorf("a record that is no row of the output: %w", err)
		}
		return
	}
	row, keyed, err := c.table.row(key, text, pair)
	if err != nil {
		c.err = fmt.Errorf("a record that is no row of the output: %w", err)
		return
	}
	c.line = append(append(c.line[:0], row...), '\n')
	c.expect(min(keyed+1, len(row)))
}

// expect holds c.line against the output. A line of the output that begins
// with the same bytes, so many, is the same one with another value.
func (c *comparison) expect(same int) {
	c.code.move()
	c.sha.Write(c.line)
	c.n++
	want := c.line[:len(c.line)-1]
	for c.has && c.err == nil {
		switch order := bytes.Compare(c.got, want); {
		case order == 0:
			c.take()
			return
		case c.mixed, bytes.HasPrefix(c.got, c.line[:same]): // another value
			c.differ(want, c.got)
			c.take()
			return
		case order > 0:
			c.differ(want, nil)
			return
		}
		c.differ(nil, c.got)
		c.take()
	}
	c.differ(want, nil)
}

// differ counts a difference and keeps it while there is room.
func (c *comparison) differ(want, got []byte) {
	if c.bad++; len(c.diffs) >= keepDifferences || c.err != nil {
		return
	}
	d := Different{Partition: c.r, Line: c.lines.n}
	if !c.has {
		d.Line++ // behind the end
	}
	if want != nil {
		d.Expected = quote(want)
	}
	if got != nil {
		d.Got = quote(got)
	}
	c.diffs = append(c.diffs, d)
}

// finish takes what is left of the output.
func (c *comparison) finish() error {
	for c.has && c.err == nil {
		c.differ(nil, c.got)
		c.take()
	}
	if c.parts != nil && c.err == nil {
		c.lines.n, c.bad, c.err = c.parts.compare()
	}
	return c.err
}

// equal compares the digests besides the lines, where lines are all that there
// is in an output.
func (c *comparison) equal() bool {
	return c.bad == 0 && c.n == c.lines.n && c.lines.malformed == nil && (!c.text || c.wantHash() == c.lines.hash())
}

// wantHash is the SHA-256 that the output should have, in hex; "" where lines do
// not tell.
func (c *comparison) wantHash() string {
	if !c.text {
		return ""
	}
	return hex.EncodeToString(c.sha.Sum(nil))
}

// judge makes a finding of an output that differs.
func (c *comparison) judge(key string, find *finder) {
	if c.equal() {
		return
	}
	if c.parts != nil {
		find.merge(&c.parts.find)
		return
	}
	detail := fmt.Sprintf("; its SHA-256 is %s, not %s", c.lines.hash(), c.wantHash())
	if !c.text {
		detail = ""
	}
	if len(c.diffs) > 0 {
		d := c.diffs[0]
		detail = fmt.Sprintf("; first at line %d: expected %s, got %s", d.Line, orNone(d.Expected), orNone(d.Got))
	}
	find.add(Mismatch, key, "lines that differ from the reference: %d, of %d expected and %d found%s",
		c.bad, c.n, c.lines.n, detail)
}

func orNone(s string) string {
	if s == "" {
		return "no line"
	}
	return s
}

// compared is what is kept of a comparison; zero if the output is missing.
type compared struct {
	lines int64
	bad   *Compared // nil if all are equal
	diffs []Different
}

func (c *comparison) result() compared {
	res := compared{lines: c.n}
	if !c.equal() {
		res.diffs = c.diffs
		res.bad = &Compared{
			Partition: c.r, ExpectedLines: c.n, GotLines: c.lines.n, Different: c.bad,
			ExpectedHash: c.wantHash(), GotHash: c.lines.hash(),
		}
	}
	return res
}

// take adds a comparison to the report.
func (ref *Reference) take(c compared) {
	ref.Lines += c.lines
	if c.bad == nil {
		return
	}
	ref.Partitions = append(ref.Partitions, *c.bad)
	ref.Differences = append(ref.Differences, c.diffs[:min(len(c.diffs), keepDifferences-len(ref.Differences))]...)
}
