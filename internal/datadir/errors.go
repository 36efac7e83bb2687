package datadir

import (
	"errors"
	"fmt"
)

// ErrLocked is in the chain of the error of a start when another server, of this
// process or another, runs on the data folder. [Find] tells where it answers.
var ErrLocked = errors.New("data folder is in use by another server")

// DescriptorError says that the limit of file descriptors is too low to serve.
type DescriptorError struct {
	Limit, Want int // of the process
}

// Error names both numbers.
func (e *DescriptorError) Error() string {
	return fmt.Sprintf("a process that serves needs %d file descriptors, its limit (ulimit -n) is %d", e.Want, e.Limit)
}

// CredentialsError says that the key pair of a data folder cannot be read.
type CredentialsError struct {
	File string
	Err  error
}

// Error returns the cause, which names the file.
func (e *CredentialsError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *CredentialsError) Unwrap() error { return e.Err }
