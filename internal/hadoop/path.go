package hadoop

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Root is where paths of the file system lie in a bucket.
type Root struct {
	Bucket string
	Dir    string // what their keys begin with; ends in a slash
	Home   string // the path that relative ones are below, such as /user/ann
}

// Path is a path of the file system. Its Name may have patterns.
type Path struct {
	Bucket string
	Name   string // clean, without slashes at its ends; "" is the root

	given string // as it was written
	dir   string // what keys begin with
	head  string // what stands before names when they are shown
	cut   string // what is taken from them first
	fs    bool   // it is in the file system, not a key as it is
}

// Parse reads a path: hdfs://any-host/dir/file, /dir/file, a relative path, or
// s3://bucket/key, which may be any bucket and is the key as it is.
func (r Root) Parse(s string) (Path, error) {
	scheme, rest, uri := strings.Cut(s, "://")
	p := Path{Bucket: r.Bucket, given: s, dir: r.Dir, fs: true}
	switch {
	case s == "":
		return p, errors.New("a path is empty")
	case uri && scheme == "hdfs":
		host, name, _ := strings.Cut(rest, "/")
		p.Name, p.head = name, "hdfs://"+host+"/"
	case uri && (scheme == "s3" || scheme == "s3a" || scheme == "s3n"):
		bucket, name, _ := strings.Cut(rest, "/")
		p.Bucket, p.Name, p.head = bucket, name, scheme+"://"+bucket+"/"
		p.dir, p.fs = "", false
	case uri:
		return p, fmt.Errorf("%s: there is no file system %s, only hdfs and s3", s, scheme)
	case strings.HasPrefix(s, "hdfs:/"):
		p.Name, p.head = strings.TrimPrefix(s, "hdfs:"), "hdfs:/"
	case s[0] == '/':
		p.Name, p.head = s, "/"
	default:
		p.Name, p.cut = path.Join(r.Home, s), strings.Trim(r.Home, "/")+"/"
	}
	p.Name = strings.Trim(path.Clean("/"+p.Name), "/")
	return p, nil
}

// String is the path as it was written.
func (p Path) String() string { return p.given }

// Show writes the name of a file or folder that was found as the path was written.
func (p Path) Show(name string) string {
	if p.cut != "" && name+"/" == p.cut {
		return "."
	}
	return p.head + strings.TrimPrefix(name, p.cut)
}

// A folder of a job has the name input, intermediate or output, and no output can be
// written below one. In the file system these are common names. Their keys have a
// tilde more.
var (
	jobFolder = regexp.MustCompile(`^(input|intermediate|output)~*$`)
	escaped   = regexp.MustCompile(`^(input|intermediate|output)~+$`)
	outPart   = regexp.MustCompile(`^mr-out-(0|[1-9][0-9]*)((?:\.[a-z]+)*)$`)
	part      = regexp.MustCompile(`^part-([0-9]{5,})((?:\.[a-z]+)*)$`)
)

// key is the key of a name.
func (p Path) key(name string) string {
	if !p.fs {
		return name
	}
	elements := strings.Split(name, "/")
	for i, e := range elements {
		if jobFolder.MatchString(e) {
			elements[i] = e + "~"
		}
	}
	return p.dir + strings.Join(elements, "/")
}

// Key is the key of a file at the path.
func (p Path) Key() string { return p.key(p.Name) }

// Folder is what the keys of the files of a folder at the path begin with; it ends in
// a slash unless it is "".
func (p Path) Folder() string {
	if p.Name == "" {
		return p.dir
	}
	return p.Key() + "/"
}

// Base is the last element of the path.
func (p Path) Base() string { return path.Base("/" + p.Name) }

// Join is the path of a file or folder in a folder.
func (p Path) Join(name string) Path {
	p.Name = strings.Trim(path.Join(p.Name, name), "/")
	p.given = strings.TrimRight(p.given, "/") + "/" + name
	return p
}

// alias is the key of an output of a job that has the name of a part of Hadoop's.
func (p Path) alias() (key string, ok bool) {
	m := part.FindStringSubmatch(p.Base())
	if m == nil || !p.fs {
		return "", false
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return "", false
	}
	return p.key(path.Join(path.Dir(p.Name), "mr-out-"+strconv.Itoa(n)+m[2])), true
}

// name is the inverse of key. An output mr-out-3 of a job has the name part-00003,
// mr-out-3.csv.gz the name part-00003.csv.gz.
func (p Path) name(key string) string {
	name := strings.TrimPrefix(key, p.dir)
	if !p.fs {
		return name
	}
	elements := strings.Split(name, "/")
	for i, e := range elements {
		if escaped.MatchString(e) {
			elements[i] = e[:len(e)-1]
		}
	}
	last := len(elements) - 1
	if m := outPart.FindStringSubmatch(elements[last]); m != nil {
		n, err := strconv.Atoi(m[1])
		if err == nil {
			elements[last] = fmt.Sprintf("part-%05d", n) + m[2]
		}
	}
	return strings.Join(elements, "/")
}

// pattern says whether the path has patterns: * ? [a-z] {a,b}.
func (p Path) pattern() bool { return strings.ContainsAny(p.Name, "*?[{\\") }

// fixed is what the keys of all that a pattern may match begin with, up to a slash.
func (p Path) fixed() string {
	name := p.Name[:strings.IndexAny(p.Name, "*?[{\\")]
	name = name[:strings.LastIndexByte(name, '/')+1]
	if name == "" {
		return p.dir
	}
	return p.key(strings.TrimSuffix(name, "/")) + "/"
}

// matches says whether the pattern matches a name, and whether as the folder that it
// lies in, which is returned.
func (p Path) matches(name string) (match string, folder, ok bool) {
	elements := strings.Split(name, "/")
	n := strings.Count(p.Name, "/") + 1
	if len(elements) < n {
		return "", false, false
	}
	match = strings.Join(elements[:n], "/")
	return match, len(elements) > n, elements[n-1] != "" && doublestar.MatchUnvalidated(p.Name, match)
}
