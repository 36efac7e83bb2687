package s3fs

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// The operations, by the verb that people read and the name that the API
// has.
var (
	opGet      = op{"get", "GetObject"}
	opStat     = op{"stat", "HeadObject"}
	opPut      = op{"put", "PutObject"}
	opBegin    = op{"put", "CreateMultipartUpload"}
	opPart     = op{"put", "UploadPart"}
	opComplete = op{"put", "CompleteMultipartUpload"}
	opAbort    = op{"abort upload of", "AbortMultipartUpload"}
	opParts    = op{"list parts of", "ListParts"}
	opUploads  = op{"list uploads of", "ListMultipartUploads"}
	opCopy     = op{"copy to", "CopyObject"}
	opList     = op{"list", "ListObjectsV2"}
	opDelete   = op{"delete", "DeleteObjects"}
	opDelete1  = op{"delete", "DeleteObject"}
	opCheck    = op{"check", "ListObjectsV2"}
	opCreate   = op{"create", "CreateBucket"}
)

// action names the permission that an operation needs.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
func (o op) action() string {
	switch o.name {
	case "GetObject", "HeadObject":
		return "s3:GetObject"
	case "CopyObject":
		return "s3:GetObject and s3:PutObject"
	case "AbortMultipartUpload":
		return "s3:AbortMultipartUpload"
	case "ListParts":
		return "s3:ListMultipartUploadParts"
	case "ListMultipartUploads":
		return "s3:ListBucketMultipartUploads"
	case "ListObjectsV2":
		return "s3:ListBucket"
	case "DeleteObjects", "DeleteObject":
		return "s3:DeleteObject"
	case "CreateBucket":
		return "s3:CreateBucket"
	}
	return "s3:PutObject"
}

// fail translates the error of one operation. It is the only place that
// knows what the SDK's errors mean, and every operation that did not end with
// a reply comes here. precondition is what a 412 says.
func (s *Store) fail(o op, key string, b *tryBudget, precondition, err error) error {
	b.endWait()
	var final *finalError
	if errors.As(err, &final) {
		err = final.err
	}
	if err == nil || isKnown(err) {
		return err
	}
	e := &Error{Op: o.verb, Bucket: s.o.Bucket, Key: key, Access: s.o.Access, Err: err, Detail: detailOf(err), Code: codeOf(err)}
	if b != nil {
		e.Tries = b.soFar()
	}
	s.classify(e, o, precondition)
	return e
}

// classify fills in Kind and the facts that belong to it.
func (s *Store) classify(e *Error, o op, precondition error) {
	var cred *credentialsError
	status := statusOf(e.Err)
	switch {
	case errors.As(e.Err, &cred):
		e.Kind, e.Detail = ErrCredentials, "" // the chain's own words
		e.Err = cred
	case isCanceled(e.Err):
		e.Detail = ""
	case isExpired(e.Err):
		e.Kind = ErrExpired
	case isRefused(e.Err):
		e.Kind = ErrRefused
	case isSkewed(e.Err):
		s.classifyClock(e)
	case isRegionError(e.Err, s.Region()):
		s.classifyRegion(e)
	case isThrottled(e.Err):
		e.Kind = ErrThrottled
	case e.Code == "NoSuchBucket", status == http.StatusNotFound && (o == opCheck || o == opList):
		e.Kind = ErrNoBucket
	case e.Code == "NoSuchKey", e.Code == "NotFound", e.Code == "NoSuchUpload", status == http.StatusNotFound:
		e.Kind = fs.ErrNotExist
	case isDamaged(e.Err):
		e.Kind = ErrDamaged
	case status == http.StatusPreconditionFailed:
		e.Kind = precondition
	case status == http.StatusForbidden, status == http.StatusUnauthorized, e.Code == "AccessDenied": // of one key of several: no status
		e.Kind = fs.ErrPermission
		e.Action = o.action()
		e.Detail = fmt.Sprintf("%s is not allowed: %s", e.Action, e.Detail)
	case status == http.StatusBadGateway, status == http.StatusGatewayTimeout, status == 0 && isNet(e.Err):
		e.Kind, e.Target = ErrUnreachable, s.target()
	}
}

