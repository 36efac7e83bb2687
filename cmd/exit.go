package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/upload"
)

// The exit codes.
const (
	ExitOK          = 0
	ExitInternal    = 1
	ExitUsage       = 2 // usage or configuration
	ExitSkipped     = 3 // done, with skipped records
	ExitJobFailed   = 4
	ExitUnreachable = 5
	ExitDenied      = 6 // credentials or permission
	ExitConflict    = 7
	ExitMismatch    = 8   // verify found a difference
	ExitCancelled   = 9   // somebody has cancelled the job, or it has reached --max-usd
	ExitInterrupt   = 130 // SIGINT
	ExitTerminate   = 143 // SIGTERM, or the notice that the machine goes
)

// exitCode is an exit code with its meaning.
type exitCode struct {
	code int
	text string
}

// exitCodes are all exit codes.
func exitCodes() []exitCode {
	return []exitCode{
		{ExitOK, "done"},
		{ExitInternal, "internal error, or an error that has no code of its own"},
		{ExitUsage, "usage or configuration"},
		{ExitSkipped, "done, with skipped records"},
		{ExitJobFailed, "the job failed"},
		{ExitUnreachable, "coordinator or store unreachable, or throttling"},
		{ExitDenied, "credentials or permission"},
		{ExitConflict, "conflict with another job, app, coordinator or writer"},
		{ExitMismatch, "verify or replay found a difference"},
		{ExitCancelled, "the job was cancelled"},
		{ExitInterrupt, "ended by SIGINT"},
		{ExitTerminate, "ended by SIGTERM, or by the notice that the machine goes"},
	}
}

// Error is an error as a command tells it to its user. A Code of 0 is
// derived from Cause by the table of explain.
type Error struct {
	Code  int
	What  string // what went wrong, in one line, without its cause
	Cause error
	Hint  string // what to do; several things on a line each
	// Warning says that what was asked for is done all the same.
	Warning bool
}

// Error returns What and Cause.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.What
	}
	return e.What + ": " + e.Cause.Error()
}

// Unwrap returns Cause.
func (e *Error) Unwrap() error { return e.Cause }

// usagef is an error of the command line or of the configuration.
func usagef(hint, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: ExitUsage, What: err.Error(), Hint: hint}
}

// kinds maps what errors wrap to exit codes and hints, first match first.
var kinds = []struct {
	is   error
	code int
	hint string
}{
	{s3fs.ErrSharedConfig, ExitDenied, "check the shared AWS configuration (~/.aws/config), --profile and AWS_PROFILE"},
	{s3fs.ErrExpired, ExitDenied, "fetch new credentials (for example `aws sso login`) and start again"},
	{s3fs.ErrClock, ExitDenied, "set this machine's clock: requests are signed with the time"},
	{object.ErrCredentials, ExitDenied, "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run `aws configure` or `aws sso login`, or give the machine an instance role; --local needs no credentials"},
	{s3fs.ErrRegion, ExitUsage, "name the bucket's region with --region"},
	{s3fs.ErrBundle, ExitUsage, "AWS_CA_BUNDLE must name a file of certificates in PEM form: correct it, or unset it"},
	{object.ErrUnreachable, ExitUnreachable, "check the network, --endpoint and --region"},
	{object.ErrThrottled, ExitUnreachable, "the store throttles requests: lower --s3-concurrency or use fewer workers"},
	{object.ErrUnsafe, ExitUsage, "two attempts could both commit: use a store that honours If-None-Match, such as S3, or see --unsafe-single-coordinator"},
	{object.ErrPrecondition, ExitConflict, "another process writes here: run the command again when it is done"},
	{upload.ErrChanged, ExitConflict, "upload the file again once no process writes to it"},
	{object.ErrDamaged, ExitInternal, "the store damaged an object: its bytes differ from those written"},
	{datadir.ErrLocked, ExitConflict, "another process serves this data folder: stop it, or choose another --data-dir"},
	{fs.ErrPermission, ExitDenied, "check the rights of this user, role or bucket policy"},
}

// explain turns any error into what is shown and the exit code. Errors of the
// coordinator and of workers have got theirs before, in role_errors.go.
func explain(ctx context.Context, err error) *Error {
	out := &Error{}
	var e *Error
	if errors.As(err, &e) {
		*out = *e
		out.What = strings.TrimSuffix(err.Error(), e.Error()) + e.What // what wraps e goes in front
	} else {
		out.What, out.Cause = split(err)
	}
	var sig Signal
	if ctx.Err() != nil && errors.As(context.Cause(ctx), &sig) {
		if out.Code == 0 || errors.Is(err, context.Canceled) {
			return &Error{Code: sig.Code(), What: sig.Error()}
		}
	}
	out.Code, out.Hint = classify(err, out.Code, out.Hint)
	return out
}

