package s3conform

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/s3fs"
)

// objects: objects of telling sizes come back as they went.
func (s suite) objects(t *testing.T) {
	ctx := t.Context()
	for _, n := range []int{0, 1, 1000, 64<<10 + 1, 2<<20 + 1, partSize} {
		data := noise(n, uint64(n))
		put := s.put(t, "k", data, s3fs.PutOptions{})
		got := s.want(t, "k", data)
		stat, err := s.Stat(ctx, "k")
		if err != nil {
			t.Fatal(err)
		}
		if put.ETag == "" || put.ETag != got.ETag || put.ETag != stat.ETag {
			t.Errorf("%d bytes: ETag %s from put, %s from get, %s from stat", n, put.ETag, got.ETag, stat.ETag)
		}
		if put.Size != int64(n) || got.Size != int64(n) || stat.Size != int64(n) || stat.Modified.IsZero() {
			t.Errorf("%d bytes: put says %+v, get %+v, stat %+v", n, put, got, stat)
		}
		if age := stat.Served.Sub(stat.Modified); age < -2*time.Second || age > time.Hour { // the clock may have ticked in between
			t.Errorf("modified %v, as told at %v", stat.Modified, stat.Served)
		}
	}
	if _, err := s.Stat(ctx, "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat of nothing: %v", err)
	}
	if _, _, err := s.Get(ctx, "none"); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, s3fs.ErrNoBucket) {
		t.Errorf("get of nothing: %v", err)
	}
}

// metadata: user metadata comes back byte for byte from puts and uploads.
func (s suite) metadata(t *testing.T) {
	ctx := t.Context()
	meta := map[string]string{
		"job": "01jq8z6v3x", "attempt-id": "map-3.1", "sha256": "9f86d081884c7d659a2feaa0c55ad015",
		"odd": `a b  "c"; d=e, f?%20&<g>`,
	}
	o := s3fs.PutOptions{Meta: meta, ContentType: "application/json"}
	s.put(t, "small", []byte("x"), o)
	if _, err := s.PutFile(ctx, "large", bytes.NewReader(noise(multipartAbove+1, 1)), multipartAbove+1, o); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"small", "large"} {
		obj, err := s.Stat(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(meta, obj.Meta); d != "" {
			t.Errorf("metadata of %s (-want +got):\n%s", key, d)
		}
	}
	for k, v := range map[string]string{"Upper": "x", "": "x", "a_b": "x", "a": "\n", "b": "ü", "c": " x"} {
		if _, err := s.Put(ctx, "bad", nil, s3fs.PutOptions{Meta: map[string]string{k: v}}); err == nil {
			t.Errorf("metadata %q: %q was accepted", k, v)
		}
	}
}

// buckets: a missing bucket is told from a missing key.
func (s suite) buckets(t *testing.T) {
	ctx := t.Context()
	if err := s.CheckBucket(ctx); err != nil {
		t.Error(err)
	}
	if err := s.EnsureBucket(ctx); err != nil {
		t.Errorf("create a bucket that is there: %v", err)
	}
	o := s.target.Options
	o.Bucket = "conform-none"
	none, err := s3fs.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	_, _, getErr := none.Get(ctx, "k")
	_, putErr := none.Put(ctx, "k", nil, s3fs.PutOptions{})
	var listErr error
	for _, listErr = range none.List(ctx, "") {
		break
	}
	for op, err := range map[string]error{"check": none.CheckBucket(ctx), "get": getErr, "put": putErr, "list": listErr} {
		if !errors.Is(err, s3fs.ErrNoBucket) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s in a missing bucket: %v", op, err)
		}
	}
}

// multipart: a large object comes back as it went, however it was written
// and is read.
func (s suite) multipart(t *testing.T) {
	ctx := t.Context()
	const size = 70<<20 + 12345
	data := noise(size, 7)
	sum := sha256.Sum256(data)
	file, err := s.PutFile(ctx, "file", bytes.NewReader(data), size, s3fs.PutOptions{IfAbsent: true})
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Create(ctx, "stream", s3fs.PutOptions{IfAbsent: true})
	if err != nil {
		t.Fatal(err)
	}
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 100_001)
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if _, err := s.Stat(ctx, "stream"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the object was visible before Commit: %v", err)
	}
	stream, err := w.Commit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range []s3fs.Object{file, stream} {
		stat, err := s.Stat(ctx, obj.Key)
		if err != nil {
			t.Fatal(err)
		}
		if stat.Size != size || obj.Size != size || stat.ETag != obj.ETag {
			t.Errorf("put says %+v, stat %+v", obj, stat)
		}
		r, err := s.OpenRange(ctx, obj.Key, obj.ETag, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		if _, err := io.Copy(h, r); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if [32]byte(h.Sum(nil)) != sum {
			t.Errorf("%s was read with other bytes", obj.Key)
		}
	}
}

