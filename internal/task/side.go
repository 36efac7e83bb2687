package task

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// maxSideFile is the most bytes of a side file.
const maxSideFile = 1 << 20

// sideFiles is the mr.SideFiles of one attempt.
type sideFiles struct {
	store   Store
	layout  layout.Layout
	job     string
	attempt string
	created atomic.Int64 // calls of Create: together with attempt a unique name for each
}

func (s *sideFiles) key(op, name string, data []byte) (string, error) {
	key, ok := s.layout.Side(name)
	if !ok {
		return "", fmt.Errorf("%s side file %q: name is not a clean relative path of letters, digits and -_./", op, name)
	}
	if len(data) > maxSideFile {
		return "", fmt.Errorf("%s side file %q: %d bytes are more than %d", op, name, len(data), maxSideFile)
	}
	return key, nil
}

// Create writes a new file. Whose file is there after a doubtful answer is
// told by the metadata, which no two calls share.
func (s *sideFiles) Create(ctx context.Context, name string, data []byte) error {
	key, err := s.key("create", name, data)
	if err != nil {
		return err
	}
	id := s.attempt + "/" + strconv.FormatInt(s.created.Add(1), 10)
	meta := map[string]string{manifest.MetaJob: s.job, manifest.MetaAttempt: id}
	_, err = s.store.Put(ctx, key, data, object.PutOptions{IfAbsent: true, Meta: meta})
	if err == nil {
		return nil
	}
	info, serr := s.store.Stat(ctx, key)
	switch {
	case serr == nil && info.Meta[manifest.MetaAttempt] == id:
		return nil
	case serr == nil:
		return fmt.Errorf("create side file %q: %w", name, fs.ErrExist)
	case !errors.Is(serr, fs.ErrNotExist):
		err = errors.Join(err, serr)
	}
	return fmt.Errorf("create side file %q: %w", name, err)
}

// Put writes or replaces a file.
func (s *sideFiles) Put(ctx context.Context, name string, data []byte) error {
	key, err := s.key("put", name, data)
	if err != nil {
		return err
	}
	meta := map[string]string{manifest.MetaJob: s.job, manifest.MetaAttempt: s.attempt}
	if _, err := s.store.Put(ctx, key, data, object.PutOptions{Meta: meta}); err != nil {
		return fmt.Errorf("put side file %q: %w", name, err)
	}
	return nil
}

// Get returns a file's content.
func (s *sideFiles) Get(ctx context.Context, name string) ([]byte, error) {
	key, err := s.key("get", name, nil)
	if err != nil {
		return nil, err
	}
	data, _, err := s.store.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("get side file %q: %w", name, err)
	}
	return data, nil
}

// List returns the names that start with prefix.
func (s *sideFiles) List(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	for info, err := range s.store.List(ctx, s.layout.SideDir()+prefix) {
		if err != nil {
			return nil, fmt.Errorf("list side files %q: %w", prefix, err)
		}
		names = append(names, strings.TrimPrefix(info.Key, s.layout.SideDir()))
	}
	slices.Sort(names)
	return names, nil
}
