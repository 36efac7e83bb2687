package verify

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// clauses reads the test format of that name from the first byte of an object to
// the last, and so need not guess.
type clauses struct {
	text []byte
	at   int
	rec  mr.Record
	read func() ([]byte, error)
}

func (c *clauses) Next() error {
	if c.read != nil {
		text, err := c.read()
		if c.text, c.read = text, nil; err != nil {
			return err
		}
	}
	depth := 0
	for i, b := range c.text[c.at:] {
		depth += bytes.Count([]byte{b}, []byte{'['}) - bytes.Count([]byte{b}, []byte{']'})
		if b == ';' && depth == 0 {
			c.rec.Offset, c.rec.Data = int64(c.at), c.text[c.at:c.at+i]
			c.at += i + 1
			return nil
		}
	}
	return io.EOF
}

func (c *clauses) Record() (mr.Record, int64) { return c.rec, int64(len(c.rec.Data)) }
func (c *clauses) Close() error               { return nil }

func init() {
	Inputs["clauses"] = InputKind{nil, func(_ map[string]string, o Object) Records {
		return &clauses{rec: mr.Record{Object: o.Name}, read: func() ([]byte, error) {
			body := o.Body()
			defer body.Close()
			return io.ReadAll(body)
		}}
	}}
}

// clauseJob is a job of three map tasks over the object a and one over b.
func clauseJob(app mr.App, text string) testJob {
	return testJob{
		app: app, reduces: 2, prefix: "p", input: "clauses", split: 10, maxBad: manifest.Budget{Records: 5},
		inputs: map[string]string{"a": text, "b": "the end;"},
	}
}

// TestSeamsIntact: pieces whose readers have guessed right, with records that were
// skipped, where records begin before and behind the cuts.
func TestSeamsIntact(t *testing.T) {
	for _, text := range []string{"one;two;three;bad;four;five;x", "a long one over it all;bad;", "no record at all, none", "[1;2;3;4];bad;[7;8];ends;"} {
		j := clauseJob(brittle("bad"), text)
		s, lay := j.build(t)
		rep := run(t, s, lay, j.app, Options{Scratch: t.TempDir()})
		if !rep.OK() || rep.Reference.State != OK || rep.Structure.Skipped != int64(strings.Count(text, "bad;")) {
			t.Errorf("%q: skipped %d\n%s", text, rep.Structure.Skipped, show(rep))
		}
	}
}

// TestSeamsForged: extents of neighbours that do not meet are found, also where
// each is one that its piece can have; and those that meet and are of other
// records.
func TestSeamsForged(t *testing.T) {
	at := func(n int64) input.Position { return input.Position{Offset: n} }
	for name, tt := range map[string]struct {
		text   string
		edit   func(e *manifest.Extent) // of map task 1
		key    func(layout.Layout) string
		detail string
	}{
		"begins before": {"one;two;three;four;five;six;", func(e *manifest.Extent) { e.Began = at(10) }, nil,
			"begin at byte 10+0, and map task 0 read up to byte 14+0"},
		"goes on behind": {"one;two;three;four;five;six;", func(e *manifest.Extent) { e.WentOn = at(26) },
			func(l layout.Layout) string { return l.MapCommit(2) }, "begin at byte 24+0, and map task 1 read up to byte 26+0"},
		"guessed wrong": {"one;two;[thr;ee;four;fi;ve];six;", nil, nil, "begin at byte 13+0, and map task 0 read up to byte 28+0"},
	} {
		t.Run(name, func(t *testing.T) {
			j := clauseJob(brittle("bad"), tt.text)
			s, lay := j.build(t)
			if tt.edit != nil {
				edit(t, s, lay.MapCommit(1), manifest.MapSchema, func(m *manifest.Map) { tt.edit(&m.Extents[0]) })
			}
			key := lay.MapCommit(1)
			if tt.key != nil {
				key = tt.key(lay)
			}
			rep := run(t, s, lay, j.app, Options{Scratch: t.TempDir()})
			for _, f := range rep.Findings {
				if f.Key == key && f.Kind == BadSum && strings.Contains(f.Detail, tt.detail) {
					return
				}
			}
			t.Errorf("no finding of %s with %q among\n%s", key, tt.detail, show(rep))
		})
	}
	// Both neighbours tell of a cut where none is.
	j := clauseJob(brittle("bad"), "one;two;three;four;five;six;")
	s, lay := j.build(t)
	edit(t, s, lay.MapCommit(0), manifest.MapSchema, func(m *manifest.Map) { m.Extents[0].WentOn = at(4) })
	edit(t, s, lay.MapCommit(1), manifest.MapSchema, func(m *manifest.Map) { m.Extents[0].Began = at(4) })
	if rep := run(t, s, lay, j.app, Options{Scratch: t.TempDir()}); rep.OK() {
		t.Error("extents of other records than were read are believed")
	}
	edit(t, s, lay.MapCommit(1), manifest.MapSchema, func(m *manifest.Map) { m.Extents = nil })
	if rep := run(t, s, lay, j.app, Options{Scratch: t.TempDir()}); rep.OK() {
		t.Error("a record without extents is believed")
	}
}
