package cmd

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/shipped"
)

// shipment is the files that a job ships.
type shipment struct {
	files []manifest.CodeFile // in byte order of name
	paths map[string]string   // of the files on this machine, by SHA-256
	flag  string              // that ships a file
}

func newShipment() shipment { return shipment{paths: map[string]string{}, flag: "--file"} }

// add reads files and archives, and returns all that are to be shipped, in byte order of
// name. It returns an error if two have the same.
func (x *shipment) add(files, archives []string) ([]manifest.CodeFile, error) {
	for i, arg := range slices.Concat(files, archives) {
		f, err := x.read(arg, i >= len(files))
		if err != nil {
			return nil, err
		}
		x.files = append(x.files, f)
	}
	slices.SortFunc(x.files, func(a, b manifest.CodeFile) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(x.files); i++ {
		if x.files[i].Name == x.files[i-1].Name {
			return nil, usagef("--file PATH#NAME gives one of them another name", "two files with the name %q are to be shipped", x.files[i].Name)
		}
	}
	return x.files, nil
}

// ofApp reads the files for an app. That of an archive which no task could read is a
// usage error.
func (o *execFlags) ofApp(ctx context.Context, s *session) (*shipment, error) {
	x := newShipment()
	files, err := x.add(o.files, o.archives)
	if err != nil {
		return nil, err
	}
	var archives []manifest.CodeFile
	for i, f := range files {
		files[i].Executable = false // it is read, not run
		if !manifest.ValidFileName(f.Name) {
			return nil, usagef("--file PATH#NAME gives it another name", "a shipped file cannot have the name %q", f.Name)
		}
		if f.Archive != "" {
			archives = append(archives, f)
		}
	}
	if len(archives) == 0 {
		return &x, nil
	}
	file, _, err := shipped.Gather(ctx, s.shipOptions(nil), archives, func(f manifest.CodeFile, w io.Writer) (err error) {
		in, err := os.Open(x.paths[f.SHA256])
		if err != nil {
			return err
		}
		_, err = io.Copy(w, in)
		return errors.Join(err, in.Close())
	})
	var bad *shipped.ArchiveError
	if errors.As(err, &bad) {
		return nil, usagef("", "%s %s: %w", x.archiveFlag(), bad.Name, bad.Err)
	}
	if err != nil {
		return nil, err
	}
	return &x, file.Close()
}

// shipOptions are those of what fetches the files of jobs of apps. The bound is that of
// the files of executables.
func (s *session) shipOptions(st *store) shipped.Options {
	o := shipped.Options{Scratch: cmp.Or(s.conf.Scratch, os.TempDir()), Most: int64(s.conf.ExecDisk)}
	if st != nil {
		o.Store = st
	}
	return o
}

// archiveFlag is the flag that ships an archive.
func (x *shipment) archiveFlag() string {
	if x.flag == "-file" {
		return "-archives"
	}
	return "--archive"
}

// archiveKinds are the kinds of archives by the end of their name.
var archiveKinds = map[string]string{".tar": manifest.Tar, ".tar.gz": manifest.TarGz, ".tgz": manifest.TarGz, ".zip": manifest.Zip, ".jar": manifest.Zip}

// read reads a file that a flag names as path or path#name.
func (x *shipment) read(arg string, archive bool) (f manifest.CodeFile, err error) {
	path, name, named := strings.Cut(arg, "#")
	if !named {
		name = filepath.Base(path)
	}
	f.Name = name
	if archive {
		ends := slices.Collect(maps.Keys(archiveKinds))
		i := slices.IndexFunc(ends, func(end string) bool { return strings.HasSuffix(strings.ToLower(path), end) })
		if i < 0 {
			return f, usagef("the name of an archive ends in .tar, .tar.gz, .tgz or .zip", "%s %q is none", x.archiveFlag(), path)
		}
		f.Archive = archiveKinds[ends[i]]
	}
	file, err := os.Open(path)
	if err != nil {
		return f, usagef("", "read a file to ship: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return f, fmt.Errorf("read a file to ship: %w", err)
	}
	if !info.Mode().IsRegular() {
		return f, usagef("a folder is shipped as an archive, with "+x.archiveFlag(), "%s is no regular file", path)
	}
	sha := sha256.New()
	if f.Size, err = io.Copy(sha, file); err != nil {
		return f, fmt.Errorf("read a file to ship: %w", err)
	}
	f.SHA256 = hex.EncodeToString(sha.Sum(nil))
	f.Executable = !archive && info.Mode()&0o111 != 0
	x.paths[f.SHA256], err = filepath.Abs(path)
	return f, err
}

// ship puts the files into the bucket, but for those that are there.
func (x *shipment) ship(ctx context.Context, st *store, lay layout.Layout) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for sha, path := range x.paths {
		g.Go(func() error {
			if err := shipOne(gctx, st, lay.Code(sha), path); err != nil {
				return fmt.Errorf("ship %s: %w", path, err)
			}
			return nil
		})
	}
	return g.Wait()
}

func shipOne(ctx context.Context, st *store, key, path string) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if there, err := st.Stat(ctx, key); err == nil && there.Size == info.Size() {
		return nil
	}
	_, err = st.PutFile(ctx, key, file, info.Size(), object.PutOptions{IfAbsent: true, ContentType: "application/octet-stream"})
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
