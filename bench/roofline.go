package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/s3local"
)

// chunk is what one request of raw asks for, bytes.
const chunk = 8 << 20

// raw moves the bytes of a store's input through the client that mraws uses,
// and prints the seconds that it took: what of a job's time the store alone
// would take.
func raw(ctx context.Context, verb string) error {
	server, err := s3local.Start(ctx, s3local.Options{DataDir: os.Getenv("MRAWS_DATA_DIR")})
	if err != nil {
		return err
	}
	at := server.Endpoint()
	o := s3fs.Options{
		Bucket: "mapreducedata", Region: at.Region, Endpoint: at.URL, AccessKey: at.AccessKey, SecretKey: at.SecretKey,
		Server: s3fs.SameProcess,
	}
	if verb == "get-direct" { // as a job does; the others go by a socket, as any other client would
		o.Dial = server.Dial
	}
	store, err := s3fs.Open(ctx, o)
	if err != nil {
		return errors.Join(err, server.Close())
	}
	var took time.Duration
	switch verb {
	case "get", "get-direct":
		took, err = rawGets(ctx, store, verb == "get-direct")
	case "put":
		took, err = rawPuts(ctx, store)
	default:
		err = fmt.Errorf("-raw %s: want get, get-direct or put", verb)
	}
	store.Close()
	return errors.Join(err, server.Close(), printSeconds(took))
}

func printSeconds(took time.Duration) error {
	return json.NewEncoder(os.Stdout).Encode(seconds{took.Seconds()})
}

// rawGets reads all input once and drops it, in ranges that a store fetches
// whole, or hands out as they come.
func rawGets(ctx context.Context, store *s3fs.Store, direct bool) (time.Duration, error) {
	start := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4 * runtime.NumCPU())
	for o, err := range store.List(ctx, "input/") {
		if err != nil {
			return 0, errors.Join(err, g.Wait())
		}
		for off := int64(0); off < o.Size; off += chunk {
			g.Go(func() error {
				n := min(chunk, o.Size-off)
				if direct {
					body, err := store.Stream(ctx, o.Key, o.ETag, off, n)
					if err != nil {
						return err
					}
					_, err = body.WriteTo(io.Discard)
					return errors.Join(err, body.Close())
				}
				body, err := store.OpenChunks(ctx, o.Key, o.ETag, off, n, chunk, 1)
				if err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, body)
				return errors.Join(err, body.Close())
			})
		}
	}
	err := g.Wait()
	return time.Since(start), err
}

// rawPuts writes as many bytes as the input has, in objects of a chunk, and
// removes them afterwards.
func rawPuts(ctx context.Context, store *s3fs.Store) (time.Duration, error) {
	var size int64
	var data []byte
	for o, err := range store.List(ctx, "input/") {
		if err != nil {
			return 0, err
		}
		if size += o.Size; data == nil && o.Size > 0 {
			body, err := store.OpenRange(ctx, o.Key, o.ETag, 0, min(chunk, o.Size))
			if err != nil {
				return 0, err
			}
			data, err = io.ReadAll(body)
			if err = errors.Join(err, body.Close()); err != nil {
				return 0, err
			}
		}
	}
	if len(data) == 0 {
		return 0, errors.New("the store has no input")
	}
	start := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(2 * runtime.NumCPU())
	var keys []string
	for ; size > 0; size -= int64(len(data)) {
		key := fmt.Sprintf("raw/%06d", len(keys))
		keys = append(keys, key)
		n := min(size, int64(len(data)))
		g.Go(func() error {
			_, err := store.Put(gctx, key, data[:n], object.PutOptions{})
			return err
		})
	}
	err := g.Wait()
	took := time.Since(start)
	return took, errors.Join(err, store.Delete(ctx, keys...))
}

// countFile counts the words of a file that is in memory, on all cores, and
// prints the seconds: about the least that any program could take that has
// no storage to talk to.
func countFile(name string) error {
	text, err := readAll(name)
	if err != nil {
		return err
	}
	start := time.Now()
	cores := runtime.NumCPU()
	tables := make([]*counts, cores)
	var next atomic.Int64
	var g errgroup.Group
	const piece = 1 << 20
	for i := range cores {
		g.Go(func() error {
			t := newCounts()
			for {
				off := int(next.Add(piece)) - piece
				if off >= len(text) {
					break
				}
				t.count(text, off, min(off+piece, len(text)))
			}
			tables[i] = t
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, t := range tables[1:] {
		t.mergeInto(tables[0])
	}
	took := time.Since(start)
	fmt.Fprintf(os.Stderr, "%d words\n", tables[0].used)
	return printSeconds(took)
}

// readAll reads a file, or all files of a folder as one.
func readAll(name string) ([]byte, error) {
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		return os.ReadFile(name)
	}
	var all []byte
	err := filepath.WalkDir(name, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.HasSuffix(path, ".txt") {
			return err
		}
		text, err := os.ReadFile(path)
		all = append(append(all, text...), '\n')
		return err
	})
	return all, err
}
