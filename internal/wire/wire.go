// Package wire is how coordinator and workers talk: the protobuf service,
// the TLS and token that guard it, the version handshake and the shape of a
// refusal. It holds no state of the job.
//
// Security with nothing configured: the coordinator makes a key pair and a
// 256-bit token at start and publishes certificate and token in the bucket
// (layout.Layout.Coordinator). A worker that may read that object pins the
// certificate and proves that it has the token, so IAM alone decides who joins.
package wire

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mraws/mraws/internal/escape"
)

// Protocol is the number that both sides of a connection must share. It
// grows with every change that an older peer would misread.
const Protocol = 1

// CallTimeout bounds every call that has no deadline of its own; long polls
// set theirs.
const CallTimeout = 10 * time.Second

// domain marks the refusals of this protocol among gRPC's error details.
const domain = "mraws"

// Reasons of a [Refusal].
const (
	ReasonVersion      = "VERSION"       // the peers speak different protocols
	ReasonBuild        = "BUILD"         // the peers have different code for the job's app
	ReasonApp          = "APP"           // the job runs another app; About names it, "" for executables
	ReasonExecutables  = "EXECUTABLES"   // the job runs executables, which the worker cannot start
	ReasonRows         = "ROWS"          // the app reads rows, and the job is not of a format of rows
	ReasonParams       = "PARAMS"        // the job runs its app with other parameters
	ReasonUnknownParam = "UNKNOWN_PARAM" // the app does not declare the parameter About
	ReasonMissingParam = "MISSING_PARAM" // the app needs the parameter About
	ReasonBucket       = "BUCKET"        // the coordinator works on another bucket; About names it
	ReasonPrefix       = "PREFIX"        // the coordinator works on another prefix; About is that, "" for the root
	ReasonSeveral      = "SEVERAL"       // the bucket has several coordinators
	ReasonPlainText    = "PLAIN_TEXT"    // only the coordinator runs without TLS
	ReasonTLS          = "TLS"           // only the coordinator uses TLS
	ReasonAuthority    = "AUTHORITY"     // only one side has certificates of a CA
)

// Refusal is a "no" that retrying does not change. Advice on it is given by
// whoever knows the command line, by Reason and About.
type Refusal struct {
	Reason string // one of the Reason constants
	About  string // what the reason is about, where its constant says so
	What   string // a lower-case phrase, for people
}

// Error returns What.
func (r *Refusal) Error() string { return r.What }

// GRPCStatus carries the refusal over the wire.
func (r *Refusal) GRPCStatus() *status.Status {
	s, err := status.New(codes.FailedPrecondition, r.What).WithDetails(&errdetails.ErrorInfo{
		Domain: domain, Reason: r.Reason, Metadata: map[string]string{"about": r.About},
	})
	if err != nil {
		return status.New(codes.FailedPrecondition, r.What)
	}
	return s
}

// AsRefusal returns the refusal that err carries, if any.
func AsRefusal(err error) (*Refusal, bool) {
	var r *Refusal
	if errors.As(err, &r) {
		return r, true
	}
	s, ok := statusOf(err)
	if !ok {
		return nil, false
	}
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.Domain == domain {
			return &Refusal{Reason: info.Reason, About: info.Metadata["about"], What: s.Message()}, true
		}
	}
	return nil, false
}

// statusOf returns the status that is wrapped in err, with its own message:
// that of status.FromError is the text of the whole chain.
func statusOf(err error) (*status.Status, bool) {
	var carrier interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &carrier) {
		return nil, false
	}
	return carrier.GRPCStatus(), true
}

// Plain takes gRPC's wrapping off an error of a call, for people.
func Plain(err error) error {
	s, ok := statusOf(err)
	if !ok {
		return err
	}
	text := s.Message()
	if _, inner, found := strings.Cut(text, "connection error: desc = "); found {
		if unquoted, err := strconv.Unquote(inner); err == nil {
			inner = unquoted
		}
		text = inner
	}
	text = strings.TrimPrefix(text, "transport: ")
	return errors.New(strings.TrimPrefix(text, "Error while dialing: "))
}

// IsMismatch says whether somebody listened but the two sides do not agree on
// how to secure the connection: TLS on one side only, or an own authority.
// gRPC tells such an end of a handshake only by its text. One that took too
// long shows no mismatch: the other side has no place for another connection,
// or no time.
func IsMismatch(err error) bool {
	if err == nil || strings.Contains(err.Error(), "deadline exceeded") || strings.Contains(err.Error(), "i/o timeout") {
		return false
	}
	for _, sign := range []string{"handshake", "broken pipe", "connection reset", "tls: ", "error reading server preface"} {
		if strings.Contains(err.Error(), sign) {
			return true
		}
	}
	return false
}

// IsDenied says whether the peer turned the caller away for its token or its
// certificate.
func IsDenied(err error) bool {
	c := status.Code(err)
	return c == codes.Unauthenticated || c == codes.PermissionDenied
}

// IsUnreachable says whether a call may never have reached the coordinator:
// nobody listened, the connection broke or was closed by another caller who
// found it broken, or the deadline passed.
func IsUnreachable(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return true
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// Later is the answer of a coordinator that cannot tell yet: nothing is wrong
// with it or with the connection, and the same call is to be made again.
func Later(format string, args ...any) error { return status.Errorf(codes.Aborted, format, args...) }

// IsLater says whether the peer answered with [Later].
func IsLater(err error) bool { return status.Code(err) == codes.Aborted }

// Text makes any text fit for a message of the protocol, which must be UTF-8
// and is capped, and for a terminal: control characters and what is no
// character are escaped, and what exceeds most bytes is cut off.
func Text(s string, most int) string {
	s = escape.Lines(s)
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

// The states of a worker in a status: of those that hold at the same time the
// first of [WorkerStates].
const (
	WorkerSilent   = "silent"   // no call for more than a lease
	WorkerDraining = "draining" // gets no new task, and leaves
	WorkerExcluded = "excluded" // gets no new task: several failed on it, one after the other
	WorkerStalled  = "stalled"  // gets no new task: its requests to the store transfer nothing
	WorkerBusy     = "busy"     // runs an attempt
	WorkerIdle     = "idle"
)

// WorkerStates lists them.
func WorkerStates() []string {
	return []string{WorkerSilent, WorkerDraining, WorkerExcluded, WorkerStalled, WorkerBusy, WorkerIdle}
}

// The results of a lookup of a task's commit in the bucket.
const (
	LookupFound  = "found"
	LookupAbsent = "absent"
	LookupError  = "error"
)

// LookupResults lists them.
func LookupResults() []string { return []string{LookupFound, LookupAbsent, LookupError} }
