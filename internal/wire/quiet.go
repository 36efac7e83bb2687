package wire

import (
	"io"
	"os"

	"google.golang.org/grpc/grpclog"
)

// The gRPC library writes lines of its own to stderr. They are dropped, unless
// GRPC_GO_LOG_SEVERITY_LEVEL asks for them: what fails comes back as an error,
// and a program that is told to be quiet is. The logger has to be set before
// any other use of the library.
// See https://pkg.go.dev/google.golang.org/grpc/grpclog#SetLoggerV2.
func init() {
	if os.Getenv("GRPC_GO_LOG_SEVERITY_LEVEL") == "" {
		grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	}
}
