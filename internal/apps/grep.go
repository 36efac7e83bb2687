package apps

import (
	"bytes"
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
		Version: "1",
		Input:   mr.NumberedLines,
		Params: []mr.Param{
			{Name: "pattern", Help: "regular expression (RE2 syntax)", Required: true, Check: func(v string) error {
				_, err := regexp.Compile(v)
				return err
			}},
			{Name: "ignore-case", Help: "match upper and lower case alike", Default: "false", Check: mr.CheckBool},
			{Name: "invert", Help: "find the lines that do not match", Default: "false", Check: mr.CheckBool},
		},
		NewMapper: newGrepMapper,
		NewReducer: func(*mr.Task) (mr.Reducer, error) {
			return mr.ReducerFunc(writeAll), nil
		},
	}
}

type grepMapper struct {
	re     *regexp.Regexp
	prefix []byte // every match starts with it
	all    bool   // and it is all of the match
	invert bool
	buf    []byte
}

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

// Map emits (object, "line:text") for a line that matches. The lines of an
// object stay in order, since values do.
func (m *grepMapper) Map(rec mr.Record, out mr.Emitter) error {
	if m.match(rec.Data) == m.invert {
		return nil
	}
	key := append(m.buf[:0], rec.Object...)
	m.buf = append(append(strconv.AppendInt(key, rec.Line, 10), ':'), rec.Data...)
	out.Emit(m.buf[:len(key)], m.buf[len(key):])
	return nil
}

// match looks for the literal start of the pattern first, many times as fast
// as the pattern itself.
func (m *grepMapper) match(line []byte) bool {
	if !bytes.Contains(line, m.prefix) {
		return false
	}
	return m.all || m.re.Match(line)
}

// writeAll writes one line for each value.
func writeAll(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
	for v := range values {
		out.Write(v)
	}
	return nil
}
