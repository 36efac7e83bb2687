package apps

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"regexp"
	"strconv"

	"github.com/mraws/mraws/mr"
)

// grep finds the lines that match a pattern: "file line:text".
func grep() mr.App {
	return mr.App{
		Name:    "grep",
		Help:    "find lines by a regular expression: file, line number, text",
		Version: "3",
		Params: []mr.Param{
			{Name: "pattern", Help: "regular expression (RE2 syntax)", Required: true, Check: func(v string) error {
				_, err := regexp.Compile(v)
				return err
			}},
			{Name: "ignore-case", Help: "match upper and lower case alike", Default: "false", Check: mr.CheckBool},
			{Name: "invert", Help: "find the lines that do not match", Default: "false", Check: mr.CheckBool},
		},
		NewMapper:  newGrepMapper,
		NewReducer: newGrepReducer,
	}
}

// grepMapper emits, for each object, what matched and how many lines it has
// seen of it. Splits do not know the number of their first line; the reducer,
// which gets the values of an object in input order, adds up.
type grepMapper struct {
	re     *regexp.Regexp
	prefix []byte // every match starts with it
	all    bool   // and it is all of the match
	invert bool
	object string // of the lines seen so far
	lines  uint64 // of it
	key    []byte
	value  []byte
}

// A value of grep starts with what it is.
const (
	grepLines = 0 // uvarint: so many lines of the object lie behind
	grepMatch = 1 // uvarint: line, from 1 behind the last grepLines; then the text
)

func newGrepMapper(t *mr.Task) (mr.Mapper, error) {
	ignoreCase, err := t.Bool("ignore-case")
	if err != nil {
		return nil, err
	}
	invert, err := t.Bool("invert")
	if err != nil {
		return nil, err
	}
	pattern := t.Params["pattern"]
	if ignoreCase {
		pattern = "(?i:" + pattern + ")"
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("parameter pattern: %w", err)
	}
	prefix, all := re.LiteralPrefix()
	return &grepMapper{re: re, prefix: []byte(prefix), all: all, invert: invert}, nil
}

// Map emits a line that matches.
func (m *grepMapper) Map(rec mr.Record, out mr.Emitter) error {
	m.enter(rec.Object, out)
	m.lines++
	m.line(rec.Data, out)
	return nil
}

// MapBlock looks for the literal start of the pattern in all lines at once.
func (m *grepMapper) MapBlock(block mr.Record, out mr.Emitter) error {
	m.enter(block.Object, out)
	data, before := block.Data, m.lines
	for len(data) > 0 {
		start := 0
		if len(m.prefix) > 0 && !m.invert {
			i := bytes.Index(data, m.prefix)
			if i < 0 {
				break
			}
			start = bytes.LastIndexByte(data[:i], '\n') + 1
			m.lines += uint64(bytes.Count(data[:start], lineEnd))
		}
		line, rest, _ := bytes.Cut(data[start:], lineEnd)
		m.lines++
		m.line(line, out)
		data = rest
	}
	m.lines = before + uint64(block.Lines)
	if len(block.Data) == 0 { // an empty line alone
		m.line(nil, out)
	}
	return nil
}

var lineEnd = []byte{'\n'}

// Flush emits the last count.
func (m *grepMapper) Flush(out mr.Emitter) error {
	m.enter("", out)
	return nil
}

// enter notes the object of the lines that follow.
func (m *grepMapper) enter(object string, out mr.Emitter) {
	if object == m.object {
		return
	}
	if m.lines > 0 {
		out.Emit(m.key, binary.AppendUvarint([]byte{grepLines}, m.lines))
	}
	m.object, m.lines, m.key = object, 0, append(m.key[:0], object...)
}

// line emits a line, the last one counted, if it matches.
func (m *grepMapper) line(line []byte, out mr.Emitter) {
	if m.match(line) == m.invert {
		return
	}
	m.value = append(binary.AppendUvarint(append(m.value[:0], grepMatch), m.lines), line...)
	out.Emit(m.key, m.value)
}

// match looks for the literal start of the pattern first, many times as fast
// as the pattern itself.
func (m *grepMapper) match(line []byte) bool {
	if !bytes.Contains(line, m.prefix) {
		return false
	}
	return m.all || m.re.Match(line)
}

// newGrepReducer writes "file line:text" for each match, in order.
func newGrepReducer(*mr.Task) (mr.Reducer, error) {
	var buf []byte
	return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
		before := uint64(0)
		for v := range values {
			n, w := binary.Uvarint(v[1:])
			if v[0] == grepLines {
				before += n
				continue
			}
			buf = append(strconv.AppendUint(buf[:0], before+n, 10), ':')
			buf = append(buf, v[1+w:]...)
			out.Write(buf)
		}
		return nil
	}), nil
}
