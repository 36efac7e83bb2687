package s3fs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/mraws/mraws/internal/object"
)

// tryBudget is the state of one operation: the tries that are left, and the time
// until which another try may begin. A chunk of a ranged read has one tryBudget
// for all its requests, so that the resumption of a broken body counts as a try.
type tryBudget struct {
	mu        sync.Mutex
	left      int
	tries     int
	until     time.Time
	refreshed bool
	refunded  int          // throttled tries that were given back
	damaged   int          // bodies that did not match their checksum
	wait      *object.Wait // reports to the caller how long the operation waits; may be nil
	copies    int64        // bytes that the store copies before it replies
	sent      int64        // maximum of the bytes of the request body that a try has sent
	slot      func()       // releases the slot of the request whose reply has arrived
}

type tryBudgetKey struct{}

// take spends one try.
func (b *tryBudget) take() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left--
	b.tries++
}

// throttleShare is the number of throttled tries that count as one try. A store
// that throttles recovers by itself, and requests have to last until it does.
const throttleShare = 3

// maxDamaged is the number of bodies that do not match their checksum after
// which the object is considered damaged in the store, not in transit.
const maxDamaged = 4

// retryDamaged counts a body that did not match its checksum, and reports
// whether to request it again.
func (b *tryBudget) retryDamaged() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.damaged++
	return b.damaged < maxDamaged
}

// refundThrottled gives back a throttled try, at most max times.
func (b *tryBudget) refundThrottled(max int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refunded < max {
		b.refunded++
		b.left++
	}
}

// setSlot sets the function that releases the slot of a request.
func (b *tryBudget) setSlot(release func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slot = release
}

// releaseSlot releases the slot of the request whose body is being read.
func (b *tryBudget) releaseSlot() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.slot != nil {
		b.slot()
		b.slot = nil
	}
}

// extend extends the time in which further tries may begin by elapsed.
func (b *tryBudget) extend(elapsed time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = time.Now().Add(elapsed)
}

// refund gives back a try that made progress, and extends the time by elapsed.
func (b *tryBudget) refund(elapsed time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left++
	b.until = time.Now().Add(elapsed)
}

// more reports whether another try may begin.
func (b *tryBudget) more() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left > 0 && time.Now().Before(b.until)
}

// refresh reports true the first time: an operation refreshes expired
// credentials once.
func (b *tryBudget) refresh() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := !b.refreshed
	b.refreshed = true
	return first
}

// soFar returns the number of tries so far.
func (b *tryBudget) soFar() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tries
}

// sentUpTo records how many bytes of the request body a try has sent.
func (b *tryBudget) sentUpTo(n int64) {
	b.mu.Lock()
	further := n > b.sent
	b.sent = max(b.sent, n)
	b.mu.Unlock()
	if further {
		b.wait.Moved()
	}
}

// endWait ends the wait of an operation, which may have ended without a reply.
func (b *tryBudget) endWait() {
	if b != nil {
		b.wait.End()
		b.wait.Served()
	}
}

// tryBudgetOf returns the budget of an operation's request, or an empty one.
func tryBudgetOf(ctx context.Context) *tryBudget {
	if b, ok := ctx.Value(tryBudgetKey{}).(*tryBudget); ok {
		return b
	}
	return new(tryBudget)
}

var errNoTries = errors.New("no tries left")

// retryer is the retry layer that the SDK runs around every request. The SDK's
// own retryer fails retries while its token bucket is empty, as it is under mass
// throttling, and does not retry 409 ConditionalRequestConflict.
type retryer struct {
	max    int
	base   time.Duration
	expire func() // forgets cached credentials
	// spend takes a token of the retry budget, or waits for one.
	spend func(ctx context.Context, name string, until time.Time) error
}

const maxBackoff = 10 * time.Second

// IsErrorRetryable implements aws.Retryer.
func (r *retryer) IsErrorRetryable(err error) bool { return retryable(err) || isExpired(err) }

// MaxAttempts implements aws.Retryer. Most operations run out of tries before.
func (r *retryer) MaxAttempts() int { return throttleShare * r.max }

// RetryDelay implements aws.Retryer: exponential with full jitter.
// See https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/.
func (r *retryer) RetryDelay(try int, err error) (time.Duration, error) {
	if isExpired(err) {
		return 0, nil
	}
	return r.backoff(try, isThrottled(err)), nil
}

// backoff returns the delay after the try of that number, counted from 1.
func (r *retryer) backoff(try int, throttled bool) time.Duration {
	return rand.N(r.maxDelay(try, throttled) + 1)
}

// maxDelay returns the maximum of that delay.
func (r *retryer) maxDelay(try int, throttled bool) time.Duration {
	top := 2 * r.base
	if throttled {
		top *= 4
	}
	for range min(try-1, 20) {
		top = min(2*top, 2*maxBackoff)
	}
	return min(top, maxBackoff)
}

// again waits for the delay of a retry after the body of a reply failed with
// err. It reports whether the operation may send another request.
func (s *Store) again(ctx context.Context, b *tryBudget, err error) bool {
	var final *finalError
	if errors.As(err, &final) || ctx.Err() != nil || !b.more() || isDamaged(err) && !b.retryDamaged() {
		return false
	}
	return s.pause(ctx, opGet, b, err) == nil
}

