package verify

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/output"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// seen is a record with its length.
type seen struct {
	rec    mr.Record
	length int64
}

// TestRecords: the reference's reader and the workers' find the same records in
// every text, those that are too long as well.
func TestRecords(t *testing.T) {
	word := rapid.SampledFrom([]string{"\n", "\n", "\r\n", "\r", "a", "abcdef", "é", "\x00", strings.Repeat("x", 40), strings.Repeat("y", 70<<10)})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(word, 0, 30).Draw(t, "text"), "")
		most := rapid.SampledFrom([]int{0, 1, 7, 41, 1000}).Draw(t, "most")
		in := rapid.SampledFrom([]mr.Input{mr.Lines, mr.NumberedLines, mr.WholeObjects}).Draw(t, "input")
		open := func(off, n int64) (io.ReadCloser, error) {
			return io.NopCloser(iotest.HalfReader(strings.NewReader(text[off : off+n]))), nil
		}
		body := func(off, n int64) (input.Body, error) {
			r, err := open(off, n)
			return inputBody{input.NewBuffered(r, n), r}, err
		}
		size := int64(len(text))
		var unpack func(io.Reader) io.ReadCloser
		if size > 0 && rapid.Bool().Draw(t, "unpacked") {
			unpack = func(r io.Reader) io.ReadCloser { return io.NopCloser(r) }
		}
		theirs := workersRecords(t, in, input.Piece{Object: "o", Size: size, Length: size, Open: body, Decode: unpack}, most)
		var ours []seen
		r := newRecords(in, Object{Name: "o", Size: size, MaxRecord: most, Open: open, Unpack: unpack})
		for {
			var long *input.TooLongError
			err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil && !errors.As(err, &long) {
				t.Fatal(err)
			}
			rec, length := r.Record()
			if (long != nil) != (rec.Data == nil) {
				t.Fatalf("record of %d bytes: %v, with data %t", length, long, rec.Data != nil)
			}
			rec.Data = bytes.Clone(rec.Data)
			ours = append(ours, seen{rec, length})
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(theirs, ours, cmp.AllowUnexported(seen{})); diff != "" {
			t.Fatalf("-workers +reference:\n%s", diff)
		}
	})
}

// inputBody is a reader as the worker's reader wants it.
type inputBody struct {
	input.Source
	io.Closer
}

func workersRecords(t *rapid.T, in mr.Input, p input.Piece, most int) (all []seen) {
	r, err := input.Read(wire.DescribeApp(mr.App{Input: in}, nil).Spec(nil).InputFormat(), p, most)
	if err != nil {
		t.Fatal(err)
	}
	for {
		for r.Next() {
			rec := r.Record()
			rec.Data = append([]byte{}, rec.Data...)
			all = append(all, seen{rec, int64(len(rec.Data))})
		}
		if r.Err() == nil {
			break
		}
		rec, n, err := r.Skip()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, seen{rec, n})
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestRecordsOfOtherSize: a body that ends early, or does not end, is an error.
func TestRecordsOfOtherSize(t *testing.T) {
	for size, want := range map[int64]string{3: "more than its 3 bytes", 5: io.ErrUnexpectedEOF.Error()} {
		for _, in := range []mr.Input{mr.Lines, mr.WholeObjects} {
			open := func(int64, int64) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("a\nbc")), nil }
			r := newRecords(in, Object{Name: "o", Size: size, Open: open})
			var err error
			for err == nil {
				err = r.Next()
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("size %d: %v, want %s", size, err, want)
			}
		}
	}
}

// blocky is a word count whose MapBlock must not be called.
type blocky struct{ mr.Mapper }

func (blocky) MapBlock(mr.Record, mr.Emitter) error { return errors.New("MapBlock was called") }

// TestReferenceMapsLineByLine: the reference does not take the way by blocks of
// lines that the job takes.
func TestReferenceMapsLineByLine(t *testing.T) {
	app := wordCount()
	inner := app.NewMapper
	app.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
		m, err := inner(t)
		return blocky{m}, err
	}
	j := testJob{app: app, reduces: 2, inputs: map[string]string{"in": "a b\nb c\n\nd"}}
	s, lay := j.build(t)
	rep := run(t, s, lay, app, Options{Scratch: t.TempDir()})
	if !rep.OK() || rep.Reference.State != OK || rep.Reference.Records != 4 {
		t.Errorf("%+v\n%s", rep.Reference, show(rep))
	}
}

