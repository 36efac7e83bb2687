package input

import (
	"errors"
	"fmt"
)

// BadError says that a record is not of its format. [Reader.Skip] moves past it, as
// it does past one that is too long.
type BadError struct {
	Object string
	Offset int64  // of the record's first byte in the object
	Where  string // in place of the offset, for people; "" is none
	What   string // is wrong
}

// Error names the object and where the record is in it.
func (e *BadError) Error() string {
	if e.Where != "" {
		return fmt.Sprintf("%s of %s: %s", e.Where, e.Object, e.What)
	}
	return fmt.Sprintf("record at byte %d of %s: %s", e.Offset, e.Object, e.What)
}

// ObjectError says that an object is not of the format of the job's input, or does
// not have what the job reads of it. Who reads it again meets the same.
type ObjectError struct {
	Object string
	What   string
}

// Error names the object.
func (e *ObjectError) Error() string { return fmt.Sprintf("%s %s", e.Object, e.What) }

// Bad tells whether err is that of a record which [Reader.Skip] moves past, and what
// is wrong with that, for people who know where it is.
func Bad(err error) (what string, bad bool) {
	var long *TooLongError
	var broken *BadError
	switch {
	case errors.As(err, &long):
		return fmt.Sprintf("longer than %d bytes", long.Max), true
	case errors.As(err, &broken):
		if broken.Where != "" {
			return broken.Where + ": " + broken.What, true
		}
		return broken.What, true
	}
	return "", false
}
