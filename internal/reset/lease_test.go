package reset

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

type oneObject struct {
	key  string
	data []byte
	info object.Info
	err  error
}

func (o oneObject) Get(_ context.Context, key string) ([]byte, object.Info, error) {
	if key != o.key {
		return nil, object.Info{}, fs.ErrNotExist
	}
	return o.data, o.info, o.err
}

func TestHolder(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	announced := func(change func(*manifest.Coordinator)) []byte {
		a := manifest.Coordinator{Schema: manifest.CoordinatorSchema, Epoch: "e", Addresses: []string{"10.0.0.1:1234"}, LeaseMS: 10_000, Process: manifest.Process{PID: 7}}
		if change != nil {
			change(&a)
		}
		data, err := manifest.Encode(a)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for _, tt := range []struct {
		name   string
		data   []byte
		age    time.Duration
		prefix string
		ended  bool
		err    error
		holds  bool
		fails  error
	}{
		{name: "just renewed", data: announced(nil), holds: true},
		{name: "renewed almost a lease ago", data: announced(nil), age: 11 * time.Second, holds: true},
		{name: "silent", data: announced(nil), age: 13 * time.Second},
		{name: "a long lease", data: announced(func(a *manifest.Coordinator) { a.LeaseMS = 60_000 }), age: 50 * time.Second, holds: true},
		{name: "released", data: announced(func(a *manifest.Coordinator) { a.Released = true })},
		{name: "its process has ended", data: announced(nil), ended: true},
		{name: "none", prefix: "elsewhere"},
		{name: "damaged", data: []byte("{")},
		{name: "damaged in the store", err: object.ErrDamaged},
		{name: "no right to read", err: fs.ErrPermission, fails: fs.ErrPermission},
		{name: "no store", err: errFake, fails: errFake},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := layout.New("p")
			store := oneObject{l.Coordinator(), tt.data, object.Info{Modified: at, Served: at.Add(tt.age)}, tt.err}
			got, err := Holder(t.Context(), store, layout.New("p"+tt.prefix), func(p manifest.Process) bool { return tt.ended && p.PID == 7 })
			if (got != nil) != tt.holds || !errors.Is(err, tt.fails) {
				t.Fatalf("got %+v, %v", got, err)
			}
			if tt.holds && got.Addresses[0] != "10.0.0.1:1234" {
				t.Errorf("addresses are %q", got.Addresses)
			}
		})
	}
}
