package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// isolate hides the machine's own configuration.
func isolate(t *testing.T) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "MRAWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Chdir(t.TempDir())
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func flags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(fs, keyNames()...)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestDefaults(t *testing.T) {
	isolate(t)
	l, err := Load(Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Bucket: "mapreducedata", Port: 1234, NReduce: 10, SplitSize: 64 << 20, Pack: "auto", Shuffle: "auto",
		Lease: 10 * time.Second, CoordTimeout: 10 * time.Second, DrainTimeout: 25 * time.Second, Spot: "auto", MaxAttempts: 4, MaxBad: "0", InputStore: "auto", RequestPayer: "owner", Decompress: "auto", MaxRatio: 200, MaxDecompressed: 1 << 40, Speculation: "auto", Events: true, TaskTimeout: 10 * time.Minute, S3Concurrency: 64,
		ExecMemory: 2 << 30, ExecDisk: 20 << 30, ExecOutput: 100 << 30,
		LogLevel: "info", LogFormat: "auto", Color: "auto", Pager: "auto", Progress: "auto",
	}
	if diff := cmp.Diff(want, l.Config); diff != "" {
		t.Error(diff)
	}
	for _, e := range l.Entries() {
		if e.Origin != (Origin{}) || l.IsSet(e.Key) {
			t.Errorf("origin of %s is %v", e.Key, e.Origin)
		}
	}
}

// sample is a value of each key that is not its default.
var sample = map[string]string{
	"bucket": "some-bucket", "prefix": "a/b", "region": "eu-west-1", "endpoint": "http://127.0.0.1:9000",
	"profile": "dev", "local": "true", "data-dir": "/data", "s3-concurrency": "7", "coord": "10.0.0.1:99",
	"port": "4321", "listen": "127.0.0.1", "advertise": "host.example:80", "tls-ca": "/ca.pem",
	"tls-cert": "/cert.pem", "tls-key": "/key.pem", "token-file": "/token", "insecure": "false", "http": "10.0.0.1:9102", "metrics": "10.0.0.1:9101", "pprof": "true",
	"nreduce": "3", "split-size": "1KiB", "pack": "never", "shuffle": "packed", "max-attempts": "2", "task-timeout": "1m0s", "max-bad-records": "0.1%", "input-store": "aws", "no-sign-request": "true", "request-payer": "requester", "decompress": "off", "decompress-ratio": "1000", "decompress-limit": "5GiB", "speculation": "off", "events": "false", "prices": "/prices.json", "max-usd": "12.5", "lease": "3s",
	"memory": "256MiB", "slots": "5", "scratch": "/scratch", "exec-memory": "1GiB", "exec-disk": "3GiB", "exec-output": "5MiB", "coord-timeout": "1m0s", "drain-timeout": "2m0s", "spot": "off",
	"log-level": "debug", "log-format": "json", "log-file": "/var/log/mraws.json", "color": "never", "pager": "more", "progress": "plain",
}

func get(c Config, key string) string {
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("mapstructure") == key {
			return strings.TrimSpace(toText(v.Field(i).Interface()))
		}
	}
	return "no such field"
}

