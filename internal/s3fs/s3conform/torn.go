package s3conform

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/s3fs"
)

// cutter is a TCP proxy in front of the server. It forwards so many bytes of
// each connection and then dies as a client would: the server sees the end
// of the connection, or its reset.
type cutter struct {
	ln     net.Listener
	server string
	after  int64 // bytes from client to server
	reset  bool
	wg     sync.WaitGroup
}

func newCutter(t *testing.T, endpoint string, after int64, reset bool) *cutter {
	t.Helper()
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{ln: ln, server: u.Host, after: after, reset: reset}
	c.wg.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			c.wg.Go(func() { c.serve(client) })
		}
	})
	return c
}

// serve forwards one connection. It returns when the server has ended it,
// hence has dealt with the death of its client.
func (c *cutter) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.server)
	if err != nil {
		return
	}
	defer server.Close()
	_ = server.SetDeadline(time.Now().Add(10 * time.Second)) // the test must end
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, _ = io.Copy(client, server) // until the server ends it
	}()
	_, _ = io.CopyN(server, client, c.after)
	if c.reset {
		_ = server.(*net.TCPConn).SetLinger(0)
		_ = server.Close()
	} else {
		_ = server.(*net.TCPConn).CloseWrite()
	}
	<-answered
}

// close waits for the connections to end.
func (c *cutter) close() {
	_ = c.ln.Close()
	c.wg.Wait()
}

// tornUpload: an object whose client died before its last byte is not there.
func (s suite) tornUpload(t *testing.T) {
	const size = 1 << 20
	data := noise(size, 5)
	for _, server := range []s3fs.Server{s3fs.Elsewhere, s3fs.SameMachine} {
		for _, reset := range []bool{false, true} {
			for _, after := range []int64{2000, 64 << 10, size / 2, size} { // of headers and body: always short of the end
				name := fmt.Sprintf("server=%d,reset=%t,after=%d", server, reset, after)
				c := newCutter(t, s.target.Options.Endpoint, after, reset)
				torn := s.torn(t, "http://"+c.ln.Addr().String(), server)
				_, err := torn.Put(t.Context(), "torn", data, s3fs.PutOptions{IfAbsent: true})
				if err == nil {
					t.Errorf("%s: the put succeeded", name)
				}
				torn.Close()
				c.close()
				if _, err := s.Stat(t.Context(), "torn"); !errors.Is(err, fs.ErrNotExist) {
					t.Fatalf("%s: stat of a torn object: %v", name, err)
				}
			}
		}
	}
	s.put(t, "torn", data, s3fs.PutOptions{IfAbsent: true})
	s.want(t, "torn", data)
	if got := s.keys(t.Context(), t, ""); len(got) != 1 {
		t.Errorf("the bucket holds %q", got)
	}
}

// torn returns a store that tries once through another address.
func (s suite) torn(t *testing.T, endpoint string, server s3fs.Server) *s3fs.Store {
	t.Helper()
	o := s.target.Options
	o.Bucket, o.Endpoint, o.MaxAttempts, o.Server, o.Dial = s.bucket, endpoint, 1, server, nil
	store, err := s3fs.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return store
}
