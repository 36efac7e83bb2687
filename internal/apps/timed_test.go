package apps

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/mr"
	"github.com/mraws/mraws/mr/mrtest"
)

// books are inputs with the names of the lab's.
func books() map[string]string {
	inputs := map[string]string{}
	for _, name := range strings.Fields("being_ernest dorian_gray frankenstein grimm huckleberry_finn metamorphosis sherlock_holmes tom_sawyer") {
		inputs["pg-"+name+".txt"] = name
	}
	return inputs
}

// timed runs a job in fake time and returns how long it took.
func timed(t *testing.T, job mrtest.Job, then func(*testing.T, mrtest.Result, time.Duration)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		res, err := job.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		then(t, res, time.Since(start))
	})
}

func TestJobcount(t *testing.T) {
	job := mrtest.Job{App: jobcount(), NReduce: 10, Inputs: books(), Workers: 3}
	timed(t, job, func(t *testing.T, res mrtest.Result, took time.Duration) {
		if diff := cmp.Diff([]string{"a 8"}, res.Lines()); diff != "" {
			t.Error(diff)
		}
		if err := job.Check(res); err != nil {
			t.Error(err)
		}
		if took < 900*time.Millisecond || took > 2*time.Second { // three rounds
			t.Errorf("took %v", took)
		}
		// One more attempt of a task is one more run.
		task := &mr.Task{Context: t.Context(), Attempt: "again/1", Index: 3, Side: res.Side, Params: map[string]string{"stall": "0"}}
		if _, err := newCountMapper(task); err != nil {
			t.Fatal(err)
		}
		if names, err := res.Side.List(t.Context(), countDir); err != nil || len(names) != 9 {
			t.Errorf("%d runs are noted, want 9: %v", len(names), err)
		}
	})
}

// TestStallsEnd: a stall ends when its attempt does.
func TestStallsEnd(t *testing.T) {
	stall := func(n int) int { // as long as can be
		if n == 3 {
			return 1
		}
		return n - 1
	}
	for _, app := range []mr.App{jobcount(), earlyExit(), mtiming(), rtiming(), crashWith(nil, stall)} {
		params := map[string]string{}
		for _, p := range app.Params {
			params[p.Name] = "10h"
		}
		synctest.Test(t, func(t *testing.T) {
			revoked := errors.New("revoked")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(revoked) })
			start := time.Now()
			_, err := mrtest.Job{App: app, NReduce: 3, Inputs: books(), Params: params}.Run(ctx)
			if took := time.Since(start); !errors.Is(err, revoked) || took > 2*time.Second {
				t.Errorf("%s: after %v: %v", app.Name, took, err)
			}
		})
	}
}

func TestMtiming(t *testing.T) {
	for _, workers := range []int{2, 3, 5} {
		job := mrtest.Job{App: mtiming(), NReduce: 10, Inputs: books(), Workers: workers}
		timed(t, job, func(t *testing.T, res mrtest.Result, took time.Duration) {
			if err := job.Check(res); err != nil {
				t.Errorf("%d workers: %v\n%s", workers, err, res.Partitions)
			}
			if took > 2*time.Second {
				t.Errorf("%d workers took %v", workers, took)
			}
		})
	}
}

func TestRtiming(t *testing.T) {
	for _, reduces := range []int{2, 3, 10} {
		job := mrtest.Job{App: rtiming(), NReduce: reduces, Inputs: books(), Workers: 2}
		timed(t, job, func(t *testing.T, res mrtest.Result, took time.Duration) {
			if err := job.Check(res); err != nil {
				t.Errorf("R = %d: %v\n%s", reduces, err, res.Partitions)
			}
			if took > 5*time.Second {
				t.Errorf("R = %d took %v", reduces, took)
			}
		})
	}
}

// TestAlone: one worker sees nobody, whatever others left behind.
func TestAlone(t *testing.T) {
	for _, app := range []mr.App{mtiming(), rtiming()} {
		side := mrtest.NewSideFiles()
		for _, name := range []string{"here/dead/x-1", "here/gone/y-1", "end/gone/y-1/2", "here/w0/old-1", "ack/w0/old-1/gone", "stray"} {
			if err := side.Put(t.Context(), app.Name+"/"+name, nil); err != nil {
				t.Fatal(err)
			}
		}
		job := mrtest.Job{App: app, Inputs: books(), Params: map[string]string{"timeout": "3s"}, Side: side}
		timed(t, job, func(t *testing.T, res mrtest.Result, took time.Duration) {
			if err := job.Check(res); err == nil {
				t.Errorf("%s: a single worker passes:\n%s", app.Name, res.Partitions)
			}
			if strings.Contains(strings.Join(res.Partitions, ""), " 2") {
				t.Errorf("%s: saw another worker: %s", app.Name, res.Partitions)
			}
			if names, _ := side.List(t.Context(), app.Name+"/ack/gone"); len(names) != 0 {
				t.Errorf("%s: a call that is over was acknowledged: %s", app.Name, names)
			}
			if took < 24*time.Second { // eight calls or more, each waits
				t.Errorf("%s: took %v", app.Name, took)
			}
		})
	}
}

