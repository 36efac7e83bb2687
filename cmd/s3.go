package cmd

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/s3local"
)

func (f *frame) s3Command() *cobra.Command {
	o := s3local.Options{}
	var show bool
	var script string
	var seed uint64
	c := &cobra.Command{
		Use:   "s3",
		Short: "Run the embedded S3 server alone",
		Long: "Serve a data folder over S3 until a signal. Commands of the same user with\n" +
			"--local and the same --data-dir find address and credentials in the folder.\n" +
			"With --faults they get a server that fails as a script says (docs/faults.md).",
		Example: "  " + f.name + " s3 --data-dir /tmp/s3 --address 127.0.0.1:9000\n" +
			"  " + f.name + " s3 --faults storm.txt --fault-seed 7",
		Args: cobra.NoArgs,
		RunE: f.run(func(ctx context.Context, s *session, _ []string) (err error) {
			if err := s.openPage(); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.page.Close()) }()
			o.DataDir, o.Region = s.conf.DataDir, s.conf.Region
			if script == "" {
				return s.serve(ctx, o, show, func() error { return nil })
			}
			faults, err := readFaults(script, seed)
			if err != nil {
				return err
			}
			return s.serveFaulty(ctx, o, show, faults)
		}),
	}
	c.Flags().StringVar(&o.Address, "address", "127.0.0.1:0", "`host:port` to listen on; port 0 takes a free one")
	c.Flags().BoolVar(&show, "show-credentials", false, "print the credentials, as lines for a shell with the AWS CLI")
	c.Flags().StringVar(&script, "faults", "", "play the faults of this script, a `file`")
	c.Flags().Uint64Var(&seed, "fault-seed", 0, "`number` that fixes which calls fail by chance; 0 takes one at random")
	config.AddFlags(c.Flags(), "metrics")
	return c
}

// serve runs the server until ctx ends; closeFront comes before its end.
func (s *session) serve(ctx context.Context, o s3local.Options, show bool, closeFront func() error) (err error) {
	server, err := s3local.Start(ctx, o)
	if err != nil {
		return errors.Join(err, closeFront())
	}
	defer func() { err = errors.Join(err, closeFront(), server.Close()) }()
	at := server.Endpoint()
	if o.Front == nil {
		if err := makeBucket(ctx, at, s.conf.Bucket); err != nil {
			return err
		}
	}
	if err := s.printEndpoint(at, o.DataDir, show); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// makeBucket makes the configured bucket, so that the AWS CLI finds it.
func makeBucket(ctx context.Context, at s3local.Endpoint, bucket string) error {
	st, err := s3fs.Open(ctx, s3fs.Options{
		Bucket: bucket, Region: at.Region, Endpoint: at.URL, AccessKey: at.AccessKey, SecretKey: at.SecretKey,
	})
	if err != nil {
		return err
	}
	defer st.Close()
	return st.EnsureBucket(ctx)
}

type serverJSON struct {
	Schema          string `json:"schema"`
	Endpoint        string `json:"endpoint"`
	Region          string `json:"region"`
	Bucket          string `json:"bucket"`
	DataDir         string `json:"data_dir"`
	CredentialsFile string `json:"credentials_file"`
	AccessKey       string `json:"access_key,omitempty"`
	SecretKey       string `json:"secret_key,omitempty"`
}

// printEndpoint says where the server answers; the secret only on request.
func (s *session) printEndpoint(at s3local.Endpoint, dir string, show bool) error {
	credentials := filepath.Join(dir, "credentials.json")
	if s.output == "json" {
		out := serverJSON{Schema: "mraws/s3/v1", Endpoint: at.URL, Region: at.Region, Bucket: s.conf.Bucket,
			DataDir: dir, CredentialsFile: credentials}
		if show {
			out.AccessKey, out.SecretKey = at.AccessKey, at.SecretKey
		}
		return s.printJSON(out)
	}
	if show {
		return s.say("export AWS_ENDPOINT_URL=%[1]s\nexport AWS_REGION=%[2]s\nexport AWS_DEFAULT_REGION=%[2]s\nexport AWS_ACCESS_KEY_ID=%[3]s\nexport AWS_SECRET_ACCESS_KEY=%[4]s",
			at.URL, at.Region, at.AccessKey, at.SecretKey)
	}
	return s.say("endpoint    %s\nbucket      %s\ncredentials %s", at.URL, s.conf.Bucket, credentials)
}
