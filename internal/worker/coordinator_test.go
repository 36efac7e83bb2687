package worker

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/internal/wire"
)

// patience bounds every wait for what must happen.
const patience = time.Minute

// fakeCoordinator is a coordinator that does what the test says.
type fakeCoordinator struct {
	wire.UnimplementedCoordinatorServer
	t       *testing.T
	address string
	server  *wire.Server
	served  chan struct{}

	grants   chan *wire.Attempt // handed out as they come
	over     chan struct{}      // closed by end
	final    *wire.Done
	joined   chan *wire.RegisterRequest
	reports  chan *wire.ReportRequest
	left     chan *wire.LeaveRequest
	mu       sync.Mutex
	lease    time.Duration
	discover *wire.DiscoverReply
	// Each may answer in place of the coordinator; nil, nil leaves it to the coordinator.
	onRegister  func(*wire.RegisterRequest) (*wire.RegisterReply, error)
	onHeartbeat func(context.Context, *wire.HeartbeatRequest) (*wire.HeartbeatReply, error)
	onReport    func(*wire.ReportRequest) (*wire.ReportReply, error)
}

func newFakeCoordinator(t *testing.T) *fakeCoordinator {
	return &fakeCoordinator{
		t: t, grants: make(chan *wire.Attempt, 100), over: make(chan struct{}), served: make(chan struct{}),
		joined: make(chan *wire.RegisterRequest, 100), reports: make(chan *wire.ReportRequest, 100), left: make(chan *wire.LeaveRequest, 100),
		lease: 300 * time.Millisecond, discover: &wire.DiscoverReply{Bucket: "bucket", Epoch: "e", Protocol: wire.Protocol},
	}
}

// serve starts the coordinator on a free port.
func (b *fakeCoordinator) serve(o wire.ServerOptions) *fakeCoordinator {
	b.t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	if b.server, err = wire.NewServer(b, o); err != nil {
		b.t.Fatal(err)
	}
	b.address = lis.Addr().String()
	go func() { defer close(b.served); _ = b.server.Serve(lis) }()
	b.t.Cleanup(b.die)
	return b
}

// die is a kill -9.
func (b *fakeCoordinator) die() {
	b.server.Stop()
	<-b.served
}

// end tells everybody that the job is over.
func (b *fakeCoordinator) end(failure string) {
	b.final = &wire.Done{Failure: failure}
	close(b.over)
}

func (b *fakeCoordinator) Discover(context.Context, *wire.DiscoverRequest) (*wire.DiscoverReply, error) {
	return b.discover, nil
}

func (b *fakeCoordinator) Register(_ context.Context, q *wire.RegisterRequest) (*wire.RegisterReply, error) {
	b.joined <- q
	if b.onRegister != nil {
		if r, err := b.onRegister(q); r != nil || err != nil {
			return r, err
		}
	}
	return &wire.RegisterReply{Epoch: b.discover.Epoch, Bucket: b.discover.Bucket, Prefix: b.discover.Prefix, LeaseMs: b.lease.Milliseconds(), App: q.App, Nreduce: 1}, nil
}

func (b *fakeCoordinator) Poll(ctx context.Context, _ *wire.PollRequest) (*wire.PollReply, error) {
	select {
	case a := <-b.grants:
		return &wire.PollReply{Job: "job-1", Answer: &wire.PollReply_Grant{Grant: a}}, nil
	case <-b.over:
		return &wire.PollReply{Answer: &wire.PollReply_Done{Done: b.final}}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (b *fakeCoordinator) Heartbeat(ctx context.Context, q *wire.HeartbeatRequest) (*wire.HeartbeatReply, error) {
	b.mu.Lock()
	f := b.onHeartbeat
	b.mu.Unlock()
	if f != nil {
		if r, err := f(ctx, q); r != nil || err != nil {
			return r, err
		}
	}
	select {
	case <-b.over:
		return &wire.HeartbeatReply{Done: b.final}, nil
	default:
		return &wire.HeartbeatReply{}, nil
	}
}

func (b *fakeCoordinator) Report(_ context.Context, q *wire.ReportRequest) (*wire.ReportReply, error) {
	if b.onReport != nil {
		if r, err := b.onReport(q); r != nil || err != nil {
			return r, err
		}
	}
	b.reports <- q
	return &wire.ReportReply{}, nil
}

func (b *fakeCoordinator) Leave(_ context.Context, q *wire.LeaveRequest) (*wire.LeaveReply, error) {
	b.left <- q
	return &wire.LeaveReply{}, nil
}

// announce says in the bucket where the coordinator is.
func (b *fakeCoordinator) announce(f *testkit.Store, id *wire.Identity) {
	b.t.Helper()
	a := manifest.Coordinator{Schema: manifest.CoordinatorSchema, Epoch: b.discover.Epoch, Addresses: []string{b.address}, Renewed: time.Now(), LeaseMS: 10_000}
	if id == nil {
		a.Insecure = true
	} else {
		a.CertPEM, a.Token = id.CertPEM, id.Token
	}
	f.PutJSON(b.t, layout.New(b.discover.Prefix).Coordinator(), a)
}

// underTest is a worker under test.
type underTest struct {
	*testkit.Job
	t      *testing.T
	o      Options
	cancel context.CancelCauseFunc
	done   chan error
}

// newUnderTest prepares a worker of two slots for a job of two maps and a reduce.
func newUnderTest(t *testing.T) *underTest {
	w := testkit.NewJob(testkit.WC, 1, 100, 1, testkit.File{Name: "a", Text: "x y\n"}, testkit.File{Name: "b", Text: "y\n"})
	w.Scratch = t.TempDir()
	w.Store.PutJSON(t, layout.Layout{}.Job(), w.Spec)
	return &underTest{Job: w, t: t, done: make(chan error, 1), o: Options{
		Store: w.Store, Bucket: "bucket", Log: zerolog.Nop(), Version: "v", App: &w.App, Insecure: true,
		CoordTimeout: 500 * time.Millisecond, Name: "w", Host: "h", Slots: 2, Memory: 64 << 20, Scratch: w.Scratch,
	}}
}

func (s *underTest) start() {
	ctx, cancel := context.WithCancelCause(context.Background())
	s.cancel = cancel
	go func() { s.done <- Run(ctx, s.o) }()
	s.t.Cleanup(func() { cancel(errors.New("the test is over")) })
}

// ends waits for Run to return.
func (s *underTest) ends() error {
	s.t.Helper()
	return await(s.t, s.done, "the worker's end")
}

// await receives from a channel within patience.
func await[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// ownAuthority writes a certificate that is its own authority, for 127.0.0.1.
func ownAuthority(t *testing.T) wire.Files {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f := wire.Files{CA: filepath.Join(dir, "cert.pem"), Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for path, block := range map[string]*pem.Block{
		f.Cert: {Type: "CERTIFICATE", Bytes: cert}, f.Key: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// summary is that of a job without input.
func summary(lay layout.Layout, job, app string) manifest.Success {
	return manifest.Success{
		Schema: manifest.SuccessSchema, Job: job, App: manifest.App{Kind: manifest.Go, Name: app}, NReduce: 1,
		Outputs: []manifest.Output{{Key: lay.Output(0), Hash: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}},
	}
}
