package manifest

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/mraws/mraws/internal/input"
)

// Budget is how many bad records a job may skip: a number of records or a
// share of those that it reads. The zero value allows none. Its text is "25"
// or "0.1%".
type Budget struct {
	Records int64 // where PPM is 0
	PPM     int64 // millionths of the records read, 0 to 1,000,000
}

// ParseBudget reads a number of records, or a percentage of at most four
// decimals. "" is the zero value.
func ParseBudget(s string) (Budget, error) {
	if s == "" {
		return Budget{}, nil
	}
	percent, ok := strings.CutSuffix(s, "%")
	if !ok {
		n, err := strconv.ParseUint(s, 10, 63)
		if err != nil {
			return Budget{}, fmt.Errorf("read budget %q: want a number of records or a percentage such as 0.1%%", s)
		}
		return Budget{Records: int64(n)}, nil
	}
	whole, part, point := strings.Cut(percent, ".")
	n, err := strconv.ParseUint(whole+(part + "0000")[:max(4, len(part))], 10, 31)
	if err != nil || whole == "" || len(part) > 4 || point && part == "" || n > 1_000_000 {
		return Budget{}, fmt.Errorf("read budget %q: want 0%% to 100%%, with at most four decimals", s)
	}
	return Budget{PPM: int64(n)}, nil
}

// String returns the text that ParseBudget reads, in its shortest form.
func (b Budget) String() string {
	if b.PPM == 0 {
		return strconv.FormatInt(b.Records, 10)
	}
	s := strconv.FormatInt(b.PPM/10_000, 10)
	if part := b.PPM % 10_000; part > 0 {
		s += strings.TrimRight(fmt.Sprintf(".%04d", part), "0")
	}
	return s + "%"
}

// MarshalText writes String.
func (b Budget) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads what ParseBudget does.
func (b *Budget) UnmarshalText(text []byte) (err error) {
	*b, err = ParseBudget(string(text))
	return err
}

// IsZero tells whether no record may be skipped.
func (b Budget) IsZero() bool { return b.Records == 0 && b.PPM == 0 }

// Of returns how many of read records may be bad; a share is rounded down.
func (b Budget) Of(read int64) int64 {
	if b.PPM == 0 {
		return b.Records
	}
	return read/1_000_000*b.PPM + read%1_000_000*b.PPM/1_000_000
}

// BadRecord is an input record that was skipped, as a line of a quarantine
// list has it.
type BadRecord struct {
	Object string `json:"object"` // below input/
	ETag   string `json:"etag"`   // of the object
	Offset int64  `json:"offset"` // of the record's first byte in it
	// Within tells the records of one block of a compressed object that is cut apart,
	// where Offset is that of the block ([input.Position]), and the rows of a row group
	// of Parquet, where it is that of its middle.
	Within int64 `json:"within,omitempty"`
	Length int64 `json:"length"` // of the record, without the end of its line
	// Line counts from 1, for applications that read numbered lines.
	Line  int64  `json:"line,omitempty"`
	Error string `json:"error"`
}

// Position is where the record begins.
func (b BadRecord) Position() input.Position {
	return input.Position{Offset: b.Offset, Within: b.Within}
}

// String says where the record is and what is wrong with it.
func (b BadRecord) String() string {
	if b.Line > 0 {
		return fmt.Sprintf("line %d of %s (%s at %d): %s", b.Line, b.Object, plural(b.Length, "byte"), b.Offset, b.Error)
	}
	return fmt.Sprintf("%s at %d of %s: %s", plural(b.Length, "byte"), b.Offset, b.Object, b.Error)
}

// plural is a number of things.
func plural(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.FormatInt(n, 10) + " " + noun
}

// CountBad is a number of bad records, for a message.
func CountBad(n int64) string { return plural(n, "bad record") }

// ListBad says where records are, for a message of one line.
func ListBad(bad []BadRecord) string {
	lines := make([]string, len(bad))
	for i, b := range bad {
		lines[i] = b.String()
	}
	return strings.Join(lines, "; ")
}

// FirstBad is how many records a [Quarantine] repeats.
const FirstBad = 3

// Quarantine names the list of the records that a map attempt skipped: a
// [BadRecord] on each line, as JSON, in input order.
type Quarantine struct {
	Key     string      `json:"key"` // the whole S3 key
	ETag    string      `json:"etag"`
	Size    int64       `json:"size"`    // bytes of the object
	Hash    string      `json:"hash"`    // hex SHA-256 of its bytes
	Records int64       `json:"records"` // lines
	First   []BadRecord `json:"first"`   // the first of them, at most FirstBad
}

// MostRecords bounds the number of records of the job's input, as the format
// does. Nobody knows how many bytes are in compressed objects: then the bound is
// one that no job comes near.
func (j *Job) MostRecords() int64 {
	const most = math.MaxInt64 / 2
	if j.Compressed() || j.Decompress.Content {
		return most
	}
	n, f := int64(0), j.InputFormat()
	for _, o := range j.Objects {
		_, many := f.Count(0, o.Size)
		n = min(n+min(many, most), most)
	}
	return n
}
