package s3fs

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/object"
)

// listing is the page of an empty bucket.
const listing = `<ListBucketResult><Name>books</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>`

// refusal is how AWS refuses a request: the reply to a HEAD has the status
// and headers alone.
func refusal(status int, code, message string, header ...string) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		body := "<Error><Code>" + code + "</Code><Message>" + message + "</Message></Error>"
		if r.Method == http.MethodHead {
			body = ""
		}
		return reply(status, body, header...), nil
	}
}

// TestCauses: whatever is asked first, the error names what is wrong with
// credentials, clock and region, and not what the status of a HEAD suggests.
func TestCauses(t *testing.T) {
	inAnHour := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	anHourAgo := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
	for _, tt := range []struct {
		name         string
		rt           roundTrip
		kind         error
		want         []string
		code, region string
	}{
		{"expired", refusal(400, "ExpiredToken", "The provided token has expired."), ErrExpired,
			[]string{"credentials expired: ExpiredToken: The provided token"}, "ExpiredToken", ""},
		{"wrong secret", refusal(403, "SignatureDoesNotMatch", "The request signature"), ErrRefused,
			[]string{"credentials refused: SignatureDoesNotMatch"}, "SignatureDoesNotMatch", ""},
		{"unknown key", refusal(403, "InvalidAccessKeyId", "does not exist"), ErrRefused,
			[]string{"credentials refused: InvalidAccessKeyId"}, "InvalidAccessKeyId", ""},
		{"token of another session", refusal(400, "InvalidToken", "malformed"), ErrRefused,
			[]string{"InvalidToken"}, "InvalidToken", ""},
		{"clock behind", refusal(403, "RequestTimeTooSkewed", "too large", "Date", inAnHour), ErrClock,
			[]string{"request time refused: this machine's clock is ", "behind the store's", "RequestTimeTooSkewed"}, "RequestTimeTooSkewed", ""},
		{"clock ahead", refusal(403, "RequestTimeTooSkewed", "too large", "Date", anHourAgo), ErrClock,
			[]string{"this machine's clock is ", "ahead of the store's"}, "RequestTimeTooSkewed", ""},
		{"redirect", refusal(301, "PermanentRedirect", "another endpoint", "x-amz-bucket-region", "eu-west-3"), ErrRegion,
			[]string{"it is in eu-west-3, requests were signed for us-east-1"}, "PermanentRedirect", "eu-west-3"},
		{"region in the message alone", refusal(400, "AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-west-3'"), ErrRegion,
			[]string{"it is in eu-west-3"}, "AuthorizationHeaderMalformed", "eu-west-3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bare(t)
			s, err := open(t.Context(), Options{Bucket: "books", Region: "us-east-1", AccessKey: "a", SecretKey: "b", BackoffBase: time.Millisecond}, tt.rt)
			if err != nil {
				t.Fatal(err)
			}
			_, stat := s.Stat(t.Context(), "k")
			_, _, get := s.Get(t.Context(), "k")
			for op, err := range map[string]error{"check": s.CheckBucket(t.Context()), "stat": stat, "get": get} {
				var e *Error
				if !errors.Is(err, tt.kind) || errors.Is(err, fs.ErrPermission) || !errors.As(err, &e) || e.Code != tt.code || e.Region != tt.region {
					t.Errorf("%s: %v; %+v", op, err, e)
					continue
				}
				for _, want := range tt.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%s: %q is missing in: %v", op, want, err)
					}
				}
			}
		})
	}
	for _, kind := range []error{ErrExpired, ErrRefused, ErrClock} {
		if !errors.Is(kind, object.ErrCredentials) {
			t.Errorf("%v is no error of credentials", kind)
		}
	}
}

