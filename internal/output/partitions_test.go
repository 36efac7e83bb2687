package output

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// partitionedOf resolves a partitioned format.
func partitionedOf(t testing.TB, format, columns, by string, more ...string) *Partitioned {
	t.Helper()
	options := map[string]string{ColumnsOption: columns, PartitionOption: by}
	if len(more) > 0 {
		options[CompressionOption] = more[0]
	}
	f, err := Resolve(format, options)
	if err != nil {
		t.Fatal(err)
	}
	return f.(*Partitioned)
}

// files writes lines, and returns the objects of partitions by name.
func files(t *testing.T, f *Partitioned, lines ...string) map[string]string {
	t.Helper()
	rows := map[string][][][]byte{}
	e, err := f.Split(func(name []byte, fields [][]byte) error {
		row := make([][]byte, len(fields))
		for i := range fields {
			row[i] = bytes.Clone(fields[i])
		}
		rows[string(name)] = append(rows[string(name)], row)
		return nil
	})
	for _, line := range lines {
		err = errors.Join(err, e.Line([]byte(line)))
	}
	all := map[string]string{}
	for name, rows := range rows {
		if !f.Has(name) {
			t.Errorf("%q is no partition", name)
		}
		var b bytes.Buffer
		w, werr := f.Rows(&b, Libraries{})
		err = errors.Join(err, werr)
		for _, row := range rows {
			err = errors.Join(err, w.Row(row))
		}
		err = errors.Join(err, w.Close(), f.Part().Check(int64(len(rows)), int64(b.Len())))
		all[name] = b.String()
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestPartitioned: rows of each format, without the columns that name their folders, in
// the order of the flag.
func TestPartitioned(t *testing.T) {
	rows := []string{"2026\tone, \"1\"\t01\t007", "\t\t02\t", "2026\ttwo\t01\t8\tx"}
	for format, want := range map[string]map[string]string{
		"lines": {"m=01/year=2026": "one, \"1\"\t007\ntwo\t8\tx\n", "m=02/year=__HIVE_DEFAULT_PARTITION__": "\t\n"},
		"csv":   {"m=01/year=2026": "w,rest\n\"one, \"\"1\"\"\",007\ntwo,8\tx\n", "m=02/year=__HIVE_DEFAULT_PARTITION__": "w,rest\n\"\",\"\"\n"},
		"tsv":   {"m=01/year=2026": "w\trest\n\"one, \"\"1\"\"\"\t007\ntwo\t\"8\tx\"\n", "m=02/year=__HIVE_DEFAULT_PARTITION__": "w\trest\n\"\"\t\"\"\n"},
		"json": {
			"m=01/year=2026":                       `{"w":"one, \"1\"","rest":"007"}` + "\n" + `{"w":"two","rest":"8\tx"}` + "\n",
			"m=02/year=__HIVE_DEFAULT_PARTITION__": `{"w":"","rest":""}` + "\n",
		},
	} {
		f := partitionedOf(t, format, "year:int,w,m,rest", "m,year")
		if d := cmp.Diff(want, files(t, f, rows...)); d != "" {
			t.Errorf("%s: -want +got:\n%s", format, d)
		}
		if f.Ending() != "" || f.Check(3, 0) == nil || f.Check(0, 0) != nil || f.Check(3, 9) != nil {
			t.Errorf("%s: %q", format, f.Ending())
		}
	}
	for format, ending := range map[string]string{"lines": ".gz", "csv": ".csv.gz", "json": ".json.gz", "parquet": ".parquet"} {
		if f := partitionedOf(t, format, "a,b", "a", Gzip); f.Part().Ending() != ending {
			t.Errorf("%s: %q", format, f.Part().Ending())
		}
	}
}

// TestFolders: values as Hive and Spark write them.
func TestFolders(t *testing.T) {
	for _, tt := range []struct{ kind, value, folder string }{
		{"string", "a b+c&d", "a b+c&d"},
		{"string", "a/b=c", "a%2Fb%3Dc"},
		{"string", `"#%'*/:=?\{[]^`, "%22%23%25%27%2A%2F%3A%3D%3F%5C%7B%5B%5D%5E"},
		{"string", "\x01\x1f\x7f", "%01%1F%7F"},
		{"string", "Zürich 東京", "Zürich 東京"},
		{"string", "..", ".."},
		{"string", "", "__HIVE_DEFAULT_PARTITION__"},
		{"string", "__HIVE_DEFAULT_PARTITION__", "__HIVE_DEFAULT_PARTITION__"},
		{"text", `tab\tfeed\n`, "tab%09feed%0A"},
		{"int", "007", "7"},
		{"int", "-1", "-1"},
		{"float", "1.50", "1.5"},
		{"float", "", "__HIVE_DEFAULT_PARTITION__"},
		{"bool", "true", "true"},
	} {
		f := partitionedOf(t, "csv", "c:"+tt.kind+",x", "c")
		if got := slices.Collect(maps.Keys(files(t, f, tt.value+"\tx"))); len(got) != 1 || got[0] != "c="+tt.folder {
			t.Errorf("%s %q: %q, want %q", tt.kind, tt.value, got, tt.folder)
		}
	}
	f := partitionedOf(t, "csv", "a=b/%,x", "a=b/%")
	if got := files(t, f, "1\tx"); got["a%3Db%2F%25=1"] == "" {
		t.Errorf("%q", got)
	}
}

// TestFoldersDiffer: different texts have different folders, each of them one element of
// a key, of a partition that the format has.
func TestFoldersDiffer(t *testing.T) {
	f := partitionedOf(t, "csv", "c,x", "c")
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.StringN(1, 20, 60).Draw(t, "a"), rapid.StringN(1, 20, 60).Draw(t, "b")
		x, y := folderOf(a), folderOf(b)
		if (x == y) != (a == b) || strings.ContainsAny(x, "/=") || !f.Has("c="+x) {
			t.Fatalf("%q and %q: %q and %q", a, b, x, y)
		}
	})
}

