package doctor_test

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/doctor"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
)

// bucket is a store that is empty, and denies some actions.
type bucket struct {
	denied  []string // "action key-prefix"
	written []string
}

func (b *bucket) may(action, key string) error {
	for _, d := range b.denied {
		if what, dir, _ := strings.Cut(d, " "); what == action && strings.HasPrefix(key, dir) {
			return fmt.Errorf("%s %s: %w", action, key, fs.ErrPermission)
		}
	}
	return nil
}

func (b *bucket) Uploads(_ context.Context, prefix string) iter.Seq2[object.Upload, error] {
	return func(yield func(object.Upload, error) bool) {
		if err := b.may("list", prefix); err != nil {
			yield(object.Upload{}, err)
		}
	}
}

func (b *bucket) Get(_ context.Context, key string) ([]byte, object.Info, error) {
	if err := b.may("get", key); err != nil {
		return nil, object.Info{}, err
	}
	return nil, object.Info{}, fs.ErrNotExist
}

func (b *bucket) Put(_ context.Context, key string, _ []byte, o object.PutOptions) (object.Info, error) {
	if err := b.may("put", key); err != nil {
		return object.Info{}, err
	}
	if o.IfMatch == "" {
		b.written = append(b.written, key)
		return object.Info{}, nil
	}
	return object.Info{}, object.ErrPrecondition
}

func (b *bucket) Delete(_ context.Context, keys ...string) error { return b.may("delete", keys[0]) }

func (b *bucket) AbortUpload(_ context.Context, u object.Upload) error { return b.may("abort", u.Key) }

// TestTry: of each permission the folder tells whether it is denied, nothing is written,
// and the policy allows what was denied, in as few statements as that takes.
func TestTry(t *testing.T) {
	lay := layout.New("p")
	const arn = "arn:aws:s3:::b/p/"
	for name, tt := range map[string]struct {
		denied, commands []string
		want             []doctor.Statement
	}{
		"nothing":            {nil, nil, []doctor.Statement{}},
		"one":                {[]string{"put p/output/"}, nil, []doctor.Statement{{"Allow", []string{"s3:PutObject"}, []string{arn + "output/*"}}}},
		"one action":         {[]string{"get p/"}, nil, []doctor.Statement{{"Allow", []string{"s3:GetObject"}, []string{arn + "input/*", arn + "intermediate/*", arn + "output/*"}}}},
		"one folder":         {[]string{"get p/output", "put p/output"}, nil, []doctor.Statement{{"Allow", []string{"s3:GetObject", "s3:PutObject"}, []string{arn + "output/*"}}}},
		"the bucket":         {[]string{"list p/"}, nil, []doctor.Statement{{"Allow", []string{"s3:ListBucketMultipartUploads"}, []string{"arn:aws:s3:::b"}}}},
		"what workers need":  {[]string{"delete p/", "get p/input/"}, []string{doctor.Worker}, []doctor.Statement{{"Allow", []string{"s3:GetObject"}, []string{arn + "input/*"}}}},
		"of the coordinator": {[]string{"delete p/"}, []string{doctor.Coordinator}, []doctor.Statement{{"Allow", []string{"s3:DeleteObject"}, []string{arn + "intermediate/_preflight/*"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bucket{denied: tt.denied}
			all := doctor.Try(t.Context(), b, lay, tt.commands...)
			if diff := cmp.Diff(tt.want, doctor.Missing("b", all).Statement); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if len(b.written) > 0 {
				t.Errorf("written: %v", b.written)
			}
			if len(tt.commands) == 0 && !slices.ContainsFunc(all, func(p doctor.Permission) bool { return p.Err == nil }) {
				t.Error("all is denied")
			}
		})
	}
}
