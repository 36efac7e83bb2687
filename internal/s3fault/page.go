package s3fault

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// escape makes text fit to stand in XML.
func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// dropPage lets a page of a listing say that it is the last, and leaves out
// what stands behind its first N entries if N is given. A page that this
// does not change passes unharmed.
func (e *exchange) dropPage(resp *http.Response) {
	if resp.StatusCode == http.StatusOK && e.known(resp) {
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			e.kill(false)
			return
		}
		page, changed := lastPage(data, e.fault.Fault.N)
		if changed {
			e.played(e.fault)
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(page)), int64(len(page))
	}
	e.header(resp)
	e.copy(resp.Body)
}

// lastPage makes a page the last one, with its first keep entries, or with
// all of them if keep is negative.
func lastPage(page []byte, keep int64) (last []byte, changed bool) {
	var (
		entry     = regexp.MustCompile(`(?s)<(?:Contents|CommonPrefixes)>.*?</(?:Contents|CommonPrefixes)>`)
		count     = regexp.MustCompile(`<KeyCount>[0-9]*</KeyCount>`)
		token     = regexp.MustCompile(`(?s)<NextContinuationToken>.*?</NextContinuationToken>`)
		truncated = []byte("<IsTruncated>true</IsTruncated>")
	)
	var n int64
	last = entry.ReplaceAllFunc(page, func(b []byte) []byte {
		if n++; keep >= 0 && n > keep {
			changed = true
			return nil
		}
		return b
	})
	if bytes.Contains(last, truncated) {
		changed = true
		last = bytes.Replace(last, truncated, []byte("<IsTruncated>false</IsTruncated>"), 1)
		last = token.ReplaceAll(last, nil)
	}
	if keep >= 0 {
		n = min(n, keep)
	}
	return count.ReplaceAll(last, fmt.Appendf(nil, "<KeyCount>%d</KeyCount>", n)), changed
}
