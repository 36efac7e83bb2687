//go:build readers

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPartitionReaders: DuckDB, pyarrow and pandas read the folders of a partitioned output
// in every format and compression as tables with the columns of the folders, and agree with
// each other and with the input on counts and sums, also of rows without a value and of one
// with characters that are escaped.
func TestPartitionReaders(t *testing.T) {
	python := readersPython(t)
	b := newPlainFixture(t)
	regions := []string{"north", "a/b=c 50%", "Zürich", "100"}
	var text strings.Builder
	var want [6]int
	for i := range 40_000 {
		year, region := fmt.Sprint(2020+i%9), regions[i%len(regions)]
		if i%9 == 8 {
			year = ""
			want[3]++
		}
		if year == "2026" {
			want[2]++
		}
		if region == regions[1] {
			want[4] += i
		}
		want[0]++
		want[1] += i
		fmt.Fprintf(&text, "w%d\t%s\t%s\t%d\n", i%1000, year, region, i)
	}
	want[5] = len(regions)
	input := b.write("rows.tsv", text.String(), 0o644)
	for _, format := range []string{"lines", "csv", "tsv", "json", "parquet"} {
		for _, compression := range []string{"none", "gzip", "zstd"} {
			name := format + "-" + compression
			t.Run(name, func(t *testing.T) {
				out := filepath.Join(b.dir, name)
				b.run(0, "run", "--prefix", name, "--mapper", "cat", "--reducer", "cat", "--nreduce", "2", "--output-format", format, "--output-compression", compression,
					"--output-columns", "w,year:int,region,n:int", "--output-partition", "year,region", "--verify", "--out", out, input)
				ending := map[string]string{"lines": "", "csv": ".csv", "tsv": ".tsv", "json": ".json", "parquet": ".parquet"}[format]
				if format != "parquet" {
					ending += map[string]string{"gzip": ".gz", "zstd": ".zst"}[compression]
				}
				c := exec.Command(python, filepath.Join("testdata", "partitions.py"), format, out, ending)
				c.Stderr = os.Stderr
				data, err := c.Output()
				if err != nil {
					t.Fatalf("%v: %s", err, data)
				}
				var got map[string][6]int
				if err := json.Unmarshal(data, &got); err != nil || len(got) != 3 {
					t.Fatalf("%v: %s", err, data)
				}
				for reader, sums := range got {
					if sums != want {
						t.Errorf("%s: %v, want %v", reader, sums, want)
					}
				}
			})
		}
	}
}
