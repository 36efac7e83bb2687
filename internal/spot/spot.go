// Package spot tells when EC2 takes the machine away. A spot instance is told
// two minutes before, by an object of the instance metadata service (IMDS)
// that is absent up to then:
//
//	GET /latest/meta-data/spot/instance-action
//	{"action": "terminate", "time": "2026-11-22T08:22:00Z"}
//
// (Amazon EC2 User Guide, "Spot Instance interruption notices"). Where no
// IMDS answers, as on a laptop, that is found out beside the work and nothing
// more happens. The SDK's client is used for its handling of tokens (IMDSv2)
// and because it heeds what people set for every AWS program:
// AWS_EC2_METADATA_DISABLED, AWS_EC2_METADATA_SERVICE_ENDPOINT, and their like
// in ~/.aws/config. Only IMDSv2 is spoken.
package spot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/smithy-go/logging"
	"github.com/rs/zerolog"
)

const (
	// warning is how long before its time a notice comes.
	warning = 2 * time.Minute
	// margin is left of that for handing back, and for clocks that differ.
	margin = 10 * time.Second
	// every is how often EC2 wants to be asked.
	every = 5 * time.Second
	// tries is how many failures in a row say that there is no IMDS, or that
	// there is none any more.
	tries = 3
	// most is what is read of an answer, in bytes.
	most = 64 << 10
)

// Notice says that EC2 takes the machine away. It is the cause of whatever
// ends for that.
type Notice struct {
	Action string    `json:"action"` // "terminate", "stop" or "hibernate"
	Time   time.Time `json:"time"`
}

// Error says what happens to the machine, and when.
func (n *Notice) Error() string {
	return fmt.Sprintf("EC2 interrupts this machine: %s at %s", n.Action, n.Time.UTC().Format(time.RFC3339))
}

// Leave is when to be gone, for a notice that was first seen at now: somewhat
// before its time, which by a clock that is slow may seem to be far away.
// Hibernation begins at once, so that this may be over already.
func (n *Notice) Leave(now time.Time) time.Time {
	return now.Add(min(n.Time.Sub(now), warning) - margin)
}

// Watch returns the notice when it comes. It returns nil if there is none to
// wait for, since no IMDS answers, and when ctx ends. That EC2 recommends to
// move elsewhere, which it may do long before and without cause, is only
// logged.
func Watch(ctx context.Context, log zerolog.Logger) *Notice {
	w := &watcher{log: log, every: every}
	if err := w.open(ctx); err != nil {
		log.Debug().Err(err).Msg("no spot notices: the AWS configuration cannot be loaded")
		return nil
	}
	return w.watch(ctx)
}

type watcher struct {
	client *imds.Client
	log    zerolog.Logger
	every  time.Duration

	malformed   string // the last notice that was none
	recommended bool   // to move elsewhere
}

func (w *watcher) open(ctx context.Context) error {
	client := awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
		tr.Proxy = nil              // IMDS is behind none, and its tokens are no proxy's business
		tr.DisableKeepAlives = true // a connection would be idle as good as always
	})
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(client), config.WithLogger(logging.Nop{}))
	if err != nil {
		return fmt.Errorf("load the AWS configuration: %w", err)
	}
	w.client = imds.NewFromConfig(cfg, func(o *imds.Options) {
		o.EnableFallback = aws.FalseTernary
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = 2 // the second with a new token; else the next question is soon enough
			o.MaxBackoff = 100 * time.Millisecond
		})
		o.DisableDefaultMaxBackoff = true // it would replace that
	})
	return nil
}

// watch asks again and again. An IMDS that never answered is not there; one
// that did is believed to come back.
func (w *watcher) watch(ctx context.Context) *Notice {
	answered := false
	for failed := 0; ; {
		n, err := w.notice(ctx)
		switch {
		case n != nil:
			return n
		case ctx.Err() != nil:
			return nil
		case err == nil:
			answered, failed = true, 0
			w.recommendation(ctx)
		default:
			if failed++; failed != tries {
				break
			}
			if !answered {
				w.log.Debug().Err(err).Msg("no instance metadata: spot notices are not watched")
				return nil
			}
			w.log.Warn().Err(err).Msg("the instance metadata no longer answer: a spot notice may be missed")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(w.every):
		}
	}
}

// notice asks once; nil, nil means that there is none.
func (w *watcher) notice(ctx context.Context) (*Notice, error) {
	text, err := w.get(ctx, "spot/instance-action")
	if err != nil || text == nil {
		return nil, err
	}
	n := new(Notice)
	if err := json.Unmarshal(text, n); err != nil || n.Action == "" || n.Time.IsZero() {
		// To end for something that is not understood would be worse than
		// to be cut off.
		if w.malformed != string(text) {
			w.malformed = string(text)
			w.log.Warn().Err(err).Bytes("notice", text).Msg("a spot notice that cannot be read is ignored")
		}
		return nil, nil
	}
	return n, nil
}

// recommendation tells once that EC2 recommends to move elsewhere.
func (w *watcher) recommendation(ctx context.Context) {
	if w.recommended {
		return
	}
	if text, err := w.get(ctx, "events/recommendations/rebalance"); err == nil && text != nil {
		w.recommended = true
		w.log.Info().Bytes("recommendation", text).Msg("EC2 recommends a rebalance: this spot instance may be interrupted soon")
	}
}

// get reads one object of the metadata; nil, nil means that it is absent.
func (w *watcher) get(ctx context.Context, path string) ([]byte, error) {
	out, err := w.client.GetMetadata(ctx, &imds.GetMetadataInput{Path: path})
	// A token that cannot be had is another error, whatever its status.
	var status interface{ HTTPStatusCode() int }
	if errors.As(err, &status) && status.HTTPStatusCode() == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Content.Close() }()
	text, err := io.ReadAll(io.LimitReader(out.Content, most))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return text, nil
}
