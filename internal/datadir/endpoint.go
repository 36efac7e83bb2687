package datadir

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"syscall"
	"time"
)

// Endpoint says where and how a running server is reached. It holds the
// secret: the file that keeps it (endpoint.json in the data folder) has mode
// 0600.
type Endpoint struct {
	URL       string // such as http://127.0.0.1:40123, without a slash at the end
	AccessKey string
	SecretKey string
	Region    string
	PID       int // process of the server
}

// findTimeout bounds how long Find waits for an answer of a server on the same
// machine.
const findTimeout = 5 * time.Second

// Find returns the endpoint of the server that runs on a data folder, in any process.
// A killed server leaves its endpoint file behind, so Find sends a request that only
// the server with the same secret answers. Another program at the same port does
// not. The error wraps [fs.ErrNotExist] if no server runs.
func Find(ctx context.Context, dataDir string) (Endpoint, error) {
	var e Endpoint
	err := ReadJSON(filepath.Join(dataDir, EndpointFile), &e)
	var undecodable *undecodableError
	if errors.As(err, &undecodable) { // it says nothing; the lock tells whether a server runs
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err != nil {
		return Endpoint{}, fmt.Errorf("find server of %s: %w", dataDir, err)
	}
	if err := e.Probe(ctx); err != nil {
		return Endpoint{}, fmt.Errorf("find server of %s: %w", dataDir, err)
	}
	return e, nil
}

// Probe checks that the server runs. The error wraps fs.ErrNotExist if nothing, or
// another program, answers at the address.
func (e Endpoint) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL+AlivePath(e.SecretKey), nil)
	if err != nil {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	// A transport of its own: no proxy, and no connection is left behind.
	t := &http.Transport{DisableKeepAlives: true}
	resp, err := t.RoundTrip(req)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
		}
		return fmt.Errorf("ask server (process %d): %w", e.PID, err)
	}
	if err := resp.Body.Close(); err != nil {
		return fmt.Errorf("ask server (process %d): %w", e.PID, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: another server answers at %s", fs.ErrNotExist, e.URL)
	}
	return nil
}

// AlivePath is the path at which a server with this secret answers 200 without a
// signature. It is derived from the secret and does not reveal it. It is no bucket,
// since bucket names cannot contain "~".
func AlivePath(secret string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte("alive"))
	return "/~" + hex.EncodeToString(m.Sum(nil))
}
