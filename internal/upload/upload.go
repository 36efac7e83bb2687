package upload

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// Store is the methods of the store that an upload needs. They are called
// concurrently.
type Store interface {
	// Stat returns an object with its metadata, or fs.ErrNotExist.
	Stat(ctx context.Context, key string) (object.Info, error)
	// List yields every object below prefix, or an error.
	List(ctx context.Context, prefix string) iter.Seq2[object.Info, error]
	// Put creates or replaces an object, atomically.
	Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error)
	// PutFile is Put for size bytes of r, in parts if they are many. An
	// error of r, or an end of ctx, leaves no object behind.
	PutFile(ctx context.Context, key string, r io.ReaderAt, size int64, o object.PutOptions) (object.Info, error)
}

// Options say how to upload.
type Options struct {
	// Concurrency is the maximum number of files that are uploaded at the same
	// time; 0 means 16.
	Concurrency int
	// Compare uploads nothing. The report says what Run would upload.
	Compare bool
	// Progress, if set, is called with the progress so far. Calls come from
	// several goroutines, one at a time.
	Progress func(Progress)
}

// Progress counts the files and bytes that were uploaded or already there.
type Progress struct {
	Files int
	Bytes int64
}

// Report says what an upload did.
type Report struct {
	Uploaded      int
	UploadedBytes int64
	Same          int // already there with equal size and checksum
	SameBytes     int64
	Differ        []string // with Compare: names that are missing or have other content
	Duration      time.Duration
}

// ErrChanged says that a file changed while it was read.
var ErrChanged = errors.New("file changed while it was read")

// StatUpTo is the maximum number of files for which Run sends a Stat each, instead
// of listing the input.
const StatUpTo = 64

// small is the maximum size in bytes of a file that is read into memory.
const small = 4 << 20

// Run uploads the files of a plan, except those that are already there with equal
// size and SHA-256, which each object has in its metadata (manifest.MetaHash). An
// error names the file and ends the upload. Uploaded files stay, and another Run
// uploads only the others.
func Run(ctx context.Context, store Store, l layout.Layout, p *Plan, o Options) (Report, error) {
	start := time.Now()
	u := &upload{compare: o.Compare, store: store, layout: l, progress: o.Progress}
	if len(p.Files) > StatUpTo {
		if err := u.listSizes(ctx, p); err != nil {
			return Report{}, fmt.Errorf("list the input: %w", err)
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	if o.Concurrency <= 0 {
		o.Concurrency = 16
	}
	g.SetLimit(o.Concurrency)
	for _, file := range p.Files {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if err := u.file(gctx, file); err != nil {
				return fmt.Errorf("upload %s: %w", file.Path, err)
			}
			return nil
		})
	}
	err := g.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	u.report.Duration = time.Since(start)
	slices.Sort(u.report.Differ)
	return u.report, err
}

type upload struct {
	compare  bool
	store    Store
	layout   layout.Layout
	sizes    map[string]int64 // of the plan's names that exist; nil = unknown
	progress func(Progress)

	mu     sync.Mutex
	report Report
	seen   Progress
}

func (u *upload) listSizes(ctx context.Context, p *Plan) error {
	wanted := make(map[string]bool, len(p.Files))
	for _, f := range p.Files {
		wanted[f.Name] = true
	}
	u.sizes = map[string]int64{}
	for info, err := range u.store.List(ctx, u.layout.InputDir()) {
		if err != nil {
			return err
		}
		if name, ok := u.layout.InputName(info.Key); ok && wanted[name] {
			u.sizes[name] = info.Size
		}
	}
	return nil
}

