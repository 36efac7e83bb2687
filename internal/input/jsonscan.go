package input

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"

	"github.com/mraws/mraws/mr"
)

// jsonScanner reads one JSON object: it takes the members that are wanted and only
// checks the others. It accepts what encoding/json does: a member that is there twice
// has the value that comes last, bytes of texts that are no UTF-8 become U+FFFD, and
// nothing lies deeper than 10,000 levels. A scan takes no memory once the scanner has
// seen some lines.
type jsonScanner struct {
	tree   *jsonNode  // nil: all members are wanted
	fields *mr.Fields // what they go to
	check  bool       // no member is wanted

	b      []byte
	plain  bool     // the line has no backslash and no control character
	names  []string // of the members of the line before, where all are wanted
	unique bool     // these differ
	text   []byte   // of texts with escapes
	bad    int      // where the object is broken
	deep   bool     // it is deeper than it may be there
}

// jsonNode is a member that is wanted, or that has such.
type jsonNode struct {
	names  []string
	kids   []*jsonNode
	column int // -1: it is not wanted itself
	hint   int // the kid that is expected next
	layout []jsonMember
}

// jsonMember is a member of an object of the line before. Most lines have the same
// ones in the same order.
type jsonMember struct {
	head        []byte    // all between the value before it, or the object's brace, and its value
	first, last uint64    // of a head of 8 to 16 bytes, which these are; else last is 0
	kid         *jsonNode // nil: it is not wanted
}

// remember notes the n-th member of an object. Members behind are forgotten.
func (n *jsonNode) remember(i int, head []byte, kid *jsonNode) {
	if i > len(n.layout) || i >= mostRemembered || len(head) > longestRemembered {
		return
	}
	if i < cap(n.layout) {
		n.layout = n.layout[:i+1]
	} else {
		n.layout = append(n.layout, jsonMember{})
	}
	m := &n.layout[i]
	m.head, m.last, m.kid = append(m.head[:0], head...), 0, kid
	if k := len(head); k >= 8 && k <= 16 {
		m.first, m.last = binary.LittleEndian.Uint64(head), binary.LittleEndian.Uint64(head[k-8:])
	}
}

// begins tells whether the head stands at the start of b, with something behind it.
func (m *jsonMember) begins(b []byte) bool {
	k := len(m.head)
	if k >= len(b) {
		return false
	}
	if m.last != 0 {
		return binary.LittleEndian.Uint64(b) == m.first && binary.LittleEndian.Uint64(b[k-8:]) == m.last
	}
	return string(b[:k]) == string(m.head)
}

// These bound what is remembered of the members of an object: their number, and the
// bytes of each head.
const mostRemembered, longestRemembered = 256, 256

const deepestJSON = 10000

func newJSONTree(columns []string) *jsonNode {
	root := &jsonNode{column: -1}
	for i, path := range columns {
		at := root
		for _, name := range SplitPath(path) {
			at = at.kid(name)
		}
		at.column = i
	}
	return root
}

// kid finds or adds a member.
func (n *jsonNode) kid(name string) *jsonNode {
	for i, have := range n.names {
		if have == name {
			return n.kids[i]
		}
	}
	k := &jsonNode{column: -1}
	n.names, n.kids = append(n.names, name), append(n.kids, k)
	return k
}

// find returns the kid of this name, nil for none. Members come in the same order in
// most lines.
func (n *jsonNode) find(name []byte) *jsonNode {
	for range n.names {
		if n.hint >= len(n.names) {
			n.hint = 0
		}
		i := n.hint
		n.hint++
		if n.names[i] == string(name) {
			return n.kids[i]
		}
	}
	return nil
}

// reset makes the columns of a member and below it null.
func (n *jsonNode) reset(f *mr.Fields) {
	if n.column >= 0 {
		f.SetNull(n.column)
	}
	for _, k := range n.kids {
		k.reset(f)
	}
}

// scan reads the object that line is. It tells at which byte the line is no JSON
// object, and -1 if it is one.
func (s *jsonScanner) scan(line []byte) int {
	s.text = s.text[:0]
	return s.read(line, bytes.IndexByte(line, '\\') >= 0)
}