// TestReferenceInPlainCode: what an app does fast and wrong is found if it
// names itself in plain code as its reference, also where both emit other
// numbers of pairs.
func TestReferenceInPlainCode(t *testing.T) {
	fast, plain := wordCount(), wordCount()
	fast.NewMapper = func(*mr.Task) (mr.Mapper, error) {
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			words := bytes.Fields(rec.Data)
			slices.SortFunc(words, bytes.Compare)
			for _, w := range slices.CompactFunc(words, bytes.Equal) { // forgets those that come twice
				out.Emit(w, mr.AppendInt64(nil, 1))
			}
			return nil
		}), nil
	}
	fast.Reference = &plain
	for text, ok := range map[string]bool{"a b\nb c\n": true, "a b b\n": false} {
		j := testJob{app: fast, reduces: 2, inputs: map[string]string{"in": text}}
		s, lay := j.build(t)
		rep := run(t, s, lay, fast, Options{Scratch: t.TempDir()})
		if rep.OK() != ok || len(rep.Notes) > 0 || !ok && rep.Findings[0].Kind != Mismatch {
			t.Errorf("%q: %s, notes %q", text, show(rep), rep.Notes)
		}
	}
}

// TestReadersOfFormats: the verifier has a reader of its own for every format that
// the program has, and names a format that it has none for.
func TestReadersOfFormats(t *testing.T) {
	for text, tt := range map[string]struct {
		choice manifest.Choice
		err    string
	}{
		"lines":         {manifest.Choice{Name: manifest.Lines}, ""},
		"numbered":      {manifest.Choice{Name: manifest.Lines, Options: map[string]string{manifest.Numbered: "true"}}, ""},
		"objects":       {manifest.Choice{Name: manifest.Objects}, ""},
		"indexed":       {manifest.Choice{Name: "indexed"}, "verify cannot read input indexed: it has no reader"},
		"other options": {manifest.Choice{Name: manifest.Lines, Options: map[string]string{"by": "2"}}, "verify cannot read input lines by=2"},
	} {
		if _, err := recordsOf(tt.choice); (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for name := range input.Formats {
		if _, err := recordsOf(manifest.Choice{Name: name}); err != nil && name != "indexed" && name != "clauses" {
			t.Error(err)
		}
	}
	for name := range output.Formats {
		opt := Options{ParquetOutput: func(io.ReaderAt, int64) (ParquetRows, error) { return nil, errors.New("no file") }}
		if opt.linesOf(manifest.Choice{Name: name}) == nil && name != "framed" {
			t.Errorf("the verifier has no reader for output %s", name)
		}
	}
	if (Options{}).linesOf(manifest.Choice{Name: manifest.Lines, Options: map[string]string{"by": "2"}}) != nil || (Options{}).linesOf(manifest.Choice{Name: "parquet"}) != nil {
		t.Error("the verifier reads output with an option that it does not know")
	}
}

func init() { testkit.AddFormats() }

// TestOtherOutput: of an output that the verifier cannot read the bytes are held
// against the record, and nobody says that they were compared with a reference.
func TestOtherOutput(t *testing.T) {
	j := wcJob()
	j.output = "framed"
	s, lay := j.build(t)
	rep, err := Run(t.Context(), s, lay, Options{Scratch: t.TempDir()})
	if err != nil || !rep.OK() || rep.Proof.State != OK || rep.Proof.Lines != 0 || !slices.ContainsFunc(rep.Notes, func(n string) bool {
		return strings.HasPrefix(n, "verify cannot read output framed: it has no reader")
	}) {
		t.Errorf("%v, %+v\n%s", err, rep.Proof, show(rep))
	}
	_, err = Run(t.Context(), s, lay, Options{Scratch: t.TempDir(), App: "wc", Lookup: func(string) *mr.App { return &j.app }})
	if err == nil || !strings.Contains(err.Error(), "verify cannot read output framed") {
		t.Errorf("with an app: %v", err)
	}
	s.rot(lay.Output(0), func(b []byte) []byte { b[3] ^= 1; return b })
	rep, err = Run(t.Context(), s, lay, Options{Scratch: t.TempDir()})
	if err != nil || len(rep.Findings) != 1 || rep.Findings[0].Kind != BadOutput {
		t.Errorf("one bit is another: %v\n%s", err, show(rep))
	}
}
