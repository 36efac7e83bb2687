package s3fault

import (
	"net/http"
	"strings"
)

// Operations returns the operations that a rule may name, by the names that
// the S3 API gives them.
func Operations() []string {
	return []string{
		"PutObject", "GetObject", "HeadObject", "CopyObject", "DeleteObject", "DeleteObjects", "ListObjectsV2",
		"CreateMultipartUpload", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload", "AbortMultipartUpload",
		"ListParts", "ListMultipartUploads",
		"HeadBucket", "CreateBucket",
	}
}

// call is what the rules see of a request.
type call struct {
	operation string // "" for one that no rule can name
	key       string // of the object, or the prefix of a listing
}

// callOf returns what a request with the bucket in its path asks for. Source:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
func callOf(r *http.Request) call {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	q := r.URL.Query()
	if bucket == "" || bucket[0] == '~' { // no bucket; "~" is the embedded server's sign of life
		return call{}
	}
	if key == "" {
		switch {
		case r.Method == http.MethodHead:
			return call{"HeadBucket", ""}
		case r.Method == http.MethodPut && len(q) == 0:
			return call{"CreateBucket", ""}
		case r.Method == http.MethodPost && q.Has("delete"):
			return call{"DeleteObjects", ""}
		case r.Method == http.MethodGet && q.Get("list-type") == "2":
			return call{"ListObjectsV2", q.Get("prefix")}
		case r.Method == http.MethodGet && q.Has("uploads"):
			return call{"ListMultipartUploads", q.Get("prefix")}
		}
		return call{}
	}
	for _, sub := range []string{"acl", "tagging", "retention", "legal-hold", "torrent", "attributes", "restore", "select"} {
		if q.Has(sub) {
			return call{}
		}
	}
	return call{objectOperation(r.Method, q.Has("uploads"), q.Has("uploadId"), r.Header.Get("X-Amz-Copy-Source") != ""), key}
}

func objectOperation(method string, uploads, upload, copied bool) string {
	switch {
	case method == http.MethodGet && !upload:
		return "GetObject"
	case method == http.MethodGet:
		return "ListParts"
	case method == http.MethodHead:
		return "HeadObject"
	case method == http.MethodPut && upload && copied:
		return "UploadPartCopy"
	case method == http.MethodPut && upload:
		return "UploadPart"
	case method == http.MethodPut && copied:
		return "CopyObject"
	case method == http.MethodPut:
		return "PutObject"
	case method == http.MethodPost && uploads:
		return "CreateMultipartUpload"
	case method == http.MethodPost && upload:
		return "CompleteMultipartUpload"
	case method == http.MethodDelete && upload:
		return "AbortMultipartUpload"
	case method == http.MethodDelete:
		return "DeleteObject"
	}
	return ""
}

// sendsBody reports whether what matters of an operation is the body of its
// request.
func (c call) sendsBody() bool {
	switch c.operation {
	case "PutObject", "UploadPart", "CompleteMultipartUpload", "DeleteObjects":
		return true
	}
	return false
}
