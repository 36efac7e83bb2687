package cmd

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/mr"
)

// clean hides the machine's configuration and AWS environment.
func clean(t *testing.T) {
	t.Helper()
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "MRAWS_") || strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("PAGER", "cat")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Chdir(t.TempDir())
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		name      string
		file      string
		env       map[string]string
		args      []string
		otherwise place
		dirExists bool
		local     bool
		why       string // or the error
	}{
		{name: "run", otherwise: embedded, local: true, why: "default of this command"},
		{name: "run with a region", otherwise: embedded, args: []string{"--region=eu-west-1"}, why: "flag --region"},
		{name: "run in an AWS environment", otherwise: embedded, env: map[string]string{"AWS_PROFILE": "x"}, why: "env AWS_PROFILE"},
		{name: "data folder", dirExists: true, local: true, why: "its data folder exists"},
		{name: "nothing", why: "default"},
		{name: "data folder, but an AWS environment", dirExists: true, env: map[string]string{"AWS_ACCESS_KEY_ID": "x"}, why: "env AWS_ACCESS_KEY_ID"},
		{name: "task role", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x"}, why: "env AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"},
		{name: "web identity", env: map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "/x"}, why: "env AWS_WEB_IDENTITY_TOKEN_FILE"},
		{name: "endpoint", env: map[string]string{"AWS_ENDPOINT_URL_S3": "http://x"}, why: "env AWS_ENDPOINT_URL_S3"},
		{name: "bucket", dirExists: true, env: map[string]string{"MRAWS_BUCKET": "some"}, why: "env MRAWS_BUCKET"},
		{name: "the default bucket, said aloud", dirExists: true, args: []string{"--bucket=mapreducedata"}, why: "flag --bucket"},
		{name: "local", args: []string{"--local"}, local: true, why: "flag --local"},
		{name: "local with a bucket", args: []string{"--local", "--bucket=some"}, local: true, why: "flag --local"},
		{name: "local beats the AWS environment", args: []string{"--local"}, env: map[string]string{"AWS_PROFILE": "x"}, local: true, why: "flag --local"},
		{name: "local beats the file", file: "endpoint: http://x", args: []string{"--local"}, local: true, why: "flag --local"},
		{name: "local of the file", file: "local: true", dirExists: true, local: true, why: "file mraws.yaml"},
		{name: "endpoint beats local of the file", file: "local: true", args: []string{"--endpoint=http://x"}, why: "flag --endpoint"},
		{name: "profile beats local of the environment", env: map[string]string{"MRAWS_LOCAL": "1"}, args: []string{"--profile=x"}, why: "flag --profile"},
		{name: "data folder beats the AWS environment", args: []string{"--data-dir=/d"}, env: map[string]string{"AWS_PROFILE": "x", "AWS_ENDPOINT_URL": "http://x"}, local: true, why: "flag --data-dir"},
		{name: "data folder of the environment beats that of AWS", env: map[string]string{"MRAWS_DATA_DIR": "/d", "AWS_ACCESS_KEY_ID": "x"}, local: true, why: "env MRAWS_DATA_DIR"},
		{name: "data folder beats a bucket of the environment", args: []string{"--data-dir=/d"}, env: map[string]string{"MRAWS_BUCKET": "some"}, local: true, why: "flag --data-dir"},
		{name: "data folder with a bucket in it", args: []string{"--data-dir=/d", "--bucket=some"}, local: true, why: "flag --data-dir"},
		{name: "endpoint beside a data folder of the environment", env: map[string]string{"MRAWS_DATA_DIR": "/d", "MRAWS_ENDPOINT": "http://x"}, why: "env MRAWS_ENDPOINT"},
		{name: "bucket beside a data folder in the file", file: "data-dir: /d\nbucket: some", why: "file mraws.yaml"},
		{name: "not local", args: []string{"--data-dir=/d", "--local=false", "--bucket=some"}, why: "flag --bucket"},
		{name: "data folder with an endpoint", args: []string{"--data-dir=/d", "--endpoint=http://x"}, why: "flag --data-dir and flag --endpoint contradict"},
		{name: "contradiction", args: []string{"--local", "--endpoint=http://x"}, why: "flag --local and flag --endpoint contradict"},
	} {
		t.Run(c.name, func(t *testing.T) {
			clean(t)
			if c.file != "" {
				if err := os.WriteFile("mraws.yaml", []byte(c.file), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
			config.AddFlags(flags, config.Names(config.Common)...)
			if err := flags.Parse(c.args); err != nil {
				t.Fatal(err)
			}
			conf, err := config.Load(config.Options{Flags: flags})
			if err != nil {
				t.Fatal(err)
			}
			local, why, err := choose(conf, c.otherwise, c.dirExists)
			if err != nil {
				why = err.Error()
			}
			if local != c.local || !strings.HasPrefix(why, c.why) {
				t.Errorf("local %v (%s), want %v (%s)", local, why, c.local, c.why)
			}
		})
	}
}

// TestBucketOfS3: no command takes a bucket of S3 that nobody named.
func TestBucketOfS3(t *testing.T) {
	for _, args := range [][]string{
		{"run", "--app", "one", "in.txt"}, {"upload-input", "in.txt"}, {"coordinator", "--app", "one"}, {"worker"}, {"status"}, {"cat"}, {"verify"}, {"reset", "--yes"}, {"replay", "map-0"}, {"events"}, {"logs", "map-0"}, {"trace"},
	} {
		clean(t)
		if err := os.WriteFile("in.txt", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_ACCESS_KEY_ID", "x")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
		r := execute(t, []mr.App{testApp("one")}, args...)
		if r.code != ExitUsage || !strings.Contains(r.err, "no bucket is named, and the store is S3 (env AWS_ACCESS_KEY_ID)\n  hint: name one with --bucket") {
			t.Errorf("%v: %+v", args, r)
		}
	}
}

// TestUnusableStore: what is wrong with the data folder or its address is
// said before any work, with its exit code.
func TestUnusableStore(t *testing.T) {
	clean(t)
	if err := os.WriteFile("in.txt", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	folder := func(name, content string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for _, tt := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"s3", "--address", taken.Addr().String()}, ExitConflict, []string{"the S3 server cannot listen", "address already in use", "choose another --address"}},
		{[]string{"s3", "--address", "nonsense"}, ExitUsage, []string{"missing port", "--address is host:port"}},
		{[]string{"s3", "--address", "192.0.2.1:0"}, ExitUsage, []string{"cannot listen", "a host of this machine"}},
		{[]string{"s3", "--show-credentials"}, ExitUnreachable, []string{"no S3 server runs on ", "hint: `mraws s3` starts one"}},
		{[]string{"run", "--app", "one", "--data-dir", folder("credentials.json", ""), "in.txt"}, ExitUsage, []string{"credentials.json is empty", "or remove it: a new key pair is made then"}},
		{[]string{"run", "--app", "one", "--data-dir", folder("credentials.json", "{}"), "in.txt"}, ExitUsage, []string{"a key is empty", "hint: restore "}},
		{[]string{"s3", "--data-dir", folder("credentials.json", "AccessKey")}, ExitUsage, []string{"decode ", "hint: restore "}},
		{[]string{"run", "--app", "one", "--data-dir", "in.txt", "in.txt"}, ExitUsage, []string{"not a directory", "name another folder with --data-dir"}},
		{[]string{"run", "--app", "one", "--data-dir", "/sys/mraws", "in.txt"}, ExitDenied, []string{"/sys/mraws", "that this user can write to with --data-dir"}},
	} {
		r := execute(t, []mr.App{testApp("one")}, tt.args...)
		if r.code != tt.code {
			t.Errorf("%v: code %d, want %d", tt.args, r.code, tt.code)
		}
		for _, want := range tt.want {
			if !strings.Contains(r.err, want) {
				t.Errorf("%v: %q is missing in\n%s", tt.args, want, r.err)
			}
		}
		if strings.Contains(r.err, "uploaded") {
			t.Errorf("%v did something:\n%s", tt.args, r.err)
		}
	}
	// An endpoint that says nothing is that of no server.
	r := execute(t, []mr.App{testApp("one")}, "status", "--data-dir", folder("endpoint.json", ""))
	if r.code != ExitUsage || !strings.Contains(r.err, "there is no job") {
		t.Errorf("empty endpoint.json: %+v", r)
	}
}

// TestWarnings: what others can reach or read is said.
func TestWarnings(t *testing.T) {
	clean(t)
	if err := os.WriteFile("token", []byte(strings.Repeat("t", 40)), 0o644); err != nil {
		t.Fatal(err)
	}
	const open = "every user of this machine can read the token file"
	for mode, warns := range map[os.FileMode]bool{0o644: true, 0o640: false, 0o600: false} {
		if err := os.Chmod("token", mode); err != nil {
			t.Fatal(err)
		}
		if r := execute(t, nil, "status", "--local", "--token-file", "token"); strings.Contains(r.err, open) != warns {
			t.Errorf("mode %v: %+v", mode, r)
		}
	}
	for address, warns := range map[string]bool{"0.0.0.0:0": true, ":0": true, "[::]:0": true, "127.0.0.1:0": false, "localhost:0": false, "[::1]:0": false} {
		s, out := testSession(config.Config{}, nil)
		s.log = zerolog.New(out)
		warnAddress(s.log, address)
		if strings.Contains(out.String(), "other machines can reach this server") != warns {
			t.Errorf("%s: %s", address, out)
		}
	}
}
