package cmd

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mraws/mraws/internal/coordinator"
	unpack "github.com/mraws/mraws/internal/decompress"
	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/runner/execrunner"
	"github.com/mraws/mraws/internal/task"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/internal/worker"
)

// TestRoleErrors: what ends a coordinator or a worker, as its user is told.
func TestRoleErrors(t *testing.T) {
	unreachable := func(cause error) error {
		return &worker.UnreachableError{Where: "host:1234", For: time.Second, Cause: cause}
	}
	damaged := func(what error) error {
		return &coordinator.JobError{Cause: "map task 3: read a.gz at byte 0: " + (&unpack.Error{Object: "a.gz", Kind: "gzip", Err: what}).Error()}
	}
	tests := []struct {
		name string
		err  error
		code int
		says []string
	}{
		{"no input", fmt.Errorf("%w under s3://b/input/", coordinator.ErrNoInput), ExitUsage, []string{"s3://b/input/", "upload-input"}},
		{"a size of no format", fmt.Errorf("plan the job: %w", &manifest.SizeError{Object: "b", Err: errors.New("its 9 bytes are too few")}), ExitUsage, []string{`plan the job: input object "b": its 9 bytes are too few`, "--exclude", "--format"}},
		{"too many tasks", fmt.Errorf("%w: 3000000000 in splits of 1 bytes", coordinator.ErrManyTasks), ExitUsage, []string{"3000000000", "--split-size"}},
		{"conflict", &coordinator.ConflictError{Kind: coordinator.OtherJob, What: "another job", Diff: []string{"app: a -> b", "nreduce: 1 -> 2"}}, ExitConflict, []string{"app: a -> b", "nreduce: 1 -> 2", "mraws reset"}},
		{"job failed", &coordinator.JobError{Cause: "map task 3: boom"}, ExitJobFailed, []string{"map task 3: boom"}},
		{"removed while it ran", &coordinator.ResetError{Job: "wc-7", Err: &coordinator.JobError{Cause: "map task 3: in changed", Input: true}}, ExitJobFailed, []string{"in changed", "job wc-7 was removed while it ran", "from the beginning"}},
		{"removed and stopped", &coordinator.ResetError{Job: "wc-7", Err: Signal{syscall.SIGINT}}, ExitInterrupt, []string{"job wc-7 was removed while it ran", "from the beginning"}},
		{"input replaced", &coordinator.JobError{Cause: "map task 3: in changed", Input: true}, ExitJobFailed, []string{"put the input back", "mraws reset"}},
		{"job failed elsewhere", &worker.JobFailedError{Cause: "map task 3: boom"}, ExitJobFailed, []string{"map task 3: boom"}},
		{"nobody there", unreachable(errors.New("connection refused")), ExitUnreachable, []string{"host:1234", "1s", "connection refused", "--coord"}},
		{"TLS on one side", unreachable(errors.New("first record does not look like a TLS handshake")), ExitUnreachable, []string{"host:1234", "TLS handshake", "--insecure", "--tls-ca"}},
		{"not let in", unreachable(status.Error(codes.Unauthenticated, "wrong token")), ExitDenied, []string{"host:1234", "wrong token", "--token-file"}},
		{"key ranges lost", &coordinator.JobError{Cause: "_ranges.json is missing", Lost: true}, ExitJobFailed, []string{"_ranges.json", "mraws reset --yes", "start it again"}},
		{"a wrong guess", &coordinator.JobError{Cause: "the pieces of a.csv do not meet: …", Seam: true}, ExitJobFailed, []string{"a.csv do not meet", "--split-size", "mraws reset --yes"}},
		{"no progress", &coordinator.JobError{Cause: "map task 3: " + (&worker.IdleError{For: time.Minute}).Error()}, ExitJobFailed, []string{"no progress for 1m0s", "--task-timeout"}},
		{"not compressed", damaged(unpack.ErrFormat), ExitJobFailed, []string{"--decompress off", "makes another job", "mraws reset --yes"}},
		{"a dictionary", damaged(unpack.ErrDict), ExitJobFailed, []string{"a larger --memory"}},
		{"an archive", &coordinator.JobError{Cause: "map task 3: " + (&unpack.RefusedError{Object: "a", What: "a ZIP archive", Do: "unpack it"}).Error()}, ExitJobFailed, []string{"--decompress off"}},
		{"an archive that would be cut", fmt.Errorf("plan: %w", &unpack.RefusedError{Object: "a", What: "a ZIP archive", Do: "unpack it"}), ExitUsage, []string{"input a is a ZIP archive", "--decompress off"}},
		{"a bomb", damaged(unpack.ErrTooLarge), ExitJobFailed, []string{"--decompress-ratio", "--decompress-limit", "makes another job"}},
		{"cut off", damaged(unpack.ErrTruncated), ExitJobFailed, []string{"makes another job"}},
		{"a script", &coordinator.JobError{Cause: "map task 0: on worker w: attempt a: " + (&execrunner.ExitError{Role: "mapper", Line: "python3 m.py", How: "exit code 1"}).Error()}, ExitJobFailed, []string{"mraws replay map-0", "makes another job"}},
		{"too little memory", &coordinator.JobError{Cause: "map task 0: on worker w: attempt a: " + (&execrunner.ExitError{Role: "mapper", Line: "m", How: "killed: its processes used more than 100 bytes of memory (exec-memory)"}).Error()}, ExitJobFailed, []string{"a larger --exec-memory"}},
		{"too small a machine", &coordinator.JobError{Cause: "map task 0: on worker w: attempt a: " + (&execrunner.ExitError{Role: "mapper", Line: "m", How: "killed: the machine, or the control group of the worker, had no more memory; its processes may use 100 bytes"}).Error()}, ExitJobFailed, []string{"--workers of run, or --slots"}},
		{"a reason of a newer coordinator", &wire.Refusal{Reason: "NEW", What: "not today"}, ExitConflict, []string{"not today"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := &commandLine{name: "mraws"}
			e := explain(context.Background(), l.roleError(tt.err))
			text := fmt.Sprint(e.What, "\n", e.Cause, "\n", e.Hint)
			if e.Code != tt.code {
				t.Errorf("exit code %d, want %d", e.Code, tt.code)
			}
			for _, s := range tt.says {
				if !strings.Contains(text, s) {
					t.Errorf("%q is not in %s", s, text)
				}
			}
		})
	}
}

