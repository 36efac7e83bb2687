//go:build !interop

package e2e

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/s3local"
	"github.com/mraws/mraws/internal/task"
	"github.com/mraws/mraws/internal/verify"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/internal/worker"
	"github.com/mraws/mraws/mr"
)

// plain is another bucket that is reached as that of the job.
type plain struct{ *s3fs.Store }

func (plain) Access() manifest.Access { return manifest.Access{} }

// TestSources: a job reads its own input, another prefix of its bucket and another
// bucket as one input, and writes into its own bucket alone.
func TestSources(t *testing.T) {
	t.Parallel()
	server, err := s3local.Start(t.Context(), s3local.Options{DataDir: t.TempDir(), Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	at := server.Endpoint()
	open := func(bucket string, where s3fs.Server) *s3fs.Store {
		s, err := s3fs.Open(t.Context(), s3fs.Options{
			Bucket: bucket, Region: at.Region, Endpoint: at.URL, AccessKey: at.AccessKey, SecretKey: at.SecretKey, Server: where,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	store, lay := open("jobs", s3fs.Elsewhere), layout.New("one")
	counts := map[string]int{}
	put := func(bucket, key, text string) {
		s := store.In(bucket)
		if err := s.EnsureBucket(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Put(t.Context(), key, []byte(text), object.PutOptions{IfAbsent: true}); err != nil {
			t.Fatal(err)
		}
		for w := range strings.FieldsSeq(text) {
			counts[w]++
		}
	}
	put("jobs", lay.Input("own"), "the input of the job\n")
	put("jobs", "archive/old", strings.Repeat("old lines of the archive\n", 100))
	for i := range 5 {
		put("logs", fmt.Sprintf("2026/day-%d", i), strings.Repeat("day "+strings.Repeat("x", i+1)+" of the logs\n", 40*i))
	}
	put("logs", "2025/last", "")
	put("other", "secret", "")

	wc := app(t, "wc")
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := coordinator.New(coordinator.Options{
		Store: store, Buckets: func(_ context.Context, name string) (coordinator.Bucket, error) { return plain{store.In(name)}, nil }, Layout: lay, Log: zerolog.Nop(), Version: "v",
		Sources: []coordinator.Source{{Bucket: "logs", Prefix: "2026/"}, {}, {Bucket: "jobs", Prefix: "archive/"}},
		App:     &wc, NReduce: 2, SplitSize: 1000, Pack: coordinator.PackAuto,
		Lease: time.Minute, MaxFailures: 1, MaxLost: 1, Unsafe: true,
		Listener: lis, Addresses: []string{lis.Addr().String()}, Security: wire.ServerOptions{Insecure: true},
	})
	g, ctx := errgroup.WithContext(t.Context())
	g.Go(func() error { _, err := c.Run(ctx); return err })
	for i, where := range []s3fs.Server{s3fs.Elsewhere, s3fs.SameMachine} {
		s := open("jobs", where)
		g.Go(func() error {
			return worker.Run(ctx, worker.Options{
				Store: s, Bucket: "jobs", Buckets: func(_ context.Context, name string, _ manifest.Access) (task.Source, error) { return s.In(name), nil }, Layout: lay, Log: zerolog.Nop(), Version: "v", App: &wc,
				Addresses: []string{lis.Addr().String()}, Insecure: true, CoordTimeout: time.Minute,
				Name: fmt.Sprintf("w%d", i), Slots: 1, Memory: memory, Scratch: t.TempDir(),
			})
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for w, n := range counts {
		want = append(want, fmt.Sprintf("%s %d\n", w, n))
	}
	for r := range 2 {
		data, _, err := store.Get(t.Context(), lay.Output(r))
		if err != nil {
			t.Fatal(err)
		}
		got = slices.AppendSeq(got, strings.Lines(string(data)))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	job, _, err := jobstate.ReadJob(t.Context(), store, lay)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"own", "s3://jobs/archive/old", "s3://logs/2026/day-0", "s3://logs/2026/day-1", "s3://logs/2026/day-2", "s3://logs/2026/day-3", "s3://logs/2026/day-4"}
	if diff := cmp.Diff(names, job.Names()); diff != "" || len(job.Tasks) <= len(names) || job.Objects[0] != (manifest.Object{Name: "own", ETag: job.Objects[0].ETag, Size: 21}) {
		t.Errorf("%d tasks, first object %+v, names (-want +got):\n%s", len(job.Tasks), job.Objects[0], diff)
	}
	rep, err := verify.Run(t.Context(), store, lay, verify.Options{
		App: "wc", Lookup: func(string) *mr.App { return &wc }, Buckets: func(_ context.Context, name string, _ manifest.Access) (verify.Store, error) {
			return store.In(name), nil
		},
	})
	if err != nil || !rep.OK() || rep.Reference.State != verify.OK || rep.Structure.Inputs != len(names) {
		t.Errorf("verify: %v, %+v", err, rep)
	}
	for bucket, n := range map[string]int{"logs": 6, "other": 1} {
		found := 0
		for _, err := range store.In(bucket).List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			found++
		}
		if found != n {
			t.Errorf("%d objects in the bucket %s, %d were put there", found, bucket, n)
		}
	}
}
