package mrtest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/mr"
)

// bytesByStatus adds up column bytes by column status.
func bytesByStatus() mr.App {
	pairs := mr.PairsOf(mr.Text{}, mr.Int64{})
	return mr.App{
		Name: "bytes", Input: mr.Rows,
		Columns: func(map[string]string) ([]string, error) { return []string{"bytes", "status"}, nil },
		NewMapper: pairs.MapRows(func(row *mr.Fields, out *mr.Out[string, int64]) error {
			n, err := row.Int(0)
			if err == nil {
				out.Emit(string(row.Text(1)), n)
			}
			return err
		}),
		NewReducer: mr.SumReducer, Combine: mr.Sum{},
	}
}

func TestRows(t *testing.T) {
	got := Run(t, bytesByStatus(), 2, map[string]string{
		"a.csv":  "status,path,bytes\r\n200,\"a,\n\"\"b\",10\r\n404,,1\r\n",
		"b.tsv":  "bytes\tstatus\n5\t200\n",
		"c.json": "{\"status\":200,\"bytes\":7}\n\n{\"bytes\":\"2\",\"status\":\"404\"}",
	})
	if diff := cmp.Diff([]string{"200 22", "404 3"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRowsWithoutColumns(t *testing.T) {
	var all []string
	app := mr.App{
		Name: "show", Input: mr.Rows, NewReducer: mr.SumReducer,
		NewMapper: func(*mr.Task) (mr.Mapper, error) {
			return mr.MapperFunc(func(rec mr.Record, _ mr.Emitter) error {
				all = append(all, fmt.Sprintf("%d %s", rec.Offset, rec.Fields.AppendJSON(nil)))
				return nil
			}), nil
		},
	}
	Run(t, app, 1, map[string]string{"a": `{"z":null,"a":[1,{}],"b":true}` + "\n" + `{"q":"\u00e4"}`, "b.csv": "x,y\n1,\n"})
	want := []string{`0 {"z":null,"a":[1,{}],"b":true}`, `31 {"q":"ä"}`, `4 {"x":"1","y":null}`}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestBadRows(t *testing.T) {
	for text, want := range map[string]string{"[1]": "line at byte 0 of a: ", `{"bytes":"x","status":1}`: `column "bytes" is "x"`} {
		_, err := Job{App: bytesByStatus(), Inputs: map[string]string{"a": text}}.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
