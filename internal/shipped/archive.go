package shipped

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/mraws/mraws/internal/manifest"
)

// Entry is a file, a folder or a link of an archive.
type Entry struct {
	// Name is a clean path, which may lead out of the archive.
	Name string
	// Mode has the type: a folder, a symbolic link, or a regular file. Of the bits
	// below only the rights to run a file count.
	Mode fs.FileMode
	// Link is where a symbolic link leads; of a hard link, which is a regular file
	// without Body, it is the name of the other.
	Link string
	Body io.Reader // of a regular file, valid during the call
}

// mostLink bounds the target of a link, in bytes.
const mostLink = 4 << 10

// Walk calls each with all that an archive of a kind has, in its order, until that
// returns an error. The archive is taken for hostile.
func Walk(kind string, in io.ReaderAt, size int64, each func(Entry) error) error {
	if kind == manifest.Zip {
		z, err := zip.NewReader(in, size)
		if err != nil {
			return err
		}
		return walkZip(z, each)
	}
	var r io.Reader = io.NewSectionReader(in, 0, size)
	if kind == manifest.TarGz {
		var err error
		if r, err = gzip.NewReader(r); err != nil {
			return err
		}
	}
	return walkTar(tar.NewReader(r), each)
}

func walkTar(r *tar.Reader, each func(Entry) error) error {
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		e := Entry{Name: path.Clean(h.Name), Mode: h.FileInfo().Mode()}
		switch h.Typeflag {
		case tar.TypeDir:
		case tar.TypeReg:
			e.Body = r
		case tar.TypeSymlink:
			e.Link = h.Linkname
		case tar.TypeLink:
			e.Link = path.Clean(h.Linkname)
		case tar.TypeXGlobalHeader:
			continue
		default:
			return fmt.Errorf("%q is neither file, folder nor link", h.Name)
		}
		if err := each(e); err != nil {
			return err
		}
	}
}

func walkZip(z *zip.Reader, each func(Entry) error) error {
	for _, f := range z.File {
		e := Entry{Name: path.Clean(f.Name), Mode: f.Mode()}
		if e.Mode.IsDir() {
			if err := each(e); err != nil {
				return err
			}
			continue
		}
		r, err := f.Open()
		if err != nil {
			return err
		}
		if e.Mode.Type() == fs.ModeSymlink {
			var target []byte
			target, err = io.ReadAll(io.LimitReader(r, mostLink))
			e.Link = string(target)
		} else {
			e.Mode &= fs.ModePerm
			e.Body = r
		}
		if err == nil {
			err = each(e)
		}
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
	}
	return nil
}
