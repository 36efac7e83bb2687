package mrtest

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
)

// maxSide is the most bytes of a side file.
const maxSide = 1 << 20

// SideFiles is an mr.SideFiles in memory. It is safe for concurrent use.
type SideFiles struct {
	mu    sync.Mutex
	files map[string][]byte // guarded by mu
}

// NewSideFiles returns an empty side-file area.
func NewSideFiles() *SideFiles { return &SideFiles{files: map[string][]byte{}} }

// Create writes a new file; fs.ErrExist says that there is one already.
func (s *SideFiles) Create(ctx context.Context, name string, data []byte) error {
	return s.write(ctx, "create", name, data)
}

// Put writes or replaces a file.
func (s *SideFiles) Put(ctx context.Context, name string, data []byte) error {
	return s.write(ctx, "put", name, data)
}

func (s *SideFiles) write(ctx context.Context, verb, name string, data []byte) error {
	if err := check(ctx, verb, name); err != nil {
		return err
	}
	if len(data) > maxSide {
		return fmt.Errorf("%s side file %s: %d bytes are more than %d", verb, name, len(data), maxSide)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.files[name]; ok && verb == "create" {
		return fmt.Errorf("create side file %s: %w", name, fs.ErrExist)
	}
	s.files[name] = slices.Clone(data)
	return nil
}

// Get returns a file's content; fs.ErrNotExist says that there is none.
func (s *SideFiles) Get(ctx context.Context, name string) ([]byte, error) {
	if err := check(ctx, "get", name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.files[name]
	if !ok {
		return nil, fmt.Errorf("get side file %s: %w", name, fs.ErrNotExist)
	}
	return slices.Clone(data), nil
}

// List returns the names that start with prefix, in byte order.
func (s *SideFiles) List(ctx context.Context, prefix string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list side files %s: %w", prefix, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	names := slices.Sorted(maps.Keys(s.files))
	return slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, prefix) }), nil
}

// check refuses the names that package mr says are refused.
func check(ctx context.Context, verb, name string) error {
	valid := fs.ValidPath(name) && name != "."
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("-_./", c) < 0:
			valid = false
		}
	}
	if !valid {
		return fmt.Errorf("%s side file %q: the name is no clean relative path of letters, digits and -_./", verb, name)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s side file %s: %w", verb, name, err)
	}
	return nil
}
