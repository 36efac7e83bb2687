// Command site makes a web site of the documents of the repository: a page for each
// file in Markdown, without scripts, that works from files. It checks every link and
// anchor on the way and sends no request.
//
//	go run . -root ../.. -out ../../site
package main

import (
	"bytes"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
)

//go:embed page.html
var pageText string

//go:embed style.css
var style []byte

// source is where files that are no pages are shown.
const source = "https://github.com/mraws/mraws/blob/main/"

// index is the page whose headings and links are the navigation.
const index = "docs/README.md"

func main() {
	root := flag.String("root", ".", "the repository")
	out := flag.String("out", "site", "the folder to write, which is replaced")
	flag.Parse()
	n, err := build(os.DirFS(*root), *out)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%d pages, %d links and %d anchors checked: %s\n", n.pages, n.links, n.anchors, filepath.Join(*out, "index.html"))
}

// counts says what was made and checked.
type counts struct{ pages, links, anchors int }

// page is a document in Markdown.
type page struct {
	path    string // below the root, such as docs/faq.md
	title   string
	text    []byte
	tree    ast.Node
	anchors map[string]bool
}

// site are all pages, and the repository that they are of.
type site struct {
	root  fs.FS
	pages map[string]*page
	files map[string]bool // that pages show, such as pictures
	md    goldmark.Markdown
	n     counts
	wrong []error
}

// build writes the site of a repository into a folder. The error names every link
// that leads nowhere.
func build(root fs.FS, out string) (counts, error) {
	s := &site{root: root, pages: map[string]*page{}, files: map[string]bool{},
		md: goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()), goldmark.WithRendererOptions(html.WithUnsafe()))}
	if err := s.read(); err != nil {
		return s.n, err
	}
	if s.pages["README.md"] == nil || s.pages[index] == nil {
		return s.n, fmt.Errorf("README.md and %s are to be there", index)
	}
	for _, name := range s.names() {
		s.links(s.pages[name])
	}
	if len(s.wrong) > 0 {
		return s.n, errors.Join(s.wrong...)
	}
	return s.n, s.write(out)
}

// names are the paths of all pages, in order.
func (s *site) names() []string {
	var all []string
	for name := range s.pages {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// read parses every document, except in folders that are hidden, made or test data.
func (s *site) read() error {
	return fs.WalkDir(s.root, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && name != "." && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata" || e.Name() == "node_modules" || name == "site"):
			return fs.SkipDir
		case e.IsDir() || path.Ext(name) != ".md":
			return nil
		}
		data, err := fs.ReadFile(s.root, name)
		if err != nil {
			return err
		}
		p := &page{path: name, title: name, text: data, anchors: map[string]bool{}}
		p.tree = s.md.Parser().Parse(text.NewReader(data), parser.WithContext(parser.NewContext(parser.WithIDs(&slugs{of: p.anchors}))))
		if h, ok := p.tree.FirstChild().(*ast.Heading); ok {
			p.title = plain(h, data)
		}
		for _, m := range anchor.FindAllSubmatch(data, -1) {
			p.anchors[string(m[1])] = true
		}
		s.pages[name] = p
		return nil
	})
}

// anchor is one that a document has besides those of headings.
var anchor = regexp.MustCompile(`<a id="([^"]+)"></a>`)

// plain is the text of a node without its marks.
func plain(n ast.Node, data []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := n.(*ast.Text); ok && entering {
			b.Write(t.Segment.Value(data))
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// slugs gives headings the anchors that GitHub gives them.
type slugs struct{ of map[string]bool }

// Generate implements [parser.IDs].
func (s *slugs) Generate(value []byte, _ ast.NodeKind) []byte {
	var b strings.Builder
	for _, r := range strings.ToLower(unmarked(string(value))) {
		switch {
		case r == ' ' || r == '-':
			b.WriteByte('-')
		case r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		}
	}
	id := b.String()
	for i := 1; s.of[id]; i++ {
		id = b.String() + "-" + strconv.Itoa(i)
	}
	s.of[id] = true
	return []byte(id)
}

// unmarked is the text of a heading without the targets of links.
func unmarked(heading string) string {
	for {
		before, rest, found := strings.Cut(heading, "](")
		_, after, closed := strings.Cut(rest, ")")
		if !found || !closed {
			return heading
		}
		heading = before + after
	}
}

// Put implements [parser.IDs].
func (s *slugs) Put(value []byte) { s.of[string(value)] = true }

// links checks the links and pictures of a page, and has them lead to pages of the site.
func (s *site) links(p *page) {
	_ = ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Link:
			n.Destination = s.link(p, n.Destination, false)
		case *ast.Image:
			n.Destination = s.link(p, n.Destination, true)
		}
		return ast.WalkContinue, nil
	})
}

