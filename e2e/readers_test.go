//go:build readers

package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReaders: DuckDB, pyarrow and pandas read the outputs of a job in every format and
// compression, and agree with each other and with the input on rows, values that are
// there, sums and lengths of text, also of text with line breaks. Outputs of zstd have several frames.
// MRAWS_READERS_PYTHON is a Python that has the three.
func TestReaders(t *testing.T) {
	python := readersPython(t)
	b := newPlainFixture(t)
	const rows = 150_000
	notes := []string{"plain", `"quoted", with a comma`, "été 東京", `back\slash`, "two  spaces ", "it's"}
	var text strings.Builder
	var want [9]float64
	texts := []string{"", `tab\there`, `two\nlines`, `CR\r\nLF`, `\\back\\`}
	plain := strings.NewReplacer(`\\`, `\`, `\t`, "\t", `\n`, "\n", `\r`, "\r")
	var escapes float64 // bytes that escapes have more than what they stand for
	for i := range rows {
		w, n, x, note := fmt.Sprintf("key-%06d", i), "", fmt.Sprint(float64(i)/8), fmt.Sprint(notes[i%len(notes)], strings.Repeat("-", 60), i)
		if i%10 != 3 {
			n = fmt.Sprint(i - 1000)
			want[1] += float64(i - 1000)
			want[2]++
		}
		want[0]++
		want[3] += float64(i) / 8
		if i%3 == 0 {
			want[4]++
		}
		want[5] += float64(len(w))
		want[6] += float64(len(note))
		more := ""
		if i%4 == 1 {
			more = fmt.Sprintf(`{"a": %d}`, i)
			want[8]++
		}
		raw := texts[i%len(texts)]
		want[7] += float64(len(plain.Replace(raw)))
		escapes += float64(len(raw) - len(plain.Replace(raw)))
		fmt.Fprintf(&text, "%s\t%s\t%s\t%v\t%s\t%s\t%s\n", w, n, x, i%3 == 0, raw, more, note)
	}
	input := b.write("rows.tsv", text.String(), 0o644)
	for _, format := range []string{"lines", "csv", "tsv", "json", "parquet"} {
		for _, compression := range []string{"none", "gzip", "zstd"} {
			name := format + "-" + compression
			t.Run(name, func(t *testing.T) {
				out := filepath.Join(b.dir, name)
				args := []string{"run", "--prefix", name, "--mapper", "cat", "--reducer", "cat", "--nreduce", "2", "--output-format", format, "--output-compression", compression, "--out", out}
				if format != "lines" {
					args = append(args, "--output-columns", "w,n:int,x:float,ok:bool,raw:text,more:json,note")
				}
				b.run(0, append(args, input)...)
				files, err := filepath.Glob(filepath.Join(out, "mr-out-*"))
				if err != nil || len(files) != 2 {
					t.Fatalf("%v, %q", err, files)
				}
				c := exec.Command(python, append([]string{filepath.Join("testdata", "readers.py"), format}, files...)...)
				c.Stderr = os.Stderr
				data, err := c.Output()
				if err != nil {
					t.Fatalf("%v: %s", err, data)
				}
				want := want
				if format == "lines" {
					want[7] += escapes
				}
				var got map[string][9]float64
				if err := json.Unmarshal(data, &got); err != nil || len(got) != 3 {
					t.Fatalf("%v: %s", err, data)
				}
				for reader, sums := range got {
					for i := range sums {
						if math.Abs(sums[i]-want[i]) > 1e-6 {
							t.Errorf("%s: %v, want %v", reader, sums, want)
							break
						}
					}
				}
			})
		}
	}
}
