package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
)

// Size is a number of bytes. In text it needs a unit: B, KB, MB, GB, TB are
// powers of 1000, KiB, MiB, GiB, TiB powers of 1024, in any letter case.
type Size int64

// AutoSize is a [Size] that may be left to the program: "auto" is 0.
type AutoSize int64

var sizeForm = regexp.MustCompile(`(?i)^[0-9]+(\.[0-9]+)?\s*([kmgt]i?)?b$`)

const sizeWant = "a number with a unit, such as 64MiB (64 x 1,048,576 bytes) or 64MB (64,000,000 bytes)"

// ParseSize reads a size. Bare numbers and one-letter units are refused,
// since readers disagree on what 64M is; "0" alone needs no unit.
func ParseSize(s string) (Size, error) {
	s = strings.TrimSpace(s)
	if s == "0" {
		return 0, nil
	}
	if !sizeForm.MatchString(s) {
		return 0, fmt.Errorf("must be %s", sizeWant)
	}
	n, err := humanize.ParseBytes(s)
	if err != nil || n > math.MaxInt64 {
		return 0, fmt.Errorf("must be at most %d bytes", int64(math.MaxInt64))
	}
	return Size(n), nil
}

// String writes the size exactly, in the largest unit that divides it, so
// that [ParseSize] gives it back.
func (s Size) String() string {
	if s == 0 {
		return "0"
	}
	for _, u := range []struct {
		n    Size
		name string
	}{
		{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"},
		{1 << 10, "KiB"}, {1e3, "KB"},
	} {
		if s%u.n == 0 {
			return strconv.FormatInt(int64(s/u.n), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// UnmarshalText reads what [ParseSize] reads.
func (s *Size) UnmarshalText(b []byte) (err error) {
	*s, err = ParseSize(string(b))
	return err
}

// String is that of [Size], or "auto".
func (a AutoSize) String() string {
	if a == 0 {
		return "auto"
	}
	return Size(a).String()
}

// UnmarshalText reads "auto" or what [ParseSize] reads.
func (a *AutoSize) UnmarshalText(b []byte) error {
	if string(b) == "auto" {
		*a = 0
		return nil
	}
	n, err := ParseSize(string(b))
	*a = AutoSize(n)
	return err
}
