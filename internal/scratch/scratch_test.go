package scratch

import (
	"os"
	"testing"
)

// TestCreate: a file can be used, and its folder is empty while it is open.
func TestCreate(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(dir, "mraws-*")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("abc"), 2); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if n, err := f.ReadAt(b, 0); err != nil || string(b[:n]) != "\x00\x00abc" {
		t.Errorf("%q, %v", b[:n], err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("in the folder of an open file: %v, %v", left, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Create(dir+"/none", "x"); err == nil {
		t.Error("a file was made in a folder that is none")
	}
}
