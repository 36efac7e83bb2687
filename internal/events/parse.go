package events

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/mraws/mraws/internal/object"
)

// parser decodes lines of events. Lines as [Log] writes them, without escapes and totals,
// it reads itself: encoding/json takes ten times as long, and the log of a
// large job has millions of lines. All others it leaves to encoding/json.
type parser struct {
	words  map[string]string // texts that many lines have
	second [len(secondFormat)]byte
	base   Time // of second; 0 before the first
}

const secondFormat = "2006-01-02T15:04:05"

// parse decodes one line.
func (p *parser) parse(line []byte, e *Event) error {
	if p.plain(line, e) {
		return nil
	}
	*e = Event{}
	return json.Unmarshal(line, e)
}

// plain decodes a line, and reports false if there is anything in it that it does not
// read.
func (p *parser) plain(line []byte, e *Event) bool {
	if len(line) < 2 || line[0] != '{' || line[len(line)-1] != '}' || bytes.IndexByte(line, '\\') >= 0 {
		return false
	}
	rest, ok := members(line, func(name, value []byte) (after []byte, ok bool) {
		switch value[0] {
		case '"':
			text, after, ok := quoted(value)
			return after, ok && p.text(e, name, text)
		case '{':
			switch { // one that is there twice is made of both
			case string(name) == "counters" && e.Counters == nil:
				e.Counters, after, ok = p.numbers(value)
			case string(name) == "s3" && e.S3 == nil:
				e.S3, after, ok = p.traffic(value)
			}
			return after, ok
		}
		text, after := plainNumber(value)
		return after, e.number(name, text)
	})
	return ok && len(rest) == 0
}

// members calls take for each member of the object with which b begins. Take gets what
// begins with the value, and returns what follows it. It returns what follows the object.
func members(b []byte, take func(name, value []byte) (after []byte, ok bool)) (rest []byte, ok bool) {
	for b = b[1:]; ; b = b[1:] {
		name, after, ok := quoted(b)
		if !ok || len(after) < 2 || after[0] != ':' {
			return nil, false
		}
		if b, ok = take(name, after[1:]); !ok || len(b) == 0 {
			return nil, false
		}
		switch b[0] {
		case '}':
			return b[1:], true
		case ',':
		default:
			return nil, false
		}
	}
}

// plainNumber returns the text of a number or word, and what follows it.
func plainNumber(b []byte) (text, after []byte) {
	n := bytes.IndexAny(b, ",}")
	if n < 0 {
		return nil, nil
	}
	return b[:n], b[n:]
}

// numbers reads an object of whole numbers.
func (p *parser) numbers(b []byte) (m map[string]int64, rest []byte, ok bool) {
	m = map[string]int64{}
	rest, ok = members(b, func(name, value []byte) (after []byte, ok bool) {
		text, after := plainNumber(value)
		m[p.word(name)], ok = whole(text)
		return after, ok
	})
	return m, rest, ok
}

// traffic reads what an attempt asked of S3.
func (p *parser) traffic(b []byte) (t *object.Traffic, rest []byte, ok bool) {
	t = new(object.Traffic)
	rest, ok = members(b, func(name, value []byte) (after []byte, ok bool) {
		if string(name) == "requests" && value[0] == '{' && t.Requests == nil {
			t.Requests, after, ok = p.numbers(value)
			return after, ok
		}
		text, after := plainNumber(value)
		switch string(name) {
		case "sent":
			t.Sent, ok = whole(text)
		case "received":
			t.Received, ok = whole(text)
		}
		return after, ok
	})
	return t, rest, ok
}

// quoted returns the text between the quotes with which b begins, which has no control
// characters, and what follows.
func quoted(b []byte) (text, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, nil, false
	}
	n := bytes.IndexByte(b[1:], '"')
	if n < 0 {
		return nil, nil, false
	}
	text = b[1 : n+1]
	for _, c := range text {
		if c < ' ' || c >= 0x80 {
			return nil, nil, false
		}
	}
	return text, b[n+2:], true
}

// text sets a field that has a text.
func (p *parser) text(e *Event, name, text []byte) (ok bool) {
	switch string(name) {
	case "type":
		e.Type = Type(p.word(text))
	case "at":
		e.At, ok = p.time(text)
		return ok
	case "started":
		e.Started, ok = p.time(text)
		return ok
	case "task":
		e.Task = string(text)
	case "attempt":
		e.Attempt = string(text)
	case "worker":
		e.Worker = p.word(text)
	case "outcome":
		e.Outcome = p.word(text)
	default:
		return false
	}
	return true
}

// number sets a field that has a number or true.
func (e *Event) number(name, text []byte) bool {
	if string(text) == "true" && string(name) == "speculative" {
		e.Speculative = true
		return true
	}
	var n *int64
	switch string(name) {
	case "seconds":
		return float(text, &e.Seconds)
	case "wait_seconds":
		return float(text, &e.WaitSeconds)
	case "upload_seconds":
		return float(text, &e.UploadSeconds)
	case "throttled_seconds":
		return float(text, &e.ThrottledSeconds)
	case "spill_seconds":
		return float(text, &e.SpillSeconds)
	case "slot":
		slot, ok := whole(text)
		e.Slot = int(slot)
		return ok
	case "records":
		n = &e.Records
	case "bytes":
		n = &e.Bytes
	case "emitted":
		n = &e.Emitted
	case "wrote_records":
		n = &e.WroteRecords
	case "wrote_bytes":
		n = &e.WroteBytes
	case "keys":
		n = &e.Keys
	case "skipped":
		n = &e.Skipped
	case "throttled":
		n = &e.Throttled
	case "spills":
		n = &e.Spills
	case "spilled_bytes":
		n = &e.SpilledBytes
	default:
		return false
	}
	var ok bool
	*n, ok = whole(text)
	return ok
}

// whole reads a whole number of at most 18 digits.
func whole(text []byte) (n int64, ok bool) {
	if len(text) == 0 || len(text) > 18 || text[0] == '0' && len(text) > 1 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// float reads digits, with or without a point between them.
func float(text []byte, f *float64) bool {
	before, after, point := bytes.Cut(text, []byte{'.'})
	if _, ok := whole(before); !ok || point && len(after) == 0 {
		return false
	}
	for _, c := range after {
		if c < '0' || c > '9' {
			return false
		}
	}
	var err error
	*f, err = strconv.ParseFloat(string(text), 64)
	return err == nil
}

// word returns a text that many lines have.
func (p *parser) word(text []byte) string {
	w, ok := p.words[string(text)]
	if !ok {
		if p.words == nil {
			p.words = map[string]string{}
		}
		w = string(text)
		p.words[w] = w
	}
	return w
}

// time parses a time. Most lines are of the same second as the line before.
func (p *parser) time(text []byte) (Time, bool) {
	const n = len(secondFormat)
	if len(text) != len(timeFormat) {
		return 0, false
	}
	if p.base == 0 || string(p.second[:]) != string(text[:n]) {
		at, err := time.Parse(secondFormat, string(text[:n]))
		if err != nil {
			return 0, false
		}
		p.base = TimeOf(at)
		copy(p.second[:], text)
	}
	ms := Time(0)
	for _, c := range text[n+1 : n+4] {
		if c < '0' || c > '9' {
			return 0, false
		}
		ms = ms*10 + Time(c-'0')
	}
	return p.base + ms, text[n] == '.' && text[n+4] == 'Z'
}
