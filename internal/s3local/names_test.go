package s3local

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
	"github.com/versity/versitygw/s3response"

	"github.com/mraws/mraws/internal/datadir"
)

// neighbours is a data folder with others around it, and in it buckets around
// the one that the requests are for. It lies deep, so that a name which leads
// up leads to nothing else of the machine.
type neighbours struct {
	top, data string
	deep      int // how many folders up are its own
}

func newNeighbours(t testing.TB) neighbours {
	t.Helper()
	n := neighbours{top: t.TempDir(), deep: 24}
	parent := filepath.Join(n.top, strings.Repeat("d/", n.deep))
	n.data = filepath.Join(parent, "data")
	for _, name := range []string{
		"victim/1", "victim/file", "file", "empty/", "data/",
	} {
		path := filepath.Join(parent, name)
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// serve runs a server on the folder and makes the buckets.
func (n neighbours) serve(t testing.TB, on guards) (*Server, *client) {
	t.Helper()
	s := run(t, n.data, on)
	c := newClient(t, s.Endpoint())
	for _, bucket := range []string{"bucket", "other", "empty"} {
		c.want(200, "PUT", "/"+bucket, "")
	}
	c.want(200, "PUT", "/other/keep", "x")
	c.want(200, "PUT", "/other/victim/1", "x")
	return s, c
}

// locks is a folder of the backend with names that it makes up.
const locks = ".vgwlocks"

// tree is every file and folder but what lies in the bucket, with the contents.
func (n neighbours) tree(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	bucket := filepath.Join(n.data, datadir.Root, "bucket")
	err := filepath.WalkDir(n.top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var content []byte
		if d.Type().IsRegular() {
			content, err = os.ReadFile(path)
		}
		name, rerr := filepath.Rel(n.top, path)
		if d.Name() == locks {
			return fs.SkipDir
		}
		all[name] = fmt.Sprintf("%v %s", info.Mode(), content)
		if path == bucket {
			return fs.SkipDir
		}
		if err == nil {
			err = rerr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// named are the names of a request.
type named struct {
	bucket, key, other, upload string // other is the source of a copy, a prefix, a marker or a version
	number                     int32
}

// requests are all that the front end can ask of the guard and that name
// something.
func requests() map[string]func(ctx context.Context, g *guard, n named) {
	size, rng, owner, most := int64(1), "", "", int32(10)
	body := func() io.Reader { return strings.NewReader("x") }
	close := func(out *s3.GetObjectOutput, err error) {
		if err == nil {
			_ = out.Body.Close()
		}
	}
	return map[string]func(ctx context.Context, g *guard, n named){
		"put": func(ctx context.Context, g *guard, n named) {
			_, _ = g.PutObject(ctx, s3response.PutObjectInput{Bucket: &n.bucket, Key: &n.key, ContentLength: &size, Body: body()})
		},
		"put nothing": func(ctx context.Context, g *guard, n named) {
			none := int64(0)
			_, _ = g.PutObject(ctx, s3response.PutObjectInput{Bucket: &n.bucket, Key: &n.key, ContentLength: &none, Body: strings.NewReader("")})
		},
		"get": func(ctx context.Context, g *guard, n named) {
			close(g.GetObject(ctx, &s3.GetObjectInput{Bucket: &n.bucket, Key: &n.key, Range: &rng, VersionId: &n.other}))
		},
		"head": func(ctx context.Context, g *guard, n named) {
			_, _ = g.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &n.bucket, Key: &n.key, Range: &rng, VersionId: &n.other})
		},
		"attributes": func(ctx context.Context, g *guard, n named) {
			_, _ = g.GetObjectAttributes(ctx, &s3.GetObjectAttributesInput{Bucket: &n.bucket, Key: &n.key, VersionId: &n.other})
		},
		"delete": func(ctx context.Context, g *guard, n named) {
			_, _ = g.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &n.bucket, Key: &n.key, VersionId: &n.other})
		},
		"delete many": func(ctx context.Context, g *guard, n named) {
			_, _ = g.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &n.bucket,
				Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: &n.key, VersionId: &n.other}, {Key: &n.other}}}})
		},
		"copy": func(ctx context.Context, g *guard, n named) {
			_, _ = g.CopyObject(ctx, s3response.CopyObjectInput{Bucket: &n.bucket, Key: &n.key, CopySource: &n.other, ExpectedBucketOwner: &owner})
		},
		"begin upload": func(ctx context.Context, g *guard, n named) {
			_, _ = g.CreateMultipartUpload(ctx, s3response.CreateMultipartUploadInput{Bucket: &n.bucket, Key: &n.key})
		},
		"part": func(ctx context.Context, g *guard, n named) {
			_, _ = g.UploadPart(ctx, &s3.UploadPartInput{Bucket: &n.bucket, Key: &n.key, UploadId: &n.upload, PartNumber: &n.number, ContentLength: &size, Body: body()})
		},
		"part of a copy": func(ctx context.Context, g *guard, n named) {
			_, _ = g.UploadPartCopy(ctx, &s3.UploadPartCopyInput{Bucket: &n.bucket, Key: &n.key, UploadId: &n.upload, PartNumber: &n.number, CopySource: &n.other, CopySourceRange: &rng})
		},
		"parts": func(ctx context.Context, g *guard, n named) {
			_, _ = g.ListParts(ctx, &s3.ListPartsInput{Bucket: &n.bucket, Key: &n.key, UploadId: &n.upload, MaxParts: &most, PartNumberMarker: &n.other})
		},
		"complete": func(ctx context.Context, g *guard, n named) {
			_, _, _ = g.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &n.bucket, Key: &n.key, UploadId: &n.upload,
				MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: &n.number, ETag: &n.other}}}})
		},
		"abort": func(ctx context.Context, g *guard, n named) {
			_ = g.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &n.bucket, Key: &n.key, UploadId: &n.upload})
		},
		"uploads": func(ctx context.Context, g *guard, n named) {
			_, _ = g.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &n.bucket, KeyMarker: &n.key, UploadIdMarker: &n.upload, Prefix: &n.other, MaxUploads: &most})
		},
		"list": func(ctx context.Context, g *guard, n named) {
			_, _ = g.ListObjects(ctx, &s3.ListObjectsInput{Bucket: &n.bucket, Prefix: &n.key, Marker: &n.other, Delimiter: &n.upload, MaxKeys: &most})
		},
		"list 2": func(ctx context.Context, g *guard, n named) {
			_, _ = g.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &n.bucket, Prefix: &n.key, ContinuationToken: &n.other, StartAfter: &n.upload, MaxKeys: &most})
		},
		"make bucket": func(ctx context.Context, g *guard, n named) {
			_ = g.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &n.bucket, CreateBucketConfiguration: &types.CreateBucketConfiguration{}}, nil)
		},
		"delete bucket": func(ctx context.Context, g *guard, n named) { _ = g.DeleteBucket(ctx, n.bucket) },
		"bucket": func(ctx context.Context, g *guard, n named) {
			_, _ = g.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &n.bucket})
			_, _ = g.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: &n.bucket})
			_, _ = g.GetBucketVersioning(ctx, n.bucket)
			_, _ = g.GetBucketPolicy(ctx, n.bucket)
			_, _ = g.GetBucketCors(ctx, n.bucket)
			_, _ = g.GetBucketOwnershipControls(ctx, n.bucket)
			_, _ = g.GetObjectLockConfiguration(ctx, n.bucket)
		},
	}
}

