package execrunner

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// In place of lines a process may read and write records: the length of a key and
// that of a value, 32 bits each, little-endian, then key and value
// (docs/own-code.md). Both may hold any bytes.

// recordHeader is the size of the two lengths, bytes.
const recordHeader = 8

// record writes a pair as a record.
func (g *gather) record(key, value []byte) {
	var header [recordHeader]byte
	binary.LittleEndian.PutUint32(header[:4], uint32(len(key)))
	binary.LittleEndian.PutUint32(header[4:], uint32(len(value)))
	g.add(header[:])
	g.add(key)
	g.add(value)
}

// readRecords calls pair for each record of r. read is told of the bytes of each
// read and may end the reading. Key and value are valid during the call.
func readRecords(r io.Reader, read func(n int) error, pair func(key, value []byte) error) error {
	buf := make([]byte, readBlock)
	start, end := 0, 0 // of what is in buf and was not handed out
	for {
		for end-start >= recordHeader {
			k, v := int64(binary.LittleEndian.Uint32(buf[start:])), int64(binary.LittleEndian.Uint32(buf[start+4:]))
			size := recordHeader + k + v
			if k+v > maxLine {
				return fmt.Errorf("a record of %d bytes, more than %d: does it write lines in place of records?", k+v, maxLine)
			}
			if int64(end-start) < size {
				if need := int(size); need > len(buf) {
					buf = append(buf[start:end:end], make([]byte, need-(end-start))...)
					start, end = 0, end-start
				}
				break
			}
			key := buf[start+recordHeader : start+recordHeader+int(k)]
			if err := pair(key, buf[start+recordHeader+int(k):start+int(size)]); err != nil {
				return err
			}
			start += int(size)
		}
		if start > 0 {
			end = copy(buf, buf[start:end])
			start = 0
		}
		n, err := r.Read(buf[end:])
		end += n
		if n > 0 {
			if err := read(n); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF) && n == 0 && end > 0:
			return fmt.Errorf("its output ends within a record: %d bytes of it are there", end)
		case errors.Is(err, io.EOF) && n == 0:
			return nil
		case err != nil && !errors.Is(err, io.EOF):
			return err
		}
	}
}
