//go:build !interop

package e2e

import (
	"bytes"
	"context"
	encoding "encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"slices"
	"strconv"
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
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/internal/verify"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/internal/worker"
	"github.com/mraws/mraws/mr"
)

func init() {
	testkit.AddFormats()
	verify.Outputs["framed"] = verify.OutputKind{Open: func(o verify.Output) verify.Lines { return &framedLines{body: o.Body} }}
}

// framedLines is the verifier's reader of the output format "framed". It holds the
// whole output.
type framedLines struct {
	body io.Reader // nil once it is read
	text []byte    // that follows
	n    uint64    // records so far
	err  error
}

func (l *framedLines) Next() ([]byte, error) {
	if l.body != nil {
		var err error
		if l.text, err = io.ReadAll(l.body); err != nil {
			return nil, err
		}
		l.body = nil
	}
	if len(l.text) == 8 && l.number() == l.n {
		return nil, io.EOF
	}
	key := l.field()
	value := l.field()
	if l.err != nil {
		return nil, l.err
	}
	l.n++
	return bytes.Join([][]byte{key, value}, []byte{' '}), nil
}

func (l *framedLines) number() uint64 {
	if len(l.text) < 8 {
		l.err = &verify.MalformedError{What: fmt.Sprintf("it is cut off behind record %d", l.n)}
		return 0
	}
	n := encoding.BigEndian.Uint64(l.text)
	l.text = l.text[8:]
	return n
}

func (l *framedLines) field() []byte {
	n := min(l.number(), uint64(len(l.text)))
	f := l.text[:n]
	l.text = l.text[n:]
	return f
}

func (l *framedLines) Close() {}

// servedStore serves a new bucket in this process, until the test ends.
func servedStore(t *testing.T, bucket string) *s3fs.Store {
	t.Helper()
	server, err := s3local.Start(t.Context(), s3local.Options{DataDir: t.TempDir(), Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	at := server.Endpoint()
	store, err := s3fs.Open(t.Context(), s3fs.Options{Bucket: bucket, Region: at.Region, Endpoint: at.URL, AccessKey: at.AccessKey, SecretKey: at.SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	if err := store.EnsureBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store
}

// TestFormatsOfTheJob: a job names formats of input and output that its application
// does not declare. The worker takes them from the job's spec, and the verifier reads
// them with readers of its own. A coordinator without the formats refuses the job.
func TestFormatsOfTheJob(t *testing.T) {
	t.Parallel()
	store := servedStore(t, "jobs")
	lay := layout.New("formats")
	text := strings.Repeat("one\ntwo\x00six\r", 300)
	if _, err := store.Put(t.Context(), lay.Input("a"), []byte(text), object.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	count := mr.App{
		Name: "count4", Version: "1",
		NewMapper: func(*mr.Task) (mr.Mapper, error) {
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				out.Emit(rec.Data, mr.AppendInt64(nil, 1))
				return nil
			}), nil
		},
		NewReducer: func(*mr.Task) (mr.Reducer, error) {
			return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
				n := 0
				for range values {
					n++
				}
				out.Write([]byte(strconv.Itoa(n)))
				return nil
			}), nil
		},
	}
	run := func(in, out *manifest.Choice) error {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c := coordinator.New(coordinator.Options{
			Store: store, Layout: lay, Log: zerolog.Nop(), Version: "v", App: &count, Input: in, Output: out,
			NReduce: 2, SplitSize: 1001, Pack: coordinator.PackAuto, Lease: time.Minute, MaxFailures: 1, MaxLost: 1, Unsafe: true,
			Listener: lis, Addresses: []string{lis.Addr().String()}, Security: wire.ServerOptions{Insecure: true},
		})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var g errgroup.Group // the worker may hear of a conflict before c.Run returns it
		g.Go(func() error {
			return worker.Run(ctx, worker.Options{
				Store: store, Bucket: "jobs", Layout: lay, Log: zerolog.Nop(), Version: "v", App: &count, Addresses: []string{lis.Addr().String()},
				Insecure: true, CoordTimeout: time.Minute, Name: "w", Slots: 1, Memory: memory, Scratch: t.TempDir(),
			})
		})
		if _, err = c.Run(t.Context()); err != nil {
			stop()
			_ = g.Wait() // it ended since the coordinator did
			return err
		}
		return g.Wait()
	}
	in, out := &manifest.Choice{Name: "fixed", Options: map[string]string{"size": "4"}}, &manifest.Choice{Name: "framed"}
	if err := run(&manifest.Choice{Name: "avro"}, nil); err == nil || !strings.Contains(err.Error(), `format of the job's input: unknown input "avro"`) {
		t.Fatalf("an unknown format: %v", err)
	}
	if err := run(in, out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := range 2 {
		data, _, err := store.Get(t.Context(), lay.Output(r))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, testkit.Framed(t, string(data))...)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"one\n=300", "six\r=300", "two\x00=300"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	job, _, err := jobstate.ReadJob(t.Context(), store, lay)
	if err != nil || job.Input.String() != "fixed size=4" || job.Output.Name != "framed" || len(job.Tasks) < 3 {
		t.Errorf("%v, %+v", err, job)
	}
	var conflict *coordinator.ConflictError
	if err := run(nil, nil); !errors.As(err, &conflict) || !slices.Contains(conflict.Diff, "input: fixed size=4 -> lines") || !slices.Contains(conflict.Diff, "output: framed -> lines") {
		t.Errorf("the job goes on in other formats: %v", err)
	}

	check := func() *verify.Report {
		t.Helper()
		rep, err := verify.Run(t.Context(), store, lay, verify.Options{App: "count4", Lookup: func(string) *mr.App { return &count }})
		if err != nil {
			t.Fatal(err)
		}
		return rep
	}
	if rep := check(); !rep.OK() || rep.Reference.State != verify.OK || rep.Reference.Records != 900 || rep.Reference.Lines != 3 || rep.Proof.Lines != 3 || len(rep.Notes) > 0 {
		t.Errorf("%+v", rep)
	}
	key := lay.Output(0)
	data, info, err := store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) <= 8 {
		t.Fatalf("%s holds no record", key)
	}
	data[len(data)-9]++ // the last digit of a count
	if _, err := store.Put(t.Context(), key, data, object.PutOptions{Meta: info.Meta}); err != nil {
		t.Fatal(err)
	}
	rep := check()
	if !slices.ContainsFunc(rep.Findings, func(f verify.Finding) bool {
		return f.Kind == verify.Mismatch && f.Key == key && strings.Contains(f.Detail, "301")
	}) {
		t.Errorf("another count in a framed output: %v", rep.Findings)
	}
}