// TestMeetOverlap: calls of several workers that come and go at odd times
// count each other only while both run, and each in time, since a call that
// is acknowledged is acknowledged by a running one.
func TestMeetOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		side := mrtest.NewSideFiles()
		meet := func(worker string, after time.Duration) <-chan string {
			done := make(chan string, 1)
			go func() {
				time.Sleep(after)
				task := &mr.Task{Context: t.Context(), Worker: worker, Attempt: fmt.Sprint(after), Side: side, Params: map[string]string{"timeout": "10s"}}
				r, err := newRendezvous(task, "mtiming/")
				if err != nil {
					t.Error(err)
				}
				start := time.Now()
				n, err := r.meet()
				if err != nil {
					t.Error(err)
				}
				done <- fmt.Sprint(n, " after ", time.Since(start).Round(time.Second))
			}()
			return done
		}
		got := []<-chan string{
			meet("a", 0),                 // alone, until its time is up
			meet("b", 11*time.Second),    // meets c
			meet("c", 15*time.Second),    // at once
			meet("c", 60*time.Second),    // both have met: need not wait long
			meet("host:b", 60*time.Hour), // another worker than b, and alone
		}
		want := []string{"1 after 10s", "2 after 4s", "2 after 0s", "1 after 1s", "1 after 1s"}
		for i, ch := range got {
			if line := <-ch; line != want[i] {
				t.Errorf("call %d: %s, want %s", i, line, want[i])
			}
		}
	})
}

func TestEarlyExit(t *testing.T) {
	app := earlyExit()
	job := mrtest.Job{App: app, NReduce: 10, Inputs: books(), Workers: 4}
	want, err := mrtest.Job{App: *app.Reference, NReduce: 10, Inputs: books()}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	timed(t, job, func(t *testing.T, res mrtest.Result, took time.Duration) {
		if diff := cmp.Diff(want.Partitions, res.Partitions); diff != "" {
			t.Errorf("(-reference +got):\n%s", diff)
		}
		if len(res.Lines()) != 8 || res.Lines()[0] != "pg-being_ernest.txt 1" {
			t.Errorf("got %q", res.Lines())
		}
		if took < 2*time.Second || took > 6*time.Second {
			t.Errorf("took %v", took)
		}
	})
	n := 0
	for name := range books() {
		if slow([]byte(name)) {
			n++
		}
	}
	if n == 0 || n > 4 {
		t.Errorf("%d of 8 keys are slow", n)
	}
}

func TestCrash(t *testing.T) {
	want := mrtest.Run(t, nocrash(), 10, books())
	rolls := 0
	app := crashWith(func(int) { t.Error("exit") }, func(n int) int { // stalls every other time
		rolls++
		return 1 + rolls%2
	})
	timed(t, mrtest.Job{App: app, NReduce: 10, Inputs: books()}, func(t *testing.T, res mrtest.Result, _ time.Duration) {
		if diff := cmp.Diff(want, res.Lines()); diff != "" {
			t.Errorf("(-nocrash +crash):\n%s", diff)
		}
	})
	if diff := cmp.Diff(want, mrtest.Run(t, *app.Reference, 10, books())); diff != "" {
		t.Errorf("reference (-nocrash +reference):\n%s", diff)
	}
	code := -1
	app = crashWith(func(c int) { code = c }, func(int) int { return 0 })
	if _, err := (mrtest.Job{App: app, Inputs: books()}).Run(t.Context()); err == nil || code != 1 {
		t.Errorf("exit code %d, error %v", code, err)
	}
}

func TestChecks(t *testing.T) {
	for _, tc := range []struct {
		app   mr.App
		lines string
		want  string // part of the error; "" for none
	}{
		{jobcount(), "a 8", ""}, {jobcount(), "a 9", ""}, {jobcount(), "a 7", "7 runs of 8"},
		{jobcount(), "", "0 lines"}, {jobcount(), "a 8|b 8", "2 lines"}, {jobcount(), "b 8", `"b 8"`}, {jobcount(), "a x", `"a x"`},
		{mtiming(), "parallel-u 1 2|parallel-v 1|times-u 1.0 2.0|times-v 1.0", ""},
		{mtiming(), "parallel-u 1|parallel-v 12|times-u 1.0|times-v 1.0", ""},
		{mtiming(), "parallel-u 2|times-u 1.0", "1 worker"},
		{mtiming(), "parallel-u 1|parallel-v 1 1|times-u 1.0|times-v 1.0", "no map task saw"},
		{mtiming(), "parallel-u x", "no number"}, {mtiming(), "other 2", "neither"},
		{rtiming(), "a 1|b 2|c 2|d 1|e 1|f 1|g 1|h 1|i 1|j 1", ""},
		{rtiming(), "a 1|b 2|c 1|d 1|e 1|f 1|g 1|h 1|i 1|j 1", "1 reduce calls"},
		{rtiming(), "a 2|b 2", "2 keys"}, {rtiming(), "k 2", `"k 2"`}, {rtiming(), "a 2 2", `"a 2 2"`},
	} {
		err := tc.app.Check(lines(tc.lines, nil), mr.CheckInfo{Maps: 8, Reduces: 10})
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %q: %v", tc.app.Name, tc.lines, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %q: got %v, want %q", tc.app.Name, tc.lines, err, tc.want)
		}
	}
	broken := errors.New("broken")
	for _, app := range []mr.App{jobcount(), mtiming(), rtiming()} {
		if err := app.Check(lines("a 8", broken), mr.CheckInfo{}); !errors.Is(err, broken) {
			t.Errorf("%s: a read error is lost: %v", app.Name, err)
		}
	}
}

// lines yields text, with "|" between the lines, and then err.
func lines(text string, err error) iter.Seq2[mr.Line, error] {
	all := slices.DeleteFunc(strings.Split(text, "|"), func(s string) bool { return s == "" })
	return func(yield func(mr.Line, error) bool) {
		if err != nil {
			yield(mr.Line{}, err)
			return
		}
		for _, l := range all {
			if !yield(mr.Line{Text: l}, nil) {
				return
			}
		}
	}
}
