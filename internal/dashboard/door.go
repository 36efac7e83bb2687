package dashboard

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"html"
	"net"
	"net/http"
	"strings"
)

// door decides who is served. Without a token these are readers who call the server by a
// name of the loopback interface: the page of another site, whose name was made to lead
// here, cannot read it (DNS rebinding). With one they are those who bring it.
type door struct {
	token  [sha256.Size]byte // its hash
	locked bool
	cookie string // its name: cookies of all ports of a host are one set
}

func newDoor(token string) door {
	if token == "" {
		return door{}
	}
	d := door{token: sha256.Sum256([]byte(token)), locked: true}
	named := sha256.Sum256(d.token[:])
	d.cookie = "mraws-" + hex.EncodeToString(named[:4])
	return d
}

// opens says whether a text is the token, in a time that tells nothing of it.
func (d *door) opens(text string) bool {
	given := sha256.Sum256([]byte(text))
	return subtle.ConstantTimeCompare(given[:], d.token[:]) == 1
}

// passes says whether a request is let in. If not it is answered.
func (d *door) passes(w http.ResponseWriter, r *http.Request) bool {
	if !d.locked {
		if !loopback(r.Host) {
			refuse(w, http.StatusForbidden, "this server answers to names of the loopback interface only")
			return false
		}
		return true
	}
	if query := r.URL.Query(); query.Has("token") && d.opens(query.Get("token")) {
		d.exchange(w, r)
		return false
	}
	for _, c := range r.CookiesNamed(d.cookie) {
		if d.opens(c.Value) {
			return true
		}
	}
	refuse(w, http.StatusUnauthorized, "the link with the token is needed that was printed when the server was started")
	return false
}

// exchange gives a cookie for the token, and leads to the address without it. A redirect
// would not do: browsers send no strict cookie along where a link of another site began.
func (d *door) exchange(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: d.cookie, Value: r.URL.Query().Get("token"), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	to := "/" + strings.TrimLeft(r.URL.EscapedPath(), "/")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(`<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=` + html.EscapeString(to) + `"><title>mraws</title>`))
}

// loopback says whether the value of a header Host names the loopback interface.
func loopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	return strings.EqualFold(name, "localhost") || net.ParseIP(name).IsLoopback()
}
