package manifest

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// TestSeal: a summary is taken as it was sealed, and no other bytes are: no
// bit may be another one, none missing and none added.
func TestSeal(t *testing.T) {
	s := samples()["success"].(*Success)
	data, err := EncodeSealed(s)
	if err != nil {
		t.Fatal(err)
	}
	seal, err := CheckSeal(data)
	if err != nil || seal.String() != s.Seal {
		t.Fatalf("CheckSeal = %v, %v, want %s", seal, err, s.Seal)
	}
	if again, err := Encode(s); err != nil || !bytes.Equal(again, data) {
		t.Errorf("Encode of a sealed summary, %v:\n%s", err, again)
	}
	refused := 0
	refuse := func(what string, b []byte) {
		t.Helper()
		if refused++; bytes.Equal(b, data) {
			t.Fatalf("%s changes nothing", what)
		}
		if seal, err := CheckSeal(b); err == nil {
			t.Errorf("%s: taken, with the seal %s", what, seal)
		}
	}
	for at := range data {
		for bit := range 8 {
			b := slices.Clone(data)
			b[at] ^= 1 << bit
			refuse("a bit flip", b)
		}
		refuse("cut at the end", data[:at])
		refuse("cut at the beginning", data[at+1:])
		refuse("a byte left out", slices.Delete(slices.Clone(data), at, at+1))
		refuse("a byte added", slices.Insert(slices.Clone(data), at+1, 'x'))
	}
	lines := strings.SplitAfter(string(data), "\n")
	for i := range len(lines) - 2 {
		for j := i + 1; j < len(lines)-1; j++ {
			if lines[i] == lines[j] {
				continue
			}
			swapped := slices.Clone(lines)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			refuse("lines swapped", []byte(strings.Join(swapped, "")))
		}
		refuse("a line repeated", []byte(strings.Join(slices.Insert(slices.Clone(lines), i, lines[i]), "")))
		refuse("a line dropped", []byte(strings.Join(slices.Delete(slices.Clone(lines), i, i+1), "")))
	}
	if refused < 12*len(data) {
		t.Errorf("%d changes of %d bytes were tried", refused, len(data))
	}
}

func TestParseDigest(t *testing.T) {
	d := DigestOf([]byte("x"))
	if got, err := ParseDigest(d.String()); err != nil || got != d {
		t.Errorf("%v, %v, want %v", got, err, d)
	}
	for _, bad := range []string{"", "0", strings.ToUpper(d.String()), d.String()[:62], d.String() + "00", d.String() + "\n", strings.Repeat("x", 64)} {
		if got, err := ParseDigest(bad); err == nil {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
}

// TestDigestOfAll: the order counts, and where one digest ends.
func TestDigestOfAll(t *testing.T) {
	all := []Digest{DigestOf([]byte("a")), DigestOf([]byte("b"))}
	got := DigestOfAll(2, func(i int) Digest { return all[i] })
	if want := DigestOf(append(slices.Clone(all[0][:]), all[1][:]...)).String(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if other := DigestOfAll(2, func(i int) Digest { return all[1-i] }); other == got {
		t.Error("the order does not count")
	}
	if none := DigestOfAll(0, nil); none != zeroHash {
		t.Errorf("of none: %s", none)
	}
}

// TestDecodeSuccessChecksTheSeal: whoever reads a summary is told of a change in
// it that every other check lets pass.
func TestDecodeSuccessChecksTheSeal(t *testing.T) {
	s := samples()["success"].(*Success)
	data, err := EncodeSealed(s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeSuccess(data, lay, s.Job); err != nil {
		t.Errorf("as it is: %v", err)
	}
	forged := bytes.Replace(data, []byte(`"seconds": `), []byte(`"seconds": 1`), 1)
	if bytes.Equal(forged, data) {
		t.Fatal("nothing was changed")
	}
	if _, err := DecodeSuccess(forged, lay, s.Job); err == nil || !strings.Contains(err.Error(), "seal") {
		t.Errorf("a summary that took longer: %v", err)
	}
}