// target is the endpoint or the region that requests go to.
func (s *Store) target() string {
	if ep := s.api().Options().BaseEndpoint; ep != nil {
		return bareURL(*ep)
	}
	return "AWS in " + s.Region()
}

// bareURL is a URL without what it may hold of credentials.
func bareURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "an endpoint that is no URL"
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}

// isRefused reports whether the store does not know the key pair or has
// another secret for it.
func isRefused(err error) bool {
	switch codeOf(err) {
	case "InvalidAccessKeyId", "InvalidToken", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch":
		return true
	}
	return false
}

// isSkewed reports whether the time of the signature was too far off.
func isSkewed(err error) bool {
	switch codeOf(err) {
	case "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture":
		return true
	}
	return false
}

// classifyClock compares this machine's clock with the Date of the reply.
func (s *Store) classifyClock(e *Error) {
	e.Kind = ErrClock
	date, err := http.ParseTime(headerOf(e.Err, "Date"))
	if err != nil {
		return
	}
	if by := time.Until(date).Round(time.Minute); by > 0 {
		e.Detail = fmt.Sprintf("this machine's clock is %v behind the store's: %s", by, e.Detail)
	} else {
		e.Detail = fmt.Sprintf("this machine's clock is %v ahead of the store's: %s", -by, e.Detail)
	}
}

// isRegionError reports whether the bucket lies elsewhere. A reply without a
// body has no code, but it names the region.
func isRegionError(err error, region string) bool {
	switch codeOf(err) {
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return true
	}
	switch statusOf(err) {
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	case http.StatusBadRequest:
		r := regionOf(err)
		return r != "" && r != region
	}
	return false
}

func (s *Store) classifyRegion(e *Error) {
	e.Kind = ErrRegion
	region := s.Region()
	e.Detail = fmt.Sprintf("requests were signed for %s: %s", region, e.Detail)
	if r := regionOf(e.Err); r != "" && r != region {
		e.Detail = fmt.Sprintf("it is in %s, requests were signed for %s", r, region)
		e.Region = r
	}
}

// expecting finds the region in the message of AuthorizationHeaderMalformed.
var expecting = regexp.MustCompile(`expecting '([a-z0-9-]+)'`)

// regionOf returns the region that a reply names, or "".
func regionOf(err error) string {
	if r := headerOf(err, "X-Amz-Bucket-Region"); r != "" {
		return r
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		if m := expecting.FindStringSubmatch(api.ErrorMessage()); m != nil {
			return m[1]
		}
	}
	return ""
}

// headerOf returns a header of the reply, or "" without one.
func headerOf(err error, name string) string {
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) && resp.Response != nil && resp.Response.Response != nil {
		return resp.Response.Header.Get(name)
	}
	return ""
}

// isNet reports whether err came from the network rather than from a reply.
func isNet(err error) bool {
	var (
		send *smithyhttp.RequestSendError
		nerr net.Error
	)
	return errors.As(err, &send) || errors.As(err, &nerr)
}

// detailOf returns the part of an SDK error that is worth reading: what the
// store said, or the innermost network error, without the layers around it.
func detailOf(err error) string {
	var (
		api  smithy.APIError
		send *smithyhttp.RequestSendError
	)
	status := statusOf(err)
	switch {
	case errors.As(err, &api) && api.ErrorMessage() != "" && api.ErrorMessage() != api.ErrorCode():
		return fmt.Sprintf("%s: %s (HTTP %d)", api.ErrorCode(), api.ErrorMessage(), status)
	case errors.As(err, &api) && status != 0:
		return fmt.Sprintf("%s (HTTP %d)", api.ErrorCode(), status)
	case status >= 300:
		return fmt.Sprintf("HTTP %d", status)
	case errors.As(err, &send):
		return send.Err.Error()
	}
	return ""
}
