package upload

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// fence keeps a search out of folders that must not be read: the given folders, by
// path and by device and inode (a bind mount has another path), and all data
// folders of embedded servers.
type fence struct {
	avoid []avoided
	store func(dir string) bool
	known map[string]string // why a folder's files are not read; "" is that they are
}

type avoided struct {
	real string
	info fs.FileInfo
	why  string
}

func newFence(o Search) *fence {
	f := &fence{store: o.Store, known: map[string]string{}}
	for _, a := range o.Avoid {
		real, err := filepath.EvalSymlinks(a.Path)
		if err != nil {
			continue // it does not exist, so it is not found either
		}
		if info, err := os.Stat(real); err == nil {
			f.avoid = append(f.avoid, avoided{real, info, a.Why})
		}
	}
	return f
}

// bars returns why the file at path, or the target of its link, is not read. ""
// means that it is read.
func (f *fence) bars(path string, info fs.FileInfo) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "" // reading it will give the error
	}
	if why := f.is(info); why != "" {
		return why
	}
	dir := real
	if !info.IsDir() {
		dir = filepath.Dir(real)
	}
	return f.within(dir)
}

// within returns why a folder, given by its real path, or one of its parents is not
// read.
func (f *fence) within(dir string) string {
	why, ok := f.known[dir]
	if !ok {
		why = f.folder(dir)
		if up := filepath.Dir(dir); why == "" && up != dir {
			why = f.within(up)
		}
		f.known[dir] = why
	}
	return why
}

// folder returns why a folder itself is not read.
func (f *fence) folder(dir string) string {
	if f.store != nil && f.store(dir) {
		return StoreFolder
	}
	if i := slices.IndexFunc(f.avoid, func(a avoided) bool { return a.real == dir }); i >= 0 {
		return f.avoid[i].why
	}
	if len(f.avoid) == 0 {
		return ""
	}
	info, err := os.Stat(dir)
	if err != nil {
		return ""
	}
	return f.is(info)
}

// file returns why a file of a walk is not read: it links to a file that is not
// read, or is the same file with another name.
func (f *fence) file(path string, d fs.DirEntry, info fs.FileInfo) string {
	if d.Type()&fs.ModeSymlink != 0 {
		return f.bars(path, info)
	}
	return f.is(info)
}

func (f *fence) is(info fs.FileInfo) string {
	for _, a := range f.avoid {
		if os.SameFile(info, a.info) {
			return a.why
		}
	}
	return ""
}
