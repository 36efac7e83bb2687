package task

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	pq "github.com/parquet-go/parquet-go"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/parquet"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// join joins the values of a key.
func join(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
	var b []byte
	for v := range values {
		b = append(append(b, v...), ' ')
	}
	out.Write(b)
	return nil
}

// byPath adds a row's bytes to its path, read by column.
var byPath = func() mr.App {
	app := testkit.App("by-path", func(rec mr.Record, out mr.Emitter) error {
		n, err := rec.Fields.Int(0)
		if err != nil {
			return err
		}
		if rec.Data != nil || rec.Fields.Len() != 2 {
			return fmt.Errorf("%d columns, and the line %q", rec.Fields.Len(), rec.Data)
		}
		out.Emit(fmt.Appendf(nil, "%q", rec.Fields.Text(1)), fmt.Appendf(nil, "%d@%d", n, rec.Offset))
		return nil
	}, join, nil)
	app.Input = mr.Rows
	app.Columns = func(map[string]string) ([]string, error) { return []string{"bytes", "path"}, nil }
	return app
}()

// byLine lists where each line is.
var byLine = testkit.App("by-line", func(rec mr.Record, out mr.Emitter) error {
	out.Emit(fmt.Appendf(nil, "%q", rec.Data), fmt.Append(nil, rec.Offset))
	return nil
}, join, nil)

// tableObject is an object of a format, and a twin that is damaged.
type tableObject struct {
	format  manifest.Choice
	text    string
	damaged string
	what    string // is wrong with it
}

func tableObjects(t *testing.T) map[string]tableObject {
	type row struct {
		Path  string `parquet:"path,dict"`
		Bytes int64  `parquet:"bytes"`
		Agent string `parquet:"agent"`
	}
	var csv, tsv, lines strings.Builder
	var file bytes.Buffer
	w := pq.NewGenericWriter[row](&file, pq.PageBufferSize(512))
	csv.WriteString("agent,path,bytes\r\n")
	tsv.WriteString("path\tbytes\n")
	for i := range 400 {
		path := []string{"/", "/a,\"b\"\n", "/é"}[i%3]
		fmt.Fprintf(&csv, "agent %d,\"%s\",%d\r\n", i, strings.ReplaceAll(path, `"`, `""`), i)
		fmt.Fprintf(&tsv, "\"%s\"\t%d\n", strings.ReplaceAll(path, `"`, `""`), i)
		fmt.Fprintf(&lines, "{\"bytes\":%d,\"x\":{\"y\":[1]},\"path\":%q}\n", i, path)
		if _, err := w.Write([]row{{path, int64(i), "agent"}}); err != nil {
			t.Fatal(err)
		}
		if i%50 == 49 {
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	twin := func(text, old, with string) string {
		at := strings.LastIndex(text[:len(text)/2], old)
		if at < 0 {
			t.Fatalf("nothing to damage: %q", old)
		}
		return text[:at] + with + text[at+len(old):]
	}
	broken := bytes.Clone(file.Bytes())
	broken[len(broken)/2] ^= 0xff
	choice := func(name string, options ...string) manifest.Choice {
		c := manifest.Choice{Name: name, Given: true}
		for i := 0; i < len(options); i += 2 {
			if c.Options == nil {
				c.Options = map[string]string{}
			}
			c.Options[options[i]] = options[i+1]
		}
		return c
	}
	return map[string]tableObject{
		"csv":       {choice("csv"), csv.String(), twin(csv.String(), "agent ", "agent,"), "it has 4 fields in place of 3"},
		"tsv":       {choice("tsv"), tsv.String(), twin(tsv.String(), "\"\t", "\"x\t"), "something follows the quote that ends field 1"},
		"json":      {choice("json"), lines.String(), twin(lines.String(), "[1]", "[1"), "the line is no JSON at its byte"},
		"parquet":   {choice("parquet"), file.String(), string(broken), "row group "},
		"fixed":     {choice("fixed", "size", "7"), strings.Repeat("seven7\n", 300), "", ""},
		"delimiter": {choice("delimiter", "by", "ab"), strings.Repeat("x\nab", 300) + "y", "", ""},
	}
}

func tableJob(t *testing.T, app mr.App, c manifest.Choice, text string, split int64, skip int64) *fixture {
	w := newFixture(app, 2, 0, 1, file{"o", text})
	w.Spec.MaxBad = manifest.Budget{Records: skip}
	planned(t, w, c, split)
	return w
}

func (w *fixture) runTables(t *testing.T) ([]string, error) {
	e := w.env(t)
	e.Parquet = parquet.Read
	for m := range w.Spec.Tasks {
		e.Progress = new(Progress)
		if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, m, fmt.Sprintf("m%d", m)}); err != nil {
			return nil, err
		}
	}
	for r := range w.Spec.NReduce {
		e.Progress = new(Progress)
		if _, err := e.Run(context.Background(), Attempt{mr.ReducePhase, r, fmt.Sprintf("r%d", r)}); err != nil {
			return nil, err
		}
	}
	return w.Outputs(t), nil
}

