package s3fs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
)

// roundTrip is a transport in a function.
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// reply is a reply with headers and a body.
func reply(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{
		StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// bare takes every AWS setting away from the test.
func bare(t *testing.T) {
	t.Helper()
	for _, name := range []string{"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CA_BUNDLE"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_CONFIG_FILE", "")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// TestRegion: what is told wins, then the environment, then the bucket.
func TestRegion(t *testing.T) {
	asked := 0
	bucketSays := func(status int, region string) roundTrip {
		return func(r *http.Request) (*http.Response, error) {
			asked++
			if r.Method != http.MethodHead || r.URL.Host != "books.s3.us-east-1.amazonaws.com" || r.Header.Get("Authorization") != "" {
				t.Errorf("asked for the region by %s %s", r.Method, r.URL)
			}
			return reply(status, "", "x-amz-bucket-region", region), nil
		}
	}
	none := roundTrip(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	for _, tt := range []struct {
		name, option, env string
		rt                roundTrip
		want              string
		asks              int
	}{
		{"option", "eu-west-1", "eu-west-2", none, "eu-west-1", 0},
		{"environment", "", "eu-west-2", none, "eu-west-2", 0},
		{"bucket", "", "", bucketSays(200, "eu-west-3"), "eu-west-3", 1},
		{"bucket elsewhere", "", "", bucketSays(301, "eu-west-3"), "eu-west-3", 1},
		{"bucket of another", "", "", bucketSays(403, "eu-west-3"), "eu-west-3", 1},
		{"unknown", "", "", none, "us-east-1", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bare(t)
			t.Setenv("AWS_REGION", tt.env)
			asked = 0
			s, err := open(t.Context(), Options{Bucket: "books", Region: tt.option}, tt.rt)
			if err != nil {
				t.Fatal(err)
			}
			if s.Region() != tt.want || s.api().Options().Region != tt.want || asked != tt.asks {
				t.Errorf("region %s after %d questions, want %s", s.Region(), asked, tt.want)
			}
		})
	}
}

// TestWrongRegion: the error names the region to use.
func TestWrongRegion(t *testing.T) {
	bare(t)
	s, err := open(t.Context(), Options{Bucket: "books", Region: "us-east-1", AccessKey: "a", SecretKey: "b"},
		roundTrip(func(*http.Request) (*http.Response, error) {
			return reply(301, "", "x-amz-bucket-region", "eu-west-3"), nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Stat(t.Context(), "k")
	var e *Error
	if !errors.Is(err, ErrRegion) || !errors.As(err, &e) || e.Region != "eu-west-3" || !strings.Contains(err.Error(), "eu-west-3") {
		t.Errorf("%v; %+v", err, e)
	}
}

// TestOtherRegionOnAWS: a public bucket of AWS is asked at the host of its region, once
// that is known, by whatever status the first host tells it.
func TestOtherRegionOnAWS(t *testing.T) {
	for _, status := range []int{301, 307, 400} {
		bare(t)
		var hosts []string
		s, err := open(t.Context(), Options{Bucket: "books", Region: "us-east-1"}, roundTrip(func(r *http.Request) (*http.Response, error) {
			hosts = append(hosts, r.URL.Host)
			switch {
			case r.Header.Get("Authorization") != "":
				t.Error("a request is signed")
			case !strings.Contains(r.URL.Host, "eu-west-3"):
				return reply(status, "", "x-amz-bucket-region", "eu-west-3"), nil
			}
			return reply(200, "", "ETag", `"v1"`, "Content-Length", "0"), nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		other := s.Other("logs", Access{Unsigned: true})
		for range 2 {
			if _, err := other.Stat(t.Context(), "k"); err != nil {
				t.Error(err)
			}
		}
		want := []string{"logs.s3.us-east-1.amazonaws.com", "logs.s3.eu-west-3.amazonaws.com", "logs.s3.eu-west-3.amazonaws.com"}
		if !slices.Equal(hosts, want) {
			t.Errorf("%d: asked %v", status, hosts)
		}
	}
}

// TestNoCredentials: nothing is sent, and nothing is tried again.
func TestNoCredentials(t *testing.T) {
	bare(t)
	s, err := open(t.Context(), Options{Bucket: "books", Region: "us-east-1"},
		roundTrip(func(*http.Request) (*http.Response, error) {
			t.Error("a request was sent")
			return nil, io.EOF
		}))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Get(t.Context(), "k")
	var e *Error
	if !errors.Is(err, ErrCredentials) || errors.Is(err, ErrUnreachable) || !errors.As(err, &e) {
		t.Errorf("%v; %+v", err, e)
	}
	if e.Tries > 1 {
		t.Errorf("%d tries", e.Tries)
	}
	if _, err := open(t.Context(), Options{Bucket: "books", Profile: "nobody"}, nil); !errors.Is(err, ErrCredentials) {
		t.Errorf("unknown profile: %v", err)
	}
}

// TestExpiredToken: credentials are fetched anew once.
func TestExpiredToken(t *testing.T) {
	expired := `<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>`
	for name, cures := range map[string]bool{"cured": true, "for good": false} {
		t.Run(name, func(t *testing.T) {
			bare(t)
			s, err := open(t.Context(), Options{Bucket: "books", Region: "us-east-1"},
				roundTrip(func(r *http.Request) (*http.Response, error) {
					_, _ = io.Copy(io.Discard, r.Body)
					if cures && strings.Contains(r.Header.Get("Authorization"), "key2/") {
						return reply(200, "", "ETag", `"v1"`), nil
					}
					return reply(400, expired), nil
				}))
			if err != nil {
				t.Fatal(err)
			}
			fetched := 0
			creds := &namedCredentials{next: aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				fetched++
				return aws.Credentials{AccessKeyID: "key" + string(rune('0'+fetched)), SecretAccessKey: "s"}, nil
			}))}
			o := s.api().Options()
			o.Credentials = creds
			o.Retryer = &retryer{max: 8, base: time.Millisecond, expire: creds.expire}
			s.link.Store(&link{api: s3.New(o), region: o.Region})
			_, err = s.Put(t.Context(), "k", []byte("x"), PutOptions{})
			if cures != (err == nil) || err != nil && !errors.Is(err, ErrCredentials) {
				t.Error(err)
			}
			if fetched != 2 || s.Requests()["PutObject"] != 2 {
				t.Errorf("fetched %d times, %v", fetched, s.Requests())
			}
		})
	}
}

// TestOpenRefuses: options that make no sense or are not safe.
func TestOpenRefuses(t *testing.T) {
	for _, o := range []Options{
		{},
		{Bucket: "b", Server: SameMachine},
		{Bucket: "b", Server: SameMachine, Endpoint: "http://10.0.0.1:9000"},
		{Bucket: "b", Server: SameMachine, Endpoint: "http://127.0.0.1.example.com"},
	} {
		if _, err := Open(t.Context(), o); err == nil {
			t.Errorf("opened %+v", o)
		}
	}
}

// TestDenied: the error names the action that is not allowed, and the key.
func TestDenied(t *testing.T) {
	bare(t)
	s, err := open(t.Context(), Options{Bucket: "books", Region: "us-east-1", AccessKey: "a", SecretKey: "b"},
		roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodHead {
				return reply(403, ""), nil
			}
			return reply(403, `<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`), nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	_, _, get := s.Get(ctx, "k\n")
	_, stat := s.Stat(ctx, "k\n")
	_, put := s.Put(ctx, "k\n", nil, PutOptions{})
	var list error
	for _, list = range s.List(ctx, "k\n") {
		break
	}
	for action, err := range map[string]error{
		"s3:GetObject": errors.Join(get, stat), "s3:PutObject": put, "s3:ListBucket": list, "s3:DeleteObject": s.Delete(ctx, "k\n"),
	} {
		var e *Error
		if !errors.Is(err, fs.ErrPermission) || !errors.As(err, &e) || !strings.Contains(e.Action, action) ||
			!strings.Contains(err.Error(), action) || !strings.Contains(err.Error(), `s3://books/k\n`) {
			t.Errorf("%s: %v", action, err)
		}
	}
	for name, n := range s.Requests() {
		want := int64(1)
		if name == "ListObjectsV2" {
			want = 2 // one of them asks for the cause of a HEAD
		}
		if n != want {
			t.Errorf("%s was tried %d times", name, n)
		}
	}
}

// TestResolve: what the AWS environment contributes is found without a request,
// and without secrets.
func TestResolve(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	text := "[default]\nregion = eu-west-1\naws_access_key_id = a\naws_secret_access_key = geheim\n[profile dev]\ncredential_process = nothing\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		env  map[string]string
		o    Options
		want Environment
	}{
		{"nothing", nil, Options{}, Environment{Credentials: []string{"instance role, if any"}}},
		{"variables", map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "geheim", "AWS_REGION": "eu-west-3"}, Options{},
			Environment{Region: "eu-west-3", Credentials: []string{"environment variables"}}},
		{"default profile", map[string]string{"AWS_CONFIG_FILE": file}, Options{},
			Environment{Region: "eu-west-1", Profile: "default", Credentials: []string{"profile"}}},
		{"named profile", map[string]string{"AWS_CONFIG_FILE": file}, Options{Profile: "dev", Region: "eu-west-2"},
			Environment{Region: "eu-west-2", Profile: "dev", Credentials: []string{"credential process"}}},
		{"endpoint", map[string]string{"AWS_ENDPOINT_URL": "http://a:geheim@h:1"}, Options{},
			Environment{Region: "us-east-1", Endpoint: "http://h:1", Credentials: []string{"instance role, if any"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bare(t)
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			got, err := Resolve(t.Context(), tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	bare(t)
	if _, err := Resolve(t.Context(), Options{Profile: "absent"}); !errors.Is(err, ErrSharedConfig) {
		t.Errorf("an absent profile: %v", err)
	}
}
