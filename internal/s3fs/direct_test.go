package s3fs_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/s3fs"
)

// near are the options of a store on this machine.
func near() s3fs.Options {
	o := quick()
	o.Server, o.PartSize = s3fs.SameMachine, 300_000
	return o
}

// openWhole opens an object of the fake for a read of all of it at once.
func openWhole(t *testing.T, s *s3fs.Store, n int) stream {
	t.Helper()
	r, err := s.Stream(t.Context(), key, etag, 0, int64(n))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return stream{r}
}

// stream is a stream as a reader.
type stream struct{ object.Stream }

func (s stream) Read(p []byte) (int, error) {
	b, err := s.Peek()
	if err != nil {
		return 0, err
	}
	n := copy(p, b)
	return n, s.Discard(n)
}

// TestDirect: a long range is one request, made when it is read, by whatever
// way; a shorter one, and one that is to be fetched ahead, is there before.
func TestDirect(t *testing.T) {
	data := bytesOf(s3fs.MinDirect + 700_001)
	ways := map[string]func(object.Stream) ([]byte, error){
		"WriteTo": func(r object.Stream) ([]byte, error) {
			var b bytes.Buffer
			n, err := r.WriteTo(&b)
			if n != int64(b.Len()) {
				t.Errorf("wrote %d of %d bytes", n, b.Len())
			}
			return b.Bytes(), err
		},
		"Peek": func(r object.Stream) (all []byte, err error) {
			for {
				b, err := r.Peek()
				if errors.Is(err, io.EOF) {
					return all, nil
				}
				if err != nil {
					return all, err
				}
				k := min(len(b), 1+len(all)/3) // some of it
				all = append(all, b[:k]...)
				if err := r.Discard(k); err != nil {
					return all, err
				}
			}
		},
	}
	for name, read := range ways {
		s, sc := fake(t, near(), whole(data))
		r := openWhole(t, s, len(data))
		if n := len(sc.requests()); n != 0 {
			t.Errorf("%s: %d requests before the first byte was wanted", name, n)
		}
		if got, err := read(r); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if n := len(sc.requests()); n != 1 {
			t.Errorf("%s: %d requests", name, n)
		}
		if busy := s.Activity().Busy; busy != 0 {
			t.Errorf("%s: %d requests in flight at the end", name, busy)
		}
	}
	for name, open := range map[string]func(s *s3fs.Store) (io.Closer, error){
		"short": func(s *s3fs.Store) (io.Closer, error) {
			return s.Stream(t.Context(), key, etag, 0, s3fs.MinDirect-1)
		},
		"ahead": func(s *s3fs.Store) (io.Closer, error) {
			return s.OpenRange(t.Context(), key, etag, 0, int64(len(data)))
		},
	} {
		s, sc := fake(t, near(), whole(data))
		r, err := open(s)
		if err != nil {
			t.Fatal(err)
		}
		if len(sc.requests()) == 0 {
			t.Errorf("%s: no request yet", name)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestDirectResumes: a body that breaks goes on where it broke, and what it
// brought before is not asked for again. Breaks after PartSize bytes do not
// count.
func TestDirectResumes(t *testing.T) {
	data := bytesOf(2_000_000)
	for name, how := range map[string]breakage{"finish": finish, "reset": reset, "stall": stall} {
		breaks(t, name, func(t *testing.T, fake fakeFunc) {
			s, sc := fake(t, near(), broken(data, 700_000, how), broken(data, 0, how), whole(data))
			got, err := io.ReadAll(openWhole(t, s, len(data)))
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: read %d bytes, %v", name, len(got), err)
			}
			if name == "reset" { // which may take bytes with it that were on their way
				return
			}
			rest := "GET /b/dir/k?x-id=GetObject bytes=700000-1999999"
			want := []string{"GET /b/dir/k?x-id=GetObject bytes=0-1999999", rest, rest}
			if d := cmp.Diff(want, sc.requests()); d != "" {
				t.Errorf("%s: requests (-want +got):\n%s", name, d)
			}
		})
	}
	s, sc := fake(t, near(), broken(data, 300_000, finish))
	if got, err := io.ReadAll(openWhole(t, s, len(data))); err != nil || !bytes.Equal(got, data) || len(sc.requests()) != 7 {
		t.Errorf("breaks that do not count: read %d bytes in %d requests, %v", len(got), len(sc.requests()), err)
	}
	s, sc = fake(t, near(), broken(data, 299_999, finish))
	if got, err := io.ReadAll(openWhole(t, s, len(data))); err == nil || !bytes.Equal(got, data[:len(got)]) || len(sc.requests()) != 4 {
		t.Errorf("breaks that count: read %d bytes in %d requests, %v", len(got), len(sc.requests()), err)
	}
}

// TestDirectFails: what is wrong is an error of the read, and of no other
// bytes than the object's.
func TestDirectFails(t *testing.T) {
	data := bytesOf(1_500_000)
	other := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v2"`)
		http.ServeContent(w, r, "", time.Unix(2e9, 0), bytes.NewReader(data))
	}
	checked := func(w http.ResponseWriter, r *http.Request) {
		sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(data)+1)
		w.Header().Set("x-amz-checksum-crc32", base64.StdEncoding.EncodeToString(sum))
		whole(data)(w, r)
	}
	for name, tt := range map[string]struct {
		steps []http.HandlerFunc
		want  error
	}{
		"another version": {[]http.HandlerFunc{other}, s3fs.ErrPrecondition},
		"changed between": {[]http.HandlerFunc{broken(data, 500_000, finish), other}, s3fs.ErrPrecondition},
		"too short":       {[]http.HandlerFunc{whole(data[:1_400_000])}, io.ErrUnexpectedEOF},
		"gone":            {[]http.HandlerFunc{apiError(404, "NoSuchKey")}, fs.ErrNotExist},
		"wrong checksum":  {[]http.HandlerFunc{checked}, nil},
	} {
		s, _ := fake(t, near(), tt.steps...)
		r := openWhole(t, s, len(data))
		got, err := io.ReadAll(r)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if len(got) == len(data) {
			t.Errorf("%s: all bytes were handed out", name)
		}
		if _, again := r.Read(make([]byte, 1)); again == nil || fmt.Sprint(again) != fmt.Sprint(err) {
			t.Errorf("%s: then %v", name, again)
		}
	}
}

