package verify

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
)

// ordered is an order by options of sort(1); "" is by bytes.
func ordered(sort, separator, values string) *keyOrder {
	s := manifest.Spec{Order: manifest.Order{Keys: manifest.ByFields, Fields: sort, Separator: separator, Values: values}}
	return newKeyOrder(s.KeyOrder())
}

// TestValueOrder: the verifier finds the key between its code and that of the value,
// and sees values that are not in order while the bytes are.
func TestValueOrder(t *testing.T) {
	o := ordered("", "", manifest.ByNumber+manifest.Reversed)
	text := func(s string) string { return "\x01" + strings.ReplaceAll(s, "\x00", "\x00\xff") + "\x00\x01" }
	for _, key := range []string{"", "a", "\x00", "a\x00\x00b", "\x01"} {
		if got, ok := o.key([]byte(text(key) + "code")); !ok || string(got) != key {
			t.Errorf("%q has the key %q, %v", key, got, ok)
		}
	}
	for _, internal := range []string{"", "\x00", "\x01", "\x01a", "\x01a\x00", "\x01a\x00\x02", "a"} {
		if key, ok := o.key([]byte(internal)); ok {
			t.Errorf("%q has the key %q", internal, key)
		}
	}
	if !o.same([]byte(text("a")+"1"), []byte(text("a")+"2")) || o.same([]byte(text("a")), []byte(text("b"))) || o.same([]byte("x"), []byte("x")) {
		t.Error("keys are not told apart")
	}
	for _, tt := range []struct{ order, before, value, want string }{
		{manifest.ByNumber, "9", "10", ""}, {manifest.ByNumber, "10", "9", `value "9" of key "k" comes after value "10"`},
		{manifest.ByBytes, "10", "9", ""}, {manifest.ByBytes, "9", "10", "comes after"},
		{manifest.ByNumber + manifest.Reversed, "10", "9", ""}, {manifest.ByNumber + manifest.Reversed, "-1", "9", "comes after"},
		{manifest.ByBytes + manifest.Reversed, "b", "a", ""}, {manifest.ByBytes + manifest.Reversed, "a", "ab", "comes after"},
	} {
		o := ordered("", "", tt.order)
		if got := o.disorder([]byte(text("k")+"1"), []byte(tt.before), []byte(text("k")+"2"), []byte(tt.value)); got != tt.want && (tt.want == "" || !strings.Contains(got, tt.want)) {
			t.Errorf("%s: %q before %q: %q", tt.order, tt.before, tt.value, got)
		}
	}
}

// TestKeyOrder: the verifier finds the keys behind the codes, and sees keys whose
// codes are in order while the keys are not.
func TestKeyOrder(t *testing.T) {
	o := ordered("-k1,1nr -k2,2", ",", manifest.ByInput)
	ten, nine, minus, zero := "\x3f\xfd\xce\xcf\xff", "\x3f\xfe\xc6\xff", "\xbf\x01"+"75\x00", "\x7f"
	none := "\x00"
	text := func(s string) string { return "\x01" + strings.ReplaceAll(s, "\x00", "\x00\xff") + "\x00\x01" }
	for internal, want := range map[string]string{
		ten + text("x") + "10,x": "10,x", nine + none + "9": "9", minus + none + "-7.5": "-7.5", zero + text("\x00") + "0,\x00": "0,\x00",
		"\x3f\x00\xff\xff\xff\xfe\xc8\xff" + none + "7": "7", "\xff" + none: "",
	} {
		if key, ok := o.key([]byte(internal)); !ok || string(key) != want {
			t.Errorf("%q has the key %q, %v, want %q", internal, key, ok, want)
		}
	}
	for _, internal := range []string{"", "\x00", ten, ten + "\x01x", ten + "\x01x\x00", ten[:3], "\x3f\x00\xff", "\x3f\x00\x00\x00\x00\x00", "plain", zero + "\x02"} {
		if key, ok := o.key([]byte(internal)); ok {
			t.Errorf("%q has the key %q", internal, key)
		}
	}
	for _, tt := range []struct{ before, key, want string }{
		{ten + text("x") + "10,x", ten + text("y") + "10,y", ""},
		{ten + text("x") + "10,x", nine + none + "9", ""},
		{nine + none + "9", nine + none + "9.0", ""},
		{nine + none + "9", ten + text("x") + "10,x", `key "10,x" comes after key "9"`},
		{ten + text("x") + "9,x", nine + text("x") + "10,x", `key "10,x" comes after key "9,x"`},
		{nine + text("b") + "9,b", nine + text("c") + "9,a", `key "9,a" comes after key "9,b"`},
		{ten + text("x") + "10,x", "9", "is not in the order that the job names"},
		{"10,x", nine + none + "9", "is not in the order that the job names"},
	} {
		if got := o.disorder([]byte(tt.before), nil, []byte(tt.key), nil); got != tt.want && (tt.want == "" || !strings.Contains(got, tt.want)) {
			t.Errorf("%q before %q: %q, want %q", tt.before, tt.key, got, tt.want)
		}
	}
	if got := o.show([]byte(nine + none + "9")); got != `"9"` {
		t.Errorf("for people it is %s", got)
	}
	var plain *keyOrder
	if got := plain.disorder([]byte("b"), nil, []byte("a"), nil); got != `key "a" comes after key "b"` {
		t.Errorf("by bytes: %q", got)
	}
}

