package s3local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3api/middlewares"
	"github.com/versity/versitygw/s3err"

	"github.com/mraws/mraws/internal/datadir"
)

const (
	defaultAddress = "127.0.0.1:0"
	defaultRegion  = "us-east-1"

	// The time limits of Close for the front end, and then for uploads.
	stopGrace    = 2 * time.Second
	stopPatience = 8 * time.Second

	// stopLook is how often it looks whether the last connection is closed.
	// The front end does so every 100 ms, as long as a small job takes.
	stopLook = time.Millisecond
)

// Options of a server. The zero value of every field but DataDir is usable.
type Options struct {
	DataDir string // created (mode 0700) if missing
	Address string // host:port; "" is 127.0.0.1:0, port 0 that of the folder's last server or a free one

	Region string // "" is us-east-1

	// Front, if not nil, is called with the endpoint of the server. It returns
	// the URL of a proxy in front of it, which clients use instead.
	Front func(datadir.Endpoint) (url string, err error)

	times connectionTimes // those of a test, or zero
}

// Server is a running S3 server. Its methods are safe for concurrent use.
type Server struct {
	dir      string
	endpoint datadir.Endpoint
	lock     *os.File
	store    *store
	guard    *guard
	clients  *connections
	listener *listener
	api      *s3api.S3ApiServer
	front    *fasthttp.Server // of api
	served   chan error       // one value: why serving ended

	grace, patience time.Duration // of Close, shorter in a test

	closing sync.Once
	closed  error
}

// Start runs a server on a data folder and returns when it answers. The
// context bounds only the start: a server runs until [Server.Close].
//
// The error wraps [datadir.ErrLocked] when another server runs on the folder.
func Start(ctx context.Context, o Options) (*Server, error) {
	return start(ctx, o, allGuards)
}

func start(ctx context.Context, o Options, g guards) (_ *Server, err error) {
	dir, err := filepath.Abs(o.DataDir)
	if err != nil || o.DataDir == "" {
		return nil, fmt.Errorf("start S3 server: data folder %q: %w", o.DataDir, errors.Join(err, fs.ErrInvalid))
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("start S3 server on %s: %w", dir, err)
		}
	}()
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if err := os.MkdirAll(filepath.Join(dir, datadir.Root), 0o700); err != nil {
		return nil, err
	}
	s := &Server{dir: dir, grace: stopGrace, patience: stopPatience}
	if s.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.release())
		}
	}()
	// This server has the lock, so an existing endpoint file is that of a dead server.
	if err := removeIfExists(filepath.Join(dir, datadir.EndpointFile)); err != nil {
		return nil, err
	}
	keys, err := loadCredentials(dir)
	if err != nil {
		return nil, err
	}
	l, err := processLimits()
	if err != nil {
		return nil, err
	}
	if s.store, err = openStore(filepath.Join(dir, datadir.Root), l); err != nil {
		return nil, err
	}
	s.endpoint = datadir.Endpoint{AccessKey: keys.AccessKey, SecretKey: keys.SecretKey, Region: o.Region, PID: os.Getpid()}
	if s.endpoint.Region == "" {
		s.endpoint.Region = defaultRegion
	}
	if g.uploads {
		if err := s.store.unmark(); err != nil {
			return nil, err
		}
	}
	if err := s.listen(ctx, o, g); err != nil {
		return nil, err
	}
	if err := s.keepPort(); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	if o.Front != nil {
		if s.endpoint.URL, err = o.Front(s.endpoint); err != nil {
			return nil, errors.Join(err, s.stop())
		}
	}
	if err := datadir.WriteJSON(filepath.Join(dir, datadir.EndpointFile), s.endpoint); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// listen opens the listener. For port 0 it first tries the port of the folder's last