func (u *upload) file(ctx context.Context, file File) error {
	f := file.spool
	if f == nil {
		var err error
		if f, err = os.Open(file.Path); err != nil {
			return errors.Unwrap(err) // without the path, which the caller names
		}
		defer f.Close() // opened for reading: nothing to lose
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &steady{f: f, info: info, alive: ctx.Err, cancel: cancel, moved: u.moved}
	size, same, err := u.put(ctx, file.Name, s)
	if err != nil {
		// A changed file breaks the request: return the change, not the broken request.
		if cause := context.Cause(ctx); errors.Is(cause, ErrChanged) {
			return cause
		}
		return err
	}
	u.done(same, size, s.high)
	return nil
}

// put uploads a file unless it is there already, and returns its length.
func (u *upload) put(ctx context.Context, name string, s *steady) (size int64, same bool, err error) {
	size = s.info.Size()
	var data []byte // of a small file
	if size <= small {
		data, err = readWhole(s)
		switch {
		case err != nil:
			return 0, false, err
		case len(data) > small:
			close, err := s.spool(data)
			if err != nil {
				return 0, false, err
			}
			defer close()
			size, data = s.info.Size(), nil
		default:
			size = int64(len(data))
		}
	}
	var hash string
	if data != nil {
		hash = digest(bytes.NewReader(data), nil)
	} else if hash = digest(io.NewSectionReader(s, 0, size), &err); err != nil {
		return 0, false, err
	}
	if same, err = u.isThere(ctx, name, size, hash); same || err != nil {
		return size, same, err
	}
	if u.compare {
		u.differs(name)
		return size, false, nil
	}
	o := object.PutOptions{Meta: map[string]string{manifest.MetaHash: hash}}
	if data != nil {
		_, err = u.store.Put(ctx, u.layout.Input(name), data, o)
	} else {
		s.counting = true
		_, err = u.store.PutFile(ctx, u.layout.Input(name), s, size, o)
	}
	return size, false, err
}

// readWhole reads a file to its end, or slightly more than small bytes of it. The
// kernel reports a size of 0 or 4,096 bytes for many files of /proc and /sys,
// whatever their content.
func readWhole(s *steady) ([]byte, error) {
	data := make([]byte, max(s.info.Size()+1, 4096))
	for n := 0; ; {
		m, err := s.ReadAt(data[n:], int64(n))
		n += m
		switch {
		case errors.Is(err, io.EOF), err == nil && n > small:
			return data[:n], nil
		case err != nil:
			return nil, err
		case n == len(data):
			data = append(data, make([]byte, n)...)
		}
	}
}

func digest(r io.Reader, err *error) string {
	h := sha256.New()
	if _, e := io.Copy(h, r); e != nil && err != nil {
		*err = e
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (u *upload) isThere(ctx context.Context, name string, size int64, hash string) (bool, error) {
	if u.sizes != nil {
		if n, ok := u.sizes[name]; !ok || n != size {
			return false, nil
		}
	}
	info, err := u.store.Stat(ctx, u.layout.Input(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Size == size && info.Meta[manifest.MetaHash] == hash, err
}

// moved reports n more bytes of a large file.
func (u *upload) moved(n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tell(0, n)
}

func (u *upload) differs(name string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.report.Differ = append(u.report.Differ, name)
}

// done reports a whole file, of which told bytes have been reported.
func (u *upload) done(same bool, size, told int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case same:
		u.report.Same++
		u.report.SameBytes += size
	case !u.compare:
		u.report.Uploaded++
		u.report.UploadedBytes += size
	}
	u.tell(1, size-told)
}

func (u *upload) tell(files int, bytes int64) {
	u.seen.Files += files
	u.seen.Bytes += bytes
	if u.progress != nil {
		u.progress(u.seen)
	}
}

// steady reads a file that must not change. After each read the size and the time
// of the file must be those at the start. Otherwise the read fails, before the
// request can create an object of two versions.
type steady struct {
	f        *os.File
	info     fs.FileInfo
	alive    func() error // an error ends the reading, even if nothing is sent yet
	cancel   context.CancelCauseFunc
	moved    func(int64)
	counting bool // set before the reads that count, which run at the same time

	mu   sync.Mutex
	high int64 // how far the file has been read while counting
}

// spool makes a file without a name the source in the place of one that does
// not tell its length, of which head has been read. Close ends that.
func (s *steady) spool(head []byte) (close func(), err error) {
	to, err := nameless("")
	if err != nil {
		return nil, err
	}
	close = func() { _ = to.Close() } // read to its end: nothing to lose
	_, err = to.Write(head)
	if err == nil {
		_, err = io.Copy(to, io.NewSectionReader(s, int64(len(head)), 1<<62))
	}
	if err == nil {
		s.info, err = to.Stat()
	}
	if err != nil {
		close()
		return nil, err
	}
	s.f = to
	return close, nil
}

// ReadAt implements io.ReaderAt.
func (s *steady) ReadAt(p []byte, off int64) (int, error) {
	if err := s.alive(); err != nil {
		return 0, err
	}
	n, err := s.f.ReadAt(p, off)
	now, statErr := s.f.Stat()
	switch {
	case statErr != nil:
		return n, statErr
	case now.Size() != s.info.Size() || !now.ModTime().Equal(s.info.ModTime()):
		s.cancel(ErrChanged)
		return 0, ErrChanged
	}
	if s.counting {
		s.mu.Lock()
		more := off + int64(n) - s.high
		s.high = max(s.high, off+int64(n))
		s.mu.Unlock()
		if more > 0 {
			s.moved(more)
		}
	}
	return n, err
}