// copies: a copy is equal, and is made of the version that was named.
func (s suite) copies(t *testing.T) {
	ctx := t.Context()
	meta := map[string]string{"attempt": "1"}
	src := s.put(t, "a b/+ü%", []byte("source"), s3fs.PutOptions{Meta: meta})
	for _, dst := range []string{"copy", "copy"} { // repeated
		obj, err := s.Copy(ctx, src.Key, src.ETag, dst, s3fs.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if obj.ETag == "" || obj.Size != src.Size {
			t.Errorf("copy says %+v of %+v", obj, src)
		}
	}
	if d := cmp.Diff(meta, s.want(t, "copy", []byte("source")).Meta); d != "" {
		t.Errorf("metadata of the copy (-want +got):\n%s", d)
	}
	if _, err := s.Copy(ctx, src.Key, src.ETag, "copy", s3fs.PutOptions{IfAbsent: true}); !exists(err) {
		t.Errorf("copy onto an object if absent: %v", err)
	}
	other := map[string]string{"attempt": "2"}
	if _, err := s.Copy(ctx, src.Key, "", "other", s3fs.PutOptions{Meta: other}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(other, s.want(t, "other", []byte("source")).Meta); d != "" {
		t.Errorf("metadata of the copy (-want +got):\n%s", d)
	}
	s.put(t, src.Key, []byte("changed"), s3fs.PutOptions{})
	if _, err := s.Copy(ctx, src.Key, src.ETag, "copy", s3fs.PutOptions{}); !errors.Is(err, s3fs.ErrPrecondition) {
		t.Errorf("copy of a changed object: %v", err)
	}
	if _, err := s.Copy(ctx, "none", "", "copy", s3fs.PutOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("copy of nothing: %v", err)
	}
	s.want(t, "copy", []byte("source"))
}

// near: the shorter ways to a server on the same machine bring the same bytes.
func (s suite) near(t *testing.T) {
	u := s.reopen(t, func(o *s3fs.Options) { o.Server = s3fs.SameMachine })
	for _, n := range []int{0, 10, partSize, multipartAbove + 1} {
		data := noise(n, uint64(n))
		key := fmt.Sprint(n)
		info, err := u.Put(t.Context(), key, data, s3fs.PutOptions{IfAbsent: true})
		if err != nil {
			t.Fatal(err)
		}
		s.want(t, key, data)
		w, err := u.Create(t.Context(), "stream", s3fs.PutOptions{Expect: int64(n), Memory: multipartAbove})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.want(t, "stream", data)
		if n < 4 {
			continue
		}
		got, err := readStream(t.Context(), u, info, 1, int64(n)-2)
		if err != nil || !bytes.Equal(got, data[1:n-1]) {
			t.Errorf("streamed %d of %d bytes: %v", len(got), n-2, err)
		}
	}
}

// readStream reads a range as a stream.
func readStream(ctx context.Context, s *s3fs.Store, o s3fs.Object, off, n int64) (_ []byte, err error) {
	r, err := s.Stream(ctx, o.Key, o.ETag, off, n)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var all bytes.Buffer
	_, err = r.WriteTo(&all)
	return all.Bytes(), err
}

// wrongKey: a stranger is turned away and told why.
func (s suite) wrongKey(t *testing.T) {
	s.put(t, "k", []byte("secret"), s3fs.PutOptions{})
	for name, change := range map[string]func(*s3fs.Options){
		"unknown key":  func(o *s3fs.Options) { o.AccessKey = "AKIAUNKNOWN" },
		"wrong secret": func(o *s3fs.Options) { o.SecretKey += "x" },
	} {
		o := s.target.Options
		o.Bucket = s.bucket
		change(&o)
		stranger, err := s3fs.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer stranger.Close()
		_, _, getErr := stranger.Get(t.Context(), "k")
		_, putErr := stranger.Put(t.Context(), "k", []byte("x"), s3fs.PutOptions{})
		for _, err := range []error{getErr, putErr} {
			if !errors.Is(err, s3fs.ErrCredentials) && !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	s.want(t, "k", []byte("secret"))
}

// restart: what was acknowledged is there after a restart.
func (s suite) restart(t *testing.T) {
	ctx := t.Context()
	o := s3fs.PutOptions{Meta: map[string]string{"a": "b"}}
	small := s.put(t, "dir/small", []byte("small"), o)
	large, err := s.PutFile(ctx, "large", bytes.NewReader(noise(multipartAbove+1, 1)), multipartAbove+1, o)
	if err != nil {
		t.Fatal(err)
	}
	s.Close() // an orderly stop of the server waits for open connections
	s.target.Restart(t)
	s.want(t, "dir/small", []byte("small"))
	s.want(t, "large", noise(multipartAbove+1, 1))
	for _, obj := range []s3fs.Object{small, large} {
		got, err := s.Stat(ctx, obj.Key)
		if err != nil {
			t.Fatal(err)
		}
		got.Modified, got.Served = obj.Modified, obj.Served
		if d := cmp.Diff(obj, got); d != "" {
			t.Errorf("after the restart (-want +got):\n%s", d)
		}
	}
	if _, err := s.Put(ctx, "large", nil, s3fs.PutOptions{IfAbsent: true}); !exists(err) {
		t.Errorf("conditional put after the restart: %v", err)
	}
}