// link returns where a link of a page leads in the site.
func (s *site) link(p *page, to []byte, shown bool) []byte {
	s.n.links++
	wrong := func(why string) []byte {
		s.wrong = append(s.wrong, fmt.Errorf("%s: the link %s %s", p.path, to, why))
		return to
	}
	u, err := url.Parse(string(to))
	switch {
	case err != nil:
		return wrong("is no URL")
	case u.Scheme == "https" || u.Scheme == "http":
		if !strings.Contains(u.Host, ".") {
			return wrong("has no host")
		}
		return to
	case u.Scheme != "" || u.Host != "" || strings.HasPrefix(u.Path, "/"):
		return wrong("is neither of the web nor of the repository")
	}
	name := p.path
	if u.Path != "" {
		name = path.Join(path.Dir(p.path), u.Path)
	}
	info, err := fs.Stat(s.root, name)
	if err != nil {
		return wrong("leads to no file of the repository")
	}
	if info.IsDir() && s.pages[path.Join(name, "README.md")] != nil {
		name = path.Join(name, "README.md")
	}
	target := s.pages[name]
	switch {
	case target == nil && shown:
		s.files[name] = true
		return []byte(relative(p.path, name))
	case target == nil:
		return []byte(source + name)
	case u.Fragment != "":
		s.n.anchors++
		if !target.anchors[u.Fragment] {
			return wrong("leads to no heading")
		}
		return []byte(relative(p.path, pageName(name)) + "#" + u.Fragment)
	}
	return []byte(relative(p.path, pageName(name)))
}

// pageName is the file of a page: docs/faq.html, and index.html of a README.
func pageName(name string) string {
	if path.Base(name) == "README.md" {
		return path.Join(path.Dir(name), "index.html")
	}
	return strings.TrimSuffix(name, ".md") + ".html"
}

// relative is the way from a page to a file, both below the root.
func relative(from, to string) string {
	way, err := filepath.Rel(filepath.FromSlash(path.Dir(from)), filepath.FromSlash(to))
	if err != nil {
		return to
	}
	return filepath.ToSlash(way)
}

// part is a part of the navigation.
type part struct {
	Title string
	Links []entry
}

// entry is a link of the navigation.
type entry struct {
	Title, To string
	Here      bool
}

// navigation are the parts of the index, as a page shows them, and at the end what the
// index lacks of docs.
func (s *site) navigation(p *page) []part {
	var all []part
	from := s.pages[index]
	named := map[string]bool{index: true}
	_ = ast.Walk(from.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if h, ok := n.(*ast.Heading); ok && entering && h.Level == 2 {
			all = append(all, part{Title: plain(h, from.text)})
		}
		if l, ok := n.(*ast.Link); ok && entering && len(all) > 0 {
			name := path.Join(path.Dir(index), string(l.Destination)) // of the site already
			named[name] = true
			last := &all[len(all)-1]
			last.Links = append(last.Links, entry{plain(l, from.text), relative(p.path, name), name == pageName(p.path)})
		}
		return ast.WalkContinue, nil
	})
	more := part{Title: "More"}
	for _, name := range s.names() {
		if path.Dir(name) == "docs" && name != index && !named[pageName(name)] {
			more.Links = append(more.Links, entry{s.pages[name].title, relative(p.path, pageName(name)), name == p.path})
		}
	}
	if len(more.Links) > 0 {
		all = append(all, more)
	}
	return all
}

// write writes all pages, and the files that they show.
func (s *site) write(out string) error {
	layout, err := template.New("page").Parse(pageText)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	put := func(name string, data []byte) error {
		to := filepath.Join(out, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o644)
	}
	for _, name := range s.names() {
		p := s.pages[name]
		var body, whole bytes.Buffer
		if err := s.md.Renderer().Render(&body, p.text, p.tree); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		err := layout.Execute(&whole, map[string]any{
			"Title": p.title, "Body": template.HTML(body.String()), "Parts": s.navigation(p),
			"Style": relative(name, "style.css"), "Home": relative(name, "index.html"), "Index": relative(name, pageName(index)),
			"Source": source + (&url.URL{Path: name}).EscapedPath(),
		})
		if err == nil {
			err = put(pageName(name), whole.Bytes())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.n.pages++
	}
	for name := range s.files {
		data, err := fs.ReadFile(s.root, name)
		if err == nil {
			err = put(name, data)
		}
		if err != nil {
			return err
		}
	}
	return put("style.css", style)
}
