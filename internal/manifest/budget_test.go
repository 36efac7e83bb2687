package manifest

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestBudget(t *testing.T) {
	for text, want := range map[string]struct {
		b    Budget
		form string
	}{
		"":          {Budget{}, "0"},
		"0":         {Budget{}, "0"},
		"0%":        {Budget{}, "0"},
		"25":        {Budget{Records: 25}, "25"},
		"007":       {Budget{Records: 7}, "7"},
		"0.1%":      {Budget{PPM: 1000}, "0.1%"},
		"0.10%":     {Budget{PPM: 1000}, "0.1%"},
		"5%":        {Budget{PPM: 50_000}, "5%"},
		"0.0001%":   {Budget{PPM: 1}, "0.0001%"},
		"12.3456%":  {Budget{PPM: 123_456}, "12.3456%"},
		"100.0000%": {Budget{PPM: 1_000_000}, "100%"},
	} {
		b, err := ParseBudget(text)
		if err != nil || b != want.b || b.String() != want.form {
			t.Errorf("%q is %+v %q, %v, want %+v %q", text, b, b, err, want.b, want.form)
		}
	}
	for _, text := range []string{"-1", "+1", "1.5", "x", " 1", "%", ".5%", "1.%", "0.00001%", "100.0001%", "-1%", "1e2%", "99999999999999999999", "1 %"} {
		if b, err := ParseBudget(text); err == nil {
			t.Errorf("%q was read as %+v", text, b)
		}
	}
}

// TestBudgetProperty: a text comes back, and a share is exact.
func TestBudgetProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Budget{Records: rapid.Int64Min(0).Draw(t, "records")}
		if rapid.Bool().Draw(t, "share") {
			b = Budget{PPM: rapid.Int64Range(0, 1_000_000).Draw(t, "ppm")}
		}
		if back, err := ParseBudget(b.String()); err != nil || back != b || b.IsZero() != (b == Budget{}) {
			t.Fatalf("%+v became %q and %+v, %v", b, b, back, err)
		}
		read := rapid.Int64Min(0).Draw(t, "read")
		want := new(big.Int).Mul(big.NewInt(read), big.NewInt(b.PPM))
		want.Div(want, big.NewInt(1_000_000))
		if b.PPM > 0 && b.Of(read) != want.Int64() || b.PPM == 0 && b.Of(read) != b.Records {
			t.Fatalf("%v of %d is %d", b, read, b.Of(read))
		}
	})
}
