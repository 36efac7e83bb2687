// Package inventory reads the lists of objects that S3 Inventory writes.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
package inventory

import (
	"crypto/md5" //nolint:gosec // S3 names files by it
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// Manifest is manifest.json of an inventory: which files list the objects of a bucket.
type Manifest struct {
	Source string // the bucket whose objects are listed
	Dest   string // the bucket that Files lie in
	Files  []File
	// Parquet says that the files are of Parquet: [Manifest.Entry] makes entries of
	// their rows. Else they are CSV, which [Manifest.Read] reads.
	Parquet bool

	columns []string // of the files, by the names of CSV or of Parquet
}

// File is a part of the list.
type File struct {
	Key  string // in [Manifest.Dest]
	Size int64  // bytes
	MD5  string // of its bytes, in hex; "" where it is not known
}

// Entry is an object as the inventory has it: the current version of its key.
type Entry struct {
	Key  string
	Size int64  // bytes; -1 where the inventory does not say
	ETag string // with its quotes; "" where the inventory does not say
	// Class is the storage class, such as STANDARD; "" where the inventory does not say.
	Class string
}

// FormatError says that the files of an inventory are of a format that is not read.
type FormatError struct{ Format string }

// Error names the format.
func (e *FormatError) Error() string {
	return fmt.Sprintf("an inventory in %s is not read, only one in CSV or Parquet", e.Format)
}

// parquetName is what a column of CSV is called in Parquet.
var parquetName = map[string]string{
	"Bucket": "bucket", "Key": "key", "IsLatest": "is_latest", "IsDeleteMarker": "is_delete_marker", "Size": "size", "ETag": "e_tag", "StorageClass": "storage_class",
}

// parquetColumn is a column in the schema of files of Parquet, such as
// "optional int64 size;".
var parquetColumn = regexp.MustCompile(`(?:required|optional)\s+\w+\s+(\w+)`)

// Parse reads a manifest, whatever its key is. It returns a *[FormatError] for ORC.
func Parse(data []byte) (*Manifest, error) {
	var doc struct {
		SourceBucket      string `json:"sourceBucket"`
		DestinationBucket string `json:"destinationBucket"`
		FileFormat        string `json:"fileFormat"`
		FileSchema        string `json:"fileSchema"`
		Files             []struct {
			Key  string `json:"key"`
			Size int64  `json:"size"`
			MD5  string `json:"MD5checksum"`
		} `json:"files"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("it is no manifest of an inventory: %w", err)
	}
	dest := strings.TrimPrefix(doc.DestinationBucket, "arn:")
	dest = dest[strings.LastIndexByte(dest, ':')+1:] // of arn:aws:s3:::bucket
	switch {
	case doc.SourceBucket == "" || dest == "" || doc.FileFormat == "":
		return nil, errors.New("it is no manifest of an inventory: sourceBucket, destinationBucket or fileFormat is missing")
	case doc.FileFormat != "CSV" && doc.FileFormat != "Parquet":
		return nil, &FormatError{doc.FileFormat}
	}
	m := &Manifest{Source: doc.SourceBucket, Dest: dest, Parquet: doc.FileFormat == "Parquet"}
	if m.Parquet {
		for _, found := range parquetColumn.FindAllStringSubmatch(doc.FileSchema, -1) {
			m.columns = append(m.columns, found[1])
		}
	} else {
		for column := range strings.SplitSeq(doc.FileSchema, ",") {
			m.columns = append(m.columns, strings.TrimSpace(column))
		}
	}
	for _, want := range []string{"Bucket", "Key"} {
		if m.column(want) < 0 {
			return nil, fmt.Errorf("the inventory has no column %s: its fileSchema is %q", want, doc.FileSchema)
		}
	}
	for _, f := range doc.Files {
		if f.Key == "" {
			return nil, errors.New("a file of the inventory has no key")
		}
		m.Files = append(m.Files, File{Key: f.Key, Size: f.Size, MD5: f.MD5})
	}
	return m, nil
}

// Columns are those of files of Parquet that [Manifest.Entry] asks for.
func (m *Manifest) Columns() (names []string) {
	for name, in := range parquetName {
		if m.column(name) >= 0 {
			names = append(names, in)
		}
	}
	slices.Sort(names)
	return names
}

// column is where a column is, by its name in CSV; -1 where it is not.
func (m *Manifest) column(name string) int {
	if m.Parquet {
		name = parquetName[name]
	}
	for i, c := range m.columns {
		if c == name {
			return i
		}
	}
	return -1
}

// Read reads a file of the inventory, as it is stored, and calls f for each object
// that the bucket has. Versions that are not the current one of their key, and delete
// markers, are left out. An error names the line.
func (m *Manifest) Read(file File, r io.Reader, f func(Entry) error) error {
	sum := md5.New() //nolint:gosec // see above
	r = io.TeeReader(r, sum)
	z, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("decompress: %w", err)
	}
	defer z.Close()
	records := csv.NewReader(z)
	records.FieldsPerRecord, records.ReuseRecord = len(m.columns), true
	for {
		record, err := records.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read the list: %w", err) // with the line
		}
		e, there, err := m.entry(func(name string) string {
			if i := m.column(name); i >= 0 {
				return record[i]
			}
			return ""
		})
		if err != nil {
			line, _ := records.FieldPos(0)
			return fmt.Errorf("line %d: %w", line, err)
		}
		if !there {
			continue
		}
		if err := f(e); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	return file.check(sum)
}

// check compares the MD5 of all bytes of a file.
func (f File) check(sum hash.Hash) error {
	if got := hex.EncodeToString(sum.Sum(nil)); f.MD5 != "" && !strings.EqualFold(got, f.MD5) {
		return fmt.Errorf("its bytes have the MD5 %s, and the manifest says %s", got, f.MD5)
	}
	return nil
}

// Copy copies a file as it is stored, and compares its bytes with what the manifest says
// of them. It returns their number.
func (f File) Copy(w io.Writer, r io.Reader) (int64, error) {
	sum := md5.New() //nolint:gosec // see above
	n, err := io.Copy(io.MultiWriter(w, sum), r)
	if err != nil {
		return n, err
	}
	return n, f.check(sum)
}

// Entry makes an entry of a row of Parquet, of which text is what stands in a column,
// "" for null. there is false for what is no object now.
func (m *Manifest) Entry(text func(column string) string) (e Entry, there bool, err error) {
	return m.entry(func(name string) string { return text(parquetName[name]) })
}

// entry makes an entry of a record, of which field is what stands in a column, by its
// name in CSV.
func (m *Manifest) entry(field func(name string) string) (e Entry, there bool, err error) {
	if strings.EqualFold(field("IsLatest"), "false") || strings.EqualFold(field("IsDeleteMarker"), "true") {
		return e, false, nil
	}
	if got := field("Bucket"); got != m.Source {
		return e, false, fmt.Errorf("an object of the bucket %q in the inventory of %q", got, m.Source)
	}
	if e.Key = field("Key"); !m.Parquet { // where it is encoded
		e.Key, err = url.QueryUnescape(e.Key)
	}
	if err != nil {
		return e, false, fmt.Errorf("the key %q: %w", field("Key"), err)
	}
	e.Size, e.Class = -1, field("StorageClass")
	if size := field("Size"); size != "" {
		if e.Size, err = strconv.ParseInt(size, 10, 64); err != nil || e.Size < 0 {
			return e, false, fmt.Errorf("the size of %q is %q", e.Key, size)
		}
	}
	if e.ETag = field("ETag"); e.ETag != "" && e.ETag[0] != '"' {
		e.ETag = `"` + e.ETag + `"`
	}
	return e, true, nil
}
