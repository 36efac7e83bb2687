package apps

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"regexp"
	"regexp/syntax"
	"strconv"
	"unicode/utf8"

	"github.com/mraws/mraws/mr"
)

// grep finds the lines that match a pattern: "file line:text".
func grep() mr.App {
	return mr.App{
		Name:    "grep",
		Help:    "find lines by a regular expression: file, line number, text; without reduce tasks the text alone",
		Version: "3",
		Params: []mr.Param{
			{Name: "pattern", Help: "regular expression (RE2 syntax); the empty one matches every line", Required: true, Check: func(v string) error {
				_, err := regexp.Compile(v)
				return err
			}},
			{Name: "ignore-case", Help: "ignore case", Default: "false", Check: mr.CheckBool},
			{Name: "invert", Help: "select the lines that do not match", Default: "false", Check: mr.CheckBool},
		},
		NewMapper:  newGrepMapper,
		NewReducer: newGrepReducer,
		OutputColumns: func(map[string]string) []mr.Column {
			return []mr.Column{{Name: "file"}, {Name: "match"}}
		},

		ExactCounters: true, // there are none
	}
}

// grepMapper emits for each object the lines that match, and the number of lines of
// the split. A split does not know the number of its first line. The reducer gets the
// values of an object in input order, and adds up the numbers.
type grepMapper struct {
	re      *regexp.Regexp
	literal []byte // every line that matches has it in it
	whole   bool   // and every line that has it matches
	invert  bool
	alone   bool           // the lines that match are the output, see [mr.Task.MapOnly]
	number  *regexp.Regexp // what in a name could be taken for a line number
	object  string         // of the lines seen so far
	lines   uint64         // of it
	key     []byte
	value   []byte
}

// A value of grep starts with its kind.
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
		pattern = "(?i)" + pattern // a group round it would end within \Q
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("parameter pattern: %w", err)
	}
	m := &grepMapper{re: re, invert: invert, alone: t.MapOnly, number: regexp.MustCompile(" [0-9]+:")}
	m.literal, m.whole, err = literalOf(re)
	return m, err
}

// literalOf returns a string that each line that matches re contains, and whether each
// line that contains it matches. It takes the latter from the syntax tree, since
// [regexp.Regexp.LiteralPrefix] reports a complete pattern also for a pattern with
// anchors.
func literalOf(re *regexp.Regexp) (literal []byte, whole bool, err error) {
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return nil, false, fmt.Errorf("parameter pattern: %w", err)
	}
	for tree.Op == syntax.OpCapture {
		tree = tree.Sub[0]
	}
	switch {
	case tree.Op == syntax.OpEmptyMatch:
		return nil, true, nil
	case tree.Op == syntax.OpLiteral && tree.Flags&syntax.FoldCase == 0 && !bytes.ContainsRune([]byte(string(tree.Rune)), utf8.RuneError):
		return []byte(string(tree.Rune)), true, nil
	}
	prefix, _ := re.LiteralPrefix()
	return []byte(prefix), false, nil
}

// Map emits a line that matches.
func (m *grepMapper) Map(rec mr.Record, out mr.Emitter) error {
	m.enter(rec.Object, out)
	m.lines++
	if m.re.Match(rec.Data) != m.invert {
		m.emit(rec.Data, out)
	}
	return nil
}

// MapBlock searches all lines of a block at once for the literal of the pattern, which
// is many times as fast as the pattern itself.
func (m *grepMapper) MapBlock(block mr.Record, out mr.Emitter) error {
	m.enter(block.Object, out)
	data, before := block.Data, m.lines
	for len(data) > 0 {
		start := 0
		if len(m.literal) > 0 && !m.invert {
			i := bytes.Index(data, m.literal)
			if i < 0 {
				break
			}
			start = bytes.LastIndexByte(data[:i], '\n') + 1
			if !m.alone {
				m.lines += uint64(bytes.Count(data[:start], lineEnd))
			}
		}
		line, rest, _ := bytes.Cut(data[start:], lineEnd)
		m.lines++
		m.fastLine(line, out)
		data = rest
	}
	m.lines = before + uint64(block.Lines)
	if len(block.Data) == 0 { // an empty line alone
		m.fastLine(nil, out)
	}
	return nil
}

var lineEnd = []byte{'\n'}

// Flush emits the last count.
func (m *grepMapper) Flush(out mr.Emitter) error {
	m.enter("", out)
	return nil
}

// enter sets the object of the following lines.
func (m *grepMapper) enter(object string, out mr.Emitter) {
	if object == m.object || m.alone {
		return
	}
	if m.lines > 0 {
		out.Emit(m.key, binary.AppendUvarint([]byte{grepLines}, m.lines))
	}
	m.object, m.lines, m.key = object, 0, append(m.key[:0], m.name(object)...)
}

// name returns the name of an object as it is printed: as [mr.EscapeName]
// says, and with the colon escaped where the name has what would be taken for
// the number of a line.
func (m *grepMapper) name(object string) string {
	return m.number.ReplaceAllStringFunc(mr.EscapeName(object, ""), func(s string) string { return s[:len(s)-1] + `\x3a` })
}

// fastLine emits a line, the last one counted, if it is to be found.
func (m *grepMapper) fastLine(line []byte, out mr.Emitter) {
	found := bytes.Contains(line, m.literal) && (m.whole || m.re.Match(line))
	if found != m.invert {
		m.emit(line, out)
	}
}

// emit emits a line, the last one counted.
func (m *grepMapper) emit(line []byte, out mr.Emitter) {
	if m.alone {
		out.Emit(line, nil)
		return
	}
	m.value = append(binary.AppendUvarint(append(m.value[:0], grepMatch), m.lines), line...)
	out.Emit(m.key, m.value)
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
