package apps

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/mraws/mraws/mr"
)

// sessionize cuts the requests of an access log into sessions of visitors: a line
// "visitor start seconds requests bytes first-path last-path" each. A log is in the
// common or the combined format of Apache and nginx
// (https://httpd.apache.org/docs/2.4/logs.html#accesslog). The requests of a visitor
// are held in memory.
func sessionize() mr.App {
	return mr.App{
		Name:    "sessionize",
		Help:    "cut an access log (common or combined format) into sessions of visitors",
		Version: "1",
		Params: []mr.Param{
			{Name: "gap", Help: "a session ends where nothing follows for longer", Default: "30m", Check: mr.CheckDuration},
			{Name: "visitor", Help: "what tells visitors apart: host, or host-agent for the browser too", Default: "host", Check: func(v string) error {
				if v != "host" && v != "host-agent" {
					return fmt.Errorf("%q is neither host nor host-agent", v)
				}
				return nil
			}},
		},
		NewMapper: func(t *mr.Task) (mr.Mapper, error) {
			return &visitMapper{agent: t.Params["visitor"] == "host-agent"}, nil
		},
		NewReducer: func(t *mr.Task) (mr.Reducer, error) {
			gap, err := t.Duration("gap")
			return &sessionReducer{gap: gap}, err
		},
		OutputColumns: func(params map[string]string) []mr.Column {
			visitor := textColumns([]string{"visitor"})
			if params["visitor"] == "host-agent" {
				visitor = textColumns([]string{"visitor", "agent"})
			}
			return append(visitor, mr.Column{Name: "start"}, mr.Column{Name: "seconds", Type: mr.IntColumn},
				mr.Column{Name: "requests", Type: mr.IntColumn}, mr.Column{Name: "bytes", Type: mr.IntColumn},
				mr.Column{Name: "first_path", Type: mr.TextColumn}, mr.Column{Name: "last_path", Type: mr.TextColumn})
		},

		ExactCounters: true, // there are none
	}
}

// request is a line of an access log. The slices are of the line.
type request struct {
	host, path, agent []byte
	at                int64 // seconds since 1970
	bytes             int64 // of the answer
}

// errNoLog says what a line is not.
var errNoLog = errors.New("the line is no line of an access log in the common or combined format")

// parseRequest reads a line.
func parseRequest(line []byte) (r request, err error) {
	var rest []byte
	r.host, rest, _ = bytes.Cut(line, []byte{' '})
	_, rest, ok := bytes.Cut(rest, []byte(" ["))
	stamp, rest, ok2 := bytes.Cut(rest, []byte("] \""))
	what, rest, ok3 := cutQuoted(rest)
	if !ok || !ok2 || !ok3 || len(r.host) == 0 {
		return r, errNoLog
	}
	at, err := time.Parse("02/Jan/2006:15:04:05 -0700", string(stamp))
	if err != nil {
		return r, fmt.Errorf("%w: its time is %.100q", errNoLog, stamp)
	}
	r.at = at.Unix()
	// The request is "GET /path HTTP/1.1", or whatever else was sent.
	if _, target, ok := bytes.Cut(what, []byte{' '}); ok {
		r.path, _, _ = bytes.Cut(target, []byte{' '})
	}
	_, rest, ok = bytes.Cut(bytes.TrimPrefix(rest, []byte{' '}), []byte{' '}) // the status
	size, rest, _ := bytes.Cut(rest, []byte{' '})
	if r.bytes, err = strconv.ParseInt(string(size), 10, 64); err != nil && string(size) != "-" || !ok {
		return r, fmt.Errorf("%w: its size is %.100q", errNoLog, size)
	}
	if _, rest, ok = bytes.Cut(rest, []byte{'"'}); ok { // the referer
		_, rest, _ = cutQuoted(rest)
		if _, rest, ok = bytes.Cut(rest, []byte{'"'}); ok {
			r.agent, _, _ = cutQuoted(rest)
		}
	}
	return r, nil
}

// cutQuoted cuts text at the first quote that has no backslash before it.
func cutQuoted(text []byte) (before, after []byte, ok bool) {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return text[:i], text[i+1:], true
		}
	}
	return text, nil, false
}

type visitMapper struct {
	agent      bool // is part of the visitor
	key, value []byte
}

// Map emits a request: time, bytes and path.
func (m *visitMapper) Map(rec mr.Record, out mr.Emitter) error {
	if len(rec.Data) == 0 {
		return nil
	}
	r, err := parseRequest(bytes.TrimSuffix(rec.Data, []byte{'\r'}))
	if err != nil {
		return err
	}
	m.key = mr.AppendTSVText(m.key[:0], r.host)
	if m.agent {
		m.key = mr.AppendTSVText(append(m.key, '\t'), r.agent)
	}
	m.value = binary.BigEndian.AppendUint64(m.value[:0], uint64(r.at))
	m.value = binary.BigEndian.AppendUint64(m.value, uint64(r.bytes))
	m.value = mr.AppendTSVText(m.value, r.path)
	out.Emit(m.key, m.value)
	return nil
}

type sessionReducer struct {
	gap  time.Duration
	line []byte
}

// Reduce writes the sessions of a visitor in the order of time.
func (r *sessionReducer) Reduce(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
	type visit struct {
		at, bytes int64
		path      string
	}
	var visits []visit
	for v := range values {
		visits = append(visits, visit{int64(binary.BigEndian.Uint64(v)), int64(binary.BigEndian.Uint64(v[8:])), string(v[16:])})
	}
	slices.SortStableFunc(visits, func(a, b visit) int { return cmp.Compare(a.at, b.at) })
	for len(visits) > 0 {
		n, sum := 1, visits[0].bytes
		for n < len(visits) && float64(visits[n].at-visits[n-1].at) <= r.gap.Seconds() {
			sum += visits[n].bytes
			n++
		}
		first, last := visits[0], visits[n-1]
		r.line = time.Unix(first.at, 0).UTC().AppendFormat(r.line[:0], time.RFC3339)
		r.line = fmt.Appendf(r.line, "\t%d\t%d\t%d\t%s\t%s", last.at-first.at, n, sum, first.path, last.path)
		out.Write(r.line)
		visits = visits[n:]
	}
	return nil
}