// read is scan of a line that has a backslash or none. It leaves the texts of the lines
// before as they are.
func (s *jsonScanner) read(line []byte, slash bool) int {
	s.b, s.deep = line, false
	s.plain = !slash && !control(line[:lineEnd(line)])
	switch {
	case s.check:
	case s.tree == nil:
		s.fields.Clear()
	default:
		s.fields.Reset()
	}
	i := s.space(0)
	if i >= len(line) || line[i] != '{' {
		return i
	}
	switch {
	case s.check:
		i = s.value(i, 0)
	case s.tree == nil:
		i = s.all(i)
	default:
		i = s.object(i, s.tree, 1)
	}
	if i < 0 {
		return s.bad
	}
	if i = s.space(i); i < len(line) {
		return i
	}
	return -1
}

func (s *jsonScanner) fail(i int) int {
	s.bad = i
	return -1
}

func (s *jsonScanner) failDeep(i int) int {
	s.deep = true
	return s.fail(i)
}

func (s *jsonScanner) space(i int) int {
	for i < len(s.b) && (s.b[i] == ' ' || s.b[i] == '\t' || s.b[i] == '\r' || s.b[i] == '\n') {
		i++
	}
	return i
}

// colon moves from behind a name to its value.
func (s *jsonScanner) colon(i int) int {
	if i = s.space(i); i >= len(s.b) || s.b[i] != ':' {
		return s.fail(i)
	}
	return s.space(i + 1)
}

// name reads the name of a member at i, and what lies behind its colon.
func (s *jsonScanner) name(i int) (name []byte, next int) {
	if i >= len(s.b) || s.b[i] != '"' {
		return nil, s.fail(i)
	}
	end, plain := s.str(i + 1)
	if end < 0 {
		return nil, -1
	}
	name = s.b[i+1 : end-1]
	if !plain {
		name = s.unescape(name)
	}
	return name, s.colon(end)
}

// more moves behind a value in an object or a list that ends with end. over says that
// it has ended.
func (s *jsonScanner) more(i int, end byte) (next int, over bool) {
	if i+1 < len(s.b) && s.b[i] == ',' && s.b[i+1] == '"' {
		return i + 1, false
	}
	i = s.space(i)
	switch {
	case i >= len(s.b):
		return s.fail(i), true
	case s.b[i] == end:
		return i + 1, true
	case s.b[i] != ',':
		return s.fail(i), true
	}
	return s.space(i + 1), false
}

// object reads the object at i, of which the members of node are wanted.
func (s *jsonScanner) object(i int, node *jsonNode, depth int) int {
	if depth > deepestJSON {
		return s.failDeep(i)
	}
	node.hint = 0
	for n := 0; ; n++ {
		var kid *jsonNode
		from := i // of the value
		if n < len(node.layout) {
			if m := &node.layout[n]; m.begins(s.b[i:]) {
				kid, from = m.kid, i+len(m.head)
			}
		}
		if from == i {
			var over bool
			if kid, from, over = s.member(i, node, n); over || from < 0 {
				return from
			}
		}
		switch {
		case kid == nil && s.plain && from < len(s.b) && s.b[from] == '"':
			i = s.skip(from + 1)
		case kid == nil:
			i = s.value(s.space(from), depth)
		case len(kid.kids) == 0:
			i = s.take(s.space(from), kid.column, depth)
		default:
			i = s.below(s.space(from), kid, depth)
		}
		if i < 0 {
			return -1
		}
	}
}

// member reads the name of the n-th member of an object and what lies around it. It
// stands behind the value before it, or the object's brace, at i. kid is nil if it is not
// wanted. over says that there is none, and next is behind the object then.
func (s *jsonScanner) member(i int, node *jsonNode, n int) (kid *jsonNode, next int, over bool) {
	var at int
	if n > 0 {
		at, over = s.more(i, '}')
	} else if at = s.space(i + 1); at < len(s.b) && s.b[at] == '}' {
		at, over = at+1, true
	}
	if over || at < 0 {
		return nil, at, over
	}
	name, next := s.name(at)
	if next < 0 {
		return nil, -1, false
	}
	kid = node.find(name)
	node.remember(n, s.b[i:next], kid)
	return kid, next, false
}

// below reads the value at i of a member that has others which are wanted.
func (s *jsonScanner) below(i int, node *jsonNode, depth int) int {
	node.reset(s.fields)
	switch from := i; {
	case i < len(s.b) && s.b[i] == '{':
		if i = s.object(i, node, depth+1); i >= 0 && node.column >= 0 {
			s.fields.SetNested(node.column, s.b[from:i:i])
		}
		return i
	case node.column >= 0:
		return s.take(i, node.column, depth)
	}
	return s.value(i, depth)
}

