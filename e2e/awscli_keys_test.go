//go:build awscli && !interop

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAWSCLIKeys: the AWS CLI makes, lists, copies, fetches and removes keys
// of the embedded server that XML cannot carry, and markers of folders.
func TestAWSCLIKeys(t *testing.T) {
	b := newFixture(t)
	env := append(b.env, cliEnv(t, b)...)
	aws := func(args ...string) string {
		t.Helper()
		c := exec.Command("aws", args...)
		c.Env, c.Dir = env, b.dir
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("aws %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	list := func() []string {
		t.Helper()
		out := aws("s3api", "list-objects-v2", "--bucket", "mapreducedata", "--prefix", b.layout.Prefix()+"/keys/",
			"--page-size", "2", "--query", "Contents[].Key", "--output", "json")
		var keys []string
		if err := json.Unmarshal([]byte(out), &keys); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		for i, k := range keys {
			keys[i] = strings.TrimPrefix(k, b.layout.Prefix()+"/keys/")
		}
		return keys
	}
	body := filepath.Join(b.dir, "body")
	if err := os.WriteFile(body, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	root := b.layout.Prefix() + "/keys/"
	aws("s3api", "put-object", "--bucket", "mapreducedata", "--key", root+"folder/")
	for _, key := range []string{"\x01", "a\x1fb", "folder/with space+plus", "ü"} {
		aws("s3api", "put-object", "--bucket", "mapreducedata", "--key", root+key, "--body", body)
	}
	want := []string{"\x01", "a\x1fb", "folder/", "folder/with space+plus", "ü"}
	if d := cmp.Diff(want, list()); d != "" {
		t.Errorf("listed (-want +got):\n%s", d)
	}
	out := filepath.Join(b.dir, "fetched")
	aws("s3", "cp", "--recursive", "s3://mapreducedata/"+root, out)
	for _, key := range want {
		if strings.HasSuffix(key, "/") {
			continue
		}
		if got, err := os.ReadFile(filepath.Join(out, key)); err != nil || string(got) != "content" {
			t.Errorf("fetched %q: %q, %v", key, got, err)
		}
	}
	aws("s3api", "copy-object", "--bucket", "mapreducedata", "--copy-source", "mapreducedata/"+root+"folder/", "--key", root+"other/")
	aws("s3", "rm", "--recursive", "s3://mapreducedata/"+root+"folder/")
	if d := cmp.Diff([]string{"\x01", "a\x1fb", "other/", "ü"}, list()); d != "" {
		t.Errorf("listed after rm (-want +got):\n%s", d)
	}
	aws("s3", "rm", "--recursive", "s3://mapreducedata/"+root)
	if d := cmp.Diff([]string(nil), list()); d != "" {
		t.Errorf("listed after all were removed (-want +got):\n%s", d)
	}
}
