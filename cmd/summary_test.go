package cmd

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
)

// golden compares a text with the file of that name in testdata/screen, which -update
// writes.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "screen", name+".golden")
	if flag.Lookup("update").Value.String() == "true" { // of chain_test.go
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

// someSuccess is the summary of a job in which much has happened.
func someSuccess() *manifest.Success {
	sum := recordio.Sum{Records: 123456789, Bytes: 11 << 30}
	return &manifest.Success{
		Job: "wc-01jd9z6t3m", App: manifest.App{Kind: manifest.Go, Name: "wc"}, NReduce: 3, Seconds: 131, Waited: 12,
		Finished: time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local),
		Map:      manifest.Attempts{Tasks: 64, Reused: 12, Granted: 55, Adopted: 1, Failed: 1, Lost: 2, Speculative: 1, SpeculativeCommitted: 1},
		Reduce:   manifest.Attempts{Tasks: 3, Granted: 3}, Input: manifest.Input{Records: 412345678, Bytes: 38 << 30}, Skipped: 2,
		Shuffled: sum, Read: sum, Keys: 373597,
		Outputs:  []manifest.Output{{Size: 400 << 20, Lines: 100000}, {Size: 700 << 20, Lines: 200000}, {Size: 100 << 20, Lines: 73597}},
		Counters: map[string]int64{"lines without a date": 12, "visitors": 1234567},
		Receipt:  &manifest.Receipt{Sent: 3 << 30, Received: 41 << 30, USD: 0.0197, Region: "eu-west-1"},
		Requests: map[string]int64{"GetObject": 8000, "PutObject": 2500, "UploadPart": 640, "CreateMultipartUpload": 80, "CompleteMultipartUpload": 80, "ListObjectsV2": 4},
		Skew: &manifest.Skew{Partition: 1, Records: 1, Bytes: 6 << 30, Heaviest: []manifest.HeavyKey{
			{Text: `"the"`, Records: 1, Bytes: 2 << 30}, {Text: `"and a key that is rather long, as some are"`, Records: 1, Bytes: 1 << 30}, {Text: `"rare"`, Records: 1, Bytes: 9},
		}},
	}
}

// TestSuccessText: the summary of a job fits into the columns that there are.
func TestSuccessText(t *testing.T) {
	lay := layout.New("counts")
	for _, width := range []int{60, 80, 120} {
		text := successText(someSuccess(), false, "logs", lay, width) + "\n"
		golden(t, fmt.Sprint("summary-", width), text)
		for _, line := range strings.Split(text, "\n") {
			if n := len([]rune(line)); n > width {
				t.Errorf("%d columns of %d: %s", n, width, line)
			}
		}
	}
	plain := &manifest.Success{
		Job: "grep-1", Finished: time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local), Seconds: 0.4, Map: manifest.Attempts{Tasks: 1, Granted: 1},
		Outputs: []manifest.Output{{Size: 1, Lines: 1}},
	}
	golden(t, "summary-map-only", successText(plain, true, "logs", lay, 80)+"\n")
}
