package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestParseSortFields: options of sort(1) have one form, which gives the same fields
// again.
func TestParseSortFields(t *testing.T) {
	for text, want := range map[string]struct {
		form   string
		fields SortFields
	}{
		"-k2,2nr":                {"-k2,2nr", SortFields{{Field: 2, Char: 1, EndField: 2, Numeric: true, Reverse: true}}},
		"-k 2rn,2":               {"-k2,2nr", SortFields{{Field: 2, Char: 1, EndField: 2, Numeric: true, Reverse: true}}},
		"-k1.2,1.3 -k3n,4.0r":    {"-k1.2,1.3 -k3,4nr", SortFields{{Field: 1, Char: 2, EndField: 1, EndChar: 3}, {Field: 3, Char: 1, EndField: 4, Numeric: true, Reverse: true}}},
		"  -k1,1   -k2,2n ":      {"-k1,1 -k2,2n", SortFields{{Field: 1, Char: 1, EndField: 1}, {Field: 2, Char: 1, EndField: 2, Numeric: true}}},
		"-nr":                    {"-k1nr", SortFields{{Field: 1, Char: 1, Numeric: true, Reverse: true}}},
		"-k1,1 -k2r -n":          {"-k1,1n -k2r", SortFields{{Field: 1, Char: 1, EndField: 1, Numeric: true}, {Field: 2, Char: 1, Reverse: true}}},
		"-n -k3 -r":              {"-k3nr", SortFields{{Field: 3, Char: 1, Numeric: true, Reverse: true}}},
		"-k1048576.1048576,1.01": {"-k1048576.1048576,1.1", SortFields{{Field: 1 << 20, Char: 1 << 20, EndField: 1, EndChar: 1}}},
	} {
		got, err := ParseSortFields(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		again, err := ParseSortFields(got.String())
		if diff := cmp.Diff(want.fields, got); diff != "" || got.String() != want.form || err != nil || cmp.Diff(got, again) != "" {
			t.Errorf("%q: %q and again %q, %v (-want +got)\n%s", text, got, again, err, diff)
		}
	}
	for text, want := range map[string]string{
		"": "no options", " ": "no options", "-k": `"-k" is none of`, "-k0": "0 is no number", "-k1.0": "0 is no number", "-k1,0": "0 is no number",
		"-k1048577": "1048577 is no number", "-k99999999999999999999": "is no number", "-k1b,1": `"-k1b,1" is none of`, "-g": `"-g" is none of`,
		"2,2": `"2,2" is none of`, "-k2,2 nr": `"nr" is none of`, "-k-1": "none of", "-k1,": "none of", strings.Repeat("-k1 ", 101): "101 fields",
	} {
		if _, err := ParseSortFields(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestExecFields: what cannot be an order or a partition of keys is refused, and the
// spec of a job says and compares them.
func TestExecFields(t *testing.T) {
	for want, e := range map[string]Exec{
		"written as":             {Sort: "-k 2", Reducer: "cat"},
		"none of":                {Sort: "-x", Reducer: "cat"},
		"without a reducer":      {Sort: "-k2"},
		"partition of keys with": {PartitionFields: 1, KeyFields: 2},
		"field 3 of a key of 2":  {PartitionFields: 3, KeyFields: 2, Reducer: "cat"},
		"fields 2 to 1":          {PartitionFrom: 2, PartitionFields: 1, Reducer: "cat"},
		"fields 1 to 0":          {PartitionFrom: 1, Reducer: "cat"},
		"separated by":           {KeySeparator: "\n", Reducer: "cat"},
		"where there are records": {
			Records: BinaryRecords, Sort: "-k1", Reducer: "cat",
		},
	} {
		e.Mapper = "cat"
		if err := e.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", e, err, want)
		}
	}
	plain := (&Exec{Mapper: "cat", Reducer: "cat"}).Spec("exec")
	e := &Exec{Mapper: "cat", Reducer: "cat", Sort: "-k1,1n", KeySeparator: ",", PartitionFrom: 2, PartitionFields: 3}
	sorted := e.Spec("exec")
	if err := sorted.Validate(); err != nil {
		t.Error(err)
	}
	want := []string{
		`separator of fields in keys: "" -> ","`, "fields that decide the partition: all -> 2 to 3", `fields that order the keys: "" -> "-k1,1n"`,
		"partitioner: hash -> fields", "order of keys: bytes -> fields",
	}
	if diff := cmp.Diff(want, plain.Diff(sorted)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	sorted.Order = plain.Order
	if err := sorted.Validate(); err == nil || !strings.Contains(err.Error(), "keys by bytes, and the order of their fields is") {
		t.Errorf("bytes in place of fields: %v", err)
	}
	plain.Order.Keys = ByFields
	if err := plain.Validate(); err == nil || !strings.Contains(err.Error(), "keys by fields, and the order of their fields is") {
		t.Errorf("fields in place of bytes: %v", err)
	}
}
