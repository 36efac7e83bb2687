package s3fs

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
)

// Open returns the store of o.Bucket. It resolves region and endpoint but
// sends no request, except that an AWS bucket of unknown region is asked for
// its region; see [Store.CheckBucket] for a proof that the bucket is there.
func Open(ctx context.Context, o Options) (*Store, error) {
	return open(ctx, o, nil)
}

// open is Open over another transport, for tests; nil is a real one.
func open(ctx context.Context, o Options, rt http.RoundTripper) (*Store, error) {
	o = o.withDefaults()
	if o.Bucket == "" {
		return nil, errors.New("open s3: no bucket named")
	}
	if o.Server != Elsewhere && !isLoopback(o.Endpoint) {
		return nil, fmt.Errorf("open s3://%s: a server on this machine has an endpoint on loopback, not %q", o.Bucket, o.Endpoint)
	}
	cfg, err := loadConfig(ctx, o)
	if err != nil {
		return nil, err
	}
	s := &Store{o: o, family: &family{cfg: cfg}, pool: bufferPool{size: o.PartSize}, views: sync.Pool{New: newView}}
	s.family.stores = map[member]*Store{{o.Bucket, Access{}}: s}
	if rt == nil {
		rt = newTransport(cfg, o)
	}
	s.http = newClient(rt, o)
	s.connect("")
	if s.Region() == "" {
		s.connect(s.findRegion(ctx, cfg))
	}
	return s, nil
}

// configure sets what the SDK must not decide for itself.
func (s *Store) configure(so *s3.Options) {
	so.HTTPClient = s.http
	so.DisableLogOutputChecksumValidationSkipped = true
	so.Logger = logging.Nop{}
	if s.o.Endpoint != "" {
		so.BaseEndpoint = aws.String(s.o.Endpoint)
	}
	if so.BaseEndpoint != nil && so.Region == "" {
		so.Region = defaultRegion
	}
	so.UsePathStyle = so.BaseEndpoint != nil
	creds := &namedCredentials{next: so.Credentials}
	so.Credentials = creds
	so.RetryMaxAttempts = 0 // else the SDK wraps the retryer below
	so.Retryer = &retryer{max: s.o.MaxAttempts, base: s.o.BackoffBase, expire: creds.expire, spend: s.http.spend}
	s.o.Access.configure(so)
	if s.onThisMachine() {
		so.APIOptions = append(so.APIOptions, unsignedPayload)
	}
}

// defaultRegion is what requests are signed for if nothing says otherwise.
const defaultRegion = "us-east-1"

// loadConfig is awsConfig with typed errors.
func loadConfig(ctx context.Context, o Options) (aws.Config, error) {
	if err := checkBundle(o); err != nil {
		return aws.Config{}, &Error{Op: "open", Bucket: o.Bucket, Kind: ErrBundle, Err: err}
	}
	cfg, err := awsConfig(ctx, o)
	if err != nil {
		return aws.Config{}, &Error{Op: "open", Bucket: o.Bucket, Kind: ErrSharedConfig, Err: err}
	}
	return cfg, nil
}

// awsConfig resolves credentials and region. Keys that are given explicitly
// bypass the SDK's chain, so that a broken AWS configuration of the user
// cannot disturb the embedded server.
func awsConfig(ctx context.Context, o Options) (aws.Config, error) {
	if o.ownKeys() {
		return aws.Config{
			Region:                     o.Region,
			Credentials:                credentials.NewStaticCredentialsProvider(o.AccessKey, o.SecretKey, ""),
			RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
			ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		}, nil
	}
	load := []func(*config.LoadOptions) error{
		config.WithLogger(logging.Nop{}),
		// LoadDefaultConfig adds AWS_CA_BUNDLE to a client of this kind.
		config.WithHTTPClient(awshttp.NewBuildableClient()),
	}
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	if o.Profile != "" {
		load = append(load, config.WithSharedConfigProfile(o.Profile))
	}
	if o.AccessKey != "" {
		load = append(load, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(o.AccessKey, o.SecretKey, "")))
	}
	return config.LoadDefaultConfig(ctx, load...)
}

