package cmd

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/datadir"
)

// heirLook is how often an heir looks whether the process that serves has ended.
const heirLook = 250 * time.Millisecond

// heir serves a data folder once the process that served it has ended, at the same
// address and with the same keys: a command does not lose its store to the end of
// another. Requests that fail in between are retried by the store.
type heir struct {
	cancel context.CancelFunc
	done   chan struct{}
	server Server // once done is closed; nil if it served nothing
	log    zerolog.Logger
}

// newHeir begins to look. The server is one of another process.
func newHeir(dir string, at datadir.Endpoint, start startServer, log zerolog.Logger) *heir {
	ctx, cancel := context.WithCancel(context.Background())
	h := &heir{cancel: cancel, done: make(chan struct{}), log: log}
	o := ServerOptions{DataDir: dir, Address: strings.TrimPrefix(at.URL, "http://"), Region: at.Region}
	go func() {
		defer close(h.done)
		h.server = h.inherit(ctx, o, start)
	}()
	return h
}

// inherit starts the server as soon as nobody else serves. It returns nil if it may
// not, or cannot.
func (h *heir) inherit(ctx context.Context, o ServerOptions, start startServer) Server {
	look := time.NewTicker(heirLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		server, err := start(ctx, o)
		switch {
		case err == nil:
			h.log.Info().Str("dir", o.DataDir).Msg("the process that served the data folder has ended: it is served here now")
			return server
		case !errors.Is(err, datadir.ErrLocked):
			if ctx.Err() == nil {
				h.log.Warn().Str("dir", o.DataDir).Err(err).Msg("the process that served the data folder has ended, and it cannot be served here")
			}
			return nil
		}
	}
}

// Close ends the looking, and the server if it was started.
func (h *heir) Close() error {
	h.cancel()
	<-h.done
	if h.server == nil {
		return nil
	}
	return h.server.Close()
}
