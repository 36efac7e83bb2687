package s3fs_test

import (
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/s3fs"
)

// benchStreams runs f b.N times in n goroutines.
func benchStreams(b *testing.B, n int, f func(i int64) error) {
	b.Helper()
	var next atomic.Int64
	var g errgroup.Group
	b.ResetTimer()
	for range n {
		g.Go(func() error {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return nil
				}
				if err := f(i); err != nil {
					return err
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
}

// BenchmarkThroughput moves 8 MiB at a time to and from the embedded server
// in this process, by 1 and 4 streams.
func BenchmarkThroughput(b *testing.B) {
	const size = 8 << 20
	data := bytesOf(size)
	l := startLocal(b)
	for _, server := range []s3fs.Server{s3fs.Elsewhere, s3fs.SameMachine} {
		o := l.options()
		o.Server = server
		s, err := s3fs.Open(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		if err := s.EnsureBucket(b.Context()); err != nil {
			b.Fatal(err)
		}
		obj, err := s.Put(b.Context(), "k", data, s3fs.PutOptions{})
		if err != nil {
			b.Fatal(err)
		}
		for _, streams := range []int{1, 4} {
			b.Run(fmt.Sprintf("put/server=%d/streams=%d", server, streams), func(b *testing.B) {
				b.SetBytes(size)
				benchStreams(b, streams, func(i int64) error {
					_, err := s.Put(b.Context(), fmt.Sprint("put/", i%16), data, s3fs.PutOptions{})
					return err
				})
			})
			b.Run(fmt.Sprintf("get/server=%d/streams=%d", server, streams), func(b *testing.B) {
				b.SetBytes(size)
				benchStreams(b, streams, func(int64) error {
					r, err := s.OpenRange(b.Context(), "k", obj.ETag, 0, size)
					if err != nil {
						return err
					}
					defer r.Close()
					_, err = io.Copy(io.Discard, r)
					return err
				})
			})
		}
	}
}

// BenchmarkStream reads one object of 256 MiB as a stream, four chunks
// ahead, and small objects whole.
func BenchmarkStream(b *testing.B) {
	const size = 256 << 20
	l := startLocal(b)
	s, err := s3fs.Open(b.Context(), l.options())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := s.EnsureBucket(b.Context()); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Put(b.Context(), "large", bytesOf(size), s3fs.PutOptions{}); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Put(b.Context(), "small", bytesOf(4<<10), s3fs.PutOptions{}); err != nil {
		b.Fatal(err)
	}
	b.Run("OpenRange", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			r, err := s.OpenRange(b.Context(), "large", "", 0, -1)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				b.Fatal(err)
			}
			r.Close()
		}
	})
	for _, streams := range []int{1, 32} {
		b.Run(fmt.Sprintf("Get4K/streams=%d", streams), func(b *testing.B) {
			benchStreams(b, streams, func(int64) error {
				_, _, err := s.Get(b.Context(), "small")
				return err
			})
		})
		b.Run(fmt.Sprintf("Put4K/streams=%d", streams), func(b *testing.B) {
			data := bytesOf(4 << 10)
			benchStreams(b, streams, func(i int64) error {
				_, err := s.Put(b.Context(), fmt.Sprint("tiny/", i), data, s3fs.PutOptions{})
				return err
			})
		})
	}
}