// server, so that clients that outlive a server find the next one.
func (s *Server) listen(ctx context.Context, o Options, g guards) error {
	address := o.Address
	if address == "" {
		address = defaultAddress
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", address, err)
	}
	if last := s.lastAddress(host); port == "0" && last != "" {
		l, err := listen(ctx, last)
		if err == nil {
			return s.serve(ctx, l, host, o.times, g)
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("listen on %s: %w", last, err)
		}
	}
	l, err := listen(ctx, address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	return s.serve(ctx, l, host, o.times, g)
}

// serve starts versitygw on a listener and returns when it answers.
func (s *Server) serve(ctx context.Context, l *net.TCPListener, host string, times connectionTimes, g guards) error {
	if times == (connectionTimes{}) {
		times = usualTimes
	}
	keys := middlewares.RootUserConfig{Access: s.endpoint.AccessKey, Secret: s.endpoint.SecretKey}
	s.guard = s.store.guarded(g)
	s.clients = newConnections(s.store.limits.connections, times)
	s.listener = &listener{TCPListener: l, clients: s.clients}
	api, err := s3api.New(s.guard, keys, s.endpoint.Region, newIAM(keys, g), nil, nil, nil, nil,
		s3api.WithQuiet(),
		s3api.WithKeepAlive(),
		s3api.WithConcurrencyLimiter(math.MaxInt32, s.store.limits.connections), // who accepts counts connections
		s3api.WithMiddleware("/", s.clients.serve),
		s3api.WithMiddleware("/", noteEncoding),
		s3api.WithMpMaxParts(maxParts),
		s3api.WithHealth(datadir.AlivePath(keys.Secret)))
	var front *fiber.App
	if err == nil {
		front, err = frontEnd(api)
	}
	if err != nil {
		s.clients.close()
		return errors.Join(fmt.Errorf("set up server: %w", err), s.listener.Close())
	}
	s.front = front.Server()
	s.front.ErrorHandler = broken
	s.api, s.served = api, make(chan error, 1)
	go func() { s.served <- front.Listener(s.listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err == nil {
		s.endpoint.URL = "http://" + dialable(net.JoinHostPort(host, port))
		// A server that does not answer yet cannot be shut down.
		err = s.endpoint.Probe(context.WithoutCancel(ctx))
	}
	if err != nil {
		return errors.Join(err, s.stop())
	}
	return nil
}

// frontEnd is the HTTP server of versitygw, which would make a listener of its
// own and hands itself out with a request only.
func frontEnd(api *s3api.S3ApiServer) (*fiber.App, error) {
	v := reflect.ValueOf(api).Elem().FieldByName("app")
	if !v.IsValid() || v.Type() != reflect.TypeFor[*fiber.App]() {
		return nil, errors.New("versitygw has no field app with its HTTP server")
	}
	return (*fiber.App)(v.UnsafePointer()), nil
}

// broken replies to a malformed HTTP request: headers that are cut off, too long or
// invalid. The handler that it replaces runs the middleware, which counts each broken
// request as one in progress, and prints an internal error.
func broken(c *fasthttp.RequestCtx, err error) {
	code, status := "BadRequest", fasthttp.StatusBadRequest
	var long *fasthttp.ErrSmallBuffer
	if errors.As(err, &long) {
		code, status = "RequestHeaderSectionTooLarge", fasthttp.StatusRequestHeaderFieldsTooLarge
	}
	answer := s3err.APIError{Code: code, Description: "The request is not understood: " + err.Error(), HTTPStatusCode: status}
	c.Response.Reset()
	c.SetStatusCode(status)
	c.SetContentType("application/xml")
	c.SetBody(answer.XMLBody("", ""))
	c.SetConnectionClose()
}

// Endpoint tells how to reach the server.
func (s *Server) Endpoint() datadir.Endpoint { return s.endpoint }

// Close stops the server: it takes no new connections, closes the idle ones,
// waits at most ten seconds for uploads in progress, and frees the data folder.
// Further calls return what the first did.
//
// If uploads are still in progress after that time, Close returns an error, and the
// folder stays locked until the process ends, since these uploads may still write.
func (s *Server) Close() error {
	s.closing.Do(func() {
		err := removeIfExists(filepath.Join(s.dir, datadir.EndpointFile))
		stopped := s.stop()
		if stopped == nil {
			stopped = s.release()
		}
		if err = errors.Join(err, stopped); err != nil {
			s.closed = fmt.Errorf("close S3 server of %s: %w", s.dir, err)
		}
	})
	return s.closed
}

// stop ends serving.
func (s *Server) stop() error {
	if err := s.hangUp(); err != nil {
		return err
	}
	//nolint:errcheck // it says that the listener was closed, which is our doing
	<-s.served
	return nil
}

// hangUp closes the listener and waits for the connections to end. After that, or
// after the grace, no request may write any more.
func (s *Server) hangUp() error {
	s.clients.close()
	if err := s.listener.Close(); err != nil {
		return fmt.Errorf("close the listener: %w", err)
	}
	// It may outlive Close by as long as it takes to look once more.
	down := make(chan error, 1)
	go func() { down <- s.api.ShutDown() }()
	look := time.NewTicker(stopLook)
	defer look.Stop()
	grace := time.After(s.grace)
	for {
		select {
		case err := <-down:
			if err != nil {
				return fmt.Errorf("stop serving: %w", err)
			}
			return nil
		case <-look.C:
			if s.clients.gone() {
				return s.guard.close(s.patience)
			}
		case <-grace:
			// Only uploads in progress matter.
			return s.guard.close(s.patience)
		}
	}
}

// release frees the folder.
func (s *Server) release() error {
	var err error
	if s.store != nil {
		err = s.store.close()
	}
	return errors.Join(err, s.lock.Close())
}

// dialable replaces a host that means all interfaces by loopback.
func dialable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}

func removeIfExists(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
