package cmd

import (
	"testing"

	"github.com/mraws/mraws/internal/output"
	"github.com/mraws/mraws/mr"
)

// TestOutputColumns: the columns that an app declares are those of its reducer, so a
// map-only job does not have them.
func TestOutputColumns(t *testing.T) {
	app := &mr.App{Name: "a", OutputColumns: func(map[string]string) []mr.Column {
		return []mr.Column{{Name: "file"}, {Name: "match", Type: mr.IntColumn}}
	}}
	for name, tt := range map[string]struct {
		app     *mr.App
		nreduce int
		given   string
		want    string
	}{
		"of the reducer":            {app, 1, "", "file,match:int"},
		"map-only":                  {app, 0, "", ""},
		"given":                     {app, 1, "a,b", "a,b"},
		"given, map-only":           {app, 0, "a,b", "a,b"},
		"app that is not known yet": {nil, 1, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := &jobFlags{output: outputFlags{format: "parquet", columns: tt.given}}
			c, err := o.outputFormat(tt.app, nil, tt.nreduce)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Options[output.ColumnsOption]; got != tt.want {
				t.Errorf("columns %q, want %q", got, tt.want)
			}
		})
	}
}
