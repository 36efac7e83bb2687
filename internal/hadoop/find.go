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
	// Copy writes src, at any version if srcETag is "", to dst.
	Copy(ctx context.Context, src, srcETag, dst string, o object.PutOptions) (object.Info, error)
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

	summary bool // of a job: it is shown as empty, as that of Hadoop is
}

// What a job writes into the folder of its output besides the output.
const (
	ownerName   = "_owner.json"
	summaryName = "_SUCCESS"
)

// ofJobs sees what jobs write besides their output: in the file system it is hidden or
// shown as empty.
type ofJobs map[string]bool // folders that are the output of a job, by what keys begin with

// hides says whether an object is not shown.
func (j ofJobs) hides(p Path, key string) bool {
	dir, name := path.Split(key)
	if !p.fs || name != ownerName {
		return false
	}
	j[dir] = true
	return true
}

// mark finds the summaries among entries, once the folders are known.
func (j ofJobs) mark(entries []Entry) {
	for i := range entries {
		e := &entries[i]
		if dir, name := path.Split(e.Key); !e.Folder && name == summaryName && j[dir] {
			e.summary, e.Size = true, 0
		}
	}
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
				return p.one(ctx, st, o)
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

// one is the file of an object that a path names, if it is shown.
func (p Path) one(ctx context.Context, st Store, o object.Info) ([]Entry, error) {
	jobs := ofJobs{}
	if jobs.hides(p, o.Key) {
		return nil, nil
	}
	all := []Entry{p.file(o)}
	if dir, name := path.Split(o.Key); p.fs && name == summaryName {
		switch _, err := st.Stat(ctx, dir+ownerName); {
		case err == nil:
			jobs[dir] = true
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	jobs.mark(all)
	return all, nil
}

// match finds what matches a pattern.
func match(ctx context.Context, st Store, p Path) ([]Entry, error) {
	var found []Entry
	seen, jobs := map[string]bool{}, ofJobs{}
	for o, err := range st.List(ctx, p.fixed()) {
		if err != nil {
			return nil, err
		}
		hidden := jobs.hides(p, o.Key)
		name, folder, ok := p.matches(p.name(o.Key))
		switch {
		case !ok || seen[name] || hidden && !folder:
			continue
		case folder:
			found = append(found, p.folder(name))
		default:
			found = append(found, p.file(o))
		}
		seen[name] = true
	}
	jobs.mark(found)
	byName(found)
	return found, nil
}

func byName(entries []Entry) {
	slices.SortStableFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
}

// children are what is in a folder, in order of name; deep also those of its folders.
func children(ctx context.Context, st Store, e Entry, deep bool) ([]Entry, error) {
	var all []Entry
	seen, jobs := map[string]bool{strings.TrimSuffix(e.Name, "/"): true}, ofJobs{}
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
		if hidden := jobs.hides(e.Path, o.Key); !hidden && !marker && (deep || len(folders) == 0) {
			all = append(all, e.Path.file(o))
		}
	}
	jobs.mark(all)
	byName(all)
	return all, nil
}
