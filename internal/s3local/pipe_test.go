package s3local

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// TestPipeCarries: what goes in at one end comes out at the other, both ways at once,
// whatever the sizes of writes and reads are.
func TestPipeCarries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) []byte { return rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(t, label) }
		there, back := draw("there"), draw("back")
		step := rapid.IntRange(1, 700)
		client, server := newPipe(nil)
		size, limit, buf := step.Draw(t, "size of a write"), step.Draw(t, "limit"), step.Draw(t, "size of a read")
		sent := make(chan error, 2)
		go func() {
			for b := range bytes.SplitSeq(there, []byte{0}) { // the separator is sent too
				for len(b) > 0 {
					n, err := client.Write(b[:min(size, len(b))])
					if err != nil {
						sent <- err
						return
					}
					b = b[n:]
				}
				if _, err := client.Write([]byte{0}); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		go func() {
			r := bytes.NewReader(back)
			for r.Len() > 0 { // a part, as a section of a file is, ends before its reader does
				if _, err := server.ReadFrom(&io.LimitedReader{R: r, N: int64(min(limit, r.Len()))}); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		got := make(chan []byte, 1)
		receive := func(p *pipe, want int) []byte {
			b := make([]byte, 0, want)
			for len(b) < want {
				part := make([]byte, min(buf, want-len(b)))
				n, err := p.Read(part)
				if err != nil {
					return b
				}
				b = append(b, part[:n]...)
			}
			return b
		}
		go func() { got <- receive(server, len(there)+1) }()
		if b := receive(client, len(back)); !bytes.Equal(b, back) {
			t.Fatalf("%d bytes back, of %d", len(b), len(back))
		}
		if b := <-got; !bytes.Equal(b, append(there, 0)) {
			t.Fatalf("%d bytes there, of %d", len(b), len(there)+1)
		}
		for range cap(sent) {
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestPipeEnds: a close of one end ends what both are waiting for.
func TestPipeEnds(t *testing.T) {
	for _, closing := range []string{"client", "server"} {
		client, server := newPipe(nil)
		read, wrote := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := server.Read(make([]byte, 1))
			read <- err
		}()
		go func() {
			_, err := server.Write([]byte("x"))
			wrote <- err
		}()
		if closing == "client" {
			_ = client.Close()
		} else {
			_ = server.Close()
		}
		if err := <-read; err != io.EOF { //nolint:errorlint // as the library compares it
			t.Errorf("closed by the %s: read %v", closing, err)
		}
		if err := <-wrote; !errors.Is(err, syscall.EPIPE) {
			t.Errorf("closed by the %s: wrote %v", closing, err)
		}
		_, err := client.Write([]byte("x"))
		if n, rerr := client.Read(make([]byte, 1)); !errors.Is(err, syscall.EPIPE) || n != 0 || !errors.Is(rerr, io.EOF) {
			t.Errorf("closed by the %s: the client wrote with %v, read %d bytes with %v", closing, err, n, rerr)
		}
		_ = client.Close() // once more
	}
}

// TestDial: connections from within the process are counted, are closed to make room, and
// are refused when all others are in work. They do not hold up Close.
func TestDial(t *testing.T) {
	s := patient(t)
	c := newClient(t, s.Endpoint())
	c.http.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return s.Dial(ctx) }
	c.want(200, "PUT", "/bucket", "")
	body := strings.Repeat("some text\n", 100_000)
	c.want(200, "PUT", "/bucket/key", body)
	for range 3 {
		if r := c.want(206, "GET", "/bucket/key", "", "Range", "bytes=10-999999"); r.body != body[10:] {
			t.Fatalf("%d bytes", len(r.body))
		}
	}
	n := s.clients
	n.until(t, 1, 0, 0)
	n.mu.Lock()
	n.most = 1
	n.mu.Unlock()
	if _, err := s.Dial(t.Context()); err != nil { // in place of the one that is idle
		t.Fatal(err)
	}
	n.until(t, 1, 0, 0)
	n.mu.Lock()
	k, _ := n.waiting.Front().Value.(*conn)
	n.mu.Unlock()
	n.work(k)
	if _, err := s.Dial(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dialled with %v while all connections are in work", err)
	}
	n.wait(k)
}
