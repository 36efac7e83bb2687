package wire

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
)

// public tells whether a call needs no token: Discover, and the question of a
// probe, which knows none. Either is answered a few times a connection.
func public(method string) bool {
	return method == Coordinator_Discover_FullMethodName || method == grpc_health_v1.Health_Check_FullMethodName
}

// health answers probes by https://github.com/grpc/grpc/blob/master/doc/health-checking.md.
// It says one word of the process, the service "", and one of the service of
// workers. Watch is not there: its streams would hold up the end of a server.
type health struct {
	grpc_health_v1.UnimplementedHealthServer
	o *ServerOptions
}

// Check says that the process serves, and that the service does if the
// coordinator leads.
func (h health) Check(_ context.Context, q *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	is := grpc_health_v1.HealthCheckResponse_SERVING
	switch q.GetService() {
	case "":
	case Coordinator_ServiceDesc.ServiceName:
		if h.o.Ready != nil && h.o.Ready() != nil {
			is = grpc_health_v1.HealthCheckResponse_NOT_SERVING
		}
	default:
		return nil, status.Error(codes.NotFound, "the coordinator has no such service")
	}
	return &grpc_health_v1.HealthCheckResponse{Status: is}, nil
}

// describe adds what tools and probes ask of any server of gRPC. The schema is
// told to whoever may call the service, as [ServerOptions.tap] judges.
func (s *Server) describe() {
	grpc_health_v1.RegisterHealthServer(s, health{o: s.o})
	reflection.Register(s)
}

// observeStream is observe for streams: those of the reflection service.
func (o *ServerOptions) observeStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	_, err := o.observe(stream.Context(), nil, &grpc.UnaryServerInfo{FullMethod: info.FullMethod}, func(context.Context, any) (any, error) {
		return nil, next(srv, stream)
	})
	return err
}
