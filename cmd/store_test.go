package cmd

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/mraws/mraws/internal/config"
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
