//go:build readers

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// readersPython is the Python that has DuckDB, pyarrow and pandas.
func readersPython(t *testing.T) string {
	t.Helper()
	python := os.Getenv("MRAWS_READERS_PYTHON")
	if python == "" {
		t.Fatal("MRAWS_READERS_PYTHON is not set: scripts/readers.sh says it")
	}
	return python
}

// python runs a script of testdata, whose argument is the program. The script has to end
// well and to print all that is wanted.
func (b *fixture) python(script string, wants ...string) {
	b.t.Helper()
	script, err := filepath.Abs(filepath.Join("testdata", script))
	if err != nil {
		b.t.Fatal(err)
	}
	c := exec.Command(readersPython(b.t), script, b.bin)
	c.Dir, c.Env = b.t.TempDir(), append(b.env, "XDG_DATA_HOME="+b.t.TempDir(), "MRAWS_DATA_DIR=", "MRAWS_BUCKET=", "MRAWS_PREFIX=", "MRAWS_ENDPOINT=")
	out, err := c.CombinedOutput()
	if err != nil {
		b.t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range wants {
		if !strings.Contains(string(out), want) {
			b.t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}
