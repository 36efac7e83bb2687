package s3local

import (
	"io/fs"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
)

// The backend joins names of a request to paths without a check. So this file checks
// each name that becomes part of a path before every call: bucket, key, bucket and
// key of the source of a copy, and the id of an upload. Other names do not become
// part of a path: numbers are parsed, prefixes, delimiters and markers are compared
// with keys, and versions are refused.

var (
	// ownName matches path elements that the backend uses: its staging folder, and
	// the names under which it links a file before it replaces another.
	ownName = regexp.MustCompile(`(?:^|/)(?:\.sgwtmp|\..*\.sgwtmp\.\d+)(?:/|$)`)
	// bucketName is what S3 allows, apart from names that look like addresses.
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	// uploadID is the form of the ids that the backend gives.
	uploadID = regexp.MustCompile(`^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

// maxParts is how many parts an upload may have, as in S3.
const maxParts = 10_000

// validKey tells whether a key names the one file that its path names, or the
// one folder if it ends with a slash.
func validKey(k string) bool {
	k = strings.TrimSuffix(k, "/")
	return fs.ValidPath(k) && k != "." && !strings.ContainsRune(k, 0) && !ownName.MatchString(k)
}

// admit checks that the server is open and its folder in place.
func (g *guard) admit() error {
	if g.closed.Load() {
		return errClosed
	}
	if !g.s.here() {
		return errMoved
	}
	return nil
}

// admitName is admit for a request on a bucket, and makes of its name the path
// by which the backend finds it.
func (g *guard) admitName(bucket *string) error {
	if err := g.admit(); err != nil {
		return err
	}
	if g.on.names && !bucketName.MatchString(*bucket) {
		return s3err.GetBucketErr(s3err.ErrInvalidBucketName, *bucket)
	}
	*bucket = g.s.root + *bucket
	return nil
}

// admitBucket is admitName for a bucket whose name belongs to the caller.
func (g *guard) admitBucket(bucket **string) error {
	path := backend.GetStringFromPtr(*bucket)
	*bucket = &path
	return g.admitName(&path)
}

// admitKey is admitBucket for a request on an object.
func (g *guard) admitKey(bucket **string, key *string) error {
	if err := g.admitBucket(bucket); err != nil {
		return err
	}
	return g.checkKey(key)
}

// checkKey checks the name of an object.
func (g *guard) checkKey(key *string) error {
	if g.on.names && (key == nil || !validKey(*key)) {
		return s3err.APIError{
			Code: "InvalidArgument",
			Description: "This server keeps keys as paths: no element may be '.', '..' or empty but the last, " +
				"none may be a name of the server's own, and the key must be UTF-8 without NUL.",
			HTTPStatusCode: http.StatusBadRequest,
		}
	}
	return nil
}

// admitVersion is admitKey for a request on one version of an object.
func (g *guard) admitVersion(bucket **string, key, version *string) error {
	if err := g.admitBucket(bucket); err != nil {
		return err
	}
	return g.checkVersion(key, version)
}

// checkVersion is checkKey for one version of an object. There is but one,
// which S3 calls null where nobody turned versions on.
func (g *guard) checkVersion(key, version *string) error {
	if err := g.checkKey(key); err != nil || !g.on.names {
		return err
	}
	if v := backend.GetStringFromPtr(version); v != "" && v != "null" {
		return s3err.GetInvalidArgumentErr(s3err.InvalidArgVersionId, v)
	}
	return nil
}

// admitUpload is admitKey for a request on an upload. To an id of another form
// than the server's own it answers as to one that it does not know.
func (g *guard) admitUpload(bucket **string, key, id *string) error {
	if err := g.admitKey(bucket, key); err != nil || !g.on.names {
		return err
	}
	if id == nil || !uploadID.MatchString(*id) {
		return s3err.GetNoSuchUploadErr(backend.GetStringFromPtr(id))
	}
	return nil
}

// admitPart is admitUpload for a request on a part.
func (g *guard) admitPart(bucket **string, key, id *string, number *int32) error {
	if err := g.admitUpload(bucket, key, id); err != nil || !g.on.names {
		return err
	}
	if number == nil || *number < 1 || *number > maxParts {
		return s3err.GetInvalidArgumentErr(s3err.InvalidArgPartNumber, partNumber(number))
	}
	return nil
}

// partNumber is the number as the request gave it.
func partNumber(n *int32) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(int(*n))
}
