package verify

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// BenchmarkRun verifies a word count of the runtime's source, a few hundred
// small files, from memory.
func BenchmarkRun(b *testing.B) {
	root := filepath.Join(runtime.GOROOT(), "src", "runtime") //nolint:staticcheck // the toolchain that runs the test
	j := testJob{app: wordCount(), reduces: 10, inputs: map[string]string{}}
	var size int64
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		data, err := os.ReadFile(filepath.Join(root, path))
		j.inputs[path] = string(data)
		size += int64(len(data))
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	s, lay := j.build(b)
	dir := b.TempDir()
	b.SetBytes(size)
	for b.Loop() {
		if rep := run(b, s, lay, j.app, Options{Scratch: dir}); !rep.OK() {
			b.Fatal(show(rep))
		}
	}
}
