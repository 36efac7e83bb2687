package s3fault_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/s3fs"
)

// noise is data in which a shifted or changed byte shows.
func noise(n int) []byte {
	data, rng := make([]byte, n), rand.NewChaCha8([32]byte{7})
	_, _ = rng.Read(data) // never fails
	return data
}

// TestUnharmed: without a rule that fits, the proxy changes nothing that a
// client sees: odd keys, metadata, multipart, conditions, listings.
func TestUnharmed(t *testing.T) {
	w := newFixture(t, nil)
	w.play(t, "GetObject nobody's 503")
	ctx := t.Context()
	for _, key := range []string{"a b+c%2F&=?é", "x/y'(z)!*~", "日本/語"} {
		o := s3fs.PutOptions{IfAbsent: true, Meta: map[string]string{"who": "me"}}
		put, err := w.store.Put(ctx, key, []byte(key), o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.Put(ctx, key, nil, o); !errors.Is(err, fs.ErrExist) {
			t.Errorf("second creation of %s: %v", key, err)
		}
		data, got, err := w.store.Get(ctx, key)
		if err != nil || string(data) != key || got.ETag != put.ETag || got.Meta["who"] != "me" {
			t.Errorf("%s: %q %+v %v", key, data, got, err)
		}
	}
	big := noise(13 << 20)
	if _, err := w.store.PutFile(ctx, "big", bytes.NewReader(big), int64(len(big)), s3fs.PutOptions{IfAbsent: true}); err != nil {
		t.Fatal(err)
	}
	w.wantBig(t, big)
	n := 0
	for _, err := range w.store.List(ctx, "") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 4 {
		t.Errorf("%d objects in the listing, want 4", n)
	}
	if err := w.store.Delete(ctx, "big", "日本/語"); err != nil {
		t.Error(err)
	}
}

// wantBig reads "big" through the proxy, in ranges.
func (w *fixture) wantBig(t *testing.T, want []byte) {
	t.Helper()
	r, err := w.store.OpenRange(t.Context(), "big", "", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("other bytes than were written")
	}
}

// TestRowsOfReads is rows 29, 30 and 31 for reads: whatever a reply suffers,
// the reader gets the bytes, from where they broke off.
func TestRowsOfReads(t *testing.T) {
	w := newFixture(t, nil)
	big := noise(6 << 20)
	w.put(t, "big", big)
	for _, fault := range []string{
		"503", "500", "502", "504", "drop", "no-headers", "lost-reply", "delay 20ms",
		"stall", "stall 0", "stall 3000000", "reset", "reset 0", "short", "short 0", "short 5000000",
	} {
		t.Run(fault, func(t *testing.T) {
			w.play(t, "GetObject big first=2 "+fault)
			w.wantBig(t, big)
			w.played(t)
		})
	}
}

// TestSlow is row 7 for reads: a body that comes a byte at a time arrives whole.
func TestSlow(t *testing.T) {
	w := newFixture(t, nil)
	want := string(noise(100))
	w.put(t, "small", []byte(want))
	w.play(t, "GetObject small slow 1ms")
	got, _, err := w.store.Get(t.Context(), "small")
	if err != nil || string(got) != want {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	w.played(t)
}

// TestRowsOfWrites is rows 29, 30, 31 and 33 for writes: an object that is
// created under faults is there, whole, and once. A lost reply makes the
// writer's own object look like another's, which its metadata settles.
func TestRowsOfWrites(t *testing.T) {
	w := newFixture(t, nil)
	data := noise(5<<20 + 1000)
	for _, op := range []string{"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"} {
		for _, fault := range []string{"503", "500", "502", "504", "409", "drop", "no-headers", "lost-reply", "reset", "short", "stall", "flip 100"} {
			if op == "CreateMultipartUpload" && fault == "flip 100" { // has no body to flip a bit of
				continue
			}
			t.Run(op+"/"+fault, func(t *testing.T) {
				w.play(t, op+" * nth=1 "+fault)
				body := data
				if op == "PutObject" {
					body = data[:1<<20]
				}
				key := strings.ToLower(op + "-" + strings.ReplaceAll(fault, " ", "-"))
				o := s3fs.PutOptions{IfAbsent: true, Meta: map[string]string{"attempt": fault}}
				_, err := w.store.PutFile(t.Context(), key, bytes.NewReader(body), int64(len(body)), o)
				if err != nil && !errors.Is(err, fs.ErrExist) {
					t.Fatal(err)
				}
				got, info, err := w.direct.Get(t.Context(), key)
				if err != nil || !bytes.Equal(got, body) || info.Meta["attempt"] != fault {
					t.Errorf("%d bytes, meta %v, %v", len(got), info.Meta, err)
				}
				w.played(t)
			})
		}
	}
	for u, err := range w.direct.Uploads(t.Context(), "") {
		// A lost reply to CreateMultipartUpload leaves one that nobody
		// knows the id of; `mraws reset` takes it away.
		if err != nil || !strings.HasPrefix(u.Key, "createmultipartupload") {
			t.Errorf("upload of %s is left: %v", u.Key, err)
		}
	}
}

// TestErrorInside200: S3 may find an error after it has sent 200.
func TestErrorInside200(t *testing.T) {
	w := newFixture(t, nil)
	data := noise(7 << 20)
	w.play(t, "CompleteMultipartUpload * nth=1 200", "CopyObject * nth=1 200")
	if _, err := w.store.PutFile(t.Context(), "big", bytes.NewReader(data), int64(len(data)), s3fs.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	w.put(t, "small", data[:1000])
	if _, err := w.store.Copy(t.Context(), "small", "", "copy", s3fs.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	w.wantBig(t, data)
	w.played(t)
}

// TestFlippedUpload: a bit that flips on the way to the store never gets
// there, however the payload is guarded.
func TestFlippedUpload(t *testing.T) {
	for _, server := range []s3fs.Server{s3fs.Elsewhere, s3fs.SameMachine} {
		t.Run(fmt.Sprintf("server=%d", server), func(t *testing.T) {
			w := newFixture(t, func(o *s3fs.Options) { o.Server = server })
			w.play(t, "PutObject * first=3 flip")
			data := noise(100_000)
			if _, err := w.store.Put(t.Context(), "k", data, s3fs.PutOptions{IfAbsent: true}); err != nil {
				t.Fatal(err)
			}
			if got, _, err := w.direct.Get(t.Context(), "k"); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			w.played(t)
		})
	}
}

// TestIgnoredCondition is row 34: a store that ignores conditions fails the
// preflight, whichever request it ignores them on; one that heeds them does
// not.
func TestIgnoredCondition(t *testing.T) {
	w := newFixture(t, nil)
	for _, tt := range []struct{ op, key string }{{"PutObject", "put-"}, {"CompleteMultipartUpload", "multipart"}, {"*", ""}} {
		t.Run(tt.op, func(t *testing.T) {
			w.play(t, tt.op+" * ignore-condition")
			err := w.store.Preflight(t.Context(), "_preflight/")
			if !errors.Is(err, object.ErrUnsafe) || !strings.Contains(err.Error(), tt.key) {
				t.Errorf("preflight: %v", err)
			}
			w.played(t)
		})
	}
	w.play(t)
	if err := w.store.Preflight(t.Context(), "_preflight/"); err != nil {
		t.Error(err)
	}
	w.play(t, "* * p=0.1 503", "PutObject * p=0.2 lost-reply", "CompleteMultipartUpload * p=0.5 lost-reply", "PutObject * p=0.1 409")
	for range 3 { // faults alone do not make a store unsafe
		if err := w.store.Preflight(t.Context(), "_preflight/"); err != nil {
			t.Error(err)
		}
	}
}

// TestRefusals is row 35: what no retry can change ends at once, or after one
// refresh of the credentials, and is named with the action and the key.
func TestRefusals(t *testing.T) {
	w := newFixture(t, nil)
	w.put(t, "k", []byte("v"))
	for _, tt := range []struct {
		rule  string
		is    error
		text  []string
		tries int64
	}{
		{"GetObject k 403", fs.ErrPermission, []string{"/k", "s3:GetObject is not allowed"}, 1},
		{"GetObject k expired", s3fs.ErrCredentials, []string{"/k", "ExpiredToken"}, 2},
	} {
		w.play(t, tt.rule)
		_, _, err := w.store.Get(t.Context(), "k")
		if !errors.Is(err, tt.is) {
			t.Errorf("%s: %v", tt.rule, err)
			continue
		}
		for _, text := range tt.text {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: no %q in: %v", tt.rule, text, err)
			}
		}
		if c := w.proxy.Counts()[0]; c.Played != tt.tries {
			t.Errorf("%s: %d tries, want %d", tt.rule, c.Played, tt.tries)
		}
	}
	w.play(t, "GetObject k nth=1 expired")
	if _, _, err := w.store.Get(t.Context(), "k"); err != nil {
		t.Errorf("after a refresh: %v", err)
	}
}

// TestListing is row 37: all pages, or an error. A store that hides pages
// and says that there are none cannot be told from one that has none: what a
// job makes of that is tested with whole jobs.
func TestListing(t *testing.T) {
	w := newFixture(t, func(o *s3fs.Options) { o.HeaderTimeout = 20 * time.Second }) // no fault here hangs
	const n = 1100
	var g errgroup.Group
	g.SetLimit(32)
	for i := range n {
		g.Go(func() error {
			_, err := w.direct.Put(t.Context(), fmt.Sprintf("p/%04d", i), nil, s3fs.PutOptions{})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		rule string
		want int // keys; -1 is an error
	}{
		{"ListObjectsV2 p/ first=2 fail-page", n},
		{"ListObjectsV2 p/ every=2 short 3000", n},
		{"ListObjectsV2 p/ fail-page", -1},
		{"ListObjectsV2 p/ nth=2 403", -1},
		{"ListObjectsV2 p/ drop-page", 1000}, // the lie
		{"ListObjectsV2 p/ drop-page 7", 7},
	} {
		w.play(t, tt.rule)
		got := 0
		for _, err := range w.store.List(t.Context(), "p/") {
			if err != nil {
				got = -1
				break
			}
			got++
		}
		if got != tt.want {
			t.Errorf("%s: %d keys, want %d", tt.rule, got, tt.want)
		}
		w.played(t)
	}
}

// TestPinned is row 45 at the level of one read: an object that changes
// between two ranges is refused, not mixed.
func TestPinned(t *testing.T) {
	w := newFixture(t, nil)
	old := w.put(t, "big", noise(6<<20))
	w.play(t, "GetObject big nth=1 short 100")
	w.put(t, "big", bytes.Repeat([]byte("x"), 6<<20))
	r, err := w.store.OpenRange(t.Context(), "big", old.ETag, 0, -1)
	if err == nil {
		_, err = io.Copy(io.Discard, r)
		_ = r.Close()
	}
	if !errors.Is(err, s3fs.ErrPrecondition) || !strings.Contains(err.Error(), "/big") {
		t.Errorf("read of a changed object: %v", err)
	}
}

// TestFlippedDownload is row 32 for reads of whole objects: a checksum that
// the store sends along is compared, and the read done again. Without one the
// client cannot tell, which is why what we write has checksums of its own.
func TestFlippedDownload(t *testing.T) {
	w := newFixture(t, nil)
	data := noise(100_000)
	w.put(t, "k", data)
	w.play(t, "GetObject * first=2 flip")
	if got, _, err := w.store.Get(t.Context(), "k"); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	w.played(t)
	w.play(t, "GetObject * no-checksum", "GetObject * flip 7")
	got, _, err := w.store.Get(t.Context(), "k")
	if err != nil || bytes.Equal(got, data) || !bytes.Equal(got[8:], data[8:]) {
		t.Errorf("%v: the flip shows although nothing tells of it", err)
	}
	w.played(t)
}