// TestBadRecordHint: a budget for bad records is advised where the reader has found one,
// and records of any bytes where commands can have them.
func TestBadRecordHint(t *testing.T) {
	cause := "map task 0: on worker w: attempt a: " + (&input.TooLongError{Object: "in.txt", Offset: 7, Max: 64 << 20}).Error()
	for _, commands := range []bool{false, true} {
		hint := (&commandLine{name: "mraws"}).failureHint(&coordinator.JobError{Cause: cause, Commands: commands})
		if !strings.Contains(hint, "--max-bad-records") {
			t.Errorf("commands: %v, hint %q", commands, hint)
		}
		line := "map task 0: record at byte 3 of in.txt: there is a line break in it, and the application reads lines"
		hint = (&commandLine{name: "mraws"}).failureHint(&coordinator.JobError{Cause: line, Commands: commands})
		if strings.Contains(hint, "--records binary") != commands {
			t.Errorf("commands: %v, hint %q", commands, hint)
		}
	}
}

// TestRefusedInputHint: what is corrected of input that its reader refuses is other input,
// so the job is not resumed over it. An application that fails over a record may be
// corrected without that.
func TestRefusedInputHint(t *testing.T) {
	const at, another = "map task 0: on worker w: attempt a: ", "makes another job, which needs another --prefix, or `mraws reset --yes` first"
	bad := &input.BadError{Object: "in", Offset: 7, What: "the line is no JSON object"}
	group := &input.BadError{Object: "in", Where: "row group 3", What: "it has 2 rows, and by the footer 3"}
	const over = "2 bad records, max-bad-records is 1: 7 bytes at 8 of in: the line is no JSON object; 1 byte at 16 of in: the line is no JSON object"
	for name, tt := range map[string]struct {
		cause   string
		skip    bool // is advised, from no records that may be skipped
		resumed bool
	}{
		"record":        {at + bad.Error(), true, false},
		"row group":     {at + group.Error(), true, false},
		"too long":      {at + (&input.TooLongError{Object: "in", Offset: 7, Max: 64 << 20}).Error(), true, false},
		"object":        {at + (&input.ObjectError{Object: "in", What: "is no Parquet: it has 12 bytes"}).Error(), false, false},
		"column":        {at + (&input.ObjectError{Object: "in", What: `has no column "b": its columns are "a"`}).Error(), false, false},
		"budget, task":  {at + over, false, false},
		"budget, job":   {over, false, false},
		"application":   {at + (&task.AppError{Object: "in", Offset: 7, Record: `"x"`, Err: errors.New("no number")}).Error(), true, true},
		"anything else": {at + "no space", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			hint := (&commandLine{name: "mraws"}).failureHint(&coordinator.JobError{Cause: tt.cause})
			if strings.Contains(hint, "--max-bad-records N skips") != tt.skip || strings.Contains(hint, "to resume: ") != tt.resumed || strings.Contains(hint, another) == tt.resumed {
				t.Error(hint)
			}
			if over := strings.Contains(tt.cause, "max-bad-records is"); strings.Contains(hint, "a larger --max-bad-records") != over {
				t.Error(hint)
			}
		})
	}
}

