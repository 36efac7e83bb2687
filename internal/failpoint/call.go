package failpoint

import (
	"context"
	"path"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Call is the interceptor of a worker. It has a point before each call and one
// after its reply. Its errors are those of a broken connection.
func Call(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	_, err := around("worker.call.", method, func() (any, error) {
		return nil, invoke(ctx, method, req, reply, cc, opts...)
	})
	return err
}

// Serve is the interceptor of a coordinator. It has a point after the arrival of
// each call and one before its reply.
func Serve(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	return around("coordinator.serve.", info.FullMethod, func() (any, error) { return next(ctx, req) })
}

func around(what, method string, f func() (any, error)) (any, error) {
	what += strings.ToLower(path.Base(method))
	if err := hit(Point(what + ".before")); err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	reply, err := f()
	if err == nil {
		if err := hit(Point(what + ".after")); err != nil {
			return nil, status.Error(codes.Unavailable, err.Error())
		}
	}
	return reply, err
}
