package inventory

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pack compresses text, and says what a manifest says of it.
func pack(t *testing.T, text string) (File, []byte) {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, text)
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum(b.Bytes())
	return File{Key: "data/x.csv.gz", Size: int64(b.Len()), MD5: hex.EncodeToString(sum[:])}, b.Bytes()
}

const versioned = `{"sourceBucket":"logs","destinationBucket":"arn:aws:s3:::lists","version":"2016-11-30","creationTimestamp":"1514944800000",
"fileFormat":"CSV","fileSchema":"Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass",
"files":[{"key":"data/x.csv.gz","size":12,"MD5checksum":"00"}]}`

// TestRead: objects as S3 lists them.
func TestRead(t *testing.T) {
	m, err := Parse([]byte(versioned))
	if err != nil {
		t.Fatal(err)
	}
	if m.Source != "logs" || m.Dest != "lists" || cmp.Diff([]File{{"data/x.csv.gz", 12, "00"}}, m.Files) != "" {
		t.Errorf("%+v", m)
	}
	file, data := pack(t, `"logs","2026/a+b%2Fc%C3%A9.gz","v2","true","false","22","2026-01-01T00:00:00.000Z","aa11","STANDARD"
"logs","2026/a+b%2Fc%C3%A9.gz","v1","false","false","21","2025-01-01T00:00:00.000Z","aa10","STANDARD"
"logs","gone","v3","true","true","","2026-01-01T00:00:00.000Z","",""
"logs","say ""hi"", twice","","true","false","0","2026-01-01T00:00:00.000Z","bb-2","GLACIER"
`)
	want := []Entry{{"2026/a b/cé.gz", 22, `"aa11"`, "STANDARD"}, {`say "hi", twice`, 0, `"bb-2"`, "GLACIER"}}
	read := func(file File, data []byte) (got []Entry, err error) {
		err = m.Read(file, bytes.NewReader(data), func(e Entry) error { got = append(got, e); return nil })
		return got, err
	}
	got, err := read(file, data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if err := m.Read(file, bytes.NewReader(data), func(Entry) error { return io.ErrNoProgress }); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("%v", err)
	}
	file.MD5 = "00"
	if _, err := read(file, data); err == nil || !strings.Contains(err.Error(), "and the manifest says 00") {
		t.Errorf("other bytes: %v", err)
	}
	for name, bad := range map[string]struct{ text, want string }{
		"fields": {"\"logs\",\"a\"\n", "record on line 1: wrong number of fields"},
		"bucket": {`"logs","a","","true","false","1","","aa",""` + "\n" + `"other","a","","true","false","1","","aa",""`, `line 2: an object of the bucket "other" in the inventory of "logs"`},
		"key":    {`"logs","a%zz","","true","false","1","","aa",""`, `line 1: the key "a%zz"`},
		"size":   {`"logs","a","","true","false","-1","","aa",""`, `line 1: the size of "a" is "-1"`},
	} {
		file, data := pack(t, bad.text)
		if _, err := read(file, data); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	file, data = pack(t, strings.Repeat(`"logs","a","","true","false","1","","aa",""`+"\n", 1000))
	if _, err := read(file, data[:len(data)/2]); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut: %v", err)
	}
	if _, err := read(file, []byte("not gzip at all")); err == nil || !strings.Contains(err.Error(), "decompress") {
		t.Errorf("plain: %v", err)
	}
}

// TestSparse: an inventory with the least columns.
func TestSparse(t *testing.T) {
	m, err := Parse([]byte(`{"sourceBucket":"logs","destinationBucket":"lists","fileFormat":"CSV","fileSchema":"Bucket, Key"}`))
	if err != nil || m.Dest != "lists" || len(m.Files) != 0 {
		t.Fatalf("%+v %v", m, err)
	}
	file, data := pack(t, "\"logs\",\"a\"\n")
	var all []Entry
	if err := m.Read(file, bytes.NewReader(data), func(e Entry) error { all = append(all, e); return nil }); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]Entry{{Key: "a", Size: -1}}, all); d != "" {
		t.Error(d)
	}
}

// columnar is a manifest of files of Parquet, as S3 writes it.
const columnar = `{"sourceBucket":"logs","destinationBucket":"arn:aws:s3:::lists","version":"2016-11-30","creationTimestamp":"1514944800000",
"fileFormat":"Parquet","fileSchema":"message s3.inventory {  required binary bucket (UTF8);  required binary key (UTF8);  optional binary version_id (UTF8);  optional boolean is_latest;  optional boolean is_delete_marker;  optional int64 size;  optional int64 last_modified_date (TIMESTAMP_MILLIS);  optional binary e_tag (UTF8);  optional binary storage_class (UTF8);  optional boolean is_multipart_uploaded;}",
"files":[{"key":"data/x.parquet","size":12,"MD5checksum":"900150983cd24fb0d6963f7d28e17f72"}]}`

// TestParquet: of rows of Parquet, whose keys are not encoded, come the same entries; and
// a file is copied only with the bytes that the manifest names.
func TestParquet(t *testing.T) {
	m, err := Parse([]byte(columnar))
	if err != nil || !m.Parquet {
		t.Fatalf("%+v, %v", m, err)
	}
	if d := cmp.Diff([]string{"bucket", "e_tag", "is_delete_marker", "is_latest", "key", "size", "storage_class"}, m.Columns()); d != "" {
		t.Error(d)
	}
	row := map[string]string{"bucket": "logs", "key": "2026/a+b%2F.gz", "is_latest": "true", "is_delete_marker": "false", "size": "22", "e_tag": "aa11", "storage_class": "STANDARD"}
	text := func(column string) string { return row[column] }
	e, there, err := m.Entry(text)
	if d := cmp.Diff(Entry{"2026/a+b%2F.gz", 22, `"aa11"`, "STANDARD"}, e); d != "" || !there || err != nil {
		t.Errorf("%v, %v\n%s", there, err, d)
	}
	row["is_latest"] = "false"
	if _, there, err := m.Entry(text); there || err != nil {
		t.Errorf("an old version: %v, %v", there, err)
	}
	row["is_latest"], row["bucket"] = "true", "other"
	if _, _, err := m.Entry(text); err == nil {
		t.Error("an object of another bucket is taken")
	}
	var b bytes.Buffer
	if n, err := m.Files[0].Copy(&b, strings.NewReader("abc")); n != 3 || err != nil || b.String() != "abc" {
		t.Errorf("%d, %v, %q", n, err, &b)
	}
	if _, err := m.Files[0].Copy(&b, strings.NewReader("abd")); err == nil || !strings.Contains(err.Error(), "and the manifest says 9001") {
		t.Errorf("other bytes: %v", err)
	}
}

// TestNoManifest: what is refused, and why.
func TestNoManifest(t *testing.T) {
	var format *FormatError
	_, err := Parse([]byte(strings.Replace(versioned, `"CSV"`, `"ORC"`, 1)))
	if !errors.As(err, &format) || err.Error() != "an inventory in ORC is not read, only one in CSV or Parquet" {
		t.Errorf("%v", err)
	}
	for text, want := range map[string]string{
		strings.Replace(columnar, "required binary key", "", 1): "the inventory has no column Key",
		`[]`:                "it is no manifest of an inventory",
		`{"a":1}`:           "sourceBucket, destinationBucket or fileFormat is missing",
		`{"sourceBucket":1`: "it is no manifest of an inventory",
		strings.Replace(versioned, " Key,", "", 1):                         "the inventory has no column Key",
		strings.Replace(versioned, `"key":"data/x.csv.gz"`, `"key":""`, 1): "a file of the inventory has no key",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
