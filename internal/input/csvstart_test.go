package input

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// article is a CSV of so many rows whose texts have quotes, delimiters and line breaks,
// some of them rows of CSV themselves.
func article(rows int, quoteless bool) string {
	r := rand.New(rand.NewPCG(7, uint64(rows)))
	words := []string{"one", "two,", "\"three\"", "four\n", "\r\n", "5\" disk", "\n1,\"a\",2\n", "é", ",,", "\"\n", "\"\""}
	if quoteless {
		words = []string{"one", "two", "é"}
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"id", "title", "text", "date"})
	for i := range rows {
		var text strings.Builder
		for range r.IntN(60) {
			text.WriteString(words[r.IntN(len(words))])
			text.WriteByte(' ')
		}
		_ = w.Write([]string{fmt.Sprint(i), words[r.IntN(len(words))], text.String(), "2026-01-02"})
	}
	w.Flush()
	return b.String()
}

// starts are where rows begin, by package encoding/csv.
func starts(t testing.TB, text string) []int64 {
	in := csv.NewReader(strings.NewReader(text))
	all := []int64{0}
	for in.InputOffset() < int64(len(text)) {
		if _, err := in.Read(); err != nil {
			t.Fatal(err)
		}
		all = append(all, in.InputOffset())
	}
	return all
}

// TestCSVStarts: wherever a CSV is cut, the first row is found where encoding/csv has
// one, and no more is read than may be.
func TestCSVStarts(t *testing.T) {
	offsets := 10000
	if testing.Short() {
		offsets = 1000
	}
	for name, text := range map[string]string{"quotes": article(20000, false), "plain": article(20000, true)} {
		t.Run(name, func(t *testing.T) {
			want, size := starts(t, text), int64(len(text))
			f := resolve(t, "csv", nil)
			o := &opener{text: text}
			r := rand.New(rand.NewPCG(3, 4))
			most := int64(0)
			for range offsets {
				off := 1 + r.Int64N(size-1)
				rd, err := Read(f, Piece{Object: "o", Size: size, Offset: off, Length: size - off, Open: o.Open}, 0)
				if err != nil {
					t.Fatal(err)
				}
				c := rd.Reader.(*csvReader)
				o.asked = 0
				if err := c.head(); err != nil {
					t.Fatal(err)
				}
				o.asked = 0
				began, err := c.find()
				if err != nil {
					t.Fatal(err)
				}
				i, _ := slices.BinarySearch(want, off)
				if began != want[i] {
					t.Fatalf("cut at %d: the first row begins at %d, want %d", off, began, want[i])
				}
				most = max(most, o.asked)
			}
			if most > farthestProbe {
				t.Errorf("%d bytes were read to find where a row begins", most)
			}
			t.Logf("%d of %d bytes are the most that were read", most, size)
		})
	}
}

// TestCSVHuge: a field in quotes that is longer than what is looked at, and has rows of
// the table in it: the object is read from its start.
func TestCSVHuge(t *testing.T) {
	text := "a,b\n1,\"" + strings.Repeat("x\n", farthestProbe) + "\"\n2,3\n"
	o := &opener{text: text}
	f := resolve(t, "csv", nil)
	whole, _ := shown(t, f, o, nil)
	cut, met := shown(t, f, o, []int{100, farthestProbe, len(text) - 3})
	if !met || !slices.Equal(whole, cut) || len(whole) != 2 {
		t.Errorf("pieces meet: %v, %d rows, want %d", met, len(cut), len(whole))
	}
}

func benchmarkRows(b *testing.B, name string, options map[string]string, columns []string, text string, sum int) {
	f := resolve(b, name, options)
	o := &opener{text: text}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		r, err := Read(f, Piece{Object: "o", Size: int64(len(text)), Length: int64(len(text)), Open: o.Open, Rows: Rows{Fields: true, Columns: columns}}, 0)
		if err != nil {
			b.Fatal(err)
		}
		total := int64(0)
		for r.Next() {
			n, err := r.Record().Fields.Int(sum)
			if err != nil {
				b.Fatal(err)
			}
			total += n
			rows++
		}
		if r.Err() != nil || total == 0 {
			b.Fatal(r.Err())
		}
		_ = r.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/row")
}

// tableText are rows of 12 columns.
func tableText(json bool) string {
	var b strings.Builder
	if !json {
		b.WriteString("id,time,host,method,path,status,bytes,ms,agent,referer,user,zone\n")
	}
	for i := range 50000 {
		if json {
			fmt.Fprintf(&b, `{"id":%d,"time":"2026-01-02T03:04:05Z","host":"10.0.0.%d","method":"GET","path":"/a/%d","status":%d,"bytes":%d,"ms":12.5,"agent":"Mozilla/5.0 (X11; Linux)","referer":null,"user":"u%d","zone":"eu"}`+"\n", i, i%250, i%100, 200+i%3, i%5000, i%1000)
		} else {
			fmt.Fprintf(&b, "%d,2026-01-02T03:04:05Z,10.0.0.%d,GET,/a/%d,%d,%d,12.5,Mozilla/5.0 (X11; Linux),,u%d,eu\n", i, i%250, i%100, 200+i%3, i%5000, i%1000)
		}
	}
	return b.String()
}

// Three of twelve columns, through to the fields that a mapper reads.
func BenchmarkCSV(b *testing.B) {
	benchmarkRows(b, "csv", nil, []string{"path", "status", "bytes"}, tableText(false), 2)
}

func BenchmarkJSON(b *testing.B) {
	benchmarkRows(b, "json", nil, []string{"path", "status", "bytes"}, tableText(true), 2)
}

func BenchmarkJSONAll(b *testing.B) { benchmarkRows(b, "json", nil, nil, tableText(true), 6) }

// TestRowsAllocate: a row takes no memory.
func TestRowsAllocate(t *testing.T) {
	for name, text := range map[string]string{"csv": tableText(false), "json": tableText(true)} {
		f := resolve(t, name, nil)
		o := &opener{text: text}
		for _, columns := range [][]string{nil, {"path", "bytes"}} {
			allocs := testing.AllocsPerRun(2, func() {
				r, err := Read(f, Piece{Object: "o", Size: int64(len(text)), Length: int64(len(text)), Open: o.Open, Rows: Rows{Fields: true, Columns: columns}}, 0)
				if err != nil {
					t.Fatal(err)
				}
				for r.Next() {
					if _, err := r.Record().Fields.Int(r.Record().Fields.Index("bytes")); err != nil {
						t.Fatal(err)
					}
				}
				_ = r.Close()
			})
			if allocs > 100 {
				t.Errorf("%s of columns %v: %v allocations for 50,000 rows", name, columns, allocs)
			}
		}
	}
}
