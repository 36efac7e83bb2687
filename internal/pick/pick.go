// Package pick says which of the objects and files that are found are input: by a
// pattern over the keys of a bucket, and by filters over names.
package pick

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// IsPattern tells whether a path or key is a pattern: * and ? within an element, **
// for any number of elements, [a-z], {a,b}; a backslash takes the meaning from the
// character behind it.
// https://pkg.go.dev/github.com/bmatcuk/doublestar/v4
func IsPattern(s string) bool { return strings.ContainsAny(s, "*?[{") }

// Keys is a pattern over keys.
type Keys struct {
	text   string
	object string // text as it is matched with all of a key: a/** is no object a
	fixed  string // what every key begins with
	folder bool   // it ends in a slash, so that it matches folders only
	dots   bool   // it names an element that begins with a dot
	named  bool   // its last element names that of a hidden object
}

// Parse reads a pattern over keys.
func Parse(text string) (Keys, error) {
	if !doublestar.ValidatePattern(text) {
		return Keys{}, fmt.Errorf("pattern %q is malformed", text)
	}
	k := Keys{text: strings.TrimSuffix(text, "/"), folder: strings.HasSuffix(text, "/")}
	k.object, k.fixed = k.text, fixed(k.text)
	if strings.HasSuffix(k.text, "/**") {
		k.object += "/*"
	}
	for element := range strings.SplitSeq(k.text, "/") {
		k.named = strings.HasPrefix(element, "_") || strings.HasPrefix(element, ".")
		k.dots = k.dots || strings.HasPrefix(element, ".")
	}
	return k, nil
}

// Prefixes are what the keys that the pattern matches begin with, each with one of them:
// all before the first character with a meaning, of each alternative of braces that
// come before any other. None begins with another.
func (k Keys) Prefixes() []string {
	var all []string
	for _, text := range alternatives(k.text) {
		all = append(all, fixed(text))
	}
	slices.Sort(all)
	out := all[:1]
	for _, p := range all[1:] {
		if !strings.HasPrefix(p, out[len(out)-1]) {
			out = append(out, p)
		}
	}
	return out
}

// fixed is what stands before the first character with a meaning.
func fixed(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case strings.IndexByte("*?[{", c) >= 0:
			return b.String()
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// mostAlternatives bounds the prefixes of a pattern.
const mostAlternatives = 64

// alternatives are patterns that match the same together, without braces before any
// other character with a meaning. Braces within braces, and many of them, stay.
func alternatives(text string) []string {
	done, left := []string{}, []string{text}
	for len(left) > 0 {
		p := left[0]
		left = left[1:]
		open := strings.IndexAny(p, "*?[{\\")
		if open < 0 || p[open] != '{' {
			done = append(done, p)
			continue
		}
		end := open + 1 + strings.IndexAny(p[open+1:], "*?[{\\}")
		if p[end] != '}' {
			done = append(done, p)
			continue
		}
		for alt := range strings.SplitSeq(p[open+1:end], ",") {
			left = append(left, p[:open]+alt+p[end+1:])
		}
		if len(done)+len(left) > mostAlternatives {
			return []string{text}
		}
	}
	return done
}

// Match tells whether the pattern matches a key, or a folder that it lies in. An
// element that begins with a dot is matched, and an object whose last element begins
// with "_" is taken, only where the pattern names one so.
func (k Keys) Match(key string) bool {
	if !strings.HasPrefix(key, k.fixed) {
		return false
	}
	from := strings.LastIndexByte(k.fixed, '/') + 1 // of the first element that is no literal
	if !k.dots && (strings.HasPrefix(key[from:], ".") || strings.Contains(key[from:], "/.")) {
		return false
	}
	hidden := strings.HasPrefix(path.Base(key), "_") || strings.HasPrefix(path.Base(key), ".")
	for end := from; end < len(key); end++ {
		next := strings.IndexByte(key[end:], '/')
		if next < 0 {
			return !k.folder && (k.named || !hidden) && doublestar.MatchUnvalidated(k.object, key)
		}
		end += next
		if !hidden && doublestar.MatchUnvalidated(k.text, key[:end]) {
			return true
		}
	}
	return false
}

// Filter takes or leaves out what is found, by its name.
type Filter struct {
	// Include, if it is not empty, takes only what matches one of its patterns, and
	// Exclude leaves out what matches one of its own. A pattern with a slash is
	// matched with the whole name, one without a slash with its last element, and
	// one that begins with s3:// with where an object lies.
	Include, Exclude []string
}

// IsZero tells whether the filter takes everything.
func (f Filter) IsZero() bool { return len(f.Include)+len(f.Exclude) == 0 }

// Check returns an error that names a pattern which is malformed.
func (f Filter) Check() error {
	for _, p := range f.Include {
		if !doublestar.ValidatePattern(p) {
			return fmt.Errorf("include pattern %q is malformed", p)
		}
	}
	for _, p := range f.Exclude {
		if !doublestar.ValidatePattern(p) {
			return fmt.Errorf("exclude pattern %q is malformed", p)
		}
	}
	return nil
}

// Takes tells whether what has this name is taken. place is s3://bucket/key of an
// object, and "" of a file.
func (f Filter) Takes(name, place string) bool {
	is := func(p string) bool {
		switch {
		case strings.HasPrefix(p, "s3://"):
			return place != "" && doublestar.MatchUnvalidated(p, place)
		case !strings.Contains(p, "/"):
			return doublestar.MatchUnvalidated(p, path.Base(name))
		}
		return doublestar.MatchUnvalidated(p, name)
	}
	return (len(f.Include) == 0 || slices.ContainsFunc(f.Include, is)) && !slices.ContainsFunc(f.Exclude, is)
}
