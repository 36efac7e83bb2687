package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/apps"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/s3local"
)

// fill makes a data folder with so many finished jobs. The first one is whole, the others
// have their summaries.
func fill(t testing.TB, jobs int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	run := func(args ...string) {
		t.Helper()
		var errs strings.Builder
		args = append(args, "--data-dir", dir, "-q")
		if code := Execute(t.Context(), "mraws", nil, args, IO{In: strings.NewReader(""), Out: new(strings.Builder), Err: &errs}, apps.Table(), embeddedServer); code != ExitOK {
			t.Fatalf("%q: code %d, %s", args, code, &errs)
		}
	}
	input := filepath.Join(t.TempDir(), "in.txt")
	if err := os.WriteFile(input, []byte("a b a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("run", "--app", "wc", "--name", "job-0000", "--nreduce", "1", input)
	server, err := s3local.Start(t.Context(), s3local.Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	at := server.Endpoint()
	st, err := s3fs.Open(t.Context(), s3fs.Options{Bucket: "mapreducedata", Region: at.Region, Endpoint: at.URL, AccessKey: at.AccessKey, SecretKey: at.SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	first := layout.New("job-0000")
	data, _, err := st.Get(t.Context(), first.Success())
	if err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	g.SetLimit(16)
	for i := 1; i < jobs; i++ {
		g.Go(func() error {
			success, err := manifest.DecodeSuccess(data, first, "")
			if err != nil {
				return err
			}
			lay := layout.New(fmt.Sprintf("job-%04d", i))
			for r := range success.Outputs {
				success.Outputs[r].Key = lay.Output(r)
			}
			sealed, err := manifest.EncodeSealed(success)
			if err == nil {
				_, err = st.Put(t.Context(), lay.Success(), sealed, s3fs.PutOptions{})
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// aboutJobs are lines of commands that look for a job, or list them.
func aboutJobs() []string {
	return []string{
		"jobs", "jobs -o json", "jobs prune --older 0s --dry-run", "status last", "status job-0000", "cat last", "events last", "logs all last", "trace last",
		"verify last", "replay map-0 last", "reset last --dry-run", "__complete status ",
	}
}

// TestManyJobs: each command about jobs does its work where there are 100.
func TestManyJobs(t *testing.T) {
	clean(t)
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	dir := fill(t, 100)
	for _, line := range aboutJobs() {
		args := append(strings.Fields(line), "--data-dir", dir)
		if strings.HasPrefix(line, "__") { // the last word is the one that is completed
			args = append(args, "")
		}
		if r := execute(t, apps.Table(), args...); r.code != ExitOK || r.out == "" {
			t.Errorf("%s: %+v", line, r)
		}
	}
	for _, want := range []struct {
		line  string
		lines int
	}{{"jobs", 101}, {"jobs -o jsonl", 100}, {"jobs prune --older 0s --dry-run", 100}} {
		if r := execute(t, apps.Table(), append(strings.Fields(want.line), "--data-dir", dir)...); strings.Count(r.out, "\n") != want.lines {
			t.Errorf("%s: %d lines, want %d", want.line, strings.Count(r.out, "\n"), want.lines)
		}
	}
}

// BenchmarkJobs is the time of each command about jobs where there are 1,000 on the
// embedded server, which the command starts and ends.
func BenchmarkJobs(b *testing.B) {
	b.Setenv("MRAWS_PAGER", "never")
	dir := fill(b, 1000)
	for _, line := range aboutJobs() {
		b.Run(strings.ReplaceAll(line, " ", "_"), func(b *testing.B) {
			args := append(strings.Fields(line), "--data-dir", dir)
			if strings.HasPrefix(line, "__") {
				args = append(args, "")
			}
			for b.Loop() {
				var errs strings.Builder
				if code := Execute(b.Context(), "mraws", nil, args, IO{In: strings.NewReader(""), Out: new(strings.Builder), Err: &errs}, apps.Table(), embeddedServer); code != ExitOK {
					b.Fatalf("code %d: %s", code, &errs)
				}
			}
		})
	}
}