// ask sends a request and tells of what changed beside the bucket. Buckets
// that a request makes by a name of the right form are none of that.
func (n neighbours) ask(t testing.TB, g *guard, do func(ctx context.Context, g *guard, n named), names named) {
	t.Helper()
	before := n.tree(t)
	do(t.Context(), g, names)
	if bucketName.MatchString(names.bucket) && names.bucket != "bucket" && names.bucket != "other" && names.bucket != "empty" {
		if err := os.RemoveAll(filepath.Join(n.data, datadir.Root, names.bucket)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(before, n.tree(t)); diff != "" {
		t.Fatalf("%+v changed what lies beside its bucket (-before +after):\n%s", names, diff)
	}
}

// leading are names that lead elsewhere when they are joined to a path.
func leading() []string {
	names := []string{"", ".", "..", "/", "a/..", "a\x00b", "\xff", ".sgwtmp", ".sgwlock", "..%2fvictim", `..\victim`, "/victim", strings.Repeat("x", 300)}
	for up := 1; up <= 8; up++ {
		names = append(names, strings.Repeat("../", up), strings.Repeat("../", up)+"victim", "a/"+strings.Repeat("../", up+1)+"file")
	}
	return names
}

// TestNamesStayInside sends every request with every name that leads elsewhere
// in every place, and looks at the files around.
func TestNamesStayInside(t *testing.T) {
	n := newNeighbours(t)
	s, _ := n.serve(t, allGuards)
	g := s.guard
	c := churner{Backend: g, bucket: "bucket"}
	asked := 0
	for what, do := range requests() {
		t.Run(what, func(t *testing.T) {
			for _, bad := range leading() {
				if err := c.put(t.Context(), "key"); err != nil {
					t.Fatal(err)
				}
				id, err := c.create(t.Context(), "key")
				if err != nil {
					t.Fatal(err)
				}
				good := named{bucket: "bucket", key: "key", other: "bucket/key", upload: id, number: 1}
				for place := range 5 {
					names := good
					switch place {
					case 0:
						names.bucket = bad
					case 1:
						names.key = bad
					case 2:
						names.other = bad
					case 3:
						names.upload = bad
					case 4:
						names.other = "bucket/" + bad
					}
					if what == "delete bucket" && names.bucket == "bucket" {
						continue
					}
					n.ask(t, g, do, names)
					asked++
				}
				_ = c.abort(t.Context(), "key", id) // unless it was
			}
		})
	}
	t.Logf("%d requests", asked)
}

// FuzzNames looks for a request that changes what lies beside its bucket.
func FuzzNames(f *testing.F) {
	all := requests()
	order := slices.Sorted(maps.Keys(all))
	for _, bad := range leading() {
		for op := range order {
			f.Add(byte(op), "bucket", "key", bad, bad, int32(1))
			f.Add(byte(op), "bucket", bad, "bucket/"+bad, "0f0e0d0c-0b0a-4908-8706-050403020100", int32(-1))
		}
		f.Add(byte(0), bad, "key", "bucket/key", "", int32(1))
	}
	n := newNeighbours(f)
	s, _ := n.serve(f, allGuards)
	f.Fuzz(func(t *testing.T, op byte, bucket, key, other, upload string, number int32) {
		for _, name := range []string{bucket, key, other, upload} {
			if strings.Count(name, "..") > n.deep/2 {
				return // it might lead out of the folders of this test
			}
		}
		switch bucket {
		case "other", "empty":
			return // a neighbour by its own name
		case "bucket":
			if order[int(op)%len(order)] == "delete bucket" {
				return // the bucket by its own name
			}
		}
		n.ask(t, s.guard, all[order[int(op)%len(order)]], named{bucket, key, other, upload, number})
	})
}

// TestUploadIDs: an upload id that leads out of the data folder or to another
// bucket is no upload, for each request that has one, over HTTP.
func TestUploadIDs(t *testing.T) {
	for _, on := range []bool{false, true} {
		t.Run(fmt.Sprintf("guarded=%v", on), func(t *testing.T) {
			guards := allGuards
			guards.names = on
			n := newNeighbours(t)
			_, c := n.serve(t, guards)
			c.want(200, "PUT", "/bucket/key", "x")
			before := n.tree(t)
			for _, id := range []string{"../../../../../../victim", "../../../../other/victim"} {
				query := "uploadId=" + url.QueryEscape(id)
				for _, r := range []reply{
					c.do("PUT", "/bucket/key?partNumber=1&"+query, "written"),
					c.do("PUT", "/bucket/key?partNumber=1&"+query, "", "X-Amz-Copy-Source", "/bucket/key"),
					c.do("GET", "/bucket/key?"+query, ""),
					c.do("POST", "/bucket/key?"+query, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>"),
					c.do("DELETE", "/bucket/key?"+query, ""),
				} {
					if on && (r.status != 404 || r.code() != "NoSuchUpload") {
						t.Errorf("upload id %s: %d %s", id, r.status, r.body)
					}
				}
			}
			if diff := cmp.Diff(before, n.tree(t)); (diff == "") != on {
				t.Errorf("neighbours (-before +after):\n%s", diff)
			}
		})
	}
}

// TestEmptyBucketStays: a bucket lasts until it is deleted, whatever is
// deleted in it.
func TestEmptyBucketStays(t *testing.T) {
	n := newNeighbours(t)
	_, c := n.serve(t, allGuards)
	c.want(200, "PUT", "/empty/a/b/c", "x")
	c.want(204, "DELETE", "/empty/a/b/c", "")
	for up := range 8 {
		id := url.QueryEscape(strings.Repeat("../", up))
		c.want(404, "DELETE", "/empty/key?uploadId="+id, "")
	}
	c.want(204, "DELETE", "/empty/key?uploadId="+c.createUpload("/empty/key"), "")
	c.want(200, "HEAD", "/empty", "")
	if r := c.want(200, "GET", "/empty?list-type=2", ""); strings.Contains(r.body, "<Key>") {
		t.Errorf("the bucket holds %s", r.body)
	}
}