// TestHas: names that no row of the format has.
func TestHas(t *testing.T) {
	f := partitionedOf(t, "csv", "y:int,m,x", "y,m")
	for name, want := range map[string]bool{
		"y=1/m=a": true, "y=__HIVE_DEFAULT_PARTITION__/m=a": true, "y=1/m=a%2Fb": true,
		"y=1": false, "y=1/m=a/z=1": false, "m=a/y=1": false, "y=01/m=a": false, "y=x/m=a": false, "y=1/m=": false, "y=/m=a": false,
		"y=1/m=a%2fb": false, "y=1/m=a%": false, "y=1/m=%61": false, "y=1/m=a=b": false, "": false, "y=1/m=\xff": false,
		"y=1/m=" + strings.Repeat("a", 249): true, "y=1/m=" + strings.Repeat("a", 250): false,
	} {
		if got := f.Has(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// TestPartitionedRefused: what cannot be partitioned, with the columns that there are.
func TestPartitionedRefused(t *testing.T) {
	for _, tt := range []struct{ format, columns, by, says string }{
		{"csv", "a,b", "c", `output csv: there is no column "c" to partition by; there are a,b`},
		{"csv", "a,b", "", `there is no column "" to partition by`},
		{"csv", "a,b", "a,a", "column a is named twice"},
		{"csv", "a,b:json", "b", "column b has the type json"},
		{"json", "a,b", "a,b", "all columns are named to partition by"},
		{"lines", "a,b:text", "a", "column b: lines have no columns of type text"},
	} {
		if _, err := Resolve(tt.format, map[string]string{ColumnsOption: tt.columns, PartitionOption: tt.by}); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s by %s: %v", tt.format, tt.by, err)
		}
	}
	if _, err := Resolve("lines", map[string]string{ColumnsOption: "a,b"}); err == nil {
		t.Error("lines with columns and without partitions")
	}
	for _, tt := range []struct{ format, columns, line, what string }{
		{"csv", "a,n:int", "x\ty", `column "n" takes an int, not`},
		{"csv", "a:int,n", "x\ty", `column "a" takes an int, not`},
		{"csv", "a,n", "\xff\ty", `column "a" takes UTF-8, not`},
		{"json", "a,n", "x\t\xff", `column "n" takes UTF-8, not`},
		{"csv", "a,n", "x", "a row of 1 fields for the 2 columns a,n"},
		{"csv", "a,n", strings.Repeat("x", 254) + "\ty", "the names of the folders have more than 255 bytes, that of column \"a\" of"},
	} {
		e, err := partitionedOf(t, tt.format, tt.columns, "a").Split(func([]byte, [][]byte) error { return errors.New("a row") })
		if err != nil {
			t.Fatal(err)
		}
		var unfit *UnfitError
		if err := e.Line([]byte(tt.line)); !errors.As(err, &unfit) || !strings.Contains(unfit.What, tt.what) {
			t.Errorf("%q: %v", tt.line, err)
		}
	}
	f := partitionedOf(t, "parquet", "a,b", "a")
	var missing *MissingError
	if _, err := f.Rows(io.Discard, Libraries{}); !errors.As(err, &missing) {
		t.Error(err)
	}
	if _, err := f.Encoder(io.Discard, Libraries{}); err == nil {
		t.Error("one encoder for all rows")
	}
}

// TestNamedOfPartitioned: named outputs have all columns, and no folders.
func TestNamedOfPartitioned(t *testing.T) {
	for format, want := range map[string]string{"csv": "map[columns:a,b compression:gzip]", "lines": "map[compression:gzip]"} {
		all, err := NamedOf(format, map[string]string{ColumnsOption: "a,b", PartitionOption: "a", CompressionOption: Gzip, NamedOption: "errors"})
		if err != nil || len(all) != 1 || fmt.Sprint(all[0].Options) != want {
			t.Errorf("%+v %v", all, err)
		}
	}
}
