package s3local

import (
	"cmp"
	"context"
	"encoding/base64"
	"math"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/gofiber/fiber/v3"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// XML cannot represent most control characters. So a client may request URL encoding
// of keys (encoding-type=url), as the SDKs and the AWS CLI do. The front end does
// not support that: noteEncoding passes the parameter to the guard, and the guard
// encodes the page. Without the parameter a page that XML cannot represent is an
// error.
//
// The continuation token of the backend is a key. The guard encodes it, so that it
// comes back unchanged.

// encodingKey is what noteEncoding keeps a query parameter by.
type encodingKey struct{}

func noteEncoding(c fiber.Ctx) error {
	if how := c.Query("encoding-type"); how != "" {
		c.RequestCtx().SetUserValue(encodingKey{}, strings.Clone(how))
	}
	return c.Next()
}

// errUnwritable is the reply to a listing that XML cannot represent.
var errUnwritable = s3err.APIError{
	Code:           "InvalidArgument",
	Description:    "A key of this page holds a character that XML cannot carry: list with encoding-type=url.",
	HTTPStatusCode: http.StatusBadRequest,
}

// encoding is the encoding of keys in a reply.
type encoding struct {
	asked bool // for encoding-type=url
	bad   bool // a name cannot be written
}

// encoding returns the encoding of the keys of a reply.
func (g *guard) encoding(ctx context.Context) (*encoding, types.EncodingType, error) {
	switch how, _ := ctx.Value(encodingKey{}).(string); how {
	case "":
		return &encoding{}, "", nil
	case string(types.EncodingTypeUrl):
		return &encoding{asked: true}, types.EncodingTypeUrl, nil
	default:
		return nil, "", s3err.APIError{
			Code: "InvalidArgument", Description: "Invalid Encoding Method specified in Request", HTTPStatusCode: http.StatusBadRequest,
		}
	}
}

// name replaces a key by its encoding.
func (p *encoding) name(s *string) {
	switch {
	case s == nil:
	case p.asked:
		// All clients decode %20 to a space. Some do not decode +.
		*s = strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(*s), "+", "%20"), "%2F", "/")
	case strings.ContainsFunc(*s, unwritable):
		p.bad = true
	}
}

func (p *encoding) names(objects []s3response.Object, prefixes []types.CommonPrefix, more ...*string) error {
	for _, o := range objects {
		p.name(o.Key)
	}
	for _, d := range prefixes {
		p.name(d.Prefix)
	}
	for _, s := range more {
		p.name(s)
	}
	return p.err()
}

func (p *encoding) err() error {
	if p.bad {
		return errUnwritable
	}
	return nil
}

// unwritable reports whether XML 1.0 has no such character.
func unwritable(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

// ListObjects lists keys.
func (g *guard) ListObjects(ctx context.Context, in *s3.ListObjectsInput) (out s3response.ListObjectsResult, err error) {
	defer g.told(&err)
	if err := g.admitBucket(&in.Bucket); err != nil {
		return out, err
	}
	p, how, err := g.encoding(ctx)
	if err != nil {
		return out, err
	}
	if out, err = g.s.ListObjects(ctx, in); err != nil {
		return out, err
	}
	*out.Name = g.s.name(*out.Name)
	out.Contents, out.EncodingType = g.visible(out.Contents), how
	return out, p.names(out.Contents, out.CommonPrefixes, out.Prefix, out.Delimiter, out.Marker, out.NextMarker)
}

// ListObjectsV2 lists keys.
func (g *guard) ListObjectsV2(ctx context.Context, in *s3.ListObjectsV2Input) (out s3response.ListObjectsV2Result, err error) {
	defer g.told(&err)
	if err := g.admitBucket(&in.Bucket); err != nil {
		return out, err
	}
	p, how, err := g.encoding(ctx)
	if err != nil {
		return out, err
	}
	token := backend.GetStringFromPtr(in.ContinuationToken)
	from, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return out, s3err.APIError{
			Code: "InvalidArgument", Description: "The continuation token provided is incorrect", HTTPStatusCode: http.StatusBadRequest,
		}
	}
	after, asked := string(from), *in
	asked.ContinuationToken = &after
	if out, err = g.s.ListObjectsV2(ctx, &asked); err != nil {
		return out, err
	}
	out.ContinuationToken = backend.GetPtrFromString(token)
	if next := out.NextContinuationToken; next != nil {
		out.NextContinuationToken = backend.GetPtrFromString(base64.RawURLEncoding.EncodeToString([]byte(*next)))
	}
	*out.Name = g.s.name(*out.Name)
	hidden := len(out.Contents)
	out.Contents, out.EncodingType = g.visible(out.Contents), how
	if hidden -= len(out.Contents); hidden > 0 && out.KeyCount != nil {
		*out.KeyCount -= int32(hidden) //nolint:gosec // at most 1000
	}
	return out, p.names(out.Contents, out.CommonPrefixes, out.Prefix, out.Delimiter, out.StartAfter)
}

