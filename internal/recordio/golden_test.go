package recordio

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldens are files of the format. Those of a version must be readable as
// long as it is. Blocks that are not compressed must be written the same for ever;
// compressed ones may differ with the version of the library.
func goldens(t *testing.T) map[string][]byte {
	plain, _ := write(t, Options{Codec: None, BlockSize: 64}, sampleRecs())
	s2, _ := write(t, Options{}, sampleRecs())
	local, _ := write(t, Options{Codec: None, Local: true}, sampleRecs())
	empty, _ := write(t, Options{}, nil)
	doc, _ := write(t, Options{Codec: None}, []rec{{"a", "1"}, {"bc", ""}})
	return map[string][]byte{
		"plain": plain, "s2": s2, "local": local, "empty": empty, "doc": doc,
		"run": writeRun(t, Options{Codec: None}, map[int][]rec{0: {{"a", "1"}}, 2: {{"b", "2"}, {"c", "3"}}}),
	}
}

func TestGolden(t *testing.T) {
	for name, got := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".hex")
			if *update {
				if err := os.WriteFile(path, []byte(hex.Dump(got)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			dump, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want := unhex(t, string(dump))
			if name != "s2" && !bytes.Equal(got, want) {
				t.Errorf("%s differs; got\n%s", path, hex.Dump(got))
			}
			switch name {
			case "run":
				run, err := OpenRun(bytes.NewReader(want), int64(len(want)))
				if err != nil {
					t.Fatal(err)
				}
				recs, err := collect(run.partition(2))
				if err != nil {
					t.Fatal(err)
				}
				equal(t, []rec{{"b", "2"}, {"c", "3"}}, recs)
			case "empty", "doc":
				read(t, want)
			default:
				recs, _ := read(t, want)
				equal(t, sampleRecs(), recs)
			}
		})
	}
}

// TestDocumented: the bytes shown in docs/formats.md are those of the golden
// file.
func TestDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	dump, err := os.ReadFile(filepath.Join("testdata", "doc.hex"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), string(dump)) {
		t.Errorf("docs/formats.md does not show\n%s", dump)
	}
}

// unhex reads what hex.Dump wrote.
func unhex(t *testing.T, dump string) (data []byte) {
	t.Helper()
	for line := range strings.Lines(dump) {
		line, _, _ = strings.Cut(line[8:], "|")
		b, err := hex.DecodeString(strings.Join(strings.Fields(line), ""))
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, b...)
	}
	return data
}
