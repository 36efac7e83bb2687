package task

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/mr"
)

// The errors of an attempt are of three kinds. A [*FatalError] or a
// [*ConflictError] would, as far as the worker can tell, come back wherever
// the task ran next: the job ends with it if the coordinator or a second
// worker finds the same. Every other error, a [*AppError] included, may be
// tried again.

// AppError is a failure of the application's code: an error that it
// returned, a panic, or a partition out of range.
type AppError struct {
	Phase  mr.Phase
	Index  int
	Object string // input object of the record at hand; "" in a reduce task
	Offset int64  // of that record in its object
	Line   int64  // of that record, from 1; 0 if nobody counted
	Record string // the text of that record, shortened and quoted; "" if it is not known
	Key    string // the key at hand, shortened and quoted; "" if none
	Stack  string // of a panic, else ""
	Err    error
}

// Error names the record or key, without the task and the stack.
func (e *AppError) Error() string {
	var b strings.Builder
	if e.Object != "" {
		fmt.Fprintf(&b, "record at byte %d of %s", e.Offset, e.Object)
		if e.Line > 0 {
			fmt.Fprintf(&b, " (line %d)", e.Line)
		}
		b.WriteString(": ")
	}
	if e.Key != "" {
		b.WriteString("key " + e.Key + ": ")
	}
	b.WriteString(e.Err.Error())
	if e.Record != "" {
		b.WriteString("; the record is " + e.Record)
	}
	return b.String()
}

// Unwrap returns the application's error.
func (e *AppError) Unwrap() error { return e.Err }

// FatalError wraps what would fail in the same way wherever the task ran:
// changed input, a line that is too long, output that is not one line.
type FatalError struct {
	Err error
	Key string // whole S3 key of the input object that it is about, or ""
}

// Error returns the text of the wrapped error.
func (e *FatalError) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error.
func (e *FatalError) Unwrap() error { return e.Err }

// ConflictError says that an object of another job, or of none, lies where
// this job is to write.
type ConflictError struct {
	Key string // whole S3 key
	Job string // our job
	Got string // the job that the object names; "" for none
}

// Error names the key and both jobs.
func (e *ConflictError) Error() string {
	if e.Got == "" {
		return fmt.Sprintf("%s exists and was not written by job %s", e.Key, e.Job)
	}
	return fmt.Sprintf("%s exists and belongs to job %s, not to %s", e.Key, e.Got, e.Job)
}

// SegmentError says that the partition of a committed map task cannot be
// read as it was committed: it is missing, was replaced, or is corrupt.
type SegmentError struct {
	Map int    // the map task
	Key string // whole S3 key of the partition
	Err error
}

// Error names the key and the map task.
func (e *SegmentError) Error() string {
	return fmt.Sprintf("read %s, committed by map task %d: %v", e.Key, e.Map, e.Err)
}

// Unwrap returns the cause.
func (e *SegmentError) Unwrap() error { return e.Err }

// LostError says that a control object of the job is missing, damaged, or not
// what the job wrote. The coordinator, which has read it, may be able to put it
// back.
type LostError struct {
	Key string // whole S3 key
	Err error
}

// Error returns the text of the wrapped error.
func (e *LostError) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error.
func (e *LostError) Unwrap() error { return e.Err }

// LostRead is err, of reading a control object: a *LostError if the store
// answered, and has no such object that is of use.
func LostRead(key string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || jobstate.Invalid(err) {
		return &LostError{key, err}
	}
	return err
}

// shortKey quotes a key or a record for an error message, at most its first
// 64 bytes.
func shortKey(key []byte) string { return keyText(key[:min(len(key), mostOfKey)], len(key)) }

// mostOfKey bounds the beginning of a key that people are shown, in bytes.
const mostOfKey = 64

// keyText is a key of so many bytes for people, of which head is the beginning.
func keyText(head []byte, size int) string {
	if size > len(head) {
		return fmt.Sprintf("%q… (%d bytes)", head, size)
	}
	return fmt.Sprintf("%q", head)
}
