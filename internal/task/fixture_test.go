package task

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/runner"
	"github.com/mraws/mraws/internal/runner/gorunner"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

func TestMain(m *testing.M) {
	if app := os.Getenv(childApp); app != "" {
		if err := serve(app, bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)); err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// file is an input object.
type file struct{ Name, Text string }

// shared are the files as testkit has them.
func shared(files []file) []testkit.File {
	all := make([]testkit.File, len(files))
	for i, f := range files {
		all[i] = testkit.File(f)
	}
	return all
}

// oracle computes the outputs in memory, from the same application.
func oracle(t testkit.TB, app mr.App, nreduce int, files ...file) []string {
	t.Helper()
	return testkit.Oracle(t, app, nreduce, shared(files)...)
}

// fixture is a bucket with a job in it, whose attempts run here.
type fixture struct {
	*testkit.Job
	runner func(mr.App) runner.Runner // nil runs Go code here
}

func newFixture(app mr.App, nreduce int, split, pack int, files ...file) *fixture {
	return &fixture{Job: testkit.NewJob(app, nreduce, split, pack, shared(files)...)}
}

// eachShuffle runs a test of jobs that store partitions in each way.
func eachShuffle(t *testing.T, f func(t *testing.T, how manifest.Shuffle)) {
	for name, how := range map[string]manifest.Shuffle{"plain": "", "packed": manifest.ShufflePacked} {
		t.Run(name, func(t *testing.T) { f(t, how) })
	}
}

// shuffled makes the job one that stores partitions in this way.
func (w *fixture) shuffled(how manifest.Shuffle) *fixture {
	w.Spec.Shuffle = how
	return w
}

// bucket is the job as its attempts read it.
func (w *fixture) bucket() *bucket {
	return &bucket{store: w.Store, job: w.Spec, format: w.Spec.InputFormat(), chunk: minChunk}
}

// env is the environment of a worker.
func (w *fixture) env(t testkit.TB) *Env {
	t.Helper()
	if err := w.Spec.Validate(layout.Layout{}); err != nil {
		t.Fatalf("job: %v", err)
	}
	run := gorunner.New
	if w.runner != nil {
		run = w.runner
	}
	return &Env{
		Store: w.Store, Layout: w.Spec.Layout(layout.Layout{}), Job: w.Spec, Runner: run(w.App), Worker: "w", Scratch: w.Scratch, Memory: w.Memory,
		Commits: new(Commits), Log: zerolog.Nop(), Progress: new(Progress),
		maxRecord: w.MaxRecord,
	}
}

// run runs all tasks, one after the other, and returns the outputs.
func (w *fixture) run(t testkit.TB) []string {
	t.Helper()
	e := w.env(t)
	for m := range w.Spec.Maps() {
		e.Progress = new(Progress)
		if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, m, fmt.Sprintf("m%d", m)}); err != nil {
			t.Fatalf("%v", err)
		}
	}
	for r := range w.Spec.Outputs() {
		e.Progress = new(Progress)
		if _, err := e.Run(context.Background(), Attempt{mr.ReducePhase, r, fmt.Sprintf("r%d", r)}); err != nil {
			t.Fatalf("%v", err)
		}
	}
	w.Check(t)
	return w.Outputs(t)
}
