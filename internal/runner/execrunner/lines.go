package execrunner

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

const (
	// readBlock is how much is read at a time, bytes.
	readBlock = 256 << 10
	// maxLine bounds a line that a process writes, in bytes.
	maxLine = 64 << 20
)

// readLines calls line for each line of r, without its line break. What follows
// the last line break is a line too unless it is empty. read is told of the bytes
// of each read and may end the reading. A line is valid during the call.
func readLines(r io.Reader, read func(n int) error, line func([]byte) error) error {
	buf := make([]byte, readBlock)
	start, end := 0, 0 // of what is in buf and was not handed out
	for {
		if start > 0 && end == len(buf) {
			end = copy(buf, buf[start:end])
			start = 0
		}
		if end == len(buf) {
			if len(buf) >= maxLine {
				return fmt.Errorf("a line of more than %d bytes, the most that is read: is a line break missing?", maxLine)
			}
			buf = append(buf, make([]byte, len(buf))...)
		}
		n, err := r.Read(buf[end:])
		fresh := end // before it there is no line break
		end += n
		if n > 0 {
			if err := read(n); err != nil {
				return err
			}
		}
		for {
			i := bytes.IndexByte(buf[fresh:end], '\n')
			if i < 0 {
				break
			}
			if err := line(buf[start : fresh+i]); err != nil {
				return err
			}
			start, fresh = fresh+i+1, fresh+i+1
		}
		if start == end {
			start, end = 0, 0
		}
		switch {
		case errors.Is(err, io.EOF):
			if end > start {
				return line(buf[start:end])
			}
			return nil
		case err != nil:
			return err
		}
	}
}
