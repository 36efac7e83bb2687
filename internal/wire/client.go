package wire

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/mraws/mraws/internal/failpoint"
	"github.com/mraws/mraws/internal/manifest"
)

// ClientOptions say how a worker proves itself and whom it trusts.
type ClientOptions struct {
	Insecure bool
	CertPEM  string // the pin, unless Files are set
	Files    Files
	Token    string
}

// Believe returns what a caller with these settings of its own needs for the
// announced coordinator: the certificate that the bucket says, and its own
// token before the one there. It refuses a coordinator without TLS unless the
// caller has asked for that, and a certificate that only one side expects.
func (o ClientOptions) Believe(a *manifest.Coordinator) (ClientOptions, error) {
	refuse := func(reason, what string) (ClientOptions, error) {
		return ClientOptions{}, &Refusal{Reason: reason, What: what}
	}
	switch {
	case a.Insecure && !o.Insecure:
		return refuse(ReasonPlainText, "the coordinator runs without TLS")
	case !a.Insecure && o.Insecure:
		return refuse(ReasonTLS, "the coordinator uses TLS, this side does not")
	case !a.Insecure && a.CertPEM == "" && !o.Files.Set():
		return refuse(ReasonAuthority, "the coordinator has a certificate of a CA, this side has no CA, certificate and key")
	case !a.Insecure && a.CertPEM != "" && o.Files.Set():
		return refuse(ReasonAuthority, "the coordinator has a self-signed certificate, this side has one of a CA")
	}
	if o.CertPEM = a.CertPEM; o.Token == "" {
		o.Token = a.Token
	}
	return o, nil
}

// Dial returns a client of the coordinator at address ("host:port"). It does
// not wait for a connection: the first call does, within its deadline.
func Dial(address string, o ClientOptions) (*grpc.ClientConn, error) {
	creds, err := o.credentials()
	if err != nil {
		return nil, err
	}
	opts := dialOptions(creds)
	if o.Token != "" && !o.Insecure { // in plain text there is nothing to bind a proof to
		p := prover{o.Token}
		opts = append(opts, grpc.WithPerRPCCredentials(p), grpc.WithChainUnaryInterceptor(p.demand))
	}
	return newClient(address, opts)
}

// DialUnverified returns a client that may only Discover: it trusts nobody,
// sends no token, and what it learns is where in the bucket to look.
func DialUnverified(address string, plain bool) (*grpc.ClientConn, error) {
	if plain {
		return newClient(address, dialOptions(insecure.NewCredentials()))
	}
	return newClient(address, dialOptions(credentials.NewTLS(&tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, //nolint:gosec // nothing secret is said or believed
	})))
}

func newClient(address string, opts []grpc.DialOption) (*grpc.ClientConn, error) {
	// passthrough: the address is dialled as given, so that errors name it.
	c, err := grpc.NewClient("passthrough:///"+address, opts...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return c, nil
}

func dialOptions(creds credentials.TransportCredentials) []grpc.DialOption {
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithNoProxy(),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.5, MaxDelay: time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
		grpc.WithUnaryInterceptor(deadline),
		grpc.WithChainUnaryInterceptor(believe), // what is nearer to the connection has asked for the proof by then
	}
	if failpoint.Enabled {
		opts = append(opts, grpc.WithChainUnaryInterceptor(failpoint.Call))
	}
	return opts
}

// deadline gives a call without one CallTimeout, so that no call of ours can
// hang on a peer that went silent.
func deadline(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, CallTimeout)
		defer cancel()
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

func (o ClientOptions) credentials() (credentials.TransportCredentials, error) {
	if o.Insecure {
		return insecure.NewCredentials(), nil
	}
	if o.Files.Set() {
		pool, pair, err := o.Files.load()
		if err != nil {
			return nil, err
		}
		return credentials.NewTLS(&tls.Config{
			MinVersion:   tls.VersionTLS13,
			Certificates: []tls.Certificate{pair},
			RootCAs:      pool,
		}), nil
	}
	config, err := pinned(o.CertPEM)
	if err != nil {
		return nil, err
	}
	return credentials.NewTLS(config), nil
}