// pause takes the token of a retry of o and sleeps for its delay after err.
func (s *Store) pause(ctx context.Context, o op, b *tryBudget, err error) error {
	if err := s.http.spend(ctx, o.name, b.until); err != nil {
		return err
	}
	r := retryer{base: s.o.BackoffBase}
	t := time.NewTimer(r.backoff(b.soFar(), isThrottled(err)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// GetRetryToken implements aws.Retryer. It asks the tryBudget of the operation,
// then the shared retryBudget.
func (r *retryer) GetRetryToken(ctx context.Context, err error) (func(error) error, error) {
	b, ok := ctx.Value(tryBudgetKey{}).(*tryBudget)
	if ok && isThrottled(err) {
		b.refundThrottled((throttleShare - 1) * r.max)
	}
	if ok && !b.more() {
		return nil, errNoTries
	}
	if isExpired(err) {
		if !ok || !b.refresh() {
			return nil, errNoTries
		}
		r.expire()
	}
	if ok && r.spend != nil {
		if err := r.spend(ctx, awsmiddleware.GetOperationName(ctx), b.until); err != nil {
			return nil, err
		}
	}
	return func(error) error { return nil }, nil
}

// GetInitialToken implements aws.Retryer.
func (r *retryer) GetInitialToken() func(error) error { return func(error) error { return nil } }

// GetAttemptToken implements aws.RetryerV2.
func (r *retryer) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	if b, ok := ctx.Value(tryBudgetKey{}).(*tryBudget); ok {
		b.take()
	}
	return func(error) error { return nil }, nil
}

// retryableCodes are errors of S3 and its like that another try may not meet.
var retryableCodes = map[string]bool{
	"BadDigest":                   true, // the body was damaged on its way
	"ConditionalRequestConflict":  true,
	"IncompleteBody":              true,
	"InternalError":               true,
	"OperationAborted":            true,
	"RequestTimeout":              true,
	"ServiceUnavailable":          true,
	"XAmzContentChecksumMismatch": true,
	"XAmzContentSHA256Mismatch":   true,
}

var throttleCodes = map[string]bool{
	"RequestLimitExceeded":     true,
	"SlowDown":                 true,
	"SlowDownRead":             true, // MinIO
	"SlowDownWrite":            true, // MinIO
	"Throttling":               true,
	"ThrottlingException":      true,
	"TooManyRequests":          true,
	"TooManyRequestsException": true,
}

// retryable reports whether another try may succeed after err, which is that of a
// request or of a body.
func retryable(err error) bool {
	var cred *credentialsError
	var clock interface{ RetryableError() bool } // the SDK's clock skew
	switch {
	case err == nil, errors.As(err, &cred), isCanceled(err):
		return false
	case isThrottled(err):
		return true
	case errors.As(err, &clock) && clock.RetryableError():
		return true
	}
	if code := codeOf(err); code != "" && retryableCodes[code] {
		return true
	}
	switch status := statusOf(err); status {
	case 0:
		return retryableNet(err)
	case http.StatusRequestTimeout:
		return true
	case http.StatusNotImplemented:
		return false
	default:
		if status/100 == 2 { // the reply itself was cut or garbled
			var d *smithy.DeserializationError
			return errors.As(err, &d) || retryableNet(err)
		}
		return status >= 500
	}
}

// retryableNet is retryable for errors without a reply.
func retryableNet(err error) bool {
	var (
		dns  *net.DNSError
		cert *tls.CertificateVerificationError
		auth x509.UnknownAuthorityError
		send *smithyhttp.RequestSendError
		nerr net.Error
	)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return false
	case errors.As(err, &cert), errors.As(err, &auth):
		return false
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return true
	case errors.As(err, &send):
		return true
	}
	return errors.As(err, &nerr)
}

// isCanceled reports whether the caller's context ended the operation. The
// net package calls its own time-outs context.DeadlineExceeded too.
func isCanceled(err error) bool {
	var (
		c     interface{ CanceledError() bool } // the SDK's word for it
		netOp *net.OpError
	)
	return errors.As(err, &c) && c.CanceledError() || errors.Is(err, context.Canceled) ||
		errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &netOp)
}

// isThrottled reports whether the store asks for fewer requests.
func isThrottled(err error) bool {
	s := statusOf(err)
	return s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable || throttleCodes[codeOf(err)]
}

// isDamaged reports whether a body did not match the checksum that the store
// keeps of it, or a version of an object is shorter than it was.
func isDamaged(err error) bool {
	return errors.Is(err, ErrDamaged) || err != nil && strings.Contains(err.Error(), "checksum did not match") // the SDK has no type for it
}

// isExpired reports whether the store found the credentials to be too old.
func isExpired(err error) bool {
	switch codeOf(err) {
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		return true
	}
	return false
}

// codeOf returns the API's error code, or "".
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// statusOf returns the HTTP status of the reply, or 0 without one.
func statusOf(err error) int {
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) && resp.Response != nil && resp.Response.Response != nil {
		return resp.Response.StatusCode
	}
	return 0
}
