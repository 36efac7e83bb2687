package cmd

import (
	"context"

	"github.com/mraws/mraws/internal/datadir"
)

// Part is a part of the engine that a program may have or not.
type Part func(*frame)

// Server is a running embedded server.
type Server interface {
	// Endpoint tells how to reach the server.
	Endpoint() datadir.Endpoint
	// Close stops the server and frees its data folder.
	Close() error
}

// ServerOptions are those of an embedded server. The zero value of every field
// but DataDir is usable.
type ServerOptions struct {
	DataDir string // created if missing
	Address string // host:port to listen on
	Region  string
	// Front, if not nil, is called with the endpoint of the server. It returns
	// the URL of a proxy in front of it, which clients use instead.
	Front func(datadir.Endpoint) (url string, err error)
}

// startServer runs an embedded server on a data folder and returns when it
// answers. The error wraps [datadir.ErrLocked] if another server runs there.
type startServer func(ctx context.Context, o ServerOptions) (Server, error)

// EmbeddedServer is the part with the embedded server, which start starts. The
// context bounds only the start. The error of start wraps [datadir.ErrLocked] if
// another server runs on the folder.
func EmbeddedServer(start func(ctx context.Context, o ServerOptions) (Server, error)) Part {
	return func(f *frame) { f.start = start }
}

// noServer starts no server: the program has none.
func noServer(context.Context, ServerOptions) (Server, error) {
	return nil, &Error{Code: ExitUsage, What: "no server runs there, and this program has no embedded server",
		Hint: "name a bucket with --bucket; or give the program the server: cli.With(embedded.Server()).Main(app)"}
}
