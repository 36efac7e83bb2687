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

// budget is what one operation may spend: tries, and the time until which a
// further one may begin. A chunk of a ranged read has one budget for all its
// requests, so that the resumption of a broken body is one of its tries.
type budget struct {
	mu        sync.Mutex
	left      int
	tries     int
	until     time.Time
	refreshed bool
	forgiven  int          // throttled tries that were given back
	damaged   int          // bodies that did not match their checksum
	wait      *object.Wait // what the caller is told of its waiting; may be nil
	moves     int64        // bytes that the store copies before it answers
	sent      int64        // most bytes of a request's body that any try has sent
	slot      func()       // gives back the slot of the request whose reply has come
}

type budgetKey struct{}

// take spends one try.
func (b *budget) take() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left--
	b.tries++
}

// throttleShare is how many throttled tries count as one: a busy store mends
// itself, and most of a storm's requests have to outlive it.
const throttleShare = 3

// mostDamaged is how often a body may come that does not match its checksum
// before it is taken for damaged in the store rather than on its way.
const mostDamaged = 4

// spoiled notes a body that did not match its checksum, and says whether to ask
// for another.
func (b *budget) spoiled() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.damaged++
	return b.damaged < mostDamaged
}

// forgive gives a throttled try back, up to a bound.
func (b *budget) forgive(most int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.forgiven < most {
		b.forgiven++
		b.left++
	}
}

// holdSlot notes how to give back the slot of a request.
func (b *budget) holdSlot(release func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slot = release
}

// giveSlot gives back the slot of the request whose body is being read.
func (b *budget) giveSlot() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.slot != nil {
		b.slot()
		b.slot = nil
	}
}

// extend lets further tries begin for another elapsed.
func (b *budget) extend(elapsed time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = time.Now().Add(elapsed)
}

// giveBack returns a try that got somewhere, and allows for another elapsed.
func (b *budget) giveBack(elapsed time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left++
	b.until = time.Now().Add(elapsed)
}

// more reports whether another try may begin.
func (b *budget) more() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left > 0 && time.Now().Before(b.until)
}

// refresh reports true the first time: expired credentials are fetched anew
// once.
func (b *budget) refresh() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := !b.refreshed
	b.refreshed = true
	return first
}

// attempts returns the number of tries so far.
func (b *budget) attempts() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tries
}

// sentUpTo notes how much of a request's body is on its way.
func (b *budget) sentUpTo(n int64) {
	b.mu.Lock()
	further := n > b.sent
	b.sent = max(b.sent, n)
	b.mu.Unlock()
	if further {
		b.wait.Moved()
	}
}

// over ends the waiting of an operation, which may have ended without a reply.
func (b *budget) over() {
	if b != nil {
		b.wait.End()
	}
}

// budgetOf returns the budget of an operation's request, or an empty one.
func budgetOf(ctx context.Context) *budget {
	if b, ok := ctx.Value(budgetKey{}).(*budget); ok {
		return b
	}
	return new(budget)
}

var errBudget = errors.New("no attempts left")

// retryer is the retry layer, run by the SDK around every request. The SDK's
// own fails retries once its token bucket is dry, as it stays under mass
// throttling, and does not know 409 ConditionalRequestConflict.
type retryer struct {
	max    int
	base   time.Duration
	expire func() // forgets cached credentials
	// spend pays for a retry of an operation, or waits until it can.
	spend func(ctx context.Context, name string, until time.Time) error
}

const maxBackoff = 10 * time.Second

// IsErrorRetryable implements aws.Retryer.
func (r *retryer) IsErrorRetryable(err error) bool { return retryable(err) || isExpired(err) }

// MaxAttempts implements aws.Retryer. The budget ends most operations before.
func (r *retryer) MaxAttempts() int { return throttleShare * r.max }

// RetryDelay implements aws.Retryer: exponential with full jitter.
// See https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/.
func (r *retryer) RetryDelay(attempt int, err error) (time.Duration, error) {
	if isExpired(err) {
		return 0, nil
	}
	return r.backoff(attempt, isThrottled(err)), nil
}

// backoff returns the delay after the try number attempt, counted from 1.
func (r *retryer) backoff(attempt int, throttled bool) time.Duration {
	return rand.N(r.longest(attempt, throttled) + 1)
}

// longest returns the longest such delay.
func (r *retryer) longest(attempt int, throttled bool) time.Duration {
	top := 2 * r.base
	if throttled {
		top *= 4
	}
	for range min(attempt-1, 20) {
		top = min(2*top, 2*maxBackoff)
	}
	return min(top, maxBackoff)
}

// again reports, after a delay, whether an operation whose reply's body
// failed with err may go on with another request of the same budget.
func (s *Store) again(ctx context.Context, b *budget, err error) bool {
	var final *finalError
	if errors.As(err, &final) || ctx.Err() != nil || !b.more() || isDamaged(err) && !b.spoiled() {
		return false
	}
	return s.pause(ctx, opGet, b, err) == nil
}

// pause pays for a retry of o and sleeps, as the retryer would after err.
func (s *Store) pause(ctx context.Context, o op, b *budget, err error) error {
	if err := s.http.spend(ctx, o.name, b.until); err != nil {
		return err
	}
	r := retryer{base: s.o.BackoffBase}
	t := time.NewTimer(r.backoff(b.attempts(), isThrottled(err)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// GetRetryToken implements aws.Retryer: it asks the operation's budget, then
// the one that all share.
func (r *retryer) GetRetryToken(ctx context.Context, err error) (func(error) error, error) {
	b, ok := ctx.Value(budgetKey{}).(*budget)
	if ok && isThrottled(err) {
		b.forgive((throttleShare - 1) * r.max)
	}
	if ok && !b.more() {
		return nil, errBudget
	}
	if isExpired(err) {
		if !ok || !b.refresh() {
			return nil, errBudget
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
	if b, ok := ctx.Value(budgetKey{}).(*budget); ok {
		b.take()
	}
	return func(error) error { return nil }, nil
}

// retryableCodes are errors of S3 and its like that another try may mend.
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

// retryable reports whether another try may mend err. It judges requests and
// bodies alike.
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

// retryableNet judges errors without a reply.
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
