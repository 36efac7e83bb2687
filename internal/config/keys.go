package config

import (
	"slices"
	"strings"
)

// Group says which commands have a key's flag; every command has those of
// Common.
type Group string

// The groups, in the order in which they are shown.
const (
	Common Group = "store and output" // every command
	Net    Group = "network"          // between coordinator and workers
	Serve  Group = "coordinator"      // where a coordinator is reached
	Job    Group = "job"              // what a coordinator decides
	Work   Group = "worker"           // what a worker decides
)

// Key describes one key of the configuration.
type Key struct {
	Name    string // in files; --Name is its flag
	Group   Group
	Type    string // as shown in help; "switch" for a boolean
	Default string
	Help    string
	Choices []string // all values, where there are few

	check func(string) (string, error) // the value in its one form, or what is wanted
}

// Env returns the key's environment variable.
func (k Key) Env() string {
	return "MRAWS_" + strings.ToUpper(strings.ReplaceAll(k.Name, "-", "_"))
}

// Keys returns the table of all keys.
func Keys() []Key {
	return slices.Concat(commonKeys(), netKeys(), serveKeys(), jobKeys(), workKeys())
}

func commonKeys() []Key {
	return []Key{
		{Name: "bucket", Group: Common, Type: "name", Default: "mapreducedata", check: bucket,
			Help: "S3 bucket"},
		{Name: "prefix", Group: Common, Type: "path", check: prefix,
			Help: "prefix of input/, intermediate/ and output/ in the bucket"},
		{Name: "region", Group: Common, Type: "name", check: region,
			Help: "AWS region; if empty, the AWS environment names it"},
		{Name: "endpoint", Group: Common, Type: "url", check: endpoint,
			Help: "address of an S3 server that is not AWS, such as http://127.0.0.1:9000"},
		{Name: "profile", Group: Common, Type: "name", check: text,
			Help: "profile of the AWS configuration files"},
		{Name: "local", Group: Common, Type: "switch", Default: "false", check: boolean,
			Help: "use the embedded S3 server of the data folder"},
		{Name: "data-dir", Group: Common, Type: "dir", check: path,
			Help: "data folder of the embedded S3 server"},
		{Name: "s3-concurrency", Group: Common, Type: "n", Default: "64", check: number(1, 4096),
			Help: "maximum number of S3 requests at the same time"},
		{Name: "log-level", Group: Common, Type: "level", Default: "info", Help: "log level",
			Choices: []string{"trace", "debug", "info", "warn", "error"}},
		{Name: "log-format", Group: Common, Type: "format", Default: "auto", Help: "format of log lines; auto is text on a terminal, else json",
			Choices: []string{"auto", "text", "json"}},
		{Name: "log-file", Group: Common, Type: "file", check: path, Help: "append log lines to this file, instead of stderr"},
		{Name: "color", Group: Common, Type: "when", Default: "auto", Help: "colours; auto uses them on a terminal, unless NO_COLOR or TERM=dumb is set, or where CLICOLOR_FORCE is",
			Choices: []string{"auto", "always", "never"}},
		{Name: "pager", Group: Common, Type: "command", Default: "auto", check: text,
			Help: "command that long output goes through on a terminal; auto is PAGER, or less -FRX if that is installed, never is none"},
		{Name: "progress", Group: Common, Type: "form", Default: "auto", Help: "format of progress on stderr; auto is bars on a terminal, else plain lines",
			Choices: []string{"auto", "plain", "json", "none"}},
	}
}

func netKeys() []Key {
	return []Key{
		{Name: "tls-ca", Group: Net, Type: "file", check: path,
			Help: "file of the CA that signs the certificates of both sides (PEM)"},
		{Name: "tls-cert", Group: Net, Type: "file", check: path,
			Help: "file of this process's certificate (PEM)"},
		{Name: "tls-key", Group: Net, Type: "file", check: path,
			Help: "file of the private key of tls-cert (PEM)"},
		{Name: "token-file", Group: Net, Type: "file", check: path,
			Help: "file of the token that workers must have, instead of the token in the bucket"},
		{Name: "insecure", Group: Net, Type: "switch", Default: "false", check: boolean,
			Help: "no TLS and no token: anyone who can reach the port can join the job"},
		{Name: "metrics", Group: Net, Type: "[host:]port", check: listenOn,
			Help: "address of the metrics for Prometheus, /healthz and /readyz; a port alone is on loopback, 0 takes a free port, empty serves none"},
		{Name: "pprof", Group: Net, Type: "switch", Default: "false", check: boolean,
			Help: "serve profiles of this process at /debug/pprof/ beside the metrics, which must be on loopback, and are if metrics is empty"},
	}
}

func serveKeys() []Key {
	return []Key{
		{Name: "port", Group: Serve, Type: "n", Default: "1234", check: number(0, 65535),
			Help: "the coordinator's port; 0 takes a free port"},
		{Name: "listen", Group: Serve, Type: "host", check: host,
			Help: "address that the coordinator listens on; empty is all addresses"},
		{Name: "http", Group: Serve, Type: "[host:]port", check: listenOn,
			Help: "address of the dashboard; a port alone is on loopback, 0 takes a free port; elsewhere a token is needed, which is in the link that is printed"},
		{Name: "advertise", Group: Serve, Type: "host[:port]", check: advertise,
			Help: "address that workers are told; empty is every address of the machine"},
	}
}

