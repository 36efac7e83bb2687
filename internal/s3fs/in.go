package s3fs

import (
	"net/http"
	"regexp"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Access says how another bucket of the server is asked.
type Access struct {
	// Region is that of the bucket; "" is found by its replies.
	Region string
	// Unsigned sends requests without credentials, as a public bucket takes them.
	Unsigned bool
	// RequesterPays tells the bucket that the sender of a request pays for it.
	RequesterPays bool
}

// family is the stores of one server, which share connections, bounds and counts.
type family struct {
	cfg aws.Config

	mu     sync.Mutex
	stores map[member]*Store
}

type member struct {
	bucket string
	access Access
}

// In returns another bucket of the same server, asked with the same credentials
// and by the same connections. It is not known to be there. Its region may be
// another: see [Store.Other].
func (s *Store) In(bucket string) *Store { return s.Other(bucket, Access{}) }

// Other is In with a way to ask the bucket. A reply that names another region
// than the one that a read was sent to is followed there once, and all further
// requests go to that region. The same arguments give the same store.
func (s *Store) Other(bucket string, a Access) *Store {
	if bucket == s.o.Bucket && a == (Access{}) {
		return s
	}
	f := s.family
	f.mu.Lock()
	defer f.mu.Unlock()
	is := member{bucket, a}
	if other, ok := f.stores[is]; ok {
		return other
	}
	o := s.o
	o.Bucket, o.Access, o.Follow = bucket, a, true
	other := &Store{o: o, http: s.http, family: f, pool: bufferPool{size: o.PartSize}, views: sync.Pool{New: newView}}
	region := a.Region
	if region == "" {
		region = s.Region()
	}
	other.connect(region)
	f.stores[is] = other
	return other
}

// link is how requests are sent, and the region that they are signed for.
type link struct {
	api    *s3.Client
	region string
}

func (s *Store) api() *s3.Client { return s.link.Load().api }

// connect sends requests to a region from now on; "" is that of the configuration.
func (s *Store) connect(region string) {
	cfg := s.family.cfg.Copy()
	if region != "" {
		cfg.Region = region
	}
	api := s3.NewFromConfig(cfg, s.configure)
	s.link.Store(&link{api: api, region: api.Options().Region})
}

// follow sends a read. If the reply names another region of the bucket, and this
// store follows it, the read is sent there.
func follow[T any](s *Store, send func(api *s3.Client) (T, error)) (T, error) {
	at := s.link.Load()
	out, err := send(at.api)
	if err != nil && s.moved(at, err) {
		return send(s.api())
	}
	return out, err
}

// regionName is what may become a part of the name of a host.
var regionName = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

// moved says whether a request that was sent by a link and failed is to be sent to
// another region, for which the store is ready.
func (s *Store) moved(from *link, err error) bool {
	if !s.o.Follow {
		return false
	}
	if s.link.Load() != from { // another request was told before
		return statusOf(err) < http.StatusNotFound
	}
	region := regionOf(err)
	if !isRegionError(err, from.region) || region == from.region || !regionName.MatchString(region) {
		return false
	}
	s.connect(region)
	return true
}

// configure adds to a client what [Access] asks for, but for the region.
func (a Access) configure(so *s3.Options) {
	if a.Unsigned {
		so.Credentials = aws.AnonymousCredentials{}
	}
	if a.RequesterPays {
		so.APIOptions = append(so.APIOptions, smithyhttp.SetHeaderValue("X-Amz-Request-Payer", "requester"))
	}
}
