//go:build !interop

package e2e

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/mraws/mraws/internal/manifest"
)

// cellRow is a row of the tables of the cells.
type cellRow struct {
	ID    int64  `json:"id" parquet:"id"`
	Text  string `json:"text" parquet:"text"`
	Price string `json:"price" parquet:"price"`
}

const cellRows = 4000

// hostileRows have what a careless reader takes for the end of a field, row or line.
func hostileRows() (rows []cellRow) {
	texts := []string{"plain", `"quoted"`, "two\nlines", "a,comma\tand a tab", "", "été 東京", `back\slash`, "CR\r\nLF\n\n", "-", `{"a":"}"}`, "'; --"}
	for i := range int64(cellRows) {
		text := texts[i%int64(len(texts))]
		if text != "" {
			text += fmt.Sprint(" ", i*i%9973, strings.Repeat("-", int(i%40)))
		}
		rows = append(rows, cellRow{i, text, fmt.Sprintf("%d.%02d", i*7919%100_000-50_000, i%100)})
	}
	return rows
}

// cellFormat is a row of the table: a format with an object of it.
type cellFormat struct {
	name   string          // as the document has it
	choice manifest.Choice // of the job
	// object is the object in a compression, nil where there is none.
	object func(t *testing.T, compression string) []byte
	// cut is the object with its end missing, in the midst of a record. Nil where what
	// is left cannot be told from a sound object.
	cut func(data []byte) []byte
	// broken is the object with one record that is none, left the object without that
	// record. Nil for formats in which each record is one.
	broken, left func(t *testing.T, compression string) []byte
	// place is how an error names the broken record or what is left of one.
	place string
	// sized says that the size of a plain object tells that its end is missing.
	sized bool
}

// textFormat is a format whose objects are text in any compression. The broken record
// is in place of the n-th of those that begin with start.
func textFormat(name string, choice manifest.Choice, file, text string, record func(broken bool) (string, bool)) cellFormat {
	f := cellFormat{name: name, choice: choice, place: `byte \d+`}
	f.object = func(t *testing.T, compression string) []byte { return packCell(t, compression, file, text) }
	if record == nil {
		return f
	}
	whole, ok := record(false)
	if !ok {
		return f
	}
	wrong, _ := record(true)
	at := strings.Index(text, whole)
	bad := text[:at] + wrong + text[at+len(whole):]
	left := text[:at] + text[at+len(whole):]
	f.broken = func(t *testing.T, compression string) []byte {
		if compression == bzip2Cell {
			return packCell(t, compression, file+"-broken", bad)
		}
		return packCell(t, compression, file, bad)
	}
	f.left = func(*testing.T, string) []byte { return []byte(left) }
	f.cut = func(data []byte) []byte { return data[:bytes.Index(data, []byte(whole))+1] }
	return f
}

// separatedText are the rows as CSV, with a row that begins a record of theirs.
func separatedText(comma rune) (text string, record func(bool) (string, bool)) {
	write := func(rows [][]string) string {
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		w.Comma = comma
		if err := w.WriteAll(rows); err != nil {
			panic(err) // a buffer takes all
		}
		return b.String()
	}
	all := [][]string{{"id", "text", "price"}}
	for _, r := range hostileRows() {
		all = append(all, []string{fmt.Sprint(r.ID), r.Text, r.Price})
	}
	middle := all[1+cellRows/2]
	return write(all), func(broken bool) (string, bool) {
		if broken {
			return write([][]string{append(slices.Clone(middle), "more")}), true
		}
		return write([][]string{middle}), true
	}
}

