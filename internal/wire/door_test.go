package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// patience bounds every wait for what must happen.
const patience = time.Minute

// until waits for a condition.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

// stranger is a connection that speaks HTTP/2 by hand.
type stranger struct {
	net.Conn
	f      *http2.Framer
	stream uint32
}

// newStranger comes in. It tries again if it is turned away: on a machine that
// stands still a guest has had its time before it has said who it is.
func newStranger(t *testing.T, address string) *stranger {
	t.Helper()
	var c *tls.Conn
	until(t, "a stranger comes in", func() (in bool) {
		var err error
		c, err = tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		return err == nil
	})
	t.Cleanup(func() { c.Close() })
	s := &stranger{Conn: c, f: http2.NewFramer(c, c), stream: 1}
	_, _ = io.WriteString(c, http2.ClientPreface)
	_ = s.f.WriteSettings()
	return s
}

// hold opens a stream, says that a message of size bytes comes, sends as much
// of it as the windows take, and does not end it.
func (s *stranger) hold(method string, size int) {
	var block strings.Builder
	enc := hpack.NewEncoder(&block)
	for _, h := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":path", method}, {":authority", "x"}, {"content-type", "application/grpc"}, {"te", "trailers"}} {
		_ = enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	_ = s.f.WriteHeaders(http2.HeadersFrameParam{StreamID: s.stream, BlockFragment: []byte(block.String()), EndHeaders: true})
	data := make([]byte, 16<<10)
	data[1], data[2], data[3] = byte(size>>16), byte(size>>8), byte(size)
	for sent := 0; sent < min(size, 60<<10); sent += len(data) {
		if s.f.WriteData(s.stream, false, data) != nil {
			return
		}
		clear(data[:5])
	}
	s.stream += 2
}

