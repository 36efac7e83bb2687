// Package embedded brings the embedded S3 server into a program of package cli:
//
//	func main() { cli.With(embedded.Server()).Main(app) }
//
// With it `run` needs no bucket, and the program has the command s3.
package embedded

import (
	"context"

	"github.com/mraws/mraws/cli"
	"github.com/mraws/mraws/cmd"
	"github.com/mraws/mraws/internal/s3local"
)

// Server is the embedded S3 server. It makes a program 11 MB larger.
func Server() cli.Part {
	return cmd.EmbeddedServer(func(ctx context.Context, o cmd.ServerOptions) (cmd.Server, error) {
		server, err := s3local.Start(ctx, s3local.Options{DataDir: o.DataDir, Address: o.Address, Region: o.Region, Front: o.Front})
		if err != nil {
			return nil, err // not a Server that holds a nil pointer
		}
		return server, nil
	})
}
