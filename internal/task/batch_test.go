package task

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// inBatches is a mapper that takes batches row by row.
type inBatches struct {
	mr.Mapper
	rows *int // that came in batches
}

// MapBatch implements [mr.BatchMapper].
func (m inBatches) MapBatch(b *mr.Batch, out mr.Emitter) (int, error) {
	for row := range b.Len() {
		*m.rows++
		if err := m.Map(b.Record(row), out); err != nil {
			return row, err
		}
	}
	return 0, nil
}

// batched is the app with a mapper that takes batches, and counts their rows.
func batched(app mr.App, rows *int) mr.App {
	plain := app.NewMapper
	app.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
		m, err := plain(t)
		return inBatches{m, rows}, err
	}
	return app
}

// TestBatches: an application that takes batches gets the rows that another gets one by
// one. Where records may be skipped it gets them one by one too.
func TestBatches(t *testing.T) {
	for name, o := range tableObjects(t) {
		if o.damaged == "" {
			continue // no rows
		}
		for _, split := range []int64{100, 999, 1 << 20} {
			rows := 0
			want, err := tableJob(t, byPath, o.format, o.text, split, 0).runTables(t)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tableJob(t, batched(byPath, &rows), o.format, o.text, split, 0).runTables(t)
			if diff := cmp.Diff(want, got); err != nil || diff != "" || rows != 400 {
				t.Errorf("%s, split %d: %v, %d rows in batches, -rows +batches:\n%s", name, split, err, rows, diff)
			}
			_, wrong := tableJob(t, byPath, o.format, o.damaged, split, 0).runTables(t)
			_, err = tableJob(t, batched(byPath, &rows), o.format, o.damaged, split, 0).runTables(t)
			if err == nil || err.Error() != wrong.Error() {
				t.Errorf("%s, split %d: %v, row by row %v", name, split, err, wrong)
			}
			rows = 0
			want, wrong = tableJob(t, byPath, o.format, o.damaged, split, 1).runTables(t)
			got, err = tableJob(t, batched(byPath, &rows), o.format, o.damaged, split, 1).runTables(t)
			if diff := cmp.Diff(want, got); err != nil || wrong != nil || diff != "" || rows != 0 {
				t.Errorf("%s, split %d, damaged: %v, %v, %d rows in batches, -rows +batches:\n%s", name, split, err, wrong, rows, diff)
			}
		}
	}
}

// TestBatchBlamed: an error over a row of a batch names the same record as one of Map.
func TestBatchBlamed(t *testing.T) {
	for name, o := range tableObjects(t) {
		if o.damaged == "" {
			continue
		}
		app := byPath
		app.NewMapper = func(*mr.Task) (mr.Mapper, error) {
			return mr.MapperFunc(func(rec mr.Record, _ mr.Emitter) error {
				if n, err := rec.Fields.Int(0); err != nil || n == 123 {
					return errors.New("not that one")
				}
				return nil
			}), nil
		}
		rows := 0
		_, want := tableJob(t, app, o.format, o.text, 1<<20, 0).runTables(t)
		_, got := tableJob(t, batched(app, &rows), o.format, o.text, 1<<20, 0).runTables(t)
		var wanted, found *AppError
		if !errors.As(want, &wanted) || !errors.As(got, &found) || rows == 0 {
			t.Fatalf("%s: %v, %v, %d rows in batches", name, want, got, rows)
		}
		if diff := cmp.Diff(fmt.Sprint(want, wanted.Object, wanted.Offset, wanted.Record), fmt.Sprint(got, found.Object, found.Offset, found.Record)); diff != "" || !strings.Contains(found.Record, "123") {
			t.Errorf("%s: %q, -rows +batches:\n%s", name, found.Record, diff)
		}
	}
}

// TestBatchPanics: a panic is blamed on the batch.
func TestBatchPanics(t *testing.T) {
	app := byPath
	app.NewMapper = func(*mr.Task) (mr.Mapper, error) { return panics{}, nil }
	_, err := tableJob(t, app, manifest.Choice{Name: "json", Given: true}, "{\"bytes\":1}\n{\"bytes\":2}\n{\"bytes\":3}\n", 1<<20, 0).runTables(t)
	var found *AppError
	if !errors.As(err, &found) || found.Object != "o" || found.Record != "" || !strings.Contains(err.Error(), "no batches please") {
		t.Errorf("%v", err)
	}
}

type panics struct{ mr.Mapper }

func (panics) MapBatch(*mr.Batch, mr.Emitter) (int, error) { panic("no batches please") }