// closed says whether the other side has ended the connection.
func (s *stranger) closed() bool {
	_ = s.SetReadDeadline(time.Now().Add(time.Millisecond))
	for {
		if _, err := s.f.ReadFrame(); err != nil {
			var timeout net.Error
			return !errors.As(err, &timeout) || !timeout.Timeout()
		}
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// TestHeldStreams: 600 streams of callers without a token, each of which says
// that 4 MiB come, over few connections and over many, take less than 100 MB
// of the process with both sides in it; members go on, and who comes to join
// gets in.
func TestHeldStreams(t *testing.T) {
	for name, connections := range map[string]int{"few connections": 6, "many connections": 600} {
		for _, method := range []string{Coordinator_Poll_FullMethodName, Coordinator_Discover_FullMethodName, grpc_health_v1.Health_Check_FullMethodName} {
			t.Run(name+method, func(t *testing.T) {
				id := identity(t)
				var refused atomic.Int64
				var told atomic.Int64
				address := serve(t, ServerOptions{
					Identity: id, Token: id.Token, Connections: 1024,
					Observe: func(_, code string, _ time.Duration) {
						if code != codes.OK.String() {
							refused.Add(1)
						}
					},
					Refused: func(int64, string, string) { told.Add(1) },
				})
				member, err := Dial(address, ClientOptions{CertPEM: id.CertPEM, Token: id.Token})
				if err != nil {
					t.Fatal(err)
				}
				defer member.Close()
				works := func() {
					t.Helper()
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					if _, err := NewCoordinatorClient(member).Status(ctx, &StatusRequest{}); err != nil {
						t.Errorf("a member is answered %v", err)
					}
				}
				works()
				before := heap()
				var wait sync.WaitGroup
				most := make(chan struct{}, 32)
				for range connections {
					most <- struct{}{}
					wait.Go(func() {
						defer func() { <-most }()
						s := newStranger(t, address)
						for range 600 / connections {
							s.hold(method, 4<<20)
						}
					})
				}
				wait.Wait()
				works()
				took := heap() - before
				t.Logf("%d MB", took/1e6)
				if took > 100e6 {
					t.Errorf("600 held streams take %d MB", took/1e6)
				}
				if _, err := ask(t, address, ClientOptions{CertPEM: id.CertPEM, Token: id.Token}); err != nil {
					t.Errorf("one more who has the token is answered %v", err)
				}
				works()
				if method == Coordinator_Poll_FullMethodName && (refused.Load() < 6 || told.Load() != 1) {
					t.Errorf("%d refusals counted, logged %d times", refused.Load(), told.Load())
				}
			})
		}
	}
}

// TestGuestsEnd: who has not shown the token may send little, ask little and
// stay for a short time.
func TestGuestsEnd(t *testing.T) {
	id := identity(t)
	address := serve(t, ServerOptions{Identity: id, Token: id.Token})
	silent := newStranger(t, address)
	refused := newStranger(t, address)
	for range guestCalls + 1 {
		refused.hold(Coordinator_Poll_FullMethodName, 100)
	}
	until(t, "the one that was refused again and again is cut off", refused.closed)
	probe := newStranger(t, address)
	for range guestCalls + 1 {
		probe.hold(grpc_health_v1.Health_Check_FullMethodName, 100)
	}
	until(t, "the probe that asks on and on is cut off", probe.closed)
	large := newStranger(t, address)
	for range 4 {
		large.hold(Coordinator_Discover_FullMethodName, 1<<20)
	}
	until(t, "the one that sent too much is cut off", large.closed)
	until(t, "the silent one is cut off", silent.closed)
}

// TestSilentConnectionsKeepNobodyOut: more connections than there may be, of
// which nothing is heard.
func TestSilentConnectionsKeepNobodyOut(t *testing.T) {
	id := identity(t)
	address := serve(t, ServerOptions{Identity: id, Token: id.Token, Connections: 8})
	member, err := Dial(address, ClientOptions{CertPEM: id.CertPEM, Token: id.Token})
	if err != nil {
		t.Fatal(err)
	}
	defer member.Close()
	call := func() error {
		_, err := NewCoordinatorClient(member).Status(t.Context(), &StatusRequest{})
		return err
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if err := call(); err != nil {
		t.Errorf("a member is answered %v", err)
	}
	until(t, "another one joins", func() bool {
		_, err := ask(t, address, ClientOptions{CertPEM: id.CertPEM, Token: id.Token})
		return err == nil
	})
}

// TestMembersAreBounded: one more than there may be is told why.
func TestMembersAreBounded(t *testing.T) {
	address := serve(t, ServerOptions{Insecure: true, Connections: 5})
	for i := range 4 {
		conn, err := Dial(address, ClientOptions{Insecure: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = NewCoordinatorClient(conn).Status(t.Context(), &StatusRequest{})
		if i < 3 && err != nil || i == 3 && (!IsUnreachable(err) || !strings.Contains(err.Error(), "limit of file descriptors")) {
			t.Errorf("connection %d: %v", i, err)
		}
		if i == 3 {
			if _, err := NewCoordinatorClient(conn).Discover(t.Context(), &DiscoverRequest{}); err != nil {
				t.Errorf("it may still ask who is there: %v", err)
			}
		}
	}
}

// TestTokenIsNotGivenAway: whoever makes a worker come to a certificate of his
// own gets no token, and nothing that opens the coordinator's door; and the
// worker believes no answer of his.
func TestTokenIsNotGivenAway(t *testing.T) {
	const token = "a token from a file"
	id, lure := identity(t), identity(t)
	address := serve(t, ServerOptions{Identity: id, Token: token})
	var heard atomic.Value
	impostor := serve(t, ServerOptions{Identity: lure, Token: "another token, or none"})
	spy := serveSpy(t, lure, &heard)
	for _, to := range []string{impostor, spy} {
		conn, err := Dial(to, ClientOptions{CertPEM: lure.CertPEM, Token: token})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := NewCoordinatorClient(conn).Discover(t.Context(), &DiscoverRequest{}); !IsDenied(err) {
			t.Errorf("the impostor's answer is believed: %v", err)
		}
	}
	said, _ := heard.Load().(string)
	if !strings.HasPrefix(said, proofScheme) || strings.Contains(said, token) {
		t.Fatalf("the impostor heard %q", said)
	}
	conn, err := Dial(address, ClientOptions{CertPEM: id.CertPEM})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, header := range []string{said, "Bearer " + token, proofScheme + token, proofScheme} {
		if _, err := NewCoordinatorClient(conn).Status(withHeader(t.Context(), header), &StatusRequest{}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("with %.30q the door opens: %v", header, err)
		}
	}
	if _, err := ask(t, address, ClientOptions{CertPEM: id.CertPEM, Token: token}); err != nil {
		t.Errorf("with the token: %v", err)
	}
}

// TestSlowHandshakeIsNoMismatch: somebody who accepts and says nothing is not
// taken for one with other TLS settings.
func TestSlowHandshakeIsNoMismatch(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	conn, err := Dial(lis.Addr().String(), ClientOptions{CertPEM: identity(t).CertPEM, Token: "0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := NewCoordinatorClient(conn).Status(ctx, &StatusRequest{}); !IsUnreachable(err) || IsMismatch(err) {
		t.Errorf("got %v", err)
	}
}
