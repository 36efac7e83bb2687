// Package price says what S3 charges for requests and transfer, by a table of prices:
// configs/prices.json, or a file of the user. It knows nothing of storage, which S3
// charges by the month.
package price

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/mraws/mraws/internal/object"
)

// Schema names kind and version of a table.
const Schema = "mraws/prices/v1"

// Default is the region whose prices stand in for those of a region that is not in the
// table.
const Default = "us-east-1"

// Table is a table of prices.
type Table struct {
	Schema  string            `json:"schema"`
	Date    string            `json:"date"` // of the prices, 2026-09-28
	Source  string            `json:"source"`
	Regions map[string]Region `json:"regions"`
}

// Region has the prices of one region, in dollars.
type Region struct {
	Put float64 `json:"put_per_1000"` // PUT, COPY, POST and LIST
	Get float64 `json:"get_per_1000"` // all others; deletions and aborted uploads are free
	// Out is for each GB (10^9 bytes) that leaves S3: 0 where workers are in the region of
	// the bucket.
	Out float64 `json:"out_per_gb"`
}

// Parse reads a table. What is written in it that this program does not know is an
// error, since it may be a price.
func Parse(data []byte) (*Table, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	t := new(Table)
	if err := d.Decode(t); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something behind the table")
	}
	if t.Schema != Schema {
		return nil, fmt.Errorf("it has the schema %q, want %q", t.Schema, Schema)
	}
	if _, err := time.Parse(time.DateOnly, t.Date); err != nil {
		return nil, fmt.Errorf("its date is %q, want one such as 2026-09-28", t.Date)
	}
	if len(t.Regions) == 0 {
		return nil, errors.New("it has no region")
	}
	for name, r := range t.Regions {
		for _, p := range []float64{r.Put, r.Get, r.Out} {
			if p < 0 || p > 1e6 {
				return nil, fmt.Errorf("a price of %s is %v", name, p)
			}
		}
	}
	return t, nil
}

// Rates are the prices of one region.
type Rates struct {
	Region string
	Date   string
	// Missing is the region that was asked for, if the table has it not and Region
	// stands in for it; else "".
	Missing string
	prices  Region
}

// Of returns the prices of a region; "" is [Default]. For one that is not in the table
// they are those of Default, or of the first region by name.
func (t *Table) Of(region string) *Rates {
	region = cmp.Or(region, Default)
	at := region
	if _, ok := t.Regions[at]; !ok {
		at = Default
	}
	if _, ok := t.Regions[at]; !ok {
		at = slices.Min(slices.Collect(maps.Keys(t.Regions)))
	}
	r := &Rates{Region: at, Date: t.Date, prices: t.Regions[at]}
	if at != region {
		r.Missing = region
	}
	return r
}

// Dollars is what S3 charges for the traffic, without storage.
func (r *Rates) Dollars(t object.Traffic) float64 {
	sum := float64(t.Received) / 1e9 * r.prices.Out
	for name, n := range t.Requests {
		sum += float64(n) / 1000 * r.request(name)
	}
	return sum
}

// request is the price of 1,000 requests of an operation.
func (r *Rates) request(operation string) float64 {
	switch operation {
	case "DeleteObject", "DeleteObjects", "AbortMultipartUpload":
		return 0
	case "PutObject", "CopyObject", "CreateMultipartUpload", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload", "ListObjectsV2", "ListMultipartUploads", "ListParts", "ListBuckets", "CreateBucket":
		return r.prices.Put
	}
	return r.prices.Get
}