func TestEveryKeyHasAFieldAndAnOrderOfOrigins(t *testing.T) {
	if n := reflect.TypeFor[Config]().NumField(); n != len(Keys()) {
		t.Errorf("%d fields, %d keys", n, len(Keys()))
	}
	for _, k := range Keys() {
		t.Run(k.Name, func(t *testing.T) {
			isolate(t)
			value, ok := sample[k.Name]
			if !ok {
				t.Fatal("no sample value")
			}
			check := func(o Options, want Origin) {
				t.Helper()
				l, err := Load(o)
				if err != nil && !strings.HasPrefix(k.Name, "tls-") { // which need each other
					t.Fatal(err)
				}
				if got := get(l.Config, k.Name); got != value {
					t.Errorf("from %v: got %s, want %s", want, got, value)
				}
				if got := l.Origin(k.Name); got != want {
					t.Errorf("origin %v, want %v", got, want)
				}
			}
			file := write(t, fileName, k.Name+": "+k.YAML(value)+"\n")
			check(Options{}, Origin{File, file})

			write(t, fileName, k.Name+": "+k.YAML(k.Default)+"\n")
			t.Setenv(k.Env(), value)
			check(Options{}, Origin{Env, k.Env()})

			other := k.Default
			if other == "" {
				other = value
			}
			t.Setenv(k.Env(), other)
			check(Options{Flags: flags(t, "--"+k.Name+"="+value)}, Origin{Flag, "--" + k.Name})

			t.Setenv(k.Env(), "") // an empty variable is an unset one
			check(Options{File: write(t, "other.yaml", k.Name+": "+k.YAML(value))}, Origin{File, "other.yaml"})

			write(t, fileName, k.Name+":\n") // and so is a null
			l, err := Load(Options{})
			if err != nil || l.IsSet(k.Name) {
				t.Errorf("null in a file: origin %v, %v", l.Origin(k.Name), err)
			}
			check(Options{Defaults: map[string]string{k.Name: value}}, Origin{})
			check(Options{Set: []Entry{{k.Name, value, Origin{Flag, "-x"}}}}, Origin{Flag, "-x"})
		})
	}
}