// TestUnseenInputHint: what is to be done about compressed input that the coordinator could
// not look at, and about a job of a version that went by names.
func TestUnseenInputHint(t *testing.T) {
	hint := (&commandLine{name: "mraws"}).failureHint(&coordinator.JobError{Cause: "map task 0: input in is compressed with gzip, and was cut as if it were not: the coordinator may not read it"})
	if !strings.Contains(hint, "s3:GetObject") || !strings.Contains(hint, "`mraws reset --yes`") {
		t.Error(hint)
	}
	for kind, says := range map[coordinator.ConflictKind]bool{coordinator.OtherJob: true, coordinator.OtherInput: false} {
		hint := conflictHint(&coordinator.ConflictError{Kind: kind, Diff: []string{"nreduce: 1 -> 2", "decompress by content: false -> true"}})
		if strings.Contains(hint, "finish it with that version; or `mraws reset --yes`") != says {
			t.Error(hint)
		}
	}
}

// TestRefusalAdvice: every reason of a refusal has its exit code and advice.
func TestRefusalAdvice(t *testing.T) {
	for _, tt := range []struct {
		reason, about string
		code          int
		says          string
	}{
		{wire.ReasonVersion, "", ExitConflict, "same version"},
		{wire.ReasonBuild, "", ExitConflict, "same build"},
		{wire.ReasonApp, "grep", ExitConflict, "--app grep"},
		{wire.ReasonApp, "", ExitConflict, "without --app"},
		{wire.ReasonExecutables, "", ExitConflict, "--file"},
		{wire.ReasonParams, "", ExitConflict, "leave out --app-arg"},
		{wire.ReasonUnknownParam, "patern", ExitUsage, "`mraws apps`"},
		{wire.ReasonMissingParam, "pattern", ExitUsage, "--app-arg pattern=…"},
		{wire.ReasonBucket, "theirs", ExitUsage, "--bucket theirs"},
		{wire.ReasonPrefix, "a b", ExitUsage, "with --prefix 'a b', or"},
		{wire.ReasonPrefix, "", ExitUsage, "without --prefix"},
		{wire.ReasonSeveral, "", ExitUsage, "--prefix or --coord"},
		{wire.ReasonPlainText, "", ExitUsage, "without --insecure"},
		{wire.ReasonTLS, "", ExitUsage, "leave --insecure out"},
		{wire.ReasonAuthority, "", ExitUsage, "--tls-ca, --tls-cert and --tls-key"},
	} {
		if code, hint := refusalAdvice(&wire.Refusal{Reason: tt.reason, About: tt.about}); code != tt.code || !strings.Contains(hint, tt.says) {
			t.Errorf("%s: code %d, hint %q", tt.reason, code, hint)
		}
	}
}

