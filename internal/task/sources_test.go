package task

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// elsewhere puts input objects into another bucket and makes them input of the
// job, behind what it has.
func elsewhere(t *testing.T, w *fixture, bucket string, files ...file) *testkit.Store {
	t.Helper()
	store := testkit.NewStore()
	for _, f := range files {
		info, err := store.Write(f.Name, []byte(f.Text), object.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		w.Spec.Objects = append(w.Spec.Objects, manifest.Object{
			Name: layout.Place(bucket, f.Name), Bucket: bucket, Key: f.Name, ETag: info.ETag, Size: info.Size, Compression: manifest.CompressionOf(f.Name),
		})
		if strings.HasSuffix(f.Name, ".gz") {
			w.Spec.Decompress = manifest.Decompress{Ratio: 200, Limit: 1 << 40}
		}
	}
	return store
}

// TestSources: input of two buckets, cut, packed and compressed, is read as one.
func TestSources(t *testing.T) {
	w := newFixture(testkit.Where, 2, 0, 1, file{"a", "one two\nthree\n"})
	logs := elsewhere(t, w, "logs", file{"d/b", "two two\none\nfour\n"}, file{"d/c.gz", gz(t, "one\n")})
	planned(t, w, w.Spec.Input, 7)
	e := w.env(t)
	there := manifest.Access{Region: "eu-west-1", Unsigned: true}
	w.Spec.Buckets = map[string]manifest.Access{"logs": there}
	e.Buckets = func(_ context.Context, name string, a manifest.Access) (Source, error) {
		if name != "logs" || a != there {
			t.Errorf("asked for the bucket %q by %+v", name, a)
		}
		return logs, nil
	}
	for m := range w.Spec.Tasks {
		if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, m, "m"}); err != nil {
			t.Fatal(err)
		}
	}
	for r := range 2 {
		if _, err := e.Run(context.Background(), Attempt{mr.ReducePhase, r, "r"}); err != nil {
			t.Fatal(err)
		}
	}
	w.Check(t)
	logs.Check(t)
	want := []string{
		"four s3://logs/d/b:12:0,\n", "one a:0:0,s3://logs/d/b:8:0,s3://logs/d/c.gz:0:0,\n", "three a:8:0,\n", "two a:0:0,s3://logs/d/b:0:0,s3://logs/d/b:0:0,\n",
	}
	if diff := cmp.Diff(want, linesOf(w.Outputs(t))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, call := range logs.Calls {
		if op, _, _ := strings.Cut(call, " "); op != "open" {
			t.Errorf("%s in the other bucket", call)
		}
	}
}

// TestSourceErrors: what is wrong with input of another bucket is said with its
// bucket, and a worker that reads one bucket alone does not read a like key there.
func TestSourceErrors(t *testing.T) {
	run := func(buckets bool, harm func(*testkit.Store)) (*FatalError, error) {
		w := newFixture(spell, 1, 0, 1)
		logs := elsewhere(t, w, "logs", file{"d/b", "one\n"})
		planned(t, w, w.Spec.Input, 100)
		if _, err := w.Store.Write("d/b", []byte("two\n"), object.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		harm(logs)
		e := w.env(t)
		if buckets {
			e.Buckets = func(context.Context, string, manifest.Access) (Source, error) { return logs, nil }
		}
		_, err := e.Run(context.Background(), Attempt{mr.MapPhase, 0, "m"})
		var fatal *FatalError
		if !errors.As(err, &fatal) {
			t.Fatalf("%v", err)
		}
		if i := slices.IndexFunc(w.Store.Calls, func(c string) bool { return strings.HasSuffix(c, " d/b") }); i >= 0 {
			t.Errorf("%s in the job's bucket", w.Store.Calls[i])
		}
		return fatal, err
	}
	if fatal, err := run(false, func(*testkit.Store) {}); !strings.Contains(err.Error(), "s3://logs/d/b: no other bucket can be read here") || fatal.Key != "s3://logs/d/b" {
		t.Errorf("%v, of %q", err, fatal.Key)
	}
	fatal, err := run(true, func(s *testkit.Store) { delete(s.Objects, "d/b") })
	if !errors.Is(err, fs.ErrNotExist) || fatal.Key != "s3://logs/d/b" {
		t.Errorf("%v, of %q", err, fatal.Key)
	}
}

// TestReplaySource: a replay counts the lines of an object where it lies.
func TestReplaySource(t *testing.T) {
	app := testkit.App("fails", func(rec mr.Record, _ mr.Emitter) error {
		if bytes.Equal(rec.Data, []byte("bad")) {
			return errors.New("it is bad")
		}
		return nil
	}, testkit.ReduceWhere, nil)
	w := newFixture(app, 1, 0, 1)
	logs := elsewhere(t, w, "logs", file{"d/b", "one\ntwo\nbad\n"})
	planned(t, w, w.Spec.Input, 100)
	e := w.env(t)
	e.Buckets = func(context.Context, string, manifest.Access) (Source, error) { return logs, nil }
	_, err := e.Replay(context.Background(), mr.MapPhase, 0, nil)
	var failed *AppError
	if !errors.As(err, &failed) || failed.Object != "s3://logs/d/b" || failed.Line != 3 {
		t.Errorf("%v: %+v", err, failed)
	}
}