// TestTables: of each format, a job whose object is cut has the output of one whose
// object is not, by line and by column. A damaged twin is an error that says where, and
// with a budget its bad records are left out, in the same way.
func TestTables(t *testing.T) {
	for name, o := range tableObjects(t) {
		for _, app := range []mr.App{byLine, byPath} {
			if app.Input == mr.Rows && o.damaged == "" {
				continue // no rows
			}
			t.Run(name+" "+app.Name, func(t *testing.T) {
				whole, err := tableJob(t, app, o.format, o.text, 1<<20, 0).runTables(t)
				if err != nil {
					t.Fatal(err)
				}
				var skipped []string
				if o.damaged != "" {
					if skipped, err = tableJob(t, app, o.format, o.damaged, 1<<20, 1).runTables(t); err != nil {
						t.Fatal(err)
					}
					if cmp.Equal(whole, skipped) {
						t.Fatal("nothing is damaged")
					}
				}
				for _, split := range []int64{100, 999, 5000} {
					w := tableJob(t, app, o.format, o.text, split, 0)
					if len(w.Spec.Tasks) < 2 && split < 5000 {
						t.Fatalf("%d tasks", len(w.Spec.Tasks))
					}
					got, err := w.runTables(t)
					if diff := cmp.Diff(whole, got); err != nil || diff != "" {
						t.Fatalf("split %d: %v, -whole +cut:\n%s", split, err, diff)
					}
					if o.damaged == "" {
						continue
					}
					_, err = tableJob(t, app, o.format, o.damaged, split, 0).runTables(t)
					var fatal *FatalError
					if !errors.As(err, &fatal) || !strings.Contains(err.Error(), o.what) || !strings.Contains(err.Error(), " of o: ") {
						t.Fatalf("split %d: %v, want %s", split, err, o.what)
					}
					got, err = tableJob(t, app, o.format, o.damaged, split, 1).runTables(t)
					if diff := cmp.Diff(skipped, got); err != nil || diff != "" {
						t.Fatalf("split %d, damaged: %v, -whole +cut:\n%s", split, err, diff)
					}
				}
			})
		}
	}
}

// TestRowsRefused: an application that reads rows gets no lines.
func TestRowsRefused(t *testing.T) {
	w := tableJob(t, byPath, manifest.Choice{Name: manifest.Lines, Given: true}, "x\n", 100, 0)
	if _, err := w.runTables(t); err == nil || !strings.Contains(err.Error(), "app by-path reads rows of a table, and the job reads lines") {
		t.Error(err)
	}
	app := byPath
	app.Columns = func(map[string]string) ([]string, error) { return nil, errors.New("no column") }
	if _, err := tableJob(t, app, manifest.Choice{Name: "json", Given: true}, "{}\n", 100, 0).runTables(t); err == nil || !strings.Contains(err.Error(), "columns of app by-path: no column") {
		t.Error(err)
	}
	app = byPath
	e := tableJob(t, app, manifest.Choice{Name: "parquet", Given: true}, "0123456789abc", 100, 0).env(t)
	if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, 0, "m0"}); err == nil || !strings.Contains(err.Error(), "this program has no reader of Parquet") {
		t.Error(err)
	}
}
