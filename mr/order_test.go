package mr

import "testing"

// TestValueOrder: bytes, numbers of any length, and what is none.
func TestValueOrder(t *testing.T) {
	for _, tt := range []struct {
		order      ValueOrder
		less, more string
	}{
		{ByBytes, "10", "9"}, {ByBytesDown, "9", "10"}, {ByBytesDown, "ab", "a"},
		{ByNumber, "9", "10"}, {ByNumber, "-10", "-9.5"}, {ByNumber, "-0.1", "x"}, {ByNumber, "1.05", "1.5"}, {ByNumber, " \t7", "007.1"},
		{ByNumber, "99999999999999999999", "100000000000000000000"}, {ByNumberDown, "10", "9"}, {ByNumberDown, "", "-1"},
	} {
		if a, b := tt.order.Compare([]byte(tt.less), []byte(tt.more)), tt.order.Compare([]byte(tt.more), []byte(tt.less)); a >= 0 || b <= 0 {
			t.Errorf("%s: %q and %q compare as %d and %d", tt.order, tt.less, tt.more, a, b)
		}
	}
	for _, same := range [][2]string{{"3", "03.0"}, {"", "x"}, {"-0", "0"}, {"5a", "5b"}} {
		if c := ByNumber.Compare([]byte(same[0]), []byte(same[1])); c != 0 {
			t.Errorf("%q and %q compare as %d", same[0], same[1], c)
		}
	}
	if c := byInput.Compare([]byte("b"), []byte("a")); c != 0 {
		t.Errorf("by input: %d", c)
	}
}
