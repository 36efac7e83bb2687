package cmd

import (
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/status"
)

// TestDoctorComparesVersions: a coordinator and workers of other versions are named, each
// version once.
func TestDoctorComparesVersions(t *testing.T) {
	report := func(coordinator string, workers ...string) *status.Report {
		r := &status.Report{Coordinator: &status.Coordinator{Version: coordinator}, Live: &status.Live{}}
		for i, v := range workers {
			r.Live.Members = append(r.Live.Members, status.Member{Name: "w" + string(rune('1'+i)), Version: v})
		}
		return r
	}
	for name, tt := range map[string]struct {
		report *status.Report
		want   []string
	}{
		"same":      {report("v1", "v1", "v1"), []string{"ok v1, as that of the coordinator and of 2 workers"}},
		"no worker": {report("v1"), []string{"ok v1, as that of the coordinator and of 0 workers"}},
		"workers":   {report("v1", "v0", "v1", "v2", "v2", ""), []string{"wrong worker w5 has version (unknown), this program v1", "wrong worker w1 has version v0, this program v1", "wrong worker w4 has version v2, this program v1"}},
		"all":       {report("v2", "v2"), []string{"wrong the coordinator has version v2, this program v1", "wrong worker w1 has version v2, this program v1"}},
	} {
		s, _ := testSession(config.Config{}, nil)
		e := &examination{session: s}
		e.versions("v1", tt.report)
		var got []string
		for _, f := range e.findings {
			got = append(got, f.State+" "+f.What)
			if (f.State == "wrong") != (f.code == ExitConflict) {
				t.Errorf("%s: code %d of %q", name, f.code, f.What)
			}
		}
		if g, w := strings.Join(got, "\n"), strings.Join(tt.want, "\n"); g != w {
			t.Errorf("%s:\n%s\nwant\n%s", name, g, w)
		}
	}
}
