package hadoop

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mraws/mraws/internal/object"
)

// Store is what the file system needs of a bucket. A missing object is an error that
// wraps fs.ErrNotExist.
type Store interface {
	// Stat tells of an object.
	Stat(ctx context.Context, key string) (object.Info, error)
	// List yields every object whose key begins with prefix, in byte order.
	List(ctx context.Context, prefix string) iter.Seq2[object.Info, error]
	// OpenRange reads n bytes of an object from off on; n of -1 is all that follow.
	OpenRange(ctx context.Context, key, etag string, off, n int64) (io.ReadCloser, error)
	// Put writes an object of these bytes.
	Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error)
	// PutFile writes an object of size bytes.
	PutFile(ctx context.Context, key string, r io.ReaderAt, size int64, o object.PutOptions) (object.Info, error)
}

// Entry is a file or a folder that a path names. A folder is there if an object is
// below it.
type Entry struct {
	Path     Path   // that named it
	Name     string // below the root
	Key      string // of the object, or what those of the folder begin with
	Folder   bool
	Size     int64     // bytes; 0 for a folder
	Modified time.Time // zero for a folder
}

// Show writes the name as the path was written.
func (e Entry) Show() string { return e.Path.Show(e.Name) }

// file is the entry of an object; the key of a marker of a folder is none.
func (p Path) file(o object.Info) Entry {
	return Entry{Path: p, Name: p.name(o.Key), Key: o.Key, Size: o.Size, Modified: o.Modified}
}

// folder is the entry of a folder.
func (p Path) folder(name string) Entry {
	key := p.key(name) + "/"
	if name == "" {
		key = p.dir
	}
	return Entry{Path: p, Name: name, Key: key, Folder: true}
}

// Find returns what a path names, in order of name: at most one without patterns. It
// is empty if there is nothing.
func Find(ctx context.Context, st Store, p Path) ([]Entry, error) {
	if p.pattern() {
		return match(ctx, st, p)
	}
	if p.Name != "" {
		keys := []string{p.Key()}
		if key, ok := p.alias(); ok {
			keys = append(keys, key)
		}
		for _, key := range keys {
			o, err := st.Stat(ctx, key)
			if err == nil {
				return []Entry{p.file(o)}, nil
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	for _, err := range st.List(ctx, p.Folder()) {
		return []Entry{p.folder(p.Name)}, err
	}
	if p.Name == "" {
		return []Entry{p.folder("")}, nil
	}
	return nil, nil
}

// match finds what matches a pattern.
func match(ctx context.Context, st Store, p Path) ([]Entry, error) {
	var found []Entry
	seen := map[string]bool{}
	for o, err := range st.List(ctx, p.fixed()) {
		if err != nil {
			return nil, err
		}
		name, folder, ok := p.matches(p.name(o.Key))
		switch {
		case !ok || seen[name]:
			continue
		case folder:
			found = append(found, p.folder(name))
		default:
			found = append(found, p.file(o))
		}
		seen[name] = true
	}
	byName(found)
	return found, nil
}

func byName(entries []Entry) {
	slices.SortStableFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
}

// children are what is in a folder, in order of name; deep also those of its folders.
func children(ctx context.Context, st Store, e Entry, deep bool) ([]Entry, error) {
	var all []Entry
	seen := map[string]bool{strings.TrimSuffix(e.Name, "/"): true}
	for o, err := range st.List(ctx, e.Key) {
		if err != nil {
			return nil, err
		}
		below := strings.TrimPrefix(e.Path.name(o.Key), e.Name)
		elements := strings.Split(strings.Trim(below, "/"), "/")
		if below = strings.Trim(below, "/"); below == "" {
			continue // the marker of the folder itself
		}
		marker := strings.HasSuffix(o.Key, "/")
		folders := elements[:len(elements)-1]
		if marker {
			folders = elements
		}
		name := e.Name
		for _, f := range folders {
			name = strings.TrimPrefix(path.Join(name, f), "/")
			if !seen[name] {
				seen[name] = true
				all = append(all, e.Path.folder(name))
			}
			if !deep {
				break
			}
		}
		if !marker && (deep || len(folders) == 0) {
			all = append(all, e.Path.file(o))
		}
	}
	byName(all)
	return all, nil
}
