package s3fault

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// exchange is one request on its way.
type exchange struct {
	p     *Proxy
	w     http.ResponseWriter
	r     *http.Request
	c     call
	st    *state
	fault *action // nil for none
	bare  *action // takes checksums from the reply; nil for none
}

// played takes note that a fault has happened.
func (e *exchange) played(a *action) {
	e.st.played(a)
	if e.p.o.Played != nil {
		e.p.o.Played(a.Rule, e.c.operation, e.c.key)
	}
}

// prepare carries out the modifiers, before a request is passed on. It reports
// false if the client went away meanwhile.
func (e *exchange) prepare(a *action) bool {
	switch a.Fault.Name {
	case "no-checksum":
		e.bare = a
	case "ignore-condition":
		if e.stripConditions() {
			e.played(a)
		}
	case "delay":
		e.played(a)
		t := time.NewTimer(a.Fault.D)
		defer t.Stop()
		select {
		case <-t.C:
		case <-e.r.Context().Done():
			return false
		case <-e.p.done:
		}
	}
	return true
}

// run passes the request on or answers in the server's place.
func (e *exchange) run() {
	if e.fault == nil {
		e.pass()
		return
	}
	switch name := e.fault.Fault.Name; name {
	case "fail-page":
		if !e.r.URL.Query().Has("continuation-token") {
			e.pass()
			return
		}
		e.answer("500")
	case "drop":
		e.played(e.fault)
		e.kill(false)
	case "no-headers":
		e.played(e.fault)
		e.drain()
		e.hang()
	case "flip":
		if e.c.sendsBody() && e.r.ContentLength > 0 {
			e.played(e.fault)
			e.r.Body = &flipper{ReadCloser: e.r.Body, at: e.fault.offset(e.r.ContentLength), bit: byte(1) << (e.fault.draw >> 61)}
		}
		e.pass()
	default:
		if _, ok := replies()[name]; ok {
			e.answer(name)
			return
		}
		e.pass()
	}
}

// send passes the request on to the server. The host stays that of the
// client: it is signed.
func (e *exchange) send() (*http.Response, error) {
	out := e.r.Clone(e.r.Context())
	out.URL = &url.URL{
		Scheme: e.p.target.Scheme, Host: e.p.target.Host,
		Path: e.r.URL.Path, RawPath: e.r.URL.RawPath, RawQuery: e.r.URL.RawQuery, ForceQuery: e.r.URL.ForceQuery,
	}
	out.Host, out.RequestURI = e.r.Host, ""
	if e.r.ContentLength == 0 {
		out.Body = http.NoBody
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // else the transport sends its own
	}
	return e.p.rt.RoundTrip(out)
}

// pass sends the request on and its reply back, with the fault of a reply if
// there is one.
func (e *exchange) pass() {
	resp, err := e.send()
	if err != nil {
		if e.r.Context().Err() == nil {
			writeReply(e.w, e.r.Method, reply{status: http.StatusBadGateway, code: "BadGateway"}, "pass the request on: "+err.Error())
		}
		return
	}
	defer resp.Body.Close()
	if e.fault != nil {
		e.harm(resp)
		return
	}
	e.header(resp)
	e.copy(resp.Body)
}

// header sends status and headers of a reply on.
func (e *exchange) header(resp *http.Response) {
	maps.Copy(e.w.Header(), resp.Header)
	e.w.Header().Del("Connection")
	e.stripChecksums()
	if resp.ContentLength >= 0 {
		e.w.Header().Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
	e.w.WriteHeader(resp.StatusCode)
}

// stripChecksums makes the server one that sends none with what it is asked
// for, as S3 does with ranges.
func (e *exchange) stripChecksums() {
	if e.bare == nil {
		return
	}
	had := false
	for name := range e.w.Header() {
		if strings.HasPrefix(name, "X-Amz-Checksum-") {
			e.w.Header().Del(name)
			had = true
		}
	}
	if had {
		e.played(e.bare)
	}
}

// copy sends a body on. If the server breaks it, so does the proxy.
func (e *exchange) copy(body io.Reader) {
	if _, err := io.Copy(e.w, body); err != nil {
		e.kill(false)
	}
}

// copySlowly sends a body on, a byte at a time.
func (e *exchange) copySlowly(body io.Reader, each time.Duration) {
	out, tick := http.NewResponseController(e.w), time.NewTicker(each)
	defer tick.Stop()
	for {
		_, err := io.CopyN(e.w, body, 1)
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			e.kill(false)
			return
		}
		select {
		case <-tick.C:
		case <-e.r.Context().Done():
			e.kill(false)
			return
		case <-e.p.done:
			e.kill(false)
			return
		}
	}
}

// harm sends the reply of the server on, damaged.
func (e *exchange) harm(resp *http.Response) {
	switch a := e.fault; a.Fault.Name {
	case "lost-reply":
		e.played(a)
		_, _ = io.Copy(io.Discard, resp.Body) // it is lost in any case
		e.kill(false)
	case "drop-page":
		e.dropPage(resp)
	case "flip":
		if e.c.sendsBody() || e.r.Method == http.MethodHead || resp.StatusCode/100 != 2 || !e.known(resp) || resp.ContentLength == 0 {
			e.header(resp)
			e.copy(resp.Body)
			return
		}
		e.played(a)
		e.header(resp)
		e.copy(&flipper{ReadCloser: resp.Body, at: a.offset(resp.ContentLength), bit: byte(1) << (a.draw >> 61)})
	case "stall", "reset", "short":
		e.cut(resp)
	case "slow":
		e.played(a)
		e.header(resp)
		e.copySlowly(resp.Body, a.Fault.D)
	default: // a page that need not fail
		e.header(resp)
		e.copy(resp.Body)
	}
}