func jobKeys() []Key {
	return []Key{
		{Name: "nreduce", Group: Job, Type: "n", Default: "10", check: number(0, 100000),
			Help: "number of reduce tasks and of output files; 0 makes a map-only job: each map task writes what the mapper emits to an output of its own"},
		{Name: "split-size", Group: Job, Type: "size", Default: "64MiB", check: size(1),
			Help: "maximum size of the input of one map task"},
		{Name: "pack", Group: Job, Type: "when", Default: "auto", Help: "pack small objects into one map task; auto does from 257 objects on",
			Choices: []string{"auto", "never"}},
		{Name: "shuffle", Group: Job, Type: "form", Default: "auto", Help: "intermediate objects: plain is one for each map and reduce task, packed one for each map task; auto packs above 10,000 of them",
			Choices: []string{"auto", "plain", "packed"}},
		{Name: "max-attempts", Group: Job, Type: "n", Default: "4", check: number(1, 1000),
			Help: "number of failures of one task that fail the job"},
		{Name: "task-timeout", Group: Job, Type: "duration", Default: "10m", check: duration(0),
			Help: "time without progress after which an attempt fails, even if the app's code never returns; 0 is no limit"},
		{Name: "max-bad-records", Group: Job, Type: "n|n%", Default: "0", check: share,
			Help: "maximum of bad input records that are skipped and listed, such as 10 or 0.1%; more fail the job"},
		{Name: "input-store", Group: Job, Type: "which", Default: "auto", Help: "S3 that buckets of input lie in, besides the job's own: job is the job's, aws that of the AWS environment; auto is job, but for buckets that the embedded server does not have if no-sign-request or request-payer is set",
			Choices: []string{"auto", "job", "aws"}},
		{Name: "no-sign-request", Group: Job, Type: "switch", Default: "false", check: boolean,
			Help: "read buckets of input without credentials, as public ones; not that of the job"},
		{Name: "request-payer", Group: Job, Type: "who", Default: "owner", Help: "who pays for requests to buckets of input, besides the job's own",
			Choices: []string{"owner", "requester"}},
		{Name: "decompress", Group: Job, Type: "when", Default: "auto", Help: "decompress input that its first bytes show to be compressed; off reads the bytes as they are",
			Choices: []string{"auto", "off"}},
		{Name: "decompress-ratio", Group: Job, Type: "n", Default: "200", check: number(1, 1_000_000),
			Help: "maximum decompression ratio of an object that is larger than 1 GiB when decompressed"},
		{Name: "decompress-limit", Group: Job, Type: "size", Default: "1TiB", check: size(1),
			Help: "maximum decompressed size of a compressed object"},
		{Name: "speculation", Group: Job, Type: "when", Default: "auto", Help: "run a slow task again on an idle worker late in a phase; the first attempt to commit wins",
			Choices: []string{"auto", "off"}},
		{Name: "lease", Group: Job, Type: "duration", Default: "10s", check: duration(minLease),
			Help: "time without a heartbeat after which an attempt is lost, and without a renewal after which a standby takes over"},
		{Name: "prices", Group: Job, Type: "file", check: path,
			Help: "table of S3's prices by region (JSON); empty is that of the program, configs/prices.json"},
		{Name: "max-usd", Group: Job, Type: "dollars", Default: "0", check: dollars,
			Help: "stop the job before its requests to S3 cost more; the same line with more goes on; 0 is no limit"},
		{Name: "events", Group: Job, Type: "switch", Default: "true", check: boolean,
			Help: "write the event log, which events, logs and trace read, into the bucket"},
	}
}

func workKeys() []Key {
	return []Key{
		{Name: "coord", Group: Work, Type: "host:port", check: hostPorts,
			Help: "the coordinator's address, or several separated by commas; empty reads it from the bucket"},
		{Name: "memory", Group: Work, Type: "size", Default: "auto", check: memory,
			Help: "memory for the buffers of the process; auto is a share of the memory of the machine or cgroup"},
		{Name: "slots", Group: Work, Type: "n", Default: "0", check: number(0, 1024),
			Help: "number of tasks at the same time; 0 is one per core"},
		{Name: "scratch", Group: Work, Type: "dir", check: path,
			Help: "folder for spills; empty is the system's temporary folder"},
		{Name: "exec-memory", Group: Work, Type: "size", Default: "2GiB", check: size(1 << 20),
			Help: "memory that the executables of a task may use"},
		{Name: "exec-disk", Group: Work, Type: "size", Default: "20GiB", check: size(1 << 20),
			Help: "size of the files that the executables of a task may have in their working directory, and of those that a job ships to an app"},
		{Name: "exec-output", Group: Work, Type: "size", Default: "100GiB", check: size(1 << 20),
			Help: "size of what an executable may write to its standard output"},
		{Name: "coord-timeout", Group: Work, Type: "duration", Default: "10s", check: duration(0),
			Help: "how long to wait for a coordinator"},
		{Name: "drain-timeout", Group: Work, Type: "duration", Default: "25s", check: duration(0),
			Help: "after SIGTERM, how long a worker may run its tasks before it releases them"},
		{Name: "spot", Group: Work, Type: "when", Default: "auto", Help: "drain the worker on an EC2 interruption notice; auto does so where EC2 instance metadata exist",
			Choices: []string{"auto", "off"}},
	}
}
