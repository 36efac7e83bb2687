package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mraws/mraws/internal/layout"
)

// minLease keeps a lease long enough for heartbeats to fit in.
const minLease = 100 * time.Millisecond

// Problem is a value that is not allowed.
type Problem struct {
	Key, Value string
	Origin     Origin
	Want       error
}

// Error names key, value, origin and what is allowed.
func (p *Problem) Error() string {
	return fmt.Sprintf("%s = %q (%s): %v", p.Key, withoutSecrets(p.Key, p.Value), p.Origin, p.Want)
}

// withoutSecrets is a value that was refused, to be shown: of an endpoint
// neither credentials nor a signature.
func withoutSecrets(key, value string) string {
	if key != "endpoint" {
		return value
	}
	if i := strings.IndexAny(value, "?#"); i >= 0 {
		value = value[:i+1] + "…"
	}
	if i := strings.LastIndexByte(value, '@'); i >= 0 {
		scheme, _, ok := strings.Cut(value, "://")
		if ok {
			scheme += "://"
		} else {
			scheme = ""
		}
		value = scheme + "***" + value[i:]
	}
	return value
}

// Unwrap returns Want.
func (p *Problem) Unwrap() error { return p.Want }

// canon brings a value into its one form or says what is wanted instead.
func (k Key) canon(s string) (string, error) {
	if k.Choices == nil {
		return k.check(s)
	}
	if !slices.Contains(k.Choices, s) {
		return "", NoneOf(s, k.Choices)
	}
	return s, nil
}

// NoneOf is the error of a value that is none of these.
func NoneOf(s string, choices []string) error {
	err := fmt.Errorf("must be one of %s", strings.Join(choices, ", "))
	if near := Nearest(s, choices); near != "" {
		err = fmt.Errorf("%w, did you mean %q?", err, near)
	}
	return err
}

func text(s string) (string, error) {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errors.New("must not contain control characters")
	}
	return s, nil
}

// path leaves relative paths to the loader, which knows what they are
// relative to, but resolves "~/", which no shell does in files and variables.
func path(s string) (string, error) {
	rest, ok := strings.CutPrefix(s, "~")
	if !ok || (rest != "" && rest[0] != filepath.Separator) {
		return text(s)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the home folder for ~: %w", err)
	}
	return text(filepath.Join(home, rest))
}

var bucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// bucket follows the naming rules of general purpose buckets
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html).
func bucket(s string) (string, error) {
	if !bucketForm.MatchString(s) || strings.Contains(s, "..") {
		return "", errors.New("must be the name of a bucket: 3 to 63 of a-z, 0-9, '-' and '.', without s3://")
	}
	return s, nil
}

// prefix is that of a job in its bucket.
func prefix(s string) (string, error) { return layout.CheckPrefix(s) }

var regionForm = regexp.MustCompile(`^[a-z0-9-]{0,64}$`)

func region(s string) (string, error) {
	if !regionForm.MatchString(s) {
		return "", errors.New("must be the name of a region, such as eu-west-1")
	}
	return s, nil
}

func endpoint(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("must be http://host:port or https://host:port, without credentials")
	}
	return strings.TrimSuffix(s, "/"), nil
}

func boolean(s string) (string, error) {
	switch strings.ToLower(s) {
	case "true", "1", "yes", "on":
		return "true", nil
	case "false", "0", "no", "off":
		return "false", nil
	}
	return "", errors.New("must be true or false")
}

func number(low, high int) func(string) (string, error) {
	return func(s string) (string, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			return "", fmt.Errorf("must be a whole number from %d to %d", low, high)
		}
		return strconv.Itoa(n), nil
	}
}