// cellFormats are the rows of the table.
func cellFormats() []cellFormat {
	var lines, jsonl, fixed, delimited strings.Builder
	const size = 60
	for _, r := range hostileRows() {
		line, _ := json.Marshal(r) // nothing in it cannot be
		jsonl.Write(append(line, '\n'))
		fmt.Fprintf(&lines, "%d\t%q\t%s\r\n\n", r.ID, r.Text, r.Price)
		fixed.WriteString((fmt.Sprintf("%d\n%s\x00%s", r.ID, r.Text, r.Price) + strings.Repeat(" ", size))[:size])
		fmt.Fprintf(&delimited, "%d\n%s\n%s\x00;", r.ID, r.Text, r.Price)
	}
	middle, _ := json.Marshal(hostileRows()[cellRows/2])
	csvText, csvRecord := separatedText(',')
	tsvText, tsvRecord := separatedText('\t')
	fixedText := fixed.String()
	fixedRows := textFormat("`fixed:N`", manifest.Choice{Name: "fixed", Options: map[string]string{"size": fmt.Sprint(size)}}, "fixed", fixedText, nil)
	fixedRows.sized = true
	fixedRows.cut = func(data []byte) []byte { return data[:len(data)/2/size*size+1] }
	fixedRows.broken = func(t *testing.T, compression string) []byte {
		if compression == bzip2Cell {
			return packCell(t, compression, "fixed-broken", fixedText+"short")
		}
		return packCell(t, compression, "fixed", fixedText+"short")
	}
	fixedRows.left = func(*testing.T, string) []byte { return []byte(fixedText) }
	return []cellFormat{
		textFormat("`lines`", manifest.Choice{Name: manifest.Lines}, "lines", lines.String(), nil),
		textFormat("`csv`", manifest.Choice{Name: "csv"}, "csv", csvText, csvRecord),
		textFormat("`tsv`", manifest.Choice{Name: "tsv"}, "tsv", tsvText, tsvRecord),
		textFormat("`json`", manifest.Choice{Name: "json"}, "json", jsonl.String(), func(broken bool) (string, bool) {
			if broken {
				return string(middle[:len(middle)-1]) + "\n", true
			}
			return string(middle) + "\n", true
		}),
		parquetPages(),
		parquetPacked(),
		fixedRows,
		textFormat("`delimiter:S`", manifest.Choice{Name: "delimiter", Options: map[string]string{"by": `\0;`}}, "delimiter", delimited.String(), nil),
		textFormat("`whole`", manifest.Choice{Name: manifest.Objects}, "lines", lines.String(), nil),
	}
}

// parquetRows is a file of Parquet, of row groups of a tenth of all rows each. Without
// is the number of one that is left out, or -1.
func parquetRows(t *testing.T, codec compress.Codec, without int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[cellRow](&b, parquet.Compression(codec))
	n := 0
	for rows := range slices.Chunk(hostileRows(), cellRows/10) {
		if n++; n-1 == without {
			continue
		}
		if _, err := w.Write(rows); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// parquetPages is Parquet, whose pages are compressed rather than the object.
func parquetPages() cellFormat {
	codecs := map[string]compress.Codec{
		plainCell: &parquet.Uncompressed, gzipCell: &parquet.Gzip, zstdCell: &parquet.Zstd, lz4Cell: &parquet.Lz4Raw, snappyCell: &parquet.Snappy,
	}
	object := func(t *testing.T, compression string, without int) []byte {
		codec, ok := codecs[compression]
		if !ok {
			return nil
		}
		return parquetRows(t, codec, without)
	}
	return cellFormat{
		name: "`parquet`, its pages", choice: manifest.Choice{Name: "parquet"}, place: `row group 5`,
		object: func(t *testing.T, compression string) []byte { return object(t, compression, -1) },
		cut:    func(data []byte) []byte { return data[:len(data)*2/3] },
		broken: func(t *testing.T, compression string) []byte {
			data := object(t, compression, -1)
			if data == nil {
				return nil
			}
			f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			// The header of a page, which no codec covers.
			data[f.Metadata().RowGroups[5].Columns[1].MetaData.DataPageOffset] ^= 0xff
			return data
		},
		left: func(t *testing.T, compression string) []byte { return object(t, compression, 5) },
	}
}

// parquetPacked is a file of Parquet that was compressed.
func parquetPacked() cellFormat {
	return cellFormat{
		name: "`parquet`, compressed once more", choice: manifest.Choice{Name: "parquet"},
		object: func(t *testing.T, compression string) []byte {
			if compression == plainCell {
				return nil
			}
			if compression == bzip2Cell { // of anything
				text, _ := separatedText(',')
				return packCell(t, compression, "csv", text)
			}
			return packCell(t, compression, "parquet", string(parquetRows(t, &parquet.Snappy, -1)))
		},
	}
}
