package cmd

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestOutFolder: which folders take the output of a job, and what an unused
// one looks like afterwards.
func TestOutFolder(t *testing.T) {
	for _, tt := range []struct {
		name      string
		files     []string // in the folder; nil is that it does not exist
		overwrite bool
		code      int
	}{
		{name: "new"},
		{name: "new, to be overwritten", overwrite: true},
		{name: "empty", files: []string{}},
		{name: "of a run that was killed", files: []string{partial + "/mr-out-0"}},
		{name: "parts", files: []string{"mr-out-0"}, code: ExitUsage},
		{name: "parts, to be overwritten", files: []string{"mr-out-0"}, overwrite: true},
		{name: "a hidden file", files: []string{".x"}, code: ExitUsage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a", "out")
			if tt.files != nil {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range tt.files {
				path := filepath.Join(dir, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			o, err := openOut(dir, tt.overwrite, false)
			var e *Error
			if code := 0; errors.As(err, &e) {
				if code = e.Code; code != tt.code {
					t.Fatalf("exit code %d, want %d: %v", code, tt.code, err)
				}
				return
			}
			if err != nil || tt.code != 0 {
				t.Fatal(err)
			}
			if _, err := openOut(dir, true, false); !errors.As(err, &e) || e.Code != ExitConflict {
				t.Errorf("a second run: %v", err)
			}
			if err := errors.Join(o.Close(), o.Close()); err != nil {
				t.Error(err)
			}
			entries, err := os.ReadDir(dir)
			if tt.files == nil {
				if !errors.Is(err, os.ErrNotExist) {
					t.Errorf("a new folder is left: %v, %v", entries, err)
				}
				return
			}
			var left []string
			for _, e := range entries {
				left = append(left, e.Name())
			}
			want := slices.DeleteFunc(tt.files, func(s string) bool { return s == partial+"/mr-out-0" })
			if !slices.Equal(left, want) {
				t.Errorf("left %q, want %q", left, want)
			}
		})
	}
}