func TestWhichFile(t *testing.T) {
	isolate(t)
	home := os.Getenv("XDG_CONFIG_HOME")
	load := func(o Options) string {
		t.Helper()
		l, err := Load(o)
		if err != nil {
			t.Fatal(err)
		}
		return l.Bucket + " " + l.File
	}
	xdg := write(t, filepath.Join(home, "mraws", fileName), "bucket: of-xdg")
	if got := load(Options{}); got != "of-xdg "+xdg {
		t.Error(got)
	}
	write(t, fileName, "bucket: of-here\n")
	if got := load(Options{}); got != "of-here mraws.yaml" {
		t.Error(got)
	}
	t.Setenv(fileEnv, write(t, "env.yaml", "bucket: of-env\n"))
	if got := load(Options{}); got != "of-env env.yaml" {
		t.Error(got)
	}
	if got := load(Options{File: write(t, "flag.json", `{"bucket":"of-flag"}`)}); got != "of-flag flag.json" {
		t.Error(got)
	}
	if _, err := Load(Options{File: "absent.yaml"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	if want := []string{"mraws.yaml", xdg, "/etc/mraws/mraws.yaml"}; !cmp.Equal(searchPath(), want) {
		t.Errorf("search path %q", searchPath())
	}
}

func TestPathsOfAFileAreRelativeToIt(t *testing.T) {
	isolate(t)
	t.Setenv("HOME", "/home/me")
	write(t, "conf/c.yaml", "data-dir: data\nscratch: ~/scratch\ntoken-file: /t\n")
	l, err := Load(Options{File: "conf/c.yaml", Flags: flags(t, "--tls-ca", "ca.pem", "--tls-cert", "cert.pem", "--tls-key", "key.pem")})
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	got := []string{l.DataDir, l.Scratch, l.TokenFile, l.TLSCA}
	if want := []string{here + "/conf/data", "/home/me/scratch", "/t", here + "/ca.pem"}; !cmp.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProblems(t *testing.T) {
	for _, c := range []struct {
		name, file string
		env        map[string]string
		args       []string
		want       []string // parts of the message
	}{
		{name: "typo", file: "buket: x\n", want: []string{"mraws.yaml", `"buket"`, `did you mean "bucket"`}},
		{name: "nested", file: "tls:\n  ca: x\n", want: []string{`"tls.ca"`, `"tls-ca"`}},
		{name: "unknown", file: "colour-of-the-sky: x\n", want: []string{`unknown key "colour-of-the-sky"`}},
		{name: "not YAML", file: "a: [\n", want: []string{"mraws.yaml"}},
		{name: "not a map", file: "bucket\n", want: []string{"mraws.yaml"}},
		{name: "twice", file: "bucket: aaa\nbucket: bbb\n", want: []string{"mraws.yaml", "already defined"}},
		{name: "list", file: "bucket: [a]\n", want: []string{"bucket", "single value"}},
		{name: "map", file: "bucket: {a: b}\n", want: []string{"bucket.a"}},
		{name: "octal", file: "prefix: 007\n", want: []string{"prefix", "must be quoted"}},
		{name: "date", file: "prefix: 2026-01-01\n", want: []string{"prefix", "must be quoted"}},
		{name: "float", file: "nreduce: 2.5\n", want: []string{"nreduce", "2.5"}},
		{name: "bare size", file: "split-size: 64\n", want: []string{"split-size", `"64"`, "file mraws.yaml", "64MiB"}},
		{name: "M", args: []string{"--split-size=64M"}, want: []string{"flag --split-size", "unit"}},
		{name: "no split", args: []string{"--split-size=0"}, want: []string{"at least"}},
		{name: "small memory", args: []string{"--memory=1MiB"}, want: []string{"at least 32MiB, or auto"}},
		{name: "duration", env: map[string]string{"MRAWS_LEASE": "10"}, want: []string{"lease", "env MRAWS_LEASE", "10s"}},
		{name: "short lease", args: []string{"--lease=1ms"}, want: []string{"at least 100ms"}},
		{name: "number", args: []string{"--nreduce=many"}, want: []string{`"many"`, "from 0 to"}},
		{name: "negative", args: []string{"--nreduce=-1"}, want: []string{"from 0 to"}},
		{name: "bool", env: map[string]string{"MRAWS_LOCAL": "perhaps"}, want: []string{"true or false"}},
		{name: "choice", args: []string{"--pack=always"}, want: []string{"auto, never"}},
		{name: "bucket", args: []string{"--bucket=s3://b/x"}, want: []string{"without s3://"}},
		{name: "prefix", args: []string{"--prefix=a/../b"}, want: []string{"prefix"}},
		{name: "endpoint", args: []string{"--endpoint=localhost:9000"}, want: []string{"http://host:port"}},
		{name: "secret in endpoint", args: []string{"--endpoint=http://a:geheim@c"}, want: []string{`"http://***@c"`, "without credentials"}},
		{name: "secret without a scheme", args: []string{"--endpoint=a:geheim@c"}, want: []string{`"***@c"`}},
		{name: "secret with a slash", args: []string{"--endpoint=http://a:ge/geheim@c:1"}, want: []string{`"http://***@c:1"`}},
		{name: "secret of the environment", env: map[string]string{"MRAWS_ENDPOINT": "https://a:geheim@c:1"}, want: []string{"***@c:1"}},
		{name: "secret in a query", args: []string{"--endpoint=http://c/?X-Amz-Signature=geheim"}, want: []string{`"http://c/?…"`}},
		{name: "coord", args: []string{"--coord=host"}, want: []string{"host:port"}},
		{name: "listen", args: []string{"--listen=host:1"}, want: []string{"host name or an IP"}},
		{name: "metrics", args: []string{"--metrics=localhost"}, want: []string{"9101", "0.0.0.0:9101"}},
		{name: "metrics URL", args: []string{"--metrics=http://h:1"}, want: []string{"port such as"}},
		{name: "region", args: []string{"--region=Europe"}, want: []string{"eu-west-1"}},
		{name: "cert without key", args: []string{"--tls-cert=a"}, want: []string{"tls-cert", "needs tls-key too"}},
		{name: "key without cert", args: []string{"--tls-key=a"}, want: []string{"tls-key", "needs tls-cert too"}},
		{name: "insecure", args: []string{"--insecure", "--tls-ca=a"}, want: []string{"insecure", "excludes tls-ca"}},
		{name: "share of more than all", args: []string{"--max-bad-records=100.1%"}, want: []string{"max-bad-records", "0.1%"}},
		{name: "share too fine", args: []string{"--max-bad-records=0.00001%"}, want: []string{"four decimals"}},
		{name: "many at once", args: []string{"--nreduce=-1"}, env: map[string]string{"MRAWS_PORT": "x"}, want: []string{"nreduce", "port"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			isolate(t)
			if c.file != "" {
				write(t, fileName, c.file)
			}
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			_, err := Load(Options{Flags: flags(t, c.args...)})
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), "geheim") {
				t.Errorf("the secret is in: %v", err)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is missing in: %v", part, err)
				}
			}
		})
	}
}