// visible removes the temporary names under which the backend links a file before it
// replaces an object.
func (g *guard) visible(objects []s3response.Object) []s3response.Object {
	if !g.on.names {
		return objects
	}
	return slices.DeleteFunc(objects, func(o s3response.Object) bool {
		return o.Key != nil && ownName.MatchString(path.Base(*o.Key))
	})
}

// ListMultipartUploads lists unfinished uploads. The backend refuses the marker of
// its own last page, so the guard makes the pages. The uploads of one key are sorted
// by id, so that the next page starts at the right upload even if the upload of the
// marker has ended.
func (g *guard) ListMultipartUploads(ctx context.Context, in *s3.ListMultipartUploadsInput) (out s3response.ListMultipartUploadsResult, err error) {
	defer g.told(&err)
	if err := g.admitBucket(&in.Bucket); err != nil {
		return out, err
	}
	p, how, err := g.encoding(ctx)
	if err != nil {
		return out, err
	}
	all := *in
	all.KeyMarker, all.UploadIdMarker, all.Delimiter = nil, nil, nil
	all.MaxUploads = new(int32)
	*all.MaxUploads = math.MaxInt32
	if out, err = g.s.ListMultipartUploads(ctx, &all); err != nil {
		return out, err
	}
	out.Bucket = g.s.name(out.Bucket)
	pageUploads(&out, in)
	out.EncodingType = string(how)
	for i := range out.Uploads {
		p.name(&out.Uploads[i].Key)
	}
	for i := range out.CommonPrefixes {
		p.name(&out.CommonPrefixes[i].Prefix)
	}
	for _, s := range []*string{&out.KeyMarker, &out.NextKeyMarker, &out.Delimiter, &out.Prefix} {
		p.name(s)
	}
	return out, p.err()
}

// pageUploads selects the requested page of the uploads below a prefix.
func pageUploads(out *s3response.ListMultipartUploadsResult, in *s3.ListMultipartUploadsInput) {
	uploads := out.Uploads
	slices.SortFunc(uploads, func(a, b s3response.Upload) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.UploadID, b.UploadID))
	})
	out.Uploads = nil
	out.Delimiter = backend.GetStringFromPtr(in.Delimiter)
	out.KeyMarker = backend.GetStringFromPtr(in.KeyMarker)
	out.UploadIDMarker = backend.GetStringFromPtr(in.UploadIdMarker)
	out.MaxUploads = math.MaxInt32
	if in.MaxUploads != nil {
		out.MaxUploads = int(*in.MaxUploads)
	}
	for _, u := range uploads {
		dir := ""
		if before, _, below := strings.Cut(strings.TrimPrefix(u.Key, out.Prefix), out.Delimiter); below && out.Delimiter != "" {
			dir = out.Prefix + before + out.Delimiter
		}
		last := len(out.CommonPrefixes) - 1
		switch {
		case dir != "" && (dir <= out.KeyMarker || last >= 0 && out.CommonPrefixes[last].Prefix == dir):
			continue
		case dir == "" && (u.Key < out.KeyMarker || u.Key == out.KeyMarker && (out.UploadIDMarker == "" || u.UploadID <= out.UploadIDMarker)):
			continue
		case len(out.Uploads)+len(out.CommonPrefixes) >= out.MaxUploads:
			out.IsTruncated = out.MaxUploads > 0
			return
		case dir != "":
			out.CommonPrefixes = append(out.CommonPrefixes, s3response.CommonPrefix{Prefix: dir})
			out.NextKeyMarker, out.NextUploadIDMarker = dir, ""
		default:
			out.Uploads = append(out.Uploads, u)
			out.NextKeyMarker, out.NextUploadIDMarker = u.Key, u.UploadID
		}
	}
	out.NextKeyMarker, out.NextUploadIDMarker = "", ""
}
