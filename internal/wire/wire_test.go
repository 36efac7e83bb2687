package wire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/mraws/mraws/internal/manifest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers Discover and Status and refuses Register.
type echo struct{ UnimplementedCoordinatorServer }

func (echo) Discover(context.Context, *DiscoverRequest) (*DiscoverReply, error) {
	return &DiscoverReply{Bucket: "bucket", Prefix: "p", Protocol: Protocol, Epoch: "e"}, nil
}

func (echo) Status(ctx context.Context, _ *StatusRequest) (*StatusReply, error) {
	if _, ok := ctx.Deadline(); !ok {
		return nil, status.Error(codes.Internal, "the call has no deadline")
	}
	return &StatusReply{State: "fine"}, nil
}

func (echo) Register(context.Context, *RegisterRequest) (*RegisterReply, error) {
	return nil, &Refusal{Reason: ReasonApp, About: "wc", What: "the job runs wc"}
}

// serve starts a server and returns its address.
func serve(t *testing.T, o ServerOptions) string {
	t.Helper()
	s, err := NewServer(echo{}, o)
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(lis) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return lis.Addr().String()
}

func ask(t *testing.T, address string, o ClientOptions) (*StatusReply, error) {
	t.Helper()
	conn, err := Dial(address, o)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return NewCoordinatorClient(conn).Status(t.Context(), &StatusRequest{})
}

func identity(t *testing.T) *Identity {
	t.Helper()
	id, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestPinAndTokenOpenTheDoor(t *testing.T) {
	id, other := identity(t), identity(t)
	if len(id.Token) != 64 || id.Token == other.Token {
		t.Fatalf("tokens %q and %q are not two fresh 256-bit numbers", id.Token, other.Token)
	}
	address := serve(t, ServerOptions{Identity: id, Token: id.Token})
	if r, err := ask(t, address, ClientOptions{CertPEM: id.CertPEM, Token: id.Token}); err != nil || r.State != "fine" {
		t.Fatalf("with pin and token: %v, %v", r, err)
	}
	for name, token := range map[string]string{"no": "", "another": other.Token, "half a": id.Token[:32]} {
		if _, err := ask(t, address, ClientOptions{CertPEM: id.CertPEM, Token: token}); !IsDenied(err) {
			t.Errorf("with %s token: %v, want a denial", name, err)
		}
	}
	_, err := ask(t, address, ClientOptions{CertPEM: other.CertPEM, Token: id.Token})
	if !IsUnreachable(err) || !strings.Contains(err.Error(), ErrPin.Error()) {
		t.Errorf("with another pin: %v, want a failed handshake that says so", err)
	}
	if _, err := ask(t, address, ClientOptions{Insecure: true, Token: id.Token}); err == nil {
		t.Error("plain text got through to a TLS port")
	}
}

func TestDiscoverNeedsNoTokenAndNothingElseDoes(t *testing.T) {
	id := identity(t)
	address := serve(t, ServerOptions{Identity: id, Token: id.Token})
	conn, err := DialUnverified(address, false)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := NewCoordinatorClient(conn)
	if r, err := c.Discover(t.Context(), &DiscoverRequest{}); err != nil || r.Prefix != "p" {
		t.Fatalf("Discover: %v, %v", r, err)
	}
	ctx := t.Context()
	calls := map[string]func() error{
		"Register":  func() error { _, err := c.Register(ctx, &RegisterRequest{}); return err },
		"Poll":      func() error { _, err := c.Poll(ctx, &PollRequest{}); return err },
		"Heartbeat": func() error { _, err := c.Heartbeat(ctx, &HeartbeatRequest{}); return err },
		"Report":    func() error { _, err := c.Report(ctx, &ReportRequest{}); return err },
		"Leave":     func() error { _, err := c.Leave(ctx, &LeaveRequest{}); return err },
		"Status":    func() error { _, err := c.Status(ctx, &StatusRequest{}); return err },
	}
	if want := len(Coordinator_ServiceDesc.Methods) - 1; len(calls) != want {
		t.Fatalf("the test knows %d guarded calls, the service has %d", len(calls), want)
	}
	for name, call := range calls {
		if err := call(); !IsDenied(err) {
			t.Errorf("%s without a token: %v, want a denial", name, err)
		}
	}
}

func TestInsecureIsPlain(t *testing.T) {
	address := serve(t, ServerOptions{Insecure: true})
	if _, err := ask(t, address, ClientOptions{Insecure: true}); err != nil {
		t.Fatal(err)
	}
}

func TestRefusalCrossesTheWire(t *testing.T) {
	address := serve(t, ServerOptions{Insecure: true})
	conn, err := Dial(address, ClientOptions{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = NewCoordinatorClient(conn).Register(t.Context(), &RegisterRequest{})
	r, ok := AsRefusal(err)
	if !ok || r.Reason != ReasonApp || r.What != "the job runs wc" || r.About != "wc" {
		t.Fatalf("got %+v from %v", r, err)
	}
	if IsUnreachable(err) || IsDenied(err) {
		t.Error("a refusal looks like trouble of the connection")
	}
}

func TestNobodyThere(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := lis.Addr().String()
	lis.Close()
	if _, err := ask(t, address, ClientOptions{Insecure: true}); !IsUnreachable(err) || !strings.Contains(err.Error(), address) {
		t.Errorf("got %v, want unreachable with %s in it", err, address)
	}
}

func TestOwnAuthority(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, dir, "ca")
	server, client := ca.issue(t, dir, "server"), ca.issue(t, dir, "client")
	stranger := newAuthority(t, dir, "other").issue(t, dir, "stranger")
	stranger.CA = client.CA

	address := serve(t, ServerOptions{Files: server})
	if _, err := ask(t, address, ClientOptions{Files: client}); err != nil {
		t.Errorf("with the authority's certificate: %v", err)
	}
	if _, err := ask(t, address, ClientOptions{Files: stranger}); err == nil {
		t.Error("a certificate of another authority was let in")
	}
	if _, err := ask(t, address, ClientOptions{Files: Files{CA: client.CA}}); err == nil || !strings.Contains(err.Error(), "a CA, a certificate and a key") {
		t.Errorf("with a part of the files: %v", err)
	}
}

func TestReadToken(t *testing.T) {
	dir := t.TempDir()
	for content, want := range map[string]string{
		"0123456789abcdef\n": "0123456789abcdef",
		"short\n":            "",
	} {
		path := filepath.Join(dir, "token")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadToken(path)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ReadToken of %q: %q, %v", content, got, err)
		}
	}
}

// authority is a CA made for a test.
type authority struct {
	path string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{path: filepath.Join(dir, name+".pem"), cert: cert, key: key}
	writePEM(t, a.path, "CERTIFICATE", der)
	return a
}

// issue writes a key pair signed by the authority, for 127.0.0.1.
func (a *authority) issue(t *testing.T, dir, name string) Files {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	f := Files{CA: a.path, Cert: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key")}
	writePEM(t, f.Cert, "CERTIFICATE", der)
	writePEM(t, f.Key, "PRIVATE KEY", pkcs8)
	return f
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serveSpy starts a server that answers everybody and keeps what the last
// caller said to prove the token.
func serveSpy(t *testing.T, id *Identity, heard *atomic.Value) string {
	t.Helper()
	creds, err := (ServerOptions{Identity: id}).credentials()
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.Creds(creds), grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		heard.Store(strings.Join(md.Get("authorization"), ","))
		return next(ctx, req)
	}))
	RegisterCoordinatorServer(s, echo{})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(lis) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return lis.Addr().String()
}

