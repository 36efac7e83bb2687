package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/output"
	"github.com/mraws/mraws/internal/output/parquet"
	"github.com/mraws/mraws/mr"
)

// parquetOf reads Parquet as cmd does.
func parquetOf(r io.ReaderAt, size int64) (ParquetRows, error) {
	rows, err := parquet.Open(r, size)
	return parquetText{rows}, err
}

type parquetText struct{ *parquet.Reader }

func (p parquetText) Columns() (columns []string) {
	for _, c := range p.Reader.Columns() {
		columns = append(columns, c.Name+":"+string(c.Type))
	}
	return columns
}

// written is what a job writes in a format: pairs, and lines where the key is "".
func written(t testing.TB, c manifest.Choice, records [][2]string) []byte {
	t.Helper()
	f, err := output.Resolve(c.Name, c.Options)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	e, err := f.Encoder(&b, output.Libraries{Parquet: parquet.NewWriter})
	for _, r := range records {
		if r[0] == "" {
			err = errors.Join(err, e.Line([]byte(r[1])))
		} else {
			err = errors.Join(err, e.Key([]byte(r[0])), e.Value([]byte(r[1])))
		}
	}
	if err = errors.Join(err, e.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// recordsIn reads an output to its end.
func recordsIn(t *testing.T, c manifest.Choice, text []byte) (records []string, malformed error) {
	t.Helper()
	opt := Options{Scratch: t.TempDir(), ParquetOutput: parquetOf}
	o := newOutputReader(opt.linesOf(c), bytes.NewReader(text))
	defer o.close()
	for {
		line, err := o.next()
		if errors.Is(err, io.EOF) {
			return records, o.malformed
		}
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, string(line))
	}
}

// TestOutputTables: what the encoders write is read as the rows that the verifier itself
// makes of keys, values and lines, in every format and compression; and an output that
// was cut off or damaged is no output.
func TestOutputTables(t *testing.T) {
	typed := [][2]string{
		{"a b", "7\t1.50\ttrue\t{\"b\": [1, null],\"a\":\"\\u00e9\"}\tx\ty"}, {"a", "-007\t1e21\tfalse\t1e400\t\""}, {"é", "\t\t\t\t"},
		{"", "line\t+0\t-0.1\ttrue\t\"\\n\"\tcr\r\nlf\n"}, {"\"q\"", "9223372036854775807\t5e-324\tfalse\t[]\t,"},
	}
	texts := [][2]string{
		{`a\tb` + "\t" + `q\\n`, "1\t" + `cr\r\nlf`}, {"é\t", "\t\t"}, {"", `\n` + "\t\t-2\tthe\trest"},
	}
	plain := [][2]string{{"a", "1\t2"}, {"", "alone"}, {"", "x\ty\tz"}, {"\t", ""}, {"k", "v v"}}
	for _, name := range []string{"csv", "tsv", "json", "parquet"} {
		for _, compression := range []string{"", output.Gzip, output.Zstd} {
			for columns, records := range map[string][][2]string{"k,n:int,x:float,ok:bool,j:json,s": typed, "k:text,p:text,n:int,s:text": texts, "": plain, "only": {{"", "a\tb"}, {"c", ""}}, "n:int": {{"5", ""}, {"", "6"}}} {
				c := manifest.Choice{Name: name, Options: map[string]string{}}
				if compression != "" {
					c.Options["compression"] = compression
				}
				if columns != "" {
					c.Options["columns"] = columns
				}
				text := written(t, c, records)
				got, malformed := recordsIn(t, c, text)
				var want []string
				for _, r := range records {
					row, keyed, err := tableOf(c).row([]byte(r[0]), []byte(r[1]), r[0] != "")
					if err != nil || r[0] != "" && keyed != len(r[0]) {
						t.Fatalf("%s: %v, key of %d bytes", c, err, keyed)
					}
					want = append(want, string(row))
				}
				if malformed != nil || !slices.Equal(got, want) {
					t.Errorf("%s: %v\n%q\nwant\n%q", c, malformed, got, want)
				}
				if _, malformed := recordsIn(t, c, text[:len(text)-1]); malformed == nil && (compression != "" || name == "parquet") {
					t.Errorf("%s: cut off, and nobody says so", c)
				}
			}
		}
	}
}

// TestMalformedTables: each way in which an output is none of its format is said.
func TestMalformedTables(t *testing.T) {
	columns := map[string]string{"columns": "w,n:int"}
	for _, tt := range []struct{ name, text, says string }{
		{"csv", "", "it has no header"},
		{"csv", "w,m\n", `its header has "m" in place of column n`},
		{"csv", "w,n\na,1,2\n", "wrong number of fields"},
		{"csv", "w,n\na,\"1\n", `extraneous or missing " in quoted-field`},
		{"csv", "w,n\na,x\n", `row 1: column n: "x" is no int`},
		{"csv", "w,n\na,9223372036854775808\n", `is no int`},
		{"tsv", "w\tn\na,1\n", "wrong number of fields"},
		{"json", "{\"w\":\"a\"}\n", "line 1 has 1 fields"},
		{"json", "{\"w\":\"a\",\"m\":1}\n", "line 1 has no field n"},
		{"json", "{\"w\":1,\"n\":1}\n", "field w is no string: \"1\""},
		{"json", "{\"w\":null,\"n\":1}\n", "field w is no string: \"null\""},
		{"json", "{\"w\":\"a\",\"n\":\"1\"}\n", `column n: "\"1\"" is no int`},
		{"json", "{\"w\":\"a\",\"n\":1}", "its last line, 1, does not end"},
		{"json", "[]\n", "line 1 has 0 fields"},
		{"parquet", "PAR1PAR1PAR1", ""},
	} {
		if _, malformed := recordsIn(t, manifest.Choice{Name: tt.name, Options: columns}, []byte(tt.text)); malformed == nil || !strings.Contains(malformed.Error(), tt.says) {
			t.Errorf("%s %q: %v, want %s", tt.name, tt.text, malformed, tt.says)
		}
	}
	other := written(t, manifest.Choice{Name: "parquet", Options: map[string]string{"columns": "w,n:float"}}, [][2]string{{"a", "1"}})
	if _, malformed := recordsIn(t, manifest.Choice{Name: "parquet", Options: columns}, other); malformed == nil || !strings.Contains(malformed.Error(), `it has the columns ["w:string" "n:float"]`) {
		t.Error(malformed)
	}
}

// TestTableJobs: a job whose output is a table is verified as one of lines is: by its
// keys, by the reference, and by the check of the app.
func TestTableJobs(t *testing.T) {
	for _, name := range []string{"csv", "tsv", "json", "parquet"} {
		for _, compression := range []string{"", "text", output.Gzip, output.Zstd} {
			j := wcJob()
			j.output, j.options = name, map[string]string{"columns": "word,count:int"}
			if compression == "text" {
				compression, j.options["columns"] = "", "word:text,count:int"
			}
			if compression != "" {
				j.options["compression"] = compression
			}
			s, lay := j.build(t)
			opt := Options{Scratch: t.TempDir(), ParquetOutput: parquetOf}
			if rep := run(t, s, layout.New(j.prefix), j.app, opt); !rep.OK() || rep.Reference.State != OK || rep.Reference.Lines == 0 || rep.Proof.Lines != rep.Reference.Lines {
				t.Errorf("%s %s: %+v\n%s", name, compression, rep.Reference, show(rep))
			}
			checked := j.app
			n := 0
			checked.Check = func(lines iter.Seq2[mr.Line, error], _ mr.CheckInfo) error {
				for line, err := range lines {
					if word, count, ok := strings.Cut(line.Text, " "); err != nil || !ok || word == "" || count == "" {
						return fmt.Errorf("%q, %w", line.Text, err)
					}
					n++
				}
				return nil
			}
			if rep := run(t, s, layout.New(j.prefix), checked, opt); !rep.OK() || n == 0 {
				t.Errorf("%s %s: %d lines\n%s", name, compression, n, show(rep))
			}
			for text, tt := range map[string]struct {
				records [][2]string
				kind    Kind
			}{
				"another count": {[][2]string{{"a", "3000"}}, Mismatch},
				"a foreign key": {[][2]string{{"!", "1"}}, ForeignLine},
			} {
				s, lay := j.build(t)
				key := lay.Output(0)
				data := written(t, manifest.Choice{Name: name, Options: j.options}, tt.records)
				attempt := s.objs[key].meta[manifest.MetaAttempt]
				s.put(key, data, s.objs[key].meta)
				hash := sha256.Sum256(data)
				edit(t, s, lay.ReduceAttempt(0, attempt), manifest.ReduceSchema, func(r *manifest.Reduce) {
					r.Output.Size, r.Output.Lines, r.Output.Hash = int64(len(data)), int64(len(tt.records)), hex.EncodeToString(hash[:])
				})
				rep := run(t, s, layout.New(j.prefix), j.app, opt)
				if !slices.ContainsFunc(rep.Findings, func(f Finding) bool { return f.Kind == tt.kind && f.Key == key }) {
					t.Errorf("%s %s, %s: no %s\n%s", name, compression, text, tt.kind, show(rep))
				}
			}
			s.rot(lay.Output(1), func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
			if rep := run(t, s, layout.New(j.prefix), j.app, opt); rep.OK() {
				t.Errorf("%s %s: one bit is another, and nobody says so", name, compression)
			}
		}
	}
}

// FuzzParquet: a file that was damaged is rows or an error, never the end of the
// process.
func FuzzParquet(f *testing.F) {
	c := manifest.Choice{Name: "parquet", Options: map[string]string{"columns": "w,n:int"}}
	f.Add(uint32(40), byte(7))
	f.Fuzz(func(t *testing.T, at uint32, flip byte) {
		text := written(t, c, [][2]string{{"a", "1"}, {"b", "2"}, {"c", ""}})
		text[int(at)%len(text)] ^= flip
		got, malformed := recordsIn(t, c, text)
		if malformed == nil && len(got) != 3 {
			t.Errorf("%d rows and no error: %q", len(got), got)
		}
	})
}