// all reads the object at i, of which all members are wanted.
func (s *jsonScanner) all(i int) int {
	if i = s.space(i + 1); i < len(s.b) && s.b[i] == '}' {
		return i + 1
	}
	same := s.unique // so far the members are those of the line before
	for n := 0; ; n++ {
		var name []byte
		if name, i = s.name(i); i < 0 {
			return -1
		}
		column := -1
		if same && n < len(s.names) && s.names[n] == string(name) {
			column = s.fields.Add(s.names[n])
		} else {
			same = false
			for c := range s.fields.Len() {
				if s.fields.Name(c) == string(name) {
					column = c
				}
			}
			if column < 0 {
				column = s.fields.Add(string(name))
			}
		}
		if i = s.take(i, column, 1); i < 0 {
			return -1
		}
		var over bool
		if i, over = s.more(i, '}'); over {
			if !same {
				s.names, s.unique = s.names[:0], true
				for c := range s.fields.Len() {
					s.names = append(s.names, s.fields.Name(c))
				}
			}
			return i
		}
	}
}

// take reads the value at i into a column.
func (s *jsonScanner) take(i, column, depth int) int {
	if i >= len(s.b) {
		return s.fail(i)
	}
	switch c := s.b[i]; c {
	case '"':
		end, plain := s.str(i + 1)
		if end < 0 {
			return -1
		}
		text := s.b[i+1 : end-1 : end-1]
		if !plain {
			text = s.unescape(text)
		}
		s.fields.SetText(column, text)
		return end
	default:
		end := s.value(i, depth)
		switch {
		case end < 0:
		case c == '{' || c == '[':
			s.fields.SetNested(column, s.b[i:end:end])
		case c == 'n':
			s.fields.SetNull(column)
		case c == 't' || c == 'f':
			s.fields.SetBool(column, c == 't')
		default:
			s.fields.SetNumber(column, s.b[i:end:end])
		}
		return end
	}
}

// value checks the value at i, which lies in so many objects and lists.
func (s *jsonScanner) value(i, depth int) int {
	if i >= len(s.b) {
		return s.fail(i)
	}
	switch c := s.b[i]; c {
	case '"':
		return s.skip(i + 1)
	case '{', '[':
		if depth++; depth > deepestJSON {
			return s.failDeep(i)
		}
		return s.nested(i, depth)
	case 't':
		return s.word(i, "true")
	case 'f':
		return s.word(i, "false")
	case 'n':
		return s.word(i, "null")
	default:
		return s.number(i)
	}
}

// nested checks the object or list at i.
func (s *jsonScanner) nested(i, depth int) int {
	end := s.b[i] + 2 // "}" of "{", "]" of "["
	isObject := end == '}'
	if i = s.space(i + 1); i < len(s.b) && s.b[i] == end {
		return i + 1
	}
	for {
		if isObject {
			if i >= len(s.b) || s.b[i] != '"' {
				return s.fail(i)
			}
			if i = s.skip(i + 1); i < 0 {
				return -1
			}
			if i = s.colon(i); i < 0 {
				return -1
			}
		}
		if i = s.value(i, depth); i < 0 {
			return -1
		}
		var over bool
		if i, over = s.more(i, end); over {
			return i
		}
	}
}

func (s *jsonScanner) word(i int, word string) int {
	for j := range len(word) {
		if i+j >= len(s.b) || s.b[i+j] != word[j] {
			return s.fail(i + j)
		}
	}
	return i + len(word)
}

func (s *jsonScanner) digits(i int) int {
	for i < len(s.b) && s.b[i]-'0' <= 9 {
		i++
	}
	return i
}

