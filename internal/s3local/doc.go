// Package s3local runs an S3 server inside this process, for work on one
// machine without an object store: versitygw (github.com/versity/versitygw,
// Apache-2.0) with its posix backend, behind a guard that mends what the
// engine cannot live with (see guard.go).
//
// # Layout of a data folder
//
//	s3/               buckets as folders, objects as files; metadata lies in
//	                  user extended attributes
//	lock              held (flock) while a server runs on the folder
//	credentials.json  the random key pair of the folder, mode 0600
//	endpoint.json     where the running server answers, mode 0600
//
// # What it promises
//
// An object is there as a whole or not at all, also after kill -9 of the
// server, and conditional writes have exactly one winner. Nothing is synced
// to the disk: after a loss of power recent objects may be missing or empty.
//
// Keys are stored as paths. So a key with a "." or ".." element, or with an
// empty one before its end, is refused, an element has at most 255 bytes, and
// the keys "a" and "a/b", or "a/", cannot both exist. A key that ends with a
// slash is an object of no bytes, as clients make to show a folder. An
// ETag is new with each write, also of the same bytes, and never an MD5.
//
// # Working directory
//
// The posix backend names every file relative to the working directory. The
// guard gives it paths that begin at the root instead, so a server leaves the
// working directory of the process alone and does not mind where it is, and one
// process may run several servers.
package s3local
