package s3fault

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Right is one that IAM wants before S3 carries out a request.
type Right struct {
	Action string // such as "s3:GetObject"
	Key    string // of the object; "" for the bucket
}

// actions are the actions of IAM by operation. Source:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
func actions() map[string]string {
	return map[string]string{
		"ListObjectsV2": "s3:ListBucket", "HeadBucket": "s3:ListBucket", "CreateBucket": "s3:CreateBucket",
		"ListMultipartUploads": "s3:ListBucketMultipartUploads",
		"GetObject":            "s3:GetObject", "HeadObject": "s3:GetObject",
		"PutObject": "s3:PutObject", "CopyObject": "s3:PutObject", "CreateMultipartUpload": "s3:PutObject",
		"UploadPart": "s3:PutObject", "UploadPartCopy": "s3:PutObject", "CompleteMultipartUpload": "s3:PutObject",
		"AbortMultipartUpload": "s3:AbortMultipartUpload", "ListParts": "s3:ListMultipartUploadParts",
		"DeleteObject": "s3:DeleteObject", "DeleteObjects": "s3:DeleteObject",
	}
}

// allowed reports whether the rights that a request needs are there, and answers in the
// server's place if not: AccessDenied, for each object that DeleteObjects names.
func (p *Proxy) allowed(w http.ResponseWriter, r *http.Request, c call) bool {
	if p.o.Allowed == nil {
		return true
	}
	rights, doomed := []Right{{Action: actions()[c.operation], Key: c.key}}, []string(nil)
	switch c.operation {
	case "ListObjectsV2", "ListMultipartUploads":
		rights[0].Key = ""
	case "CopyObject", "UploadPartCopy":
		source, _ := url.PathUnescape(r.Header.Get("X-Amz-Copy-Source"))
		_, key, _ := strings.Cut(strings.TrimPrefix(source, "/"), "/")
		rights = append(rights, Right{Action: "s3:GetObject", Key: key})
	case "DeleteObjects":
		body, _ := io.ReadAll(r.Body) // one that breaks has no objects, and the server's answer
		r.Body = io.NopCloser(bytes.NewReader(body))
		var list struct{ Object []struct{ Key string } }
		_ = xml.Unmarshal(body, &list)
		rights = nil
		for _, o := range list.Object {
			rights = append(rights, Right{Action: "s3:DeleteObject", Key: o.Key})
			doomed = append(doomed, o.Key)
		}
	}
	ok := true
	for _, right := range rights {
		ok = p.o.Allowed(right) && ok
	}
	switch {
	case ok:
	case doomed != nil:
		var b strings.Builder
		b.WriteString(`<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
		for _, key := range doomed {
			fmt.Fprintf(&b, "<Error><Key>%s</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", escape(key))
		}
		b.WriteString("</DeleteResult>")
		w.Header().Set("Content-Type", "application/xml")
		_, _ = io.WriteString(w, b.String()) // the client may be gone
	default:
		_, _ = io.Copy(io.Discard, r.Body)
		writeReply(w, r.Method, replies()["403"], "Access Denied")
	}
	return ok
}
