package price

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/object"
)

func built(t *testing.T) *Table {
	t.Helper()
	data, err := os.ReadFile("../../configs/prices.json")
	if err != nil {
		t.Fatal(err)
	}
	table, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestDollars: each kind of request costs what the price list of its region says.
func TestDollars(t *testing.T) {
	table := built(t)
	traffic := object.Traffic{
		Requests: map[string]int64{
			"PutObject": 400_000, "CopyObject": 100_000, "UploadPart": 200_000, "CreateMultipartUpload": 100_000, "CompleteMultipartUpload": 100_000, "ListObjectsV2": 100_000,
			"GetObject": 900_000, "HeadObject": 100_000,
			"DeleteObjects": 5_000_000, "DeleteObject": 5_000_000, "AbortMultipartUpload": 5_000_000,
		},
		Sent: 1e12, Received: 1e12,
	}
	for region, want := range map[string]float64{
		"us-east-1": 5.4, "eu-west-1": 5.4, "us-west-2": 5.4, "ap-southeast-1": 5.4, "ap-southeast-3": 5.4,
		"eu-central-1": 5.83, "eu-west-3": 5.72, "ap-northeast-1": 5.07,
		"": 5.4, "mars-north-1": 5.4,
	} {
		r := table.Of(region)
		if got := r.Dollars(traffic); math.Abs(got-want) > 1e-9 {
			t.Errorf("%q: $%v, want $%v", region, got, want)
		}
		if (r.Missing != "") != (region == "mars-north-1") || r.Date != table.Date {
			t.Errorf("%q: %+v", region, r)
		}
	}
}

// TestTransfer: bytes that leave S3 cost what the table says, and those that come
// nothing.
func TestTransfer(t *testing.T) {
	table, err := Parse([]byte(`{"schema": "mraws/prices/v1", "date": "2026-11-01", "regions": {"x": {"out_per_gb": 0.02}, "y": {}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := table.Of("x").Dollars(object.Traffic{Sent: 7e9, Received: 50e9}); math.Abs(got-1) > 1e-9 {
		t.Errorf("$%v, want $1", got)
	}
	if r := table.Of("z"); r.Region != "x" || r.Missing != "z" {
		t.Errorf("%+v", r)
	}
}

// TestBadTables: a table that is not one is an error that names what is wrong.
func TestBadTables(t *testing.T) {
	for text, want := range map[string]string{
		``:                           "EOF",
		`{"schema": "mraws/job/v1"}`: `the schema "mraws/job/v1"`,
		`{"schema": "mraws/prices/v1", "date": "today"}`:                                                         `its date is "today"`,
		`{"schema": "mraws/prices/v1", "date": "2026-11-01"}`:                                                    "no region",
		`{"schema": "mraws/prices/v1", "date": "2026-11-01", "regions": {"x": {"put": 1}}}`:                      `unknown field "put"`,
		`{"schema": "mraws/prices/v1", "date": "2026-11-01", "regions": {"x": {"get_per_1000": -1}}}`:            "a price of x is -1",
		`{"schema": "mraws/prices/v1", "date": "2026-11-01", "regions": {"x": {"get_per_1000": 1}}} {"more": 1}`: "something behind",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
