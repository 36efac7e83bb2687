// Package s3local runs an S3 server inside this process, for work on one
// machine without an object store: versitygw (github.com/versity/versitygw,
// Apache-2.0) with its posix backend, behind a guard that corrects where it
// differs from S3 (see guard.go).
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
// Keys are stored as paths. The server refuses a key with an element "." or "..",
// or with an empty element before its end. An element has at most 255 bytes. The
// keys "a" and "a/b", or "a/", cannot both exist. A key that ends with a slash is
// an object of 0 bytes, which clients create to show a folder. Each write gets a
// new ETag, also for the same bytes. An ETag is never an MD5.
//
// # Working directory
//
// The posix backend opens files relative to the working directory. The guard gives
// it absolute paths instead. So a server neither changes nor depends on the working
// directory of the process, and one process may run several servers.
package s3local