// classify fills in the code and the hint that are not given.
func classify(err error, code int, hint string) (int, string) {
	var s3 *s3fs.Error
	if errors.As(err, &s3) && hint == "" {
		hint = storeHint(s3)
	}
	var problem *config.Problem
	var file *config.FileError
	var few *datadir.DescriptorError
	switch {
	case code == 0 && (errors.As(err, &problem) || errors.As(err, &file)):
		code = ExitUsage
	case code == 0 && errors.As(err, &few):
		code, hint = ExitUsage, "raise it for this process"
	}
	for _, k := range kinds {
		if !errors.Is(err, k.is) {
			continue
		}
		if code == 0 {
			code = k.code
		}
		if hint == "" && (code == k.code || s3 != nil) {
			hint = k.hint
		}
		break
	}
	if code == 0 {
		code = ExitInternal
	}
	return code, hint
}

// storeHint is the advice on an error of the store that needs its facts; ""
// leaves the advice to kinds.
func storeHint(e *s3fs.Error) string {
	var stray *s3fs.StrayError
	switch {
	case errors.As(e, &stray):
		return "remove that character where the credentials are set"
	case errors.Is(e, s3fs.ErrRefused):
		switch e.Code {
		case "SignatureDoesNotMatch":
			return "the secret does not belong to this key id: check AWS_SECRET_ACCESS_KEY, or the profile"
		case "InvalidToken":
			return "check AWS_SESSION_TOKEN: it must be of the same session as AWS_ACCESS_KEY_ID"
		}
		return "the store does not know this key id: check AWS_ACCESS_KEY_ID, or the profile, and --endpoint"
	case e.Region != "":
		return "use --region " + e.Region
	case errors.Is(e, s3fs.ErrNoBucket):
		return "create the bucket (`aws s3 mb s3://" + e.Bucket + "`), or name another with --bucket"
	case e.Action != "":
		return "allow " + e.Action + " on s3://" + e.Bucket + " to these credentials"
	case e.Target != "":
		return "check --endpoint, --region and the network: requests go to " + e.Target
	}
	return ""
}

// split cuts a wrapped error in front of what it wraps.
func split(err error) (what string, cause error) {
	inner := errors.Unwrap(err)
	if inner == nil {
		return err.Error(), nil
	}
	what, ok := strings.CutSuffix(err.Error(), ": "+inner.Error())
	if !ok || what == "" {
		return err.Error(), nil
	}
	return what, inner
}

// causes returns the lines of an error and of those joined in it, without
// those that what says already.
func causes(what string, err error) []string {
	if err == nil {
		return nil
	}
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		line = strings.TrimSpace(line)
		said := what == line || strings.HasSuffix(what, ": "+line)
		if line != "" && !said && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// report prints the error of a program to stderr: lines of text, or an object in a format
// for machines.
func (p *printer) report(program string, e *Error, format string) {
	what := strings.TrimSpace(strings.ReplaceAll(e.What, "\n", "; "))
	lines := causes(what, e.Cause)
	if format != formatText {
		doc, _ := encodeNext(format, struct { // texts and a number can be encoded
			Schema string   `json:"schema"`
			Code   int      `json:"code"`
			Error  string   `json:"error"`
			Causes []string `json:"causes,omitempty"`
			Hint   string   `json:"hint,omitempty"`
		}{"mraws/error/v1", e.Code, what, lines, e.Hint})
		_, _ = safely{p.io.Err}.Write(doc) // nowhere left to report to
		return
	}
	var b strings.Builder
	kind := "error"
	if e.Warning {
		kind = "warning"
	}
	fmt.Fprintf(&b, "%s: %s: %s\n", program, kind, escape.Line(what))
	for _, line := range lines {
		fmt.Fprintf(&b, "  cause: %s\n", escape.Line(line))
	}
	for hint := range strings.SplitSeq(e.Hint, "\n") {
		if hint != "" {
			fmt.Fprintf(&b, "  hint: %s\n", escape.Line(hint))
		}
	}
	_, _ = p.io.Err.Write([]byte(b.String())) // nowhere left to report to
}