// TestCompareKeys: fields, numbers of any length and sign, and what is none.
func TestCompareKeys(t *testing.T) {
	for _, tt := range []struct{ sort, less, more string }{
		{"-n", "-0010", "-9.99"}, {"-n", "-1e5", "x"}, {"-n", "9", "10"}, {"-n", "1.05", "1.5"}, {"-n", "-", "0.1"}, {"-n", "  7", "8"},
		{"-n", strings.Repeat("9", 300), "1" + strings.Repeat("0", 300)}, {"-n", "1.0", "1.00"}, {"-nr", "10", "9"},
		{"-k2", "b", "a\ta"}, {"-k2r", "a\ta", "b"}, {"-k2n", "b", "a\t-5"}, {"-k1.2,1.3", "xab1", "aacz"}, {"-k1.3,1.2", "ab", "aaa"},
		{"-k1.2,1", "za\tx", "ab\tx"}, {"-k2,2 -k1,1r", "b\ta", "a\ta"}, {"-k2,9", "b\ta", "a\ta\tb"},
	} {
		fields, err := manifest.ParseSortFields(tt.sort)
		if err != nil {
			t.Fatal(err)
		}
		o := ordered(fields.String(), "\t", manifest.ByInput)
		if a, b := o.compare(tt.less, tt.more), o.compare(tt.more, tt.less); a >= 0 || b <= 0 {
			t.Errorf("%s: %q and %q compare as %d, and as %d the other way", tt.sort, tt.less, tt.more, a, b)
		}
	}
}

// TestPartitionFields: the fields that decide the partition.
func TestPartitionFields(t *testing.T) {
	e := manifest.KeyOrder{From: 2, To: 3, Separator: ","}
	for key, want := range map[string]string{"a,b,c,d": "b,c", "a,b": "b", "a": "", "": "", ",,": ","} {
		if got := partitionFields(e, []byte(key)); string(got) != want {
			t.Errorf("%q is partitioned by %q, want %q", key, got, want)
		}
	}
	if got := partitionFields(manifest.KeyOrder{Separator: "\t", From: 1, To: 1}, []byte("a\tb")); string(got) != "a" {
		t.Errorf("by the first field: %q", got)
	}
}

// TestSegmentOrder: a segment whose codes are in order while its keys are not is out of
// order.
func TestSegmentOrder(t *testing.T) {
	a := &audit{order: ordered("-k1n", "\t", manifest.ByInput)}
	for _, tt := range []struct{ second, want string }{
		{"\xc0\x0210\x0010", ""},
		{"\xc0\x0210\x003", `key "3" comes after key "9"`},
		{"\x80-1", `key "-1" comes after key "9"`},
	} {
		var segment bytes.Buffer
		w := recordio.NewWriter(&segment, recordio.Options{})
		for _, key := range []string{"\xc0\x019\x009", tt.second} {
			if err := w.Write([]byte(key), nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		s := &segmentSource{a: a, open: func() io.Reader { return &segment }}
		for n := range 2 {
			if !s.Next() {
				t.Fatalf("there are %d records", n)
			}
		}
		if s.mess != tt.want {
			t.Errorf("%q behind 9: %q, want %q", tt.second, s.mess, tt.want)
		}
	}
}
