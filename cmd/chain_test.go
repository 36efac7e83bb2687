package cmd_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/mraws/mraws/cmd"
	"github.com/mraws/mraws/internal/apps"
)

var update = flag.Bool("update", false, "write the schema of chains, and the texts in testdata/screen, in place of comparing them")

// TestSchema: configs/jobs.schema.json is the schema of this program, and has each flag
// of a job.
func TestSchema(t *testing.T) {
	var out, errout bytes.Buffer
	if code := cmd.Execute(t.Context(), "mraws", nil, []string{"config", "schema"}, cmd.IO{Out: &out, Err: &errout}, apps.Table()); code != 0 {
		t.Fatalf("exit code %d: %s", code, errout.String())
	}
	file := filepath.Join("..", "configs", "jobs.schema.json")
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("%s is not the schema of this program: the flags of run have changed; go test ./cmd -run TestSchema -update writes it", file)
	}
	var schema struct {
		Definitions map[string]struct{ Properties map[string]any }
	}
	if err := json.Unmarshal(out.Bytes(), &schema); err != nil {
		t.Fatal(err)
	}
	step := schema.Definitions["step"].Properties
	for _, key := range []string{"name", "from", "input", "repeat", "steps", "app", "app-arg", "mapper", "nreduce", "max-bad-records", "file", "out", "verify"} {
		if step[key] == nil {
			t.Errorf("a step has no key %s", key)
		}
	}
	for _, key := range []string{"bucket", "prefix", "workers", "memory", "jobs", "help", "overwrite", "output"} {
		if step[key] != nil {
			t.Errorf("a step has the key %s", key)
		}
	}
}
