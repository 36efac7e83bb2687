package coordinator

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	pq "github.com/parquet-go/parquet-go"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/parquet"
)

// listedRow is a row of an inventory in Parquet.
type listedRow struct {
	Bucket string  `parquet:"bucket"`
	Key    string  `parquet:"key"`
	Latest *bool   `parquet:"is_latest,optional"`
	Size   *int64  `parquet:"size,optional"`
	ETag   *string `parquet:"e_tag,optional"`
	Class  *string `parquet:"storage_class,optional"`
}

// TestParquetInventory: an inventory in Parquet lists the same objects as one in CSV;
// what it does not say is asked for. Other bytes than the manifest names, a file that is
// none, and a program that reads no Parquet are errors that name the file.
func TestParquetInventory(t *testing.T) {
	p := func(n int64) *int64 { return &n }
	text := func(s string) *string { return &s }
	latest, old := true, false
	var file bytes.Buffer
	w := pq.NewGenericWriter[listedRow](&file)
	if _, err := w.Write([]listedRow{
		{"logs", "2026/b", &latest, p(22), text("aa"), text("STANDARD")},
		{"logs", "2026/b", &old, p(21), text("ab"), nil},
		{"logs", "2025/a+b%2F", nil, nil, nil, nil}, // which S3 does not encode
		{"logs", "2026/.d", nil, p(1), text("cc"), nil},
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	listing := func(data []byte) string {
		sum := md5.Sum(data)
		return fmt.Sprintf(`{"sourceBucket":"logs","destinationBucket":"lists","fileFormat":"Parquet","files":[{"key":"data/1.parquet","MD5checksum":"%s"}],
"fileSchema":"message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); optional boolean is_latest; optional int64 size; optional binary e_tag (UTF8); optional binary storage_class (UTF8); }"}`, hex.EncodeToString(sum[:]))
	}
	for name, tt := range map[string]struct {
		manifest, file string
		none           bool // the program reads no Parquet
		err            string
	}{
		"sound":       {listing(file.Bytes()), file.String(), false, ""},
		"other bytes": {listing([]byte("x")), file.String(), false, "list the input s3://lists/any.name: s3://lists/data/1.parquet: its bytes have the MD5 "},
		"no Parquet":  {listing([]byte("text")), "text", false, "s3://lists/data/1.parquet: "},
		"no reader":   {listing(file.Bytes()), file.String(), true, "list the input s3://lists/any.name: the inventory is in Parquet, which this program does not read"},
	} {
		t.Run(name, func(t *testing.T) {
			lists, logs := newFake(), newFake()
			lists.set("any.name", []byte(tt.manifest), nil)
			lists.set("data/1.parquet", []byte(tt.file), nil)
			logs.set("2025/a+b%2F", []byte("123"), nil)
			o := Options{Store: newFake(), Layout: layout.New("p"), Sources: []Source{{Bucket: "lists", Prefix: "any.name", Kind: Listed}}, Parquet: parquet.Read,
				Buckets: func(_ context.Context, name string) (Bucket, error) {
					return gathered{map[string]*fake{"lists": lists, "logs": logs}[name], manifest.Access{}}, nil
				}}
			if tt.none {
				o.Parquet = nil
			}
			c := New(o)
			objects, _, err := c.inputs(t.Context(), lines)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || errors.Is(err, ErrNoParquet) != tt.none {
					t.Errorf("%v, want %s", err, tt.err)
				}
				return
			}
			var got []string
			for _, o := range objects {
				got = append(got, fmt.Sprintf("%s %d %s", o.Name, o.Size, o.ETag))
			}
			if err != nil || len(objects) != 2 {
				t.Fatalf("%q, %v", got, err)
			}
			if d := cmp.Diff([]string{"s3://logs/2025/a+b%2F 3 " + objects[0].ETag, `s3://logs/2026/b 22 "aa"`}, got); d != "" {
				t.Error(d)
			}
		})
	}
}
