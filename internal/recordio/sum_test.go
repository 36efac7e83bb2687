package recordio

import "testing"

func TestHex64(t *testing.T) {
	for _, h := range []Hex64{0, 1, 0xfedcba9876543210, 1<<64 - 1} {
		text, err := h.MarshalText()
		var back Hex64
		if err != nil || len(text) != 16 || back.UnmarshalText(text) != nil || back != h {
			t.Errorf("%d became %q and %d, %v", uint64(h), text, uint64(back), err)
		}
	}
	for _, bad := range []string{"", "0", "0x00000000000000", "+000000000000000", "000000000000000g",
		"00000000000000000", " 00000000000000 ", "0000_0000_0000_0"} {
		if err := new(Hex64).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestSumAdd(t *testing.T) {
	s := Sum{Records: 1, Hash: 1<<64 - 1, Bytes: 2}
	s.Add(Sum{Records: 2, Hash: 2, Bytes: 3})
	if want := (Sum{Records: 3, Hash: 1, Bytes: 5}); s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
}