func withHeader(ctx context.Context, text string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", text)
}

// TestBelieve: what the bucket says and what the caller says have to agree.
func TestBelieve(t *testing.T) {
	files := Files{CA: "ca", Cert: "cert", Key: "key"}
	tests := []struct {
		name     string
		there    manifest.Coordinator
		insecure bool
		files    Files
		token    string
		want     ClientOptions
		reason   string // of the refusal, "" for none
	}{
		{"published", manifest.Coordinator{CertPEM: "c", Token: "t"}, false, Files{}, "", ClientOptions{CertPEM: "c", Token: "t"}, ""},
		{"own token", manifest.Coordinator{CertPEM: "c"}, false, Files{}, "own", ClientOptions{CertPEM: "c", Token: "own"}, ""},
		{"own authority", manifest.Coordinator{}, false, files, "", ClientOptions{Files: files}, ""},
		{"both insecure", manifest.Coordinator{Insecure: true}, true, Files{}, "", ClientOptions{Insecure: true}, ""},
		{"worker insecure", manifest.Coordinator{CertPEM: "c"}, true, Files{}, "", ClientOptions{}, ReasonTLS},
		{"coordinator insecure", manifest.Coordinator{Insecure: true}, false, Files{}, "", ClientOptions{}, ReasonPlainText},
		{"authority there alone", manifest.Coordinator{}, false, Files{}, "", ClientOptions{}, ReasonAuthority},
		{"authority here alone", manifest.Coordinator{CertPEM: "c"}, false, files, "", ClientOptions{}, ReasonAuthority},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ClientOptions{Insecure: tt.insecure, Files: tt.files, Token: tt.token}.Believe(&tt.there)
			if tt.reason == "" && (err != nil || got != tt.want) {
				t.Errorf("%+v, %v", got, err)
			}
			if r, ok := AsRefusal(err); ok != (tt.reason != "") || ok && (r.Reason != tt.reason || r.What == "") {
				t.Errorf("refused with %v", err)
			}
		})
	}
}
