package metrics

import (
	"net"
	"net/http"
	"testing"
	"time"
)

// TestSilentConnections: more connections than a server holds, of which nothing
// is heard, keep nobody from the page. Their headers have an hour, so that no
// time-out helps.
func TestSilentConnections(t *testing.T) {
	s, err := serve("127.0.0.1:0", http.NotFoundHandler(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	at := s.Addr().String()
	for range 3 * most {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	reply, err := client.Get("http://" + at + "/")
	if err != nil {
		t.Fatal(err)
	}
	if err := reply.Body.Close(); err != nil || reply.StatusCode != http.StatusNotFound {
		t.Errorf("%s, %v", reply.Status, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