// TestConflictHints: every kind of conflict has advice.
func TestConflictHints(t *testing.T) {
	for kind := coordinator.ForeignObject; kind <= coordinator.DamagedOutput; kind++ {
		if conflictHints[kind] == "" {
			t.Errorf("conflict kind %d has no advice", kind)
		}
	}
}

// TestAttemptsText: what was out of the ordinary, and nothing else.
func TestAttemptsText(t *testing.T) {
	for want, a := range map[string]manifest.Attempts{
		"":                            {Tasks: 3, Reused: 1, Granted: 2},
		", 2 attempts failed, 1 lost": {Granted: 5, Failed: 2, Lost: 1},
		", 1 released":                {Granted: 3, Released: 1},
		", 2 released, 3 speculative (1 committed)": {Granted: 9, Released: 2, Superseded: 3, Speculative: 3, SpeculativeCommitted: 1},
	} {
		if got := attemptsText(a); got != want {
			t.Errorf("%+v is told as %q, want %q", a, got, want)
		}
	}
}

func TestParams(t *testing.T) {
	for arg, ok := range map[string]bool{"a=b": true, "a=b=c": true, "a=": true, "a": false, "=b": false, "a=\xff": false} {
		params, err := (&jobFlags{args: []string{arg}}).params(nil)
		if (err == nil) != ok || ok && params["a"] != strings.TrimPrefix(arg, "a=") {
			t.Errorf("--app-arg %q: %v, %v", arg, params, err)
		}
	}
}

// TestWorkerThatNeverGetsToWork is not started again for ever; one that dies
// now and then is.
func TestWorkerThatNeverGetsToWork(t *testing.T) {
	false0 := exec.Command("false")
	if false0.Run() == nil {
		t.Fatal("false succeeded")
	}
	died := &outcome{state: false0.ProcessState}
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		err := keepUp(t.Context(), zerolog.Nop(), nil, 0, func() (*outcome, error) { runs++; return died, nil })
		var e *Error
		if runs != maxQuick || !errors.As(err, &e) || e.Code != ExitJobFailed || !strings.Contains(err.Error(), "the application ended its process with exit code 1") {
			t.Errorf("after %d runs: %v", runs, err)
		}
		runs = 0
		err = keepUp(t.Context(), zerolog.Nop(), nil, 0, func() (*outcome, error) {
			if runs++; runs > 10*maxQuick {
				return &outcome{verdict: new(int)}, nil
			}
			time.Sleep(time.Duration(runs%2) * 2 * soon)
			return died, nil
		})
		if err != nil {
			t.Errorf("after %d runs: %v", runs, err)
		}
		over := make(chan struct{})
		close(over)
		if err := keepUp(t.Context(), zerolog.Nop(), over, 0, func() (*outcome, error) { return died, nil }); err != nil {
			t.Errorf("after the job: %v", err)
		}
	})
}

// TestWorkerVerdicts: only a worker's own verdict says that it cannot work here.
// What the application ended with the same code is started again.
func TestWorkerVerdicts(t *testing.T) {
	for _, code := range []int{ExitUsage, ExitJobFailed, ExitUnreachable, ExitDenied, ExitConflict} {
		c := exec.Command("sh", "-c", "exit "+strconv.Itoa(code))
		if c.Run() == nil {
			t.Fatalf("sh did not exit with %d", code)
		}
		runs := 0
		err := keepUp(t.Context(), zerolog.Nop(), nil, 0, func() (*outcome, error) {
			if runs++; runs == 1 {
				return &outcome{state: c.ProcessState}, nil
			}
			return &outcome{state: c.ProcessState, verdict: &code}, nil
		})
		var e *Error
		if runs != 2 || !errors.As(err, &e) || e.Code != code {
			t.Errorf("after %d runs, the last with verdict %d: %v", runs, code, err)
		}
	}
}