// cut sends a part of the body and then hangs, resets or closes. In front of
// a reply without a body, it does so before the headers.
func (e *exchange) cut(resp *http.Response) {
	e.played(e.fault)
	if e.r.Method != http.MethodHead && e.known(resp) && resp.ContentLength > 0 {
		n := e.fault.Fault.N
		if n < 0 {
			n = resp.ContentLength / 2
		}
		e.header(resp)
		_, _ = io.CopyN(e.w, resp.Body, min(n, resp.ContentLength-1)) // it is broken in any case
	}
	if e.fault.Fault.Name == "stall" {
		_ = http.NewResponseController(e.w).Flush()
		e.hang()
		return
	}
	e.kill(e.fault.Fault.Name == "reset")
}

// most is the length of a body that is taken into memory, bytes.
const most = 64 << 20

// known makes sure that the length of the reply is known.
func (e *exchange) known(resp *http.Response) bool {
	if resp.ContentLength >= 0 {
		return true
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil || len(data) == most {
		return false
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	return true
}

// drain reads what the client still sends; it would not wait for a reply
// otherwise.
func (e *exchange) drain() {
	_, _ = io.Copy(io.Discard, e.r.Body) // if it breaks the client is gone
}

// hang waits until the client has had enough.
func (e *exchange) hang() {
	select {
	case <-e.r.Context().Done():
	case <-e.p.done:
	}
	e.kill(false)
}

// kill closes the connection as it stands, by a reset or in good order.
func (e *exchange) kill(reset bool) {
	conn, buf, err := http.NewResponseController(e.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // the server's way to drop a connection
	}
	_ = buf.Flush()
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// offset is the byte that a flip hits in a body of n bytes.
func (a *action) offset(n int64) int64 {
	if a.Fault.N >= 0 {
		return min(a.Fault.N, n-1)
	}
	return int64(a.draw % uint64(n))
}

// flipper changes one bit of what it reads.
type flipper struct {
	io.ReadCloser
	at  int64 // bytes until then
	bit byte
}

// Read implements io.Reader.
func (f *flipper) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if f.at >= 0 && f.at < int64(n) {
		p[f.at] ^= f.bit
	}
	f.at -= int64(n)
	return n, err
}

// reply is an answer in the server's place.
type reply struct {
	status        int
	code, message string        // code is "" where a gateway answers, not S3
	ahead         time.Duration // of the Date header
	region        string        // that the bucket is said to be in
}

// elsewhere is the region that a bucket is in where requests go to another.
const elsewhere = "eu-west-3"

// replies returns the answers by the names of the faults.
func replies() map[string]reply {
	return map[string]reply{
		"200":     {status: http.StatusOK, code: "InternalError", message: "We encountered an internal error. Please try again."},
		"403":     {status: http.StatusForbidden, code: "AccessDenied", message: "Access Denied"},
		"409":     {status: http.StatusConflict, code: "ConditionalRequestConflict", message: "A conflicting operation occurred during this request."},
		"500":     {status: http.StatusInternalServerError, code: "InternalError", message: "We encountered an internal error. Please try again."},
		"502":     {status: http.StatusBadGateway},
		"503":     {status: http.StatusServiceUnavailable, code: "SlowDown", message: "Please reduce your request rate."},
		"504":     {status: http.StatusGatewayTimeout},
		"expired": {status: http.StatusBadRequest, code: "ExpiredToken", message: "The provided token has expired."},
		"bad-key": {status: http.StatusForbidden, code: "InvalidAccessKeyId", message: "The AWS Access Key Id you provided does not exist in our records."},
		"bad-secret": {status: http.StatusForbidden, code: "SignatureDoesNotMatch",
			message: "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
		"skewed": {status: http.StatusForbidden, code: "RequestTimeTooSkewed",
			message: "The difference between the request time and the current time is too large.", ahead: time.Hour},
		"other-region": {status: http.StatusMovedPermanently, code: "PermanentRedirect", region: elsewhere,
			message: "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint."},
		"bad-region": {status: http.StatusBadRequest, code: "AuthorizationHeaderMalformed", region: elsewhere,
			message: "The authorization header is malformed; the region is wrong; expecting '" + elsewhere + "'"},
	}
}

// answer answers in the server's place. The request is not carried out.
func (e *exchange) answer(name string) {
	e.played(e.fault)
	if e.r.Header.Get("Expect") == "" {
		e.drain()
	}
	a := replies()[name]
	writeReply(e.w, e.r.Method, a, fmt.Sprintf("%s (fault of line %d)", a.message, e.fault.Line))
}

func writeReply(w http.ResponseWriter, method string, a reply, message string) {
	body := fmt.Sprintf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message><RequestId>fault</RequestId></Error>", a.code, escape(message))
	kind := "application/xml"
	if a.code == "" {
		body, kind = fmt.Sprintf("<html><body><h1>%d %s</h1></body></html>\n", a.status, http.StatusText(a.status)), "text/html"
	}
	if a.ahead != 0 {
		w.Header().Set("Date", time.Now().Add(a.ahead).UTC().Format(http.TimeFormat))
	}
	if a.region != "" {
		w.Header().Set("X-Amz-Bucket-Region", a.region)
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.status)
	if method != http.MethodHead {
		_, _ = io.WriteString(w, body) // the client may be gone
	}
}
