package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

// TestSite builds the site of this repository. Every page can be read without a script
// or a request, and each of its links leads to a file of the site or to the web.
func TestSite(t *testing.T) {
	out := filepath.Join(t.TempDir(), "site")
	n, err := build(os.DirFS("../.."), out)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d pages, %d links, %d anchors", n.pages, n.links, n.anchors)
	if n.pages < 20 || n.links < 200 || n.anchors < 50 {
		t.Errorf("%+v", n)
	}
	refs := regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	err = filepath.WalkDir(out, func(name string, e os.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".html" {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		page := string(data)
		if strings.Contains(page, "<script") || strings.Contains(page, `src="http`) {
			t.Errorf("%s has a script, or fetches something", name)
		}
		for _, m := range refs.FindAllStringSubmatch(page, -1) {
			file, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(file, ":") {
				continue
			}
			to := name
			if file != "" {
				to = filepath.Join(filepath.Dir(name), file)
			}
			target, err := os.ReadFile(to)
			if err != nil {
				t.Errorf("%s: %s: %v", name, m[1], err)
			} else if anchor != "" && !strings.Contains(string(target), ` id="`+anchor+`"`) {
				t.Errorf("%s: %s: no such anchor", name, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestWrongLinks: a link that leads nowhere is an error that names it.
func TestWrongLinks(t *testing.T) {
	sound := fstest.MapFS{
		"README.md":      {Data: []byte("# mraws\n\n[docs](docs), [words](docs/README.md#the-words-of-a-job), [code](x.go), ![p](p.svg)\n")},
		"docs/README.md": {Data: []byte("# Documents\n\n## The words of `a` job\n\n[home](../README.md#mraws)\n")},
		"x.go":           {Data: []byte("package x\n")},
		"p.svg":          {Data: []byte("<svg/>\n")},
	}
	sound["docs/README.md"].Data = []byte("# Documents\n\n## The words of a `job`\n\n[home](../README.md#mraws) [web](https://go.dev/dl/)\n")
	if n, err := build(sound, filepath.Join(t.TempDir(), "site")); err != nil || n.links != 6 || n.anchors != 2 {
		t.Fatalf("%+v, %v", n, err)
	}
	for _, link := range []string{"none.md", "../x.go", "docs/README.md#none", "#none", "https://", "ftp://a.b/c", "/etc/passwd", "docs/README.md#mraws"} {
		root := fstest.MapFS{}
		for name, file := range sound {
			root[name] = file
		}
		root["page.md"] = &fstest.MapFile{Data: []byte("# Page\n\n[link](" + link + ")\n")}
		out := filepath.Join(t.TempDir(), "site")
		if _, err := build(root, out); err == nil || !strings.Contains(err.Error(), "page.md: the link "+link) {
			t.Errorf("%s: %v", link, err)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: a site was written", link)
		}
	}
}