func (s *jsonScanner) number(i int) int {
	if i < len(s.b) && s.b[i] == '-' {
		i++
	}
	from := i
	if i = s.digits(i); i == from || i > from+1 && s.b[from] == '0' {
		return s.fail(min(i, from+1))
	}
	if i < len(s.b) && s.b[i] == '.' {
		from = i + 1
		if i = s.digits(from); i == from {
			return s.fail(i)
		}
	}
	if i < len(s.b) && s.b[i]|0x20 == 'e' {
		if i++; i < len(s.b) && (s.b[i] == '+' || s.b[i] == '-') {
			i++
		}
		from = i
		if i = s.digits(i); i == from {
			return s.fail(i)
		}
	}
	return i
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// control tells whether a line has a control character.
func control(b []byte) bool {
	const spaces = ones * ' '
	all, found := b, uint64(0)
	for ; len(b) >= 32; b = b[32:] {
		x, y := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		z, w := binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
		found |= (x-spaces)&^x | (y-spaces)&^y | (z-spaces)&^z | (w-spaces)&^w
	}
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		found |= (x - spaces) &^ x
	}
	if len(all) >= 8 {
		x := binary.LittleEndian.Uint64(all[len(all)-8:])
		return (found|(x-spaces)&^x)&highs != 0
	}
	for _, c := range b {
		if c < ' ' {
			return true
		}
	}
	return false
}

// skip checks the text that begins at i, behind its quote, and returns what lies behind
// its end.
func (s *jsonScanner) skip(i int) int {
	if s.plain {
		if n := bytes.IndexByte(s.b[i:], '"'); n >= 0 {
			return i + n + 1
		}
	}
	end, _ := s.str(i)
	return end
}

// str checks the text that begins at i, behind its quote, and returns what lies behind
// its end. plain says that its bytes are its text.
func (s *jsonScanner) str(i int) (end int, plain bool) {
	b := s.b
	if s.plain {
		if n := bytes.IndexByte(b[i:], '"'); n >= 0 {
			return i + n + 1, utf8.Valid(b[i : i+n])
		}
	}
	plain = true
	var wide uint64 // a high bit: there is a byte above 127
	from := i
	for {
		// Eight bytes at a time up to the first that is a quote, a backslash or a
		// control character.
		for i+8 <= len(b) {
			x := binary.LittleEndian.Uint64(b[i:])
			quote, slash := x^(ones*'"'), x^(ones*'\\')
			found := ((x - ones*' ') &^ x) | ((quote - ones) &^ quote) | ((slash - ones) &^ slash)
			if found &= highs; found != 0 {
				n := bits.TrailingZeros64(found) / 8
				wide |= x & (1<<(8*n) - 1)
				i += n
				break
			}
			wide |= x
			i += 8
		}
		for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' {
			wide |= uint64(b[i])
			i++
		}
		switch {
		case i >= len(b) || b[i] < ' ':
			return s.fail(i), false
		case b[i] == '"':
			if plain && wide&highs != 0 {
				plain = utf8.Valid(b[from:i])
			}
			return i + 1, plain
		}
		plain = false
		if i = s.escape(i); i < 0 {
			return -1, false
		}
	}
}

// escape checks the escape at i.
func (s *jsonScanner) escape(i int) int {
	if i+1 >= len(s.b) {
		return s.fail(i)
	}
	switch s.b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if i+6 > len(s.b) {
			return s.fail(len(s.b))
		}
		for j := i + 2; j < i+6; j++ {
			c := s.b[j]
			if c-'0' > 9 && (c|0x20)-'a' > 5 {
				return s.fail(j)
			}
		}
		return i + 6
	}
	return s.fail(i + 1)
}

// unescape returns the text of what stands between quotes, which str has checked.
func (s *jsonScanner) unescape(raw []byte) []byte {
	from := len(s.text)
	for i := 0; i < len(raw); {
		c := raw[i]
		switch {
		case c == '\\' && raw[i+1] == 'u':
			r := hex4(raw[i+2:])
			i += 6
			if utf16.IsSurrogate(r) {
				low := rune(utf8.RuneError)
				if i+6 <= len(raw) && raw[i] == '\\' && raw[i+1] == 'u' {
					low = hex4(raw[i+2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += 6
				}
			}
			s.text = utf8.AppendRune(s.text, r)
		case c == '\\':
			s.text = append(s.text, unescaped(raw[i+1]))
			i += 2
		case c < utf8.RuneSelf:
			s.text = append(s.text, c)
			i++
		default:
			r, n := utf8.DecodeRune(raw[i:])
			s.text = utf8.AppendRune(s.text, r)
			i += n
		}
	}
	return s.text[from:len(s.text):len(s.text)]
}

func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

func hex4(b []byte) rune {
	n, _ := strconv.ParseUint(unsafe.String(&b[0], 4), 16, 32)
	return rune(n)
}
