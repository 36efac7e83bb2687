package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/layout"
)

// s3Scheme begins an INPUT that lies in a bucket already.
const s3Scheme = "s3://"

// cutURL cuts s3://bucket/key; ok is false for what does not begin so.
func cutURL(text string) (bucket, key string, ok bool) {
	name, ok := strings.CutPrefix(text, s3Scheme)
	bucket, key, _ = strings.Cut(name, "/")
	return bucket, key, ok
}

// splitInput tells the INPUT that lies in buckets from that of this machine.
func splitInput(args []string) (here, there []string) {
	for _, arg := range args {
		if strings.HasPrefix(arg, s3Scheme) {
			there = append(there, arg)
		} else {
			here = append(here, arg)
		}
	}
	return here, there
}

// checkSources returns an error of the command line for INPUT that cannot be in a
// bucket, whatever is there.
func checkSources(args []string) error {
	for _, arg := range args {
		if bucket, _, ok := cutURL(arg); !ok || !layout.ValidBucket(bucket) {
			return usagef("such as s3://bucket/folder/ or s3://bucket/folder/object", "%q names no object and no folder of a bucket", arg)
		}
	}
	return nil
}

// findSources finds what INPUT names in buckets: s3://bucket/key is an object, or the
// folder s3://bucket/key/ if there is no object of that key. With the input that the
// line names on this machine, own, comes that of the job's own input/.
func findSources(ctx context.Context, st *store, args []string, own bool) ([]coordinator.Source, error) {
	if len(args) == 0 {
		return nil, nil
	}
	var sources []coordinator.Source
	if own {
		sources = append(sources, coordinator.Source{})
	}
	for _, arg := range args {
		source, err := findSource(ctx, st, arg)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(sources, source) {
			sources = append(sources, source)
		}
	}
	return sources, nil
}

// findSource finds what lies at s3://bucket/key.
func findSource(ctx context.Context, st *store, arg string) (coordinator.Source, error) {
	bucket, key, _ := cutURL(arg)
	in := st.In(bucket)
	if key != "" && !strings.HasSuffix(key, "/") {
		switch _, err := in.Stat(ctx, key); {
		case err == nil:
			return coordinator.Source{Bucket: bucket, Prefix: key, Object: true}, nil
		case !errors.Is(err, fs.ErrNotExist):
			return coordinator.Source{}, err
		}
		key += "/"
	}
	for _, err := range in.List(ctx, key) {
		switch {
		case errors.Is(err, fs.ErrNotExist) && st.Embedded:
			return coordinator.Source{}, &Error{Code: ExitUsage, What: "the embedded server has no bucket " + bucket,
				Hint: "name the bucket of S3 that gets intermediate data and output, such as --bucket " + bucket}
		case errors.Is(err, fs.ErrNotExist):
			return coordinator.Source{}, &Error{Code: ExitUsage, What: "there is no bucket " + bucket, Cause: err}
		case err != nil:
			return coordinator.Source{}, err
		}
		return coordinator.Source{Bucket: bucket, Prefix: key}, nil
	}
	hint := "`mraws hadoop fs -ls " + shellQuote(s3Scheme+bucket+"/") + "` shows what is there"
	if strings.ContainsAny(key, "*?[{") {
		hint = "patterns are for files of this machine: name the folder, or each object"
	}
	return coordinator.Source{}, &Error{Code: ExitUsage, What: fmt.Sprintf("there is no object and no folder %s", arg), Hint: hint}
}
