package verify

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/mraws/mraws/internal/layout"
)

// sideFiles is the side-file area of a reference, in memory.
type sideFiles struct {
	mu    sync.Mutex
	files map[string][]byte
}

func (s *sideFiles) put(op, name string, data []byte, create bool) error {
	if _, ok := (layout.Layout{}).Side(name); !ok {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.files[name]; ok && create {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrExist}
	}
	if s.files == nil {
		s.files = make(map[string][]byte)
	}
	s.files[name] = slices.Clone(data)
	return nil
}

// Create writes a new file.
func (s *sideFiles) Create(_ context.Context, name string, data []byte) error {
	return s.put("create side file", name, data, true)
}

// Put writes or replaces a file.
func (s *sideFiles) Put(_ context.Context, name string, data []byte) error {
	return s.put("put side file", name, data, false)
}

// Get returns a file.
func (s *sideFiles) Get(_ context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.files[name]
	if !ok {
		return nil, fmt.Errorf("get side file %q: %w", name, fs.ErrNotExist)
	}
	return slices.Clone(data), nil
}

// List returns the names with a prefix, in byte order.
func (s *sideFiles) List(_ context.Context, prefix string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := slices.Sorted(maps.Keys(s.files))
	return slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, prefix) }), nil
}