// TestClockOfTheStore: requests are signed with the store's time after the
// first one, and the difference is told.
func TestClockOfTheStore(t *testing.T) {
	bare(t)
	const ahead = time.Hour
	s, err := open(t.Context(), Options{Bucket: "books", Region: "us-east-1", AccessKey: "a", SecretKey: "b", BackoffBase: time.Millisecond},
		roundTrip(func(r *http.Request) (*http.Response, error) {
			now := time.Now().Add(ahead).UTC()
			date := now.Format(http.TimeFormat)
			signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
			if err != nil || now.Sub(signed).Abs() > 15*time.Minute {
				return refusal(403, "RequestTimeTooSkewed", "too large", "Date", date)(r)
			}
			return reply(200, listing, "Date", date), nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.Skew(); (got - ahead).Abs() > time.Minute {
		t.Errorf("the store's clock is %v ahead, want %v", got, ahead)
	}
	if n := s.Requests()["ListObjectsV2"]; n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

// TestStrayCharacters: a key pair with a character too many is refused before
// anything is sent, and not shown.
func TestStrayCharacters(t *testing.T) {
	for _, tt := range []struct{ key, secret, token, want string }{
		{"AKIAEXAMPLE\r", "geheim", "", "the access key id in AWS_ACCESS_KEY_ID contains a carriage return (character 12 of 12)"},
		{" AKIAEXAMPLE", "geheim", "", "the access key id in AWS_ACCESS_KEY_ID contains a space (character 1 of 12)"},
		{"AKIAEXAMPLE", "geheim\r", "", "the secret access key in AWS_SECRET_ACCESS_KEY contains a carriage return (character 7 of 7)"},
		{"AKIAEXAMPLE", "geheim ", "", "AWS_SECRET_ACCESS_KEY contains a space"},
		{"AKIAEXAMPLE", "geheim\n", "", "AWS_SECRET_ACCESS_KEY contains a line break"},
		{"AKIAEXAMPLE", "geheim", "\ttoken", "AWS_SESSION_TOKEN contains a tab"},
		{"AKIAEXAMPLE\u200b", "geheim", "", "AWS_ACCESS_KEY_ID contains a character that cannot be printed"},
	} {
		bare(t)
		t.Setenv("AWS_ACCESS_KEY_ID", tt.key)
		t.Setenv("AWS_SECRET_ACCESS_KEY", tt.secret)
		t.Setenv("AWS_SESSION_TOKEN", tt.token)
		s, err := open(t.Context(), Options{Bucket: "books", Region: "us-east-1"}, roundTrip(func(*http.Request) (*http.Response, error) {
			t.Error("a request was sent")
			return nil, errors.New("sent")
		}))
		if err != nil {
			t.Fatal(err)
		}
		err = s.CheckBucket(t.Context())
		var stray *StrayError
		if !errors.Is(err, ErrCredentials) || !errors.As(err, &stray) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v", tt, err)
		}
		if strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "EXAMPLE") {
			t.Errorf("credentials in the error: %v", err)
		}
	}
}

// TestBundle: the certificates of AWS_CA_BUNDLE are read before anything is
// asked, and not for the embedded server, which has none.
func TestBundle(t *testing.T) {
	bare(t)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"/nope", empty, t.TempDir()} {
		t.Setenv("AWS_CA_BUNDLE", file)
		_, err := Open(t.Context(), Options{Bucket: "books", Region: "us-east-1"})
		var e *Error
		if !errors.Is(err, ErrBundle) || !errors.As(err, &e) || !strings.Contains(err.Error(), "AWS_CA_BUNDLE: ") || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", file, err)
		}
		s, err := Open(t.Context(), Options{Bucket: "books", Endpoint: "http://127.0.0.1:1", AccessKey: "a", SecretKey: "b"})
		if err != nil {
			t.Errorf("%s, with keys of our own: %v", file, err)
			continue
		}
		s.Close()
	}
}

// TestEndpointWithCredentials: what an endpoint holds of them is not shown.
func TestEndpointWithCredentials(t *testing.T) {
	bare(t)
	t.Setenv("AWS_ENDPOINT_URL", "http://user:geheim@127.0.0.1:1")
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	s, err := Open(t.Context(), Options{Bucket: "books", MaxAttempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.CheckBucket(t.Context())
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, ErrUnreachable) || e.Target != "http://127.0.0.1:1" {
		t.Fatalf("%v; %+v", err, e)
	}
	if strings.Contains(err.Error(), "geheim") {
		t.Errorf("the secret is in %v", err)
	}
}