func TestAFolderIsNoFile(t *testing.T) {
	isolate(t)
	if err := os.Mkdir(fileName, 0o755); err != nil {
		t.Fatal(err)
	}
	var fe *FileError
	if _, err := Load(Options{}); !errors.As(err, &fe) || fe.File != fileName {
		t.Errorf("got %v", err)
	}
}

func TestExampleLoadsAsDefaults(t *testing.T) {
	isolate(t)
	defaults, err := Load(Options{})
	if err != nil {
		t.Fatal(err)
	}
	// Every comment that starts without a space is a key.
	var lines []string
	for line := range strings.Lines(Example()) {
		if line = strings.TrimPrefix(line, "#"); !strings.HasPrefix(line, " ") {
			lines = append(lines, line)
		}
	}
	for _, text := range []string{Example(), strings.Join(lines, ""), defaults.YAML()} {
		l, err := Load(Options{File: write(t, "example.yaml", text)})
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if diff := cmp.Diff(defaults.Config, l.Config); diff != "" {
			t.Error(diff)
		}
	}
}

// TestConfigSchema: the schema has every key, and takes the values of the example and of
// samples.
func TestConfigSchema(t *testing.T) {
	data, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]struct {
			Type        any
			Enum        []string
			Description string
		}
	}
	if err := json.Unmarshal(data, &schema); err != nil || len(schema.Properties) != len(Keys()) {
		t.Fatalf("%d keys, %v", len(schema.Properties), err)
	}
	for _, k := range Keys() {
		p := schema.Properties[k.Name]
		var value any
		if err := yaml.Unmarshal([]byte(k.YAML(sample[k.Name])), &value); err != nil {
			t.Fatal(k.Name, err)
		}
		kind := map[string]string{"string": "string", "int": "integer", "bool": "boolean"}[fmt.Sprintf("%T", value)]
		fits := strings.Contains(fmt.Sprint(p.Type), kind) || slices.Contains(p.Enum, fmt.Sprint(value))
		if p.Description != k.Help || !fits || kind == "" {
			t.Errorf("%s: %+v does not take %v", k.Name, p, value)
		}
	}
}

func TestYAMLLoadsBack(t *testing.T) {
	isolate(t)
	var args []string
	for k, v := range sample {
		args = append(args, "--"+k+"="+v)
	}
	l, err := Load(Options{Flags: flags(t, append(args, "--prefix=007", `--profile=a "b" ü: #`)...)})
	if err != nil {
		t.Fatal(err)
	}
	back, err := Load(Options{File: write(t, "back.yaml", l.YAML())})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l.Config, back.Config); diff != "" {
		t.Error(diff)
	}
}

func TestStrayEnv(t *testing.T) {
	var got []string
	for _, s := range StrayEnv([]string{"MRAWS_NREDUCES=2", "MRAWS_BUKET=x", "MRAWS_BUCKET=y", "MRAWS_CONFIG=z", "HOME=/", "MRAWS_QQQQQQQQ=", "MRAWS_XY=", "MRAWS_MINE=1"}, "MRAWS_MINE") {
		got = append(got, s.String())
	}
	want := []string{
		"environment variable MRAWS_BUKET is unknown, did you mean MRAWS_BUCKET?",
		"environment variable MRAWS_NREDUCES is unknown, did you mean MRAWS_NREDUCE?",
		"environment variable MRAWS_QQQQQQQQ is unknown",
		"environment variable MRAWS_XY is unknown",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestMetricsAddress: nothing but loopback unless somebody names a host.
func TestMetricsAddress(t *testing.T) {
	for value, want := range map[string]string{
		"": "", "0": "127.0.0.1:0", ":0": "127.0.0.1:0", "9101": "127.0.0.1:9101", ":9101": "127.0.0.1:9101",
		"0.0.0.0:9101": "0.0.0.0:9101", "[::]:9101": "[::]:9101", "host.example:1": "host.example:1",
	} {
		isolate(t)
		l, err := Load(Options{Flags: flags(t, "--metrics="+value)})
		if err != nil || l.Metrics != want {
			t.Errorf("%q is %q, want %q; %v", value, l.Metrics, want, err)
		}
	}
}
