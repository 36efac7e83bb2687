package wire

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"path"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
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
	// error is the answer. To a probe it is NOT_SERVING.
	Ready func() error
	// Observe, if there is one, is told of each call that was answered: its
	// method, the name of its code, how long it took.
	Observe func(method, code string, took time.Duration)
	// Refused, if there is one, is told at most once a minute of callers who
	// were turned away before any handler: how many since it was last told,
	// why the last one, and from which address that came.
	Refused func(n int64, why, from string)
	// Connections bounds the connections at the same time; 0 is 512. A quarter
	// of them, at most 128, is for those that have not shown the token.
	Connections int
}

// Server serves the protocol.
type Server struct {
	*grpc.Server
	o *ServerOptions
}

// Serve takes connections from lis until Stop.
func (s *Server) Serve(lis net.Listener) error { return s.Server.Serve(s.o.open(lis)) }

const (
	// maxMessage bounds a request: one of ours is a few kilobytes, and that of
	// a worker that tells of thousands of attempts some hundred.
	maxMessage = 1 << 20
	// maxHeaders bounds the headers of a call.
	maxHeaders = 16 << 10
)

// NewServer returns a server for impl. A call is judged by its headers, before
// its body is read ([ServerOptions.tap]). Messages are capped at 1 MiB,
// handshakes at 5 s, streams of one connection at 4096. A connection over
// which nobody has asked anything for 5 minutes is closed; a worker that has a
// reason to be silent for so long makes another without noticing.
func NewServer(impl CoordinatorServer, o ServerOptions) (*Server, error) {
	creds, err := o.credentials()
	if err != nil {
		return nil, err
	}
	opts := []grpc.ServerOption{
		grpc.Creds(tagger{creds}),
		grpc.InTapHandle(o.tap),
		grpc.ConnectionTimeout(5 * time.Second),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxHeaderListSize(maxHeaders),
		// Fixed windows: grown ones are up to 16 MiB.
		grpc.InitialWindowSize(64 << 10),
		grpc.InitialConnWindowSize(maxMessage),
		grpc.MaxConcurrentStreams(4096),
		// A worker pings every 10 s, also during a long poll; the default
		// policy would cut it off after three pings.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 2 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: 10 * time.Second, Timeout: 5 * time.Second, MaxConnectionIdle: 5 * time.Minute,
		}),
		grpc.ChainUnaryInterceptor(o.observe, o.answer, o.ready, judge),
		grpc.StreamInterceptor(o.observeStream),
	}
	if failpoint.Enabled {
		opts = append(opts, grpc.ChainUnaryInterceptor(failpoint.Serve))
	}
	s := &Server{grpc.NewServer(opts...), &o}
	RegisterCoordinatorServer(s, impl)
	s.describe()
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
	return nil, fmt.Errorf("serve: no certificate, and insecure is not set")
}

// observe tells of a call, also of one that is turned away.
func (o *ServerOptions) observe(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if o.Observe == nil {
		return next(ctx, req)
	}
	began := time.Now()
	reply, err := next(ctx, req)
	o.Observe(path.Base(info.FullMethod), status.Code(err).String(), time.Since(began))
	return reply, err
}

// ready lets only Discover and probes pass before the coordinator leads.
func (o *ServerOptions) ready(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if o.Ready != nil && !public(info.FullMethod) {
		if err := o.Ready(); err != nil {
			return nil, err
		}
	}
	return next(ctx, req)
}
