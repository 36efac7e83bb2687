package gen

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// TestSameEverywhere pins the bytes: a change of one makes all figures ever
// measured incomparable, and needs another name of the input.
func TestSameEverywhere(t *testing.T) {
	cases := []struct {
		name string
		fill func(io.Writer) error
		want string
	}{
		{"text", func(w io.Writer) error { return Text(w, 100_000, 3000, 1) }, "8bf1a4dd06dda196"},
		{"records", func(w io.Writer) error { return Records(w, 1000, 0, 2) }, "7db41e4804d7d108"},
		{"hot", func(w io.Writer) error { return Records(w, 1000, 0.5, 2) }, "47f459daee684676"},
		{"json", func(w io.Writer) error { return JSONLog(w, 1_000_000, 6) }, "2bc92da2c3bac020"},
		{"csv", func(w io.Writer) error { return CSVLog(w, 1_000_000, 6) }, "245e883369fc86e0"},
		{"needles", func(w io.Writer) error { return Needles(w, 1000, 3) }, "d6010218c2807ebc"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := sha256.New()
			if err := c.fill(h); err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(h.Sum(nil))[:16]; got != c.want {
				t.Errorf("SHA-256 begins with %s, want %s", got, c.want)
			}
		})
	}
}

func TestShapes(t *testing.T) {
	words := Words(5000, 1)
	seen := map[string]bool{}
	for _, w := range words {
		if seen[w] || w == "" || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") != "" {
			t.Fatalf("word %q is no new word", w)
		}
		seen[w] = true
	}
	var b bytes.Buffer
	if err := Records(&b, 500, 0.5, 1); err != nil {
		t.Fatal(err)
	}
	hot := 0
	for i := range 500 {
		rec := b.Bytes()[i*Record : (i+1)*Record]
		if bytes.IndexByte(rec, '\n') != Record-1 {
			t.Fatalf("record %d does not end with its only line end: %q", i, rec)
		}
		if bytes.HasPrefix(rec, []byte("hot key 00")) {
			hot++
		}
	}
	if hot < 200 || hot > 300 {
		t.Errorf("%d of 500 records are hot, want about half", hot)
	}
	b.Reset()
	if err := Needles(&b, 400_000, 1); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b.Bytes(), []byte(Needle)); n < 1 || n > 15 {
		t.Errorf("%d needles in 400,000 records, want about 4", n)
	}
	dir := t.TempDir()
	if err := Small(dir, 3, 1); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "000", "doc-*.txt"))
	if err != nil || len(names) != 3 {
		t.Fatalf("%v, %v: want three files", names, err)
	}
	for _, n := range names {
		if s, err := os.Stat(n); err != nil || s.Size() < 2000 || s.Size() > 14_200 {
			t.Errorf("%s: %v, %v", n, s, err)
		}
	}
}

// TestLogsHaveTheSameRows reads both forms of a log by the standard library.
func TestLogsHaveTheSameRows(t *testing.T) {
	var lines, table bytes.Buffer
	if err := errors.Join(JSONLog(&lines, 400_000, 6), CSVLog(&table, 300_000, 6)); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil || !slices.Equal(rows[0], Columns) {
		t.Fatal(rows[0], err)
	}
	objects := json.NewDecoder(&lines)
	objects.UseNumber()
	var columns bytes.Buffer
	if err := ParquetLog(&columns, 1500, 6); err != nil {
		t.Fatal(err)
	}
	stored, err := parquet.Read[Request](bytes.NewReader(columns.Bytes()), int64(columns.Len()))
	if err != nil {
		t.Fatal(err)
	}
	breaks := 0
	for i, row := range rows[1:min(len(rows), 1200)] {
		var o map[string]any
		if err := objects.Decode(&o); err != nil {
			t.Fatal(err)
		}
		for j, c := range Columns {
			if got := fmt.Sprint(o[c]); got != row[j] {
				t.Fatalf("row %d: %s is %q in JSON and %q in CSV", i, c, got, row[j])
			}
		}
		if q := stored[i]; q.Path != row[3] || fmt.Sprint(q.Status) != row[4] || fmt.Sprint(q.Bytes) != row[5] || q.ID != row[11] {
			t.Fatalf("row %d is %+v in Parquet and %q in CSV", i, q, row)
		}
		breaks += strings.Count(row[3], "\n")
	}
	if breaks == 0 {
		t.Error("no path has a line break")
	}
}
