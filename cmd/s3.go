package cmd

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/s3fs"
)

func (f *frame) s3Command() *cobra.Command {
	o := ServerOptions{}
	var show bool
	var script string
	var seed uint64
	c := &cobra.Command{
		Use:   "s3",
		Short: "Run the embedded S3 server alone",
		Long: "Serve a data folder over S3 until a signal. Commands of the same user with\n" +
			"--local and the same --data-dir find address and credentials in the folder.\n" +
			"With --faults they get a server with the faults of a script (docs/faults.md).",
		Example: "  " + f.name + " s3 --data-dir /tmp/s3 --address 127.0.0.1:9000\n" +
			"  eval \"$(" + f.name + " s3 --show-credentials)\"    # of the server that runs\n" +
			"  " + f.name + " s3 --faults storm.txt --fault-seed 7",
		Args: cobra.NoArgs,
		RunE: f.run(func(ctx context.Context, s *session, _ []string) (err error) {
			if show {
				return showCredentials(ctx, s)
			}
			if err := s.openPage(); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.page.Close()) }()
			defer s.logLibrary()()
			warnAddress(s.log, o.Address)
			o.DataDir, o.Region = s.conf.DataDir, s.conf.Region
			if script == "" {
				return serve(ctx, s, o, func() error { return nil })
			}
			faults, err := readFaults(script, seed)
			if err != nil {
				return err
			}
			return faults.serve(ctx, s, o)
		}),
	}
	c.Flags().StringVar(&o.Address, "address", "127.0.0.1:0", "`host:port` to listen on; port 0 takes a free one")
	c.Flags().BoolVar(&show, "show-credentials", false, "print how to reach the server that runs on the data folder, as lines for a shell with the AWS CLI")
	c.Flags().StringVar(&script, "faults", "", "inject the faults of this script, a `file`")
	c.Flags().Uint64Var(&seed, "fault-seed", 0, "seed of the random faults, a `number`; 0 takes one at random")
	config.AddFlags(c.Flags(), "metrics", "pprof")
	c.MarkFlagsMutuallyExclusive("show-credentials", "faults")
	c.MarkFlagsMutuallyExclusive("show-credentials", "address")
	return c
}

// showCredentials prints how to reach the server of the data folder.
func showCredentials(ctx context.Context, s *session) error {
	over := s.waits.during("the server of "+s.conf.DataDir, settle)
	at, err := datadir.Find(ctx, s.conf.DataDir)
	over()
	if errors.Is(err, fs.ErrNotExist) {
		return &Error{Code: ExitUnreachable, What: "no S3 server runs on " + s.conf.DataDir,
			Hint: "`mraws s3` starts one, in another terminal; it ends with a signal"}
	}
	if err != nil {
		return err
	}
	return printEndpoint(s, at, s.conf.DataDir, true)
}

// warnAddress says what an address means that others can reach.
func warnAddress(log zerolog.Logger, address string) {
	host, _, err := net.SplitHostPort(address)
	if err != nil { // the server says so
		return
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return
	}
	log.Warn().Str("address", address).
		Msg("other machines can reach this server, which has one key pair and no TLS and is made for one machine")
}

// serve runs the server until ctx ends; closeFront comes before its end.
func serve(ctx context.Context, s *session, o ServerOptions, closeFront func() error) (err error) {
	server, err := s.start(ctx, o)
	if err != nil {
		return errors.Join(serverError(err), closeFront())
	}
	defer func() { err = errors.Join(err, closeFront(), server.Close()) }()
	at := server.Endpoint()
	if o.Front == nil {
		if err := makeBucket(ctx, at, s.conf.Bucket); err != nil {
			return err
		}
	}
	if err := printEndpoint(s, at, o.DataDir, false); err != nil {
		return err
	}
	s.page.ready()
	<-ctx.Done()
	return context.Cause(ctx)
}

// serverError gives the reasons why an embedded server cannot start their exit
// codes and hints.
func serverError(err error) error {
	var credentials *datadir.CredentialsError
	var op *net.OpError
	var path *fs.PathError
	denied := errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
	switch {
	case errors.As(err, &credentials) && !denied:
		return &Error{Code: ExitUsage, What: "the credentials of the data folder cannot be read", Cause: err,
			Hint: "restore " + credentials.File + ", or remove it: a new key pair is made then"}
	case errors.Is(err, syscall.EADDRINUSE):
		return &Error{Code: ExitConflict, What: "the S3 server cannot listen", Cause: err,
			Hint: "another program has that port: choose another --address; port 0 takes a free one"}
	case errors.As(err, &op), isAddressError(err):
		return &Error{Code: ExitUsage, What: "the S3 server cannot listen", Cause: err,
			Hint: "--address is host:port, such as 127.0.0.1:9000, with a host of this machine"}
	case errors.As(err, &path) && denied:
		return &Error{Code: ExitDenied, What: "the data folder cannot be used", Cause: err,
			Hint: "name a folder that this user can write to with --data-dir"}
	case errors.As(err, &path):
		return &Error{Code: ExitUsage, What: "the data folder cannot be used", Cause: err, Hint: "name another folder with --data-dir"}
	}
	return err
}

func isAddressError(err error) bool {
	var address *net.AddrError
	var name *net.DNSError
	return errors.As(err, &address) || errors.As(err, &name)
}

// makeBucket makes the configured bucket, so that the AWS CLI finds it.
func makeBucket(ctx context.Context, at datadir.Endpoint, bucket string) error {
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
func printEndpoint(s *session, at datadir.Endpoint, dir string, show bool) error {
	credentials := filepath.Join(dir, "credentials.json")
	if s.forMachines() {
		out := serverJSON{Schema: "mraws/s3/v1", Endpoint: at.URL, Region: at.Region, Bucket: s.conf.Bucket,
			DataDir: dir, CredentialsFile: credentials}
		if show {
			out.AccessKey, out.SecretKey = at.AccessKey, at.SecretKey
		}
		return s.printDoc(out)
	}
	if show {
		return s.say("export AWS_ENDPOINT_URL=%[1]s\nexport AWS_REGION=%[2]s\nexport AWS_DEFAULT_REGION=%[2]s\nexport AWS_ACCESS_KEY_ID=%[3]s\nexport AWS_SECRET_ACCESS_KEY=%[4]s\nunset AWS_SESSION_TOKEN AWS_ENDPOINT_URL_S3",
			shellQuote(at.URL), shellQuote(at.Region), shellQuote(at.AccessKey), shellQuote(at.SecretKey))
	}
	return s.say("endpoint    %s\nbucket      %s\ncredentials %s", at.URL, s.conf.Bucket, credentials)
}