// TestDirectLeavesRoom: who maps what a store on this machine sends may ask it
// for something else, however few requests may be in flight. Who only moves
// the bytes on counts as long as it does.
func TestDirectLeavesRoom(t *testing.T) {
	data := bytesOf(2_000_000)
	o := near()
	o.Concurrency = 1
	s, _ := fake(t, o, whole(data))
	r := openWhole(t, s, len(data))
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(struct{ io.Reader }{r}); err != nil || !bytes.Equal(got, data[1000:]) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	busy := -1
	if _, err := io.Copy(writes(func() { busy = max(busy, s.Activity().Busy) }), openWhole(t, s, len(data))); err != nil || busy != 1 {
		t.Errorf("%d requests in flight while bytes are moved, %v", busy, err)
	}
	if busy := s.Activity().Busy; busy != 0 {
		t.Errorf("%d requests in flight at the end", busy)
	}
	for name, n := range map[string]int64{"GetObject": 2, "HeadObject": 1} {
		if got := s.Activity().Tries[name]; got.Started != n || got.OK != n {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// writes is a writer that tells of each write.
type writes func()

func (w writes) Write(p []byte) (int, error) { w(); return len(p), nil }

// TestDirectStalls: whoever watches a read sees that it waits for the store,
// and that it does no longer.
func TestDirectStalls(t *testing.T) {
	data := bytesOf(2_000_000)
	goOn := make(chan struct{})
	s, _ := fake(t, near(), broken(data, 700_000, func(http.ResponseWriter, *http.Request) {
		<-goOn
		panic(http.ErrAbortHandler)
	}), whole(data))
	pulse := new(object.Pulse)
	body, err := s.Stream(object.WithPulse(t.Context(), pulse), key, etag, 0, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	r := stream{body}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil || pulse.Stalled() != 0 {
		t.Fatalf("%v; stalled for %v while nobody reads", err, pulse.Stalled())
	}
	done := make(chan error, 1)
	go func() {
		got, err := io.ReadAll(r)
		if err == nil && !bytes.Equal(got, data[10:]) {
			err = fmt.Errorf("read %d other bytes", len(got))
		}
		done <- err
	}()
	for tick := time.NewTicker(time.Millisecond); pulse.Stalled() == 0; <-tick.C {
		select {
		case err := <-done:
			t.Fatalf("ended without a stall: %v", err)
		default:
		}
	}
	close(goOn)
	if err := <-done; err != nil || pulse.Stalled() != 0 {
		t.Errorf("%v; stalled for %v at the end", err, pulse.Stalled())
	}
}

// TestDirectCloses: a reader may go at any time, and its request with it.
func TestDirectCloses(t *testing.T) {
	data := bytesOf(3_000_000)
	for name, leave := range map[string]func(io.Closer, context.CancelFunc) error{
		"close":  func(r io.Closer, _ context.CancelFunc) error { return r.Close() },
		"cancel": func(_ io.Closer, cancel context.CancelFunc) error { cancel(); return nil },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		s, _ := fake(t, near(), broken(data, 1_000_000, stall))
		body, err := s.Stream(ctx, key, etag, 0, int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		r := stream{body}
		if _, err := io.ReadFull(r, make([]byte, 500_000)); err != nil {
			t.Fatal(err)
		}
		if err := leave(r, cancel); err != nil {
			t.Error(err)
		}
		if _, err := io.Copy(io.Discard, r); err == nil {
			t.Errorf("%s: read on", name)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if busy := s.Activity().Busy; busy != 0 {
			t.Errorf("%s: %d requests in flight", name, busy)
		}
		cancel()
	}
}
