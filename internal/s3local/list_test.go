package s3local

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"
)

// page is the answer to ListObjectsV2.
type page struct {
	KeyCount              int
	IsTruncated           bool
	NextContinuationToken string
	Contents              []struct{ Key string }
	CommonPrefixes        []struct{ Prefix string }
}

// list returns all keys and common prefixes below a prefix.
func (c *client) list(prefix, delimiter string, size int) (keys, prefixes []string, err error) {
	next := ""
	for {
		q := url.Values{"list-type": {"2"}, "prefix": {prefix}, "delimiter": {delimiter}, "max-keys": {fmt.Sprint(size)}}
		if next != "" {
			q.Set("continuation-token", next)
		}
		r, err := c.try("GET", "/bucket?"+q.Encode(), "")
		if err != nil || r.status != 200 {
			return nil, nil, fmt.Errorf("list %q: status %d: %s (%w)", prefix, r.status, r.body, err)
		}
		var p page
		if err := xml.Unmarshal([]byte(r.body), &p); err != nil {
			return nil, nil, err
		}
		for _, o := range p.Contents {
			keys = append(keys, o.Key)
		}
		for _, o := range p.CommonPrefixes {
			prefixes = append(prefixes, o.Prefix)
		}
		if p.KeyCount != len(p.Contents)+len(p.CommonPrefixes) {
			return nil, nil, fmt.Errorf("list %q: KeyCount %d with %d keys, %d prefixes", prefix, p.KeyCount, len(p.Contents), len(p.CommonPrefixes))
		}
		if !p.IsTruncated {
			return keys, prefixes, nil
		}
		next = p.NextContinuationToken
	}
}

// TestListOrder compares lists with what S3 says of them: keys in the order of
// their bytes, whatever folders they lie in, each once over all pages.
func TestListOrder(t *testing.T) {
	c := newClient(t, run(t, t.TempDir(), allGuards).Endpoint())
	c.want(200, "PUT", "/bucket", "")
	element := rapid.StringMatching(`[ab!\-0.]{1,2}`).Filter(func(s string) bool { return s != "." && s != ".." })
	rapid.Check(t, func(t *rapid.T) {
		var want []string
		for _, parts := range rapid.SliceOfN(rapid.SliceOfN(element, 1, 3), 1, 12).Draw(t, "keys") {
			key := strings.Join(parts, "/")
			// What the server states that it cannot hold: a and a/b.
			if slices.ContainsFunc(want, func(k string) bool {
				return k == key || strings.HasPrefix(k, key+"/") || strings.HasPrefix(key, k+"/")
			}) {
				continue
			}
			if r := c.do("PUT", "/bucket/"+key, ""); r.status != 200 {
				t.Fatalf("put %q: %d %s", key, r.status, r.body)
			}
			want = append(want, key)
		}
		slices.Sort(want)
		defer func() {
			for _, k := range want {
				if r := c.do("DELETE", "/bucket/"+k, ""); r.status != 204 {
					t.Fatalf("delete %q: %d %s", k, r.status, r.body)
				}
			}
		}()
		for _, size := range []int{1, 3, 1000} {
			got, _, err := c.list("", "", size)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("pages of %d (-want +got):\n%s", size, diff)
			}
		}
		prefix := rapid.SampledFrom([]string{"", "a", "a/", "a/b", "b/-", "a//b", "..", "a/.", "/"}).Draw(t, "prefix")
		var keys, prefixes []string
		for _, k := range want {
			rest, ok := strings.CutPrefix(k, prefix)
			if !ok {
				continue
			}
			if before, _, deeper := strings.Cut(rest, "/"); deeper {
				prefixes = append(prefixes, prefix+before+"/")
			} else {
				keys = append(keys, k)
			}
		}
		gotKeys, gotPrefixes, err := c.list(prefix, "/", 1000)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([][]string{keys, slices.Compact(prefixes)}, [][]string{gotKeys, gotPrefixes}); diff != "" {
			t.Fatalf("prefix %q (-want +got):\n%s", prefix, diff)
		}
	})
}

// TestListDuringChanges lists while objects around are replaced, come and go:
// those that stay must be in every list, and no name of the server's own.
func TestListDuringChanges(t *testing.T) {
	c := newClient(t, run(t, t.TempDir(), allGuards).Endpoint())
	c.want(200, "PUT", "/bucket", "")
	var stay []string
	for i := range 20 {
		key := fmt.Sprintf("p/%02d/stay", i)
		c.want(200, "PUT", "/bucket/"+key, "x")
		stay = append(stay, key)
	}
	g, ctx := errgroup.WithContext(t.Context())
	listing, done := context.WithCancel(ctx)
	for w := range 4 {
		g.Go(func() error {
			for n := w; listing.Err() == nil; n++ {
				replaced, gone := fmt.Sprintf("/bucket/p/%02d/stay", n%20), fmt.Sprintf("/bucket/p/%02d/a/%d", n%20, w)
				for _, send := range [][2]string{{"PUT", replaced}, {"PUT", gone}, {"DELETE", gone}} {
					if r, err := c.try(send[0], send[1], "x"); err != nil || r.status/100 != 2 {
						return fmt.Errorf("%s %s: %d %s (%w)", send[0], send[1], r.status, r.body, err)
					}
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer done()
		for range 100 {
			keys, _, err := c.list("p/", "", 7)
			if err != nil {
				return err
			}
			keys = slices.DeleteFunc(keys, func(k string) bool { return strings.Contains(k, "/a/") })
			if diff := cmp.Diff(stay, keys); diff != "" {
				return fmt.Errorf("list (-want +got):\n%s", diff)
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

// TestOneWinner sends conditional writes of one key at the same time.
func TestOneWinner(t *testing.T) {
	c := newClient(t, run(t, t.TempDir(), allGuards).Endpoint())
	c.want(200, "PUT", "/bucket", "")
	for round := range 20 {
		path := fmt.Sprintf("/bucket/a/%d", round)
		statuses := make([]int, 16)
		var g errgroup.Group
		for i := range statuses {
			g.Go(func() error {
				r, err := c.try("PUT", path, fmt.Sprint(i), "If-None-Match", "*")
				statuses[i] = r.status
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		winner := slices.Index(statuses, 200)
		slices.Sort(statuses)
		if statuses[0] != 200 || statuses[1] != 412 || statuses[len(statuses)-1] != 412 {
			t.Errorf("statuses %v, want one 200 and else 412", statuses)
		}
		if r := c.want(200, "GET", path, ""); r.body != fmt.Sprint(winner) {
			t.Errorf("object of %s, but %d won", r.body, winner)
		}
	}
}

// TestBucketsMadeAtOnce: who asks for a bucket while it is made is told that it
// is there or that it is not.
func TestBucketsMadeAtOnce(t *testing.T) {
	c := newClient(t, run(t, t.TempDir(), allGuards).Endpoint())
	for round := range 50 {
		var g errgroup.Group
		for range 8 {
			g.Go(func() error {
				for _, method := range []string{"HEAD", "PUT", "GET"} {
					if r, err := c.try(method, fmt.Sprintf("/bucket-%d", round), ""); err != nil || r.status >= 500 {
						return fmt.Errorf("%s: %d %s (%w)", method, r.status, r.body, err)
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}
