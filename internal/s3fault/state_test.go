package s3fault

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func parse(t testing.TB, lines ...string) *Script {
	t.Helper()
	s, err := Parse(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// picked returns the numbers of the calls out of n, one each second, that
// meet a fault.
func picked(st *state, c call, n int) []int {
	var hit []int
	now := time.Unix(0, 0)
	for i := 1; i <= n; i++ {
		if p := st.decide(c, now); p.fault != nil {
			hit = append(hit, i)
		}
		now = now.Add(time.Second)
	}
	return hit
}

func TestConditions(t *testing.T) {
	for _, tt := range []struct {
		when string
		want []int
	}{
		{"", []int{1, 2, 3, 4, 5, 6}},
		{"nth=3", []int{3}},
		{"every=2", []int{2, 4, 6}},
		{"first=2", []int{1, 2}},
		{"after=4", []int{5, 6}},
		{"after=1 first=4 every=2", []int{2, 4}},
		{"for=2s", []int{1, 2, 3}},
		{"p=1", []int{1, 2, 3, 4, 5, 6}},
	} {
		st := newState(parse(t, "GetObject a* "+tt.when+" 503"), 1)
		if d := cmp.Diff(tt.want, picked(st, call{"GetObject", "abc"}, 6)); d != "" {
			t.Errorf("%s: %s", tt.when, d)
		}
		if other := slices.Concat(picked(st, call{"GetObject", "ba"}, 3), picked(st, call{"PutObject", "a"}, 3)); other != nil {
			t.Errorf("%s: calls of others meet the fault: %v", tt.when, other)
		}
		if c := st.counts(); c[0].Seen != 6 || c[0].Played != 0 {
			t.Errorf("%s: counts %+v", tt.when, c)
		}
	}
}

// TestSeed: the seed and a rule's own calls fix what it picks, whatever
// other rules see in between; p is kept.
func TestSeed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		get := call{"GetObject", "k"}
		s := parse(t, "GetObject * p=0.3 503", "PutObject * p=0.5 500")
		want := picked(newState(s, seed), get, 300)
		st := newState(s, seed)
		var got []int
		for i := 1; i <= 300; i++ {
			for range rapid.IntRange(0, 1).Draw(rt, "puts") {
				st.decide(call{"PutObject", "k"}, time.Now())
			}
			if st.decide(get, time.Now()).fault != nil {
				got = append(got, i)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			rt.Fatal(d)
		}
		if n := len(want); n < 45 || n > 135 {
			rt.Fatalf("%d of 300 calls at p=0.3", n)
		}
	})
}

// TestOrder: the first fault wins, but delay and ignore-condition come in
// addition, as does no-checksum; every rule counts.
func TestOrder(t *testing.T) {
	st := newState(parse(t, "* * delay 1ms", "* * nth=2 403", "* * 503", "* * ignore-condition"), 1)
	for _, want := range []string{"503", "403", "503"} {
		p := st.decide(call{"PutObject", "k"}, time.Now())
		if len(p.before) != 2 || p.fault == nil || p.fault.Fault.Name != want {
			t.Errorf("%+v, want %s", p, want)
		}
	}
	for _, c := range st.counts() {
		if c.Seen != 3 {
			t.Errorf("%s saw %d calls", c.Rule, c.Seen)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, key string
		want         bool
	}{
		{"*", "", true}, {"*", "a/b\nc", true}, {"a*c", "abbc", true}, {"a*c", "abbcd", false},
		{"?", "é", true}, {"?", "", false}, {"?", "ab", false}, {"[a]", "a", false}, {"[a]", "[a]", true},
		{"*mr-?-*", "p/intermediate/mr-1-22", true}, {"*mr-?-*", "p/intermediate/mr-11-22", false}, {`a\*`, `a\bc`, true},
	} {
		if got := glob(tt.pattern).MatchString(tt.key); got != tt.want {
			t.Errorf("%q matches %q: %t", tt.pattern, tt.key, got)
		}
	}
}

func TestCallOf(t *testing.T) {
	for _, tt := range []struct {
		request string // method, URL, and a copy source if there is one
		want    call
	}{
		{"PUT /b/k%2Fx?x-id=PutObject", call{"PutObject", "k/x"}},
		{"GET /b/k?x-id=GetObject", call{"GetObject", "k"}},
		{"HEAD /b/a/b", call{"HeadObject", "a/b"}},
		{"PUT /b/k src", call{"CopyObject", "k"}},
		{"PUT /b/k?partNumber=1&uploadId=u src", call{"UploadPartCopy", "k"}},
		{"PUT /b/k?partNumber=1&uploadId=u", call{"UploadPart", "k"}},
		{"POST /b/k?uploads", call{"CreateMultipartUpload", "k"}},
		{"POST /b/k?uploadId=u", call{"CompleteMultipartUpload", "k"}},
		{"DELETE /b/k?uploadId=u", call{"AbortMultipartUpload", "k"}},
		{"DELETE /b/k", call{"DeleteObject", "k"}},
		{"POST /b/?delete=", call{"DeleteObjects", ""}},
		{"POST /b?delete", call{"DeleteObjects", ""}},
		{"GET /b?list-type=2&prefix=a%2F", call{"ListObjectsV2", "a/"}},
		{"GET /b?uploads&prefix=p", call{"ListMultipartUploads", "p"}},
		{"HEAD /b", call{"HeadBucket", ""}},
		{"PUT /b", call{"CreateBucket", ""}},
		{"GET /", call{}},
		{"GET /~0123", call{}},
		{"GET /b", call{}},
		{"GET /b/k?tagging", call{"", ""}},
		{"GET /b/k?uploadId=u", call{"ListParts", "k"}},
	} {
		words := strings.Fields(tt.request)
		r := httptest.NewRequest(words[0], words[1], nil)
		if len(words) > 2 {
			r.Header.Set("X-Amz-Copy-Source", words[2])
		}
		got := callOf(r)
		if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(call{})); d != "" {
			t.Errorf("%s: %s", tt.request, d)
		}
		if got.operation != "" && !slices.Contains(Operations(), got.operation) {
			t.Errorf("%s: no rule can name %s", tt.request, got.operation)
		}
	}
}

func TestLastPage(t *testing.T) {
	const page = `<R><KeyCount>3</KeyCount><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>` +
		`<Contents><Key>a</Key></Contents><Contents><Key>b</Key></Contents><CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes></R>`
	const all = `<R><KeyCount>3</KeyCount><IsTruncated>false</IsTruncated>` +
		`<Contents><Key>a</Key></Contents><Contents><Key>b</Key></Contents><CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes></R>`
	const one = `<R><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents></R>`
	for _, tt := range []struct {
		page    string
		keep    int64
		want    string
		changed bool
	}{
		{page, -1, all, true}, {page, 1, one, true}, {page, 3, all, true}, {all, -1, all, false}, {all, 5, all, false}, {all, 1, one, true},
	} {
		got, changed := lastPage([]byte(tt.page), tt.keep)
		if string(got) != tt.want || changed != tt.changed {
			t.Errorf("keep %d: %t %s", tt.keep, changed, got)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, target := range []string{"", "127.0.0.1:9000", "ftp://h", "http://h/path", "http://%zz"} {
		if _, err := New(target, &Script{}, 1, Options{}); err == nil {
			t.Errorf("%q is taken for a server", target)
		}
	}
}
