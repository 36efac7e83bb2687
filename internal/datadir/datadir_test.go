package datadir

import "testing"

func TestDefault(t *testing.T) {
	for _, test := range []struct{ xdg, want string }{
		{"/xdg", "/xdg/mraws"},
		{"", "/home/me/.local/share/mraws"},
		{"relative", "/home/me/.local/share/mraws"},
	} {
		t.Setenv("HOME", "/home/me")
		t.Setenv("XDG_DATA_HOME", test.xdg)
		if got, err := Default(); err != nil || got != test.want {
			t.Errorf("XDG_DATA_HOME=%q: %q, %v, want %q", test.xdg, got, err, test.want)
		}
	}
}
