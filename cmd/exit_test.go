package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/upload"
)

func stopped(sig os.Signal) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(Signal{sig})
	return ctx
}

func TestExplain(t *testing.T) {
	bg := context.Background()
	boom := errors.New("boom")
	for _, c := range []struct {
		name string
		ctx  context.Context
		err  error
		code int
		what string
		hint string // a part of it
	}{
		{"plain", bg, boom, 1, "boom", ""},
		{"wrapped", bg, fmt.Errorf("do it: %w", boom), 1, "do it", ""},
		{"credentials", bg, fmt.Errorf("x: %w", object.ErrCredentials), 6, "x", "AWS_PROFILE"},
		{"unreachable", bg, fmt.Errorf("x: %w", object.ErrUnreachable), 5, "x", "network"},
		{"throttled", bg, fmt.Errorf("x: %w", object.ErrThrottled), 5, "x", "--s3-concurrency"},
		{"unsafe store", bg, fmt.Errorf("x: %w", object.ErrUnsafe), 2, "x", "--unsafe-single-coordinator"},
		{"precondition", bg, fmt.Errorf("x: %w", object.ErrPrecondition), 7, "x", "writes here"},
		{"changed file", bg, fmt.Errorf("upload f: %w", upload.ErrChanged), 7, "upload f", "once no process writes"},
		{"locked", bg, fmt.Errorf("x: %w", datadir.ErrLocked), 7, "x", "--data-dir"},
		{"permission", bg, &fs.PathError{Op: "open", Path: "/x", Err: syscall.EACCES}, 6, "open /x", "rights"},
		{"unreachable endpoint", bg, fmt.Errorf("x: %w", &s3fs.Error{Kind: object.ErrUnreachable, Target: "http://h:1"}), 5, "x", "requests go to http://h:1"},
		{"stray character", bg, &s3fs.Error{Kind: object.ErrCredentials, Err: new(s3fs.StrayError)}, 6, "", "remove that character"},
		{"shared configuration", bg, &s3fs.Error{Kind: s3fs.ErrSharedConfig}, 6, "", "~/.aws/config"},
		{"bundle", bg, &s3fs.Error{Kind: s3fs.ErrBundle}, 2, "", "AWS_CA_BUNDLE"},
		{"expired", bg, &s3fs.Error{Kind: s3fs.ErrExpired}, 6, "", "aws sso login"},
		{"wrong secret", bg, &s3fs.Error{Kind: s3fs.ErrRefused, Code: "SignatureDoesNotMatch"}, 6, "", "check AWS_SECRET_ACCESS_KEY"},
		{"token of another session", bg, &s3fs.Error{Kind: s3fs.ErrRefused, Code: "InvalidToken"}, 6, "", "check AWS_SESSION_TOKEN"},
		{"unknown key", bg, &s3fs.Error{Kind: s3fs.ErrRefused, Code: "InvalidAccessKeyId"}, 6, "", "check AWS_ACCESS_KEY_ID"},
		{"clock", bg, &s3fs.Error{Kind: s3fs.ErrClock}, 6, "", "set this machine's clock"},
		{"region that is known", bg, &s3fs.Error{Kind: s3fs.ErrRegion, Region: "eu-west-3"}, 2, "", "use --region eu-west-3"},
		{"region", bg, &s3fs.Error{Kind: s3fs.ErrRegion}, 2, "", "with --region"},
		{"no bucket", bg, &s3fs.Error{Kind: s3fs.ErrNoBucket, Bucket: "b"}, 1, "", "`aws s3 mb s3://b`"},
		{"denied", bg, &s3fs.Error{Kind: fs.ErrPermission, Action: "s3:GetObject", Bucket: "b"}, 6, "", "allow s3:GetObject on s3://b"},
		{"damaged", bg, &s3fs.Error{Kind: object.ErrDamaged}, 1, "", "the store damaged an object"},
		{"throttled with a code", bg, &Error{Code: 4, What: "x", Cause: &s3fs.Error{Kind: object.ErrThrottled}}, 4, "x", "--s3-concurrency"},
		{"bad value", bg, &config.Problem{Key: "port", Value: "x", Want: boom}, 2, `port = "x" (default)`, ""},
		{"bad file", bg, &config.FileError{File: "f", Err: boom}, 2, "read configuration f", ""},
		{"own code", bg, &Error{Code: 8, What: "differs", Cause: object.ErrUnreachable}, 8, "differs", ""},
		{"own hint", bg, &Error{What: "a", Cause: object.ErrUnreachable, Hint: "b"}, 5, "a", "b"},
		{"wrapped with a code", bg, fmt.Errorf("run: %w", &Error{Code: 4, What: "failed", Cause: boom}), 4, "run: failed", ""},
		{"joined", bg, errors.Join(fmt.Errorf("x: %w", object.ErrCredentials), boom), 6, "", ""},
		{"interrupt", stopped(os.Interrupt), context.Canceled, 130, "stopped by signal: interrupt", ""},
		{"terminate", stopped(syscall.SIGTERM), fmt.Errorf("get k: %w", context.Canceled), 143, "stopped by signal: terminated", ""},
		{"broken by a signal", stopped(os.Interrupt), boom, 130, "stopped by signal: interrupt", ""},
		{"decided before the signal", stopped(os.Interrupt), &Error{Code: 8, What: "differs"}, 8, "differs", ""},
		{"cancelled by a signal with a code", stopped(os.Interrupt), &Error{Code: 4, What: "x", Cause: context.Canceled}, 130, "stopped by signal: interrupt", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := explain(c.ctx, c.err)
			if e.Code != c.code || (c.what != "" && e.What != c.what) || !strings.Contains(e.Hint, c.hint) {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestReport(t *testing.T) {
	for _, c := range []struct {
		err        error
		text, json string
	}{
		{
			&Error{Code: 2, What: "no", Hint: "yes"},
			"mraws: error: no\n  hint: yes\n",
			`{"schema":"mraws/error/v1","code":2,"error":"no","hint":"yes"}`,
		},
		{
			fmt.Errorf("upload a: %w", errors.New("disk full")),
			"mraws: error: upload a\n  cause: disk full\n",
			`{"schema":"mraws/error/v1","code":1,"error":"upload a","causes":["disk full"]}`,
		},
		{
			&Error{Code: 2, What: "bad", Cause: errors.Join(errors.New("a"), errors.New("b"), errors.New("a"))},
			"mraws: error: bad\n  cause: a\n  cause: b\n",
			`{"schema":"mraws/error/v1","code":2,"error":"bad","causes":["a","b"]}`,
		},
		{ // what the headline says is not said again
			&Error{Code: 2, What: "open x: not there", Cause: errors.New("not there")},
			"mraws: error: open x: not there\n",
			`{"schema":"mraws/error/v1","code":2,"error":"open x: not there"}`,
		},
	} {
		var out bytes.Buffer
		p := newPrinter(IO{Err: &out})
		e := explain(context.Background(), c.err)
		p.report("mraws", e, formatText)
		if diff := cmp.Diff(c.text, out.String()); diff != "" {
			t.Error(diff)
		}
		out.Reset()
		p.report("mraws", e, formatLines)
		if diff := cmp.Diff(c.json+"\n", out.String()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestSignalCodes(t *testing.T) {
	if got := (Signal{os.Interrupt}).Code(); got != ExitInterrupt {
		t.Error(got)
	}
	if got := (Signal{syscall.SIGTERM}).Code(); got != ExitTerminate {
		t.Error(got)
	}
}