// ownKeys tells whether keys and endpoint are given, as those of the embedded
// server are, so that nothing of the AWS environment is needed.
func (o Options) ownKeys() bool { return o.AccessKey != "" && o.Endpoint != "" }

// newTransport returns an HTTP/1.1 transport with as many idle connections
// as there may be requests, and the certificates of AWS_CA_BUNDLE.
func newTransport(cfg aws.Config, o Options) *http.Transport {
	tr := awshttp.NewBuildableClient().GetTransport()
	if b, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
		tr = b.GetTransport()
	}
	tr.DialContext = (&net.Dialer{Timeout: min(10*time.Second, o.HeaderTimeout), KeepAlive: 30 * time.Second}).DialContext
	if o.Dial != nil {
		tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return o.Dial(ctx) }
	}
	tr.ForceAttemptHTTP2 = false // one connection for all streams is slower
	tr.MaxIdleConns, tr.MaxIdleConnsPerHost = 0, o.Concurrency
	tr.MaxConnsPerHost = 0 // the limiter bounds them
	tr.DisableCompression = true
	tr.ReadBufferSize, tr.WriteBufferSize = 64<<10, 64<<10
	return tr
}

func isLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// unsignedPayload names the payload's hash before the SDK computes one.
func unsignedPayload(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("unsignedPayload",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
			middleware.InitializeOutput, middleware.Metadata, error) {
			return next.HandleInitialize(v4.SetPayloadHash(ctx, "UNSIGNED-PAYLOAD"), in)
		}), middleware.Before)
}

// checkBundle reads the certificates that AWS_CA_BUNDLE names, whose absence
// the SDK reports without the variable's name.
func checkBundle(o Options) error {
	file := os.Getenv("AWS_CA_BUNDLE")
	if file == "" || o.ownKeys() {
		return nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("AWS_CA_BUNDLE: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(data) {
		return fmt.Errorf("AWS_CA_BUNDLE: no certificate in PEM form in %s", file)
	}
	return nil
}

// namedCredentials marks the errors of the chain, which reach us from inside
// the SDK wrapped in text only.
type namedCredentials struct{ next aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (c *namedCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if c.next == nil {
		return aws.Credentials{}, &credentialsError{errors.New("no provider of credentials")}
	}
	v, err := c.next.Retrieve(ctx)
	if err == nil {
		err = checkCredentials(v)
	}
	if err != nil {
		return v, &credentialsError{err}
	}
	return v, nil
}

// checkCredentials refuses a key pair that was copied with a character too
// many, such as the carriage return of a file from Windows. No value is shown.
func checkCredentials(v aws.Credentials) error {
	for _, part := range []struct{ name, variable, value string }{
		{"access key id", "AWS_ACCESS_KEY_ID", v.AccessKeyID},
		{"secret access key", "AWS_SECRET_ACCESS_KEY", v.SecretAccessKey},
		{"session token", "AWS_SESSION_TOKEN", v.SessionToken},
	} {
		i := strings.IndexFunc(part.value, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
		if i < 0 {
			continue
		}
		where := "of " + v.Source
		if v.Source == config.CredentialsSourceName || v.Source == "" {
			where = "in " + part.variable
		}
		return &StrayError{fmt.Sprintf("the %s %s contains %s (character %d of %d)", part.name, where, characterName(part.value[i]), i+1, len(part.value))}
	}
	return nil
}

// StrayError says that credentials contain a character that no credentials
// have.
type StrayError struct{ what string }

// Error names the part of the credentials and the character.
func (e *StrayError) Error() string { return e.what }

// characterName names a character that cannot be seen.
func characterName(c byte) string {
	switch c {
	case '\r':
		return "a carriage return"
	case '\n':
		return "a line break"
	case '\t':
		return "a tab"
	case ' ':
		return "a space"
	}
	return "a character that cannot be printed"
}

// expire forgets cached credentials, so that the next try fetches new ones.
func (c *namedCredentials) expire() {
	if cache, ok := c.next.(interface{ Invalidate() }); ok {
		cache.Invalidate()
	}
}

type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }
