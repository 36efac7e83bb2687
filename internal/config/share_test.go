package config

import "testing"

func TestShare(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "25": "25", "007": "7", "0%": "0%", "0.10%": "0.1%", "5%": "5%", "100.0000%": "100%", "12.3456%": "12.3456%",
		"": "", "-1": "", "1.5": "", "x": "", "%": "", ".5%": "", "1.%": "", "101%": "", "0.00001%": "", "1e2%": "", "99999999999999999999": "",
	} {
		if got, err := share(in); got != want || (err != nil) != (want == "") {
			t.Errorf("%q became %q, %v, want %q", in, got, err, want)
		}
	}
}

// TestShareInFile: YAML reads both forms without quotes.
func TestShareInFile(t *testing.T) {
	for _, v := range []string{"25", "0.1%"} {
		isolate(t)
		l, err := Load(Options{File: write(t, "f.yaml", "max-bad-records: "+v+"\n")})
		if err != nil {
			t.Errorf("%s: %v", v, err)
			continue
		}
		if l.MaxBad != v {
			t.Errorf("%s became %q", v, l.MaxBad)
		}
	}
}
