package page

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

// read returns the files of the page by their names.
func read(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	if err := fs.WalkDir(Assets, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(Assets, name)
		files[name] = string(data)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

// forbidden is what no file of ours may have: data as markup, code from text, styles and handlers
// that a strict policy refuses, and anything of another server.
var forbidden = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|\beval\(|new Function|createContextualFragment|` +
	`\sstyle=|\son[a-z]+="|(src|href)="(https?:)?//|url\(|@import`)

// TestAssets: the files that the page asks for are there, and none can be refused by the policy of
// the server or make elements of data.
func TestAssets(t *testing.T) {
	files := read(t)
	total := 0
	for name, text := range files {
		total += len(text)
		if strings.HasPrefix(name, "uplot.") {
			continue
		}
		for _, found := range forbidden.FindAllString(text, -1) {
			t.Errorf("%s has %q", name, found)
		}
	}
	if total > 150_000 {
		t.Errorf("the page has %d bytes", total)
	}
	wanted := regexp.MustCompile(`(?:/assets/|from "\./)([A-Za-z.]+)"`)
	asked := map[string]bool{"index.html": true, "uplot.LICENSE": true}
	for _, text := range files {
		for _, m := range wanted.FindAllStringSubmatch(text, -1) {
			asked[m[1]] = true
			if _, ok := files[m[1]]; !ok {
				t.Errorf("the page asks for %s, which is missing", m[1])
			}
		}
	}
	for name := range files {
		if !asked[name] {
			t.Errorf("nothing asks for %s", path.Base(name))
		}
	}
	if inline := regexp.MustCompile(`<script[^>]*>[^<]|<style`).FindString(files["index.html"]); inline != "" {
		t.Errorf("index.html has %q inside", inline)
	}
}

// TestIDs: each place that a script fills is in the page once.
func TestIDs(t *testing.T) {
	files := read(t)
	ids := map[string]int{}
	for _, m := range regexp.MustCompile(`\sid="([^"]+)"`).FindAllStringSubmatch(files["index.html"], -1) {
		if ids[m[1]]++; ids[m[1]] > 1 {
			t.Errorf("the id %s is there twice", m[1])
		}
	}
	used := regexp.MustCompile(`(?:\$|make)\("([a-z-]+)"`)
	for name, text := range files {
		if !strings.HasSuffix(name, ".js") || strings.HasPrefix(name, "uplot.") {
			continue
		}
		for _, m := range used.FindAllStringSubmatch(text, -1) {
			if ids[m[1]] == 0 {
				t.Errorf("%s fills %s, which the page has not", name, m[1])
			}
		}
	}
	if len(ids) < 50 {
		t.Errorf("only %d ids were found", len(ids))
	}
}

// TestUPlot: the library is the one that was released, unchanged.
func TestUPlot(t *testing.T) {
	files := read(t)
	for name, want := range map[string]string{
		"uplot.js":  "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
		"uplot.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
	} {
		sum := sha256.Sum256([]byte(files[name]))
		if is := hex.EncodeToString(sum[:]); is != want {
			t.Errorf("%s has the SHA-256 %s, want %s", name, is, want)
		}
	}
	if !strings.Contains(files["uplot.js"], "v1.6.32") || !strings.Contains(files["uplot.LICENSE"], "The MIT License") {
		t.Error("uplot.js is not version 1.6.32, or its licence is another")
	}
}
