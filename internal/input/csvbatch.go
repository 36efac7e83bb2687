package input

import (
	"bytes"

	"github.com/mraws/mraws/mr"
)

// NextBatch implements [BatchReader] by the lines at hand that are each a row. In a piece
// of a compressed object each row is a batch: rows of one block have one offset, and
// where the piece ends shows as its text comes.
func (r *csvReader) NextBatch() bool {
	for r.src == nil && r.bad == nil && r.err == nil && !r.over && r.names != nil && r.next < r.stop {
		n := r.rowsOf(r.lines.ahead(), r.lines.at())
		if n == 0 {
			break
		}
		r.lines.pass(n)
		if r.next = r.lines.at(); r.batch.Len() > 0 {
			return true
		}
	}
	return r.Next() && r.alone()
}

// rowsOf makes a batch of the rows that lines begin with, as long as each of these is a
// row, and returns how many bytes they are with what lies between them.
func (r *csvReader) rowsOf(lines []byte, at int64) (taken int) {
	r.NewBatch()
	if left := r.stop - at; left < int64(len(lines)) {
		// The last row that begins in the piece may go on behind it.
		last := int(left) - 1
		lines = lines[:last+lineBreak(lines[last:])+1]
	}
	r.text = r.text[:0]
	size, quote := int64(0), -1 // where the next quote lies
	for taken < len(lines) && r.batch.Len() < mostBatch {
		if r.quote != 0 && quote < taken {
			if quote = bytes.IndexByte(lines[taken:], r.quote); quote < 0 {
				quote = len(lines)
			} else {
				quote += taken
			}
		}
		line := lines[taken:]
		line = line[:lineBreak(line)]
		next := taken + len(line) + 1
		if end := lineEnd(line); end > 0 {
			ok := false
			if r.quote != 0 && quote < next {
				ok = r.appendQuoted(line, quote-taken)
			} else {
				ok = r.appendPlain(line[:end])
			}
			if !ok {
				break // Next reads it, or says what is wrong
			}
			r.batch.Offsets = append(r.batch.Offsets, at+int64(taken))
			size += int64(end)
		}
		taken = next
	}
	r.size = size
	return taken
}

// appendPlain appends a row without quotes to the batch. It returns false if the row has
// another number of fields.
func (r *csvReader) appendPlain(row []byte) bool {
	n := 0
	for ; n <= r.last; n++ {
		end := bytes.IndexByte(row, r.comma)
		field := row
		if end >= 0 {
			field = row[:end:end]
		}
		if column := r.want[n]; column >= 0 {
			r.found[column] = field
		}
		if end < 0 {
			if n++; n <= r.last {
				return false
			}
			row = nil
			break
		}
		row = row[end+1:]
	}
	if row != nil {
		n += bytes.Count(row, []byte{r.comma}) + 1
	}
	if n != len(r.names) {
		return false
	}
	r.appendFound()
	return true
}

// appendQuoted appends a row with quotes, the first of which lies at quote, to the batch.
// It returns false if the row is not one line, or wrong.
func (r *csvReader) appendQuoted(line []byte, quote int) bool {
	row := line[:lineEnd(line)]
	n := 0 // fields before pos
	for pos := 0; ; {
		var field []byte
		var end int // of the field with its quotes
		switch {
		case quote == pos:
			closing := bytes.IndexByte(row[pos+1:], r.quote)
			if closing < 0 {
				return false // it goes on in the next line
			}
			end = pos + 1 + closing + 1
			if field = row[pos+1 : end-1 : end-1]; end < len(row) && row[end] == r.quote {
				return r.appendDoubled(line)
			}
			if quote = bytes.IndexByte(row[end:], r.quote); quote >= 0 {
				quote += end
			}
			if end < len(row) && row[end] != r.comma {
				return false
			}
		case n > r.last: // fields that are not wanted, up to the next with quotes
			stop := quote
			if quote < 0 {
				stop = len(row)
			} else if row[quote-1] != r.comma {
				return false
			}
			n += bytes.Count(row[pos:stop], []byte{r.comma})
			if pos = stop; quote >= 0 {
				continue
			}
			end = pos
		default:
			if end = bytes.IndexByte(row[pos:], r.comma); end < 0 {
				end = len(row)
			} else {
				end += pos
			}
			if field = row[pos:end:end]; quote >= 0 && quote < end {
				return false
			}
		}
		if n <= r.last && r.want[n] >= 0 {
			r.found[r.want[n]] = field
		}
		if n++; end == len(row) {
			break
		}
		pos = end + 1
	}
	if n != len(r.names) {
		return false
	}
	r.appendFound()
	return true
}

// appendDoubled is appendQuoted of a row with doubled quotes.
func (r *csvReader) appendDoubled(line []byte) bool {
	if bytes.Count(line, []byte{r.quote})%2 != 0 {
		return false // else each quote that begins a field has one that ends it
	}
	if _, n, wrong := r.row(line, 0); wrong != "" || n != len(r.names) {
		return false
	}
	for i, column := range r.want[:r.last+1] {
		if column >= 0 {
			r.found[column] = r.field(r.fields[i])
		}
	}
	r.appendFound()
	return true
}

// appendFound appends the fields of a row to the batch.
func (r *csvReader) appendFound() {
	for column, text := range r.found {
		v := &r.batch.Columns[column]
		kind := mr.TextField
		if len(text) == 0 {
			kind = mr.NullField
		}
		v.Kinds, v.Texts = append(v.Kinds, kind), append(v.Texts, text)
	}
}
