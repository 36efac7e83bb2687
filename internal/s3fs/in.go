package s3fs

import "sync"

// In returns another bucket of the same server, read with the same credentials
// and by the same connections. It is not known to be there.
func (s *Store) In(bucket string) *Store {
	if bucket == s.o.Bucket {
		return s
	}
	o := s.o
	o.Bucket = bucket
	return &Store{o: o, region: s.region, api: s.api, http: s.http, pool: bufferPool{size: o.PartSize}, views: sync.Pool{New: newView}}
}
