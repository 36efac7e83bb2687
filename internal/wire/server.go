package wire

import (
	"context"
	"crypto/tls"
	"fmt"
	"path"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/mraws/mraws/internal/failpoint"
)

// ServerOptions say how a coordinator guards its port.
type ServerOptions struct {
	Insecure bool      // plain text, no token
	Identity *Identity // the certificate, unless Files are set
	Files    Files     // mutual TLS with an own authority
	Token    string    // "" asks for none
	// Ready, if there is one, is asked before each call but Discover: an
	// error is the answer.
	Ready func() error
	// Observe, if there is one, is told of each call that was answered: its
	// method, the name of its code, how long it took.
	Observe func(method, code string, took time.Duration)
}

// NewServer returns a gRPC server for impl. Messages are capped at 4 MiB (a
// request of ours is a few kilobytes), handshakes at 5 s, streams of one
// connection at 4096. A connection over which nobody has asked anything for
// 5 minutes is closed; a worker that has a reason to be silent for so long
// makes another without noticing. How many there may be is the listener's to
// say.
func NewServer(impl CoordinatorServer, o ServerOptions) (*grpc.Server, error) {
	creds, err := o.credentials()
	if err != nil {
		return nil, err
	}
	opts := []grpc.ServerOption{
		grpc.Creds(creds),
		grpc.ConnectionTimeout(5 * time.Second),
		grpc.MaxRecvMsgSize(4 << 20),
		grpc.MaxConcurrentStreams(4096),
		// A worker pings every 10 s, also during a long poll; the default
		// policy would cut it off after three pings.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 2 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: 10 * time.Second, Timeout: 5 * time.Second, MaxConnectionIdle: 5 * time.Minute,
		}),
		grpc.ChainUnaryInterceptor(o.observe, o.authorize),
	}
	if failpoint.Enabled {
		opts = append(opts, grpc.ChainUnaryInterceptor(failpoint.Serve))
	}
	s := grpc.NewServer(opts...)
	RegisterCoordinatorServer(s, impl)
	return s, nil
}

func (o ServerOptions) credentials() (credentials.TransportCredentials, error) {
	switch {
	case o.Insecure:
		return insecure.NewCredentials(), nil
	case o.Files.Set():
		pool, pair, err := o.Files.load()
		if err != nil {
			return nil, err
		}
		return credentials.NewTLS(&tls.Config{
			MinVersion:   tls.VersionTLS13,
			Certificates: []tls.Certificate{pair},
			ClientCAs:    pool,
			ClientAuth:   tls.RequireAndVerifyClientCert,
		}), nil
	case o.Identity != nil:
		return credentials.NewTLS(&tls.Config{
			MinVersion:   tls.VersionTLS13,
			Certificates: []tls.Certificate{o.Identity.Certificate},
		}), nil
	}
	return nil, fmt.Errorf("serve: no certificate and not insecure")
}

// observe tells of a call, also of one that is turned away.
func (o ServerOptions) observe(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if o.Observe == nil {
		return next(ctx, req)
	}
	began := time.Now()
	reply, err := next(ctx, req)
	o.Observe(path.Base(info.FullMethod), status.Code(err).String(), time.Since(began))
	return reply, err
}

// authorize lets only Discover pass without the token.
func (o ServerOptions) authorize(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if o.Ready != nil && info.FullMethod != Coordinator_Discover_FullMethodName {
		if err := o.Ready(); err != nil {
			return nil, err
		}
	}
	if o.Token != "" && info.FullMethod != Coordinator_Discover_FullMethodName {
		md, _ := metadata.FromIncomingContext(ctx)
		sent := ""
		if v := md.Get("authorization"); len(v) == 1 {
			sent, _ = strings.CutPrefix(v[0], "Bearer ")
		}
		if !sameToken(sent, o.Token) {
			return nil, status.Error(codes.Unauthenticated, "the token is not this coordinator's")
		}
	}
	return next(ctx, req)
}
