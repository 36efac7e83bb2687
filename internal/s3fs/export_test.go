package s3fs

import (
	"context"
	"net"
)

// OpenOver is Open over connections that dial makes.
func OpenOver(ctx context.Context, o Options, dial func(context.Context, string, string) (net.Conn, error)) (*Store, error) {
	o = o.withDefaults()
	cfg, err := awsConfig(ctx, o)
	if err != nil {
		return nil, err
	}
	tr := newTransport(cfg, o)
	tr.DialContext = dial
	return open(ctx, o, tr)
}

// What tests of other files than these need.
const (
	MinDirect = minDirect
	ViewSize  = viewSize
)
