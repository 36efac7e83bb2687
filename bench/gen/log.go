package gen

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
)

// Columns are the columns of a log of requests, in their order.
var Columns = []string{"time", "host", "method", "path", "status", "bytes", "duration", "referer", "agent", "user", "region", "request"}

// Request is a row of a log.
type Request struct {
	Time     string  `parquet:"time"`
	Host     string  `parquet:"host"`
	Method   string  `parquet:"method"`
	Path     string  `parquet:"path"`
	Status   int64   `parquet:"status"`
	Bytes    int64   `parquet:"bytes"`
	Duration float64 `parquet:"duration"` // seconds
	Referer  string  `parquet:"referer"`
	Agent    string  `parquet:"agent"`
	User     string  `parquet:"user"` // "" is nobody
	Region   string  `parquet:"region"`
	ID       string  `parquet:"request"`
}

// log draws requests.
type log struct {
	r     *rand.Rand
	at    time.Time
	paths *rand.Zipf
	words []string
}

func newLog(seed uint64) *log {
	r := rng(seed)
	return &log{
		r: r, at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		paths: rand.NewZipf(r, 1.2, 3, 4999), words: Words(5000, seed),
	}
}

var (
	statuses = []int64{200, 200, 200, 200, 200, 200, 200, 200, 304, 304, 301, 404, 404, 403, 500, 503}
	methods  = []string{"GET", "GET", "GET", "GET", "GET", "GET", "POST", "HEAD"}
	regions  = []string{"eu-west-1", "us-east-1", "ap-south-1", "sa-east-1"}
	agents   = []string{
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15",
		"curl/8.16.0", "Googlebot/2.1 (+http://www.google.com/bot.html)",
	}
)

// next draws a request. About one in a thousand has a path with quotes, a comma and a
// line break.
func (l *log) next(q *Request) {
	r := l.r
	l.at = l.at.Add(time.Duration(r.Uint32N(20_000)) * time.Microsecond)
	path := l.paths.Uint64()
	*q = Request{
		Time: l.at.Format("2006-01-02T15:04:05.000000Z"), Host: fmt.Sprintf("10.%d.%d.%d", r.Uint32N(4), r.Uint32N(256), r.Uint32N(256)),
		Method: methods[r.IntN(len(methods))], Path: "/" + l.words[path] + "/" + strconv.FormatUint(path%37, 10),
		Status: statuses[r.IntN(len(statuses))], Bytes: int64(r.Uint32N(64_000)), Duration: float64(r.Uint32N(2_000_000)) / 1e6,
		Referer: "https://example.com/" + l.words[r.IntN(200)], Agent: agents[r.IntN(len(agents))],
		Region: regions[r.IntN(len(regions))], ID: fmt.Sprintf("%016x", r.Uint64()),
	}
	if r.Uint32N(3) == 0 {
		q.User = l.words[r.IntN(1000)]
	}
	if r.Uint32N(1000) == 0 {
		q.Path = "/search?q=\"a, b\"\n" + q.Path
	}
}

// JSONLog writes at least size bytes of a log, a JSON object a line.
func JSONLog(w io.Writer, size int64, seed uint64) error {
	return writeLog(w, size, seed, nil, func(b []byte, q *Request) []byte {
		b = fmt.Appendf(b, `{"time":%q,"host":%q,"method":%q,"path":%q,"status":%d,"bytes":%d,"duration":%s,`,
			q.Time, q.Host, q.Method, q.Path, q.Status, q.Bytes, strconv.FormatFloat(q.Duration, 'f', -1, 64))
		return fmt.Appendf(b, `"referer":%q,"agent":%q,"user":%q,"region":%q,"request":%q}`+"\n", q.Referer, q.Agent, q.User, q.Region, q.ID)
	})
}

// CSVLog writes at least size bytes of a log as CSV (RFC 4180, but lines end with a
// line feed alone) with a header.
func CSVLog(w io.Writer, size int64, seed uint64) error {
	var header []byte
	for i, c := range Columns {
		if i > 0 {
			header = append(header, ',')
		}
		header = append(header, c...)
	}
	return writeLog(w, size, seed, append(header, '\n'), func(b []byte, q *Request) []byte {
		b = fmt.Appendf(b, "%s,%s,%s,", q.Time, q.Host, q.Method)
		b = fmt.Appendf(appendCSV(b, q.Path), ",%d,%d,%s,", q.Status, q.Bytes, strconv.FormatFloat(q.Duration, 'f', -1, 64))
		b = append(appendCSV(b, q.Referer), ',')
		return fmt.Appendf(appendCSV(b, q.Agent), ",%s,%s,%s\n", q.User, q.Region, q.ID)
	})
}

// appendCSV appends a field, in quotes if it needs them.
func appendCSV(b []byte, field string) []byte {
	plain := true
	for i := range len(field) {
		if c := field[i]; c == '"' || c == ',' || c == '\n' {
			plain = false
		}
	}
	if plain {
		return append(b, field...)
	}
	b = append(b, '"')
	for i := range len(field) {
		if field[i] == '"' {
			b = append(b, '"')
		}
		b = append(b, field[i])
	}
	return append(b, '"')
}

func writeLog(w io.Writer, size int64, seed uint64, header []byte, row func(b []byte, q *Request) []byte) error {
	l := newLog(seed)
	out := newOutput(w)
	out.bytes(header)
	var q Request
	var b []byte
	for written := int64(0); written < size; written += int64(len(b)) {
		l.next(&q)
		b = row(b[:0], &q)
		out.bytes(b)
	}
	return out.w.Flush()
}

// ParquetLog writes a log of rows requests as Parquet, compressed by Snappy, in row
// groups of 120,000 rows.
func ParquetLog(w io.Writer, rows, seed uint64) error {
	const group = 120_000
	l := newLog(seed)
	out := parquet.NewGenericWriter[Request](w, parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(group))
	batch := make([]Request, 1000)
	for left := rows; left > 0; {
		n := min(left, uint64(len(batch)))
		for i := range batch[:n] {
			l.next(&batch[i])
		}
		if _, err := out.Write(batch[:n]); err != nil {
			return fmt.Errorf("write rows: %w", err)
		}
		left -= n
	}
	return out.Close()
}