var percentForm = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,4})?%$`)

// share is a number of things, or a percentage of them.
func share(s string) (string, error) {
	if n, err := strconv.ParseUint(s, 10, 63); err == nil {
		return strconv.FormatUint(n, 10), nil
	}
	if percentForm.MatchString(s) {
		if f, err := strconv.ParseFloat(s[:len(s)-1], 64); err == nil && f <= 100 {
			return strconv.FormatFloat(f, 'f', -1, 64) + "%", nil
		}
	}
	return "", errors.New("must be a number such as 10, or a percentage such as 0.1%, of at most four decimals")
}

func size(low Size) func(string) (string, error) {
	return func(s string) (string, error) {
		n, err := ParseSize(s)
		if err != nil {
			return "", err
		}
		if n < low {
			return "", fmt.Errorf("must be at least %v", low)
		}
		return n.String(), nil
	}
}

// MinMemory is the least budget of a process for its buffers, in bytes: what
// those of one map and one reduce need.
const MinMemory = 32 << 20

// memory is refused below MinMemory.
func memory(s string) (string, error) {
	if s == "auto" {
		return s, nil
	}
	s, err := size(MinMemory)(s)
	if err != nil {
		return "", fmt.Errorf("%w, or auto", err)
	}
	return s, nil
}

func duration(low time.Duration) func(string) (string, error) {
	return func(s string) (string, error) {
		d, err := time.ParseDuration(s)
		if err != nil {
			return "", errors.New("must be a duration with a unit, such as 500ms, 10s or 2m")
		}
		if d < low {
			return "", fmt.Errorf("must be at least %v", low)
		}
		return d.String(), nil
	}
}

// hostPorts is one or several addresses, separated by commas.
func hostPorts(s string) (string, error) {
	for part := range strings.SplitSeq(s, ",") {
		if _, err := hostPort(part); err != nil || part == "" && s != "" {
			return "", errors.New("must be host:port, such as 10.0.0.7:1234 or [::1]:1234; several are separated by commas")
		}
	}
	return s, nil
}

func hostPort(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	h, p, err := net.SplitHostPort(s)
	if err == nil && h != "" {
		if _, err = number(1, 65535)(p); err == nil {
			return s, nil
		}
	}
	return "", errors.New("must be host:port, such as 10.0.0.7:1234 or [::1]:1234")
}

func host(s string) (string, error) {
	if strings.ContainsAny(s, "/ \t[]@") || (strings.Contains(s, ":") && net.ParseIP(s) == nil) {
		return "", errors.New("must be a host name or an IP address; the port has its own key")
	}
	return s, nil
}

// listenOn is an address to listen on; loopback unless it names a host.
func listenOn(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	h, p, err := net.SplitHostPort(s)
	if err != nil {
		h, p = "", s
	}
	if p, err = number(0, 65535)(p); err != nil {
		return "", errors.New("must be a port such as 9101, or host:port such as 0.0.0.0:9101")
	}
	if h == "" {
		h = "127.0.0.1"
	}
	if _, err := host(h); err != nil {
		return "", fmt.Errorf("before the colon: %w", err)
	}
	return net.JoinHostPort(h, p), nil
}

func advertise(s string) (string, error) {
	if _, err := host(s); err == nil {
		return s, nil
	}
	if _, err := hostPort(s); err != nil {
		return "", errors.New("must be host or host:port")
	}
	return s, nil
}

// together checks what depends on several keys.
func (l *Loaded) together() error {
	var errs []error
	problem := func(key, want string) {
		for _, e := range l.entries {
			if e.Key == key {
				errs = append(errs, &Problem{key, e.Value, e.Origin, errors.New(want)})
			}
		}
	}
	switch {
	case l.TLSCert != "" && l.TLSKey == "":
		problem("tls-cert", "needs tls-key too")
	case l.TLSKey != "" && l.TLSCert == "":
		problem("tls-key", "needs tls-cert too")
	case l.TLSCA != "" && l.TLSCert == "":
		problem("tls-ca", "needs tls-cert and tls-key too")
	case l.TLSCert != "" && l.TLSCA == "":
		problem("tls-cert", "needs tls-ca too")
	}
	if l.Insecure && (l.TLSCA != "" || l.TLSCert != "" || l.TokenFile != "") {
		problem("insecure", "excludes tls-ca, tls-cert, tls-key and token-file, which would have no effect")
	}
	return errors.Join(errs...)
}

// dollars is an amount of money.
func dollars(s string) (string, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil && f >= 0 && f <= 1e9 {
		return strconv.FormatFloat(f, 'f', -1, 64), nil
	}
	return "", errors.New("must be dollars, such as 0.05 or 20")
}
