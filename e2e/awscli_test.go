//go:build awscli

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAWSCLI uses the AWS CLI, a client that is not ours, for everything
// that a user may do to the bucket by hand: upload the input, look at the
// intermediate, download the output, reset.
func TestAWSCLI(t *testing.T) {
	b := newFixture(t)
	env := append(b.env, cliEnv(t, b)...)
	s3 := func(args ...string) string {
		t.Helper()
		c := exec.Command("aws", append([]string{"s3"}, args...)...)
		c.Env, c.Dir = env, b.dir
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("aws s3 %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	root := "s3://mapreducedata/" + b.layout.Prefix()
	books := filepath.Join(b.dir, "books")
	if err := os.Mkdir(books, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range b.books() {
		if err := os.Rename(path, filepath.Join(books, filepath.Base(path))); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 2 { // the second shows that the reset was whole
		s3("cp", "--recursive", books, root+"/input/")
		c, address := b.coordinator("--nreduce", "3")
		w := b.start("worker", "--coord", address, "--app", "wc")
		for _, p := range []*process{c, w} {
			if code := b.exit(p); code != 0 {
				t.Fatalf("round %d: mraws %s: exit code %d", round, p.name, code)
			}
		}
		listing := s3("ls", root+"/intermediate/")
		for m := range 8 {
			for r := range 3 {
				if name := " mr-" + strconv.Itoa(m) + "-" + strconv.Itoa(r) + "\n"; !strings.Contains(listing, name) {
					t.Errorf("no%q in the listing:\n%s", name, listing)
				}
			}
		}
		out := filepath.Join(b.dir, "out"+strconv.Itoa(round))
		s3("cp", "--recursive", root+"/output/", out)
		want := reference(t, "wc", 3)
		for r := range 3 {
			got, err := os.ReadFile(filepath.Join(out, "mr-out-"+strconv.Itoa(r)))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want[r], string(got)); d != "" {
				t.Errorf("mr-out-%d: %s", r, d)
			}
		}
		s3("rm", "--recursive", root+"/intermediate/")
		s3("rm", "--recursive", root+"/output/")
	}
}
