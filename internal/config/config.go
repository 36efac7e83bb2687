// Package config is the one configuration that all commands share: a plain
// struct, the table of its keys, and [Load], which takes each key from the
// first of
//
//  1. its flag (--split-size),
//  2. its environment variable (MRAWS_SPLIT_SIZE; an empty one counts as unset),
//  3. one file: --config or MRAWS_CONFIG, else the first of ./mraws.yaml,
//     $XDG_CONFIG_HOME/mraws/mraws.yaml and /etc/mraws/mraws.yaml,
//  4. its default,
//
// remembers where each value came from, and checks all of them once. Nobody
// else reads flags or MRAWS_* variables. The configuration holds no secrets:
// S3 credentials come from the SDK's own chain, and an own token for workers
// from the file that token-file names.
package config

import "time"

// Config holds the checked value of every key. The comment of each key is
// its help text in the table of [Keys].
type Config struct {
	Bucket        string `mapstructure:"bucket"`
	Prefix        string `mapstructure:"prefix"` // without slashes at its ends
	Region        string `mapstructure:"region"`
	Endpoint      string `mapstructure:"endpoint"`
	Profile       string `mapstructure:"profile"`
	Local         bool   `mapstructure:"local"`
	DataDir       string `mapstructure:"data-dir"`
	S3Concurrency int    `mapstructure:"s3-concurrency"`

	Coord     string `mapstructure:"coord"` // host:port; "" = look in the bucket
	Port      int    `mapstructure:"port"`
	Listen    string `mapstructure:"listen"`
	Advertise string `mapstructure:"advertise"`
	TLSCA     string `mapstructure:"tls-ca"`
	TLSCert   string `mapstructure:"tls-cert"`
	TLSKey    string `mapstructure:"tls-key"`
	TokenFile string `mapstructure:"token-file"`
	Insecure  bool   `mapstructure:"insecure"`
	HTTP      string `mapstructure:"http"`    // host:port; "" = none
	Metrics   string `mapstructure:"metrics"` // host:port; "" = none
	Pprof     bool   `mapstructure:"pprof"`

	NReduce         int           `mapstructure:"nreduce"`
	SplitSize       Size          `mapstructure:"split-size"`
	Pack            string        `mapstructure:"pack"`    // "auto" or "never"
	Shuffle         string        `mapstructure:"shuffle"` // "auto", "plain" or "packed"
	MaxAttempts     int           `mapstructure:"max-attempts"`
	MaxBad          string        `mapstructure:"max-bad-records"` // "25" or "0.1%"
	InputStore      string        `mapstructure:"input-store"`     // "auto", "job" or "aws"
	NoSignRequest   bool          `mapstructure:"no-sign-request"`
	RequestPayer    string        `mapstructure:"request-payer"` // "owner" or "requester"
	Decompress      string        `mapstructure:"decompress"`    // "auto" or "off"
	MaxRatio        int64         `mapstructure:"decompress-ratio"`
	MaxDecompressed Size          `mapstructure:"decompress-limit"`
	Speculation     string        `mapstructure:"speculation"`  // "auto" or "off"
	TaskTimeout     time.Duration `mapstructure:"task-timeout"` // 0 = none
	Lease           time.Duration `mapstructure:"lease"`
	Events          bool          `mapstructure:"events"`
	MaxUSD          float64       `mapstructure:"max-usd"` // 0 = no limit
	Prices          string        `mapstructure:"prices"`  // file; "" = the table of the program
	Memory          AutoSize      `mapstructure:"memory"`  // 0 = auto
	Slots           int           `mapstructure:"slots"`   // 0 = one for each core
	Scratch         string        `mapstructure:"scratch"`
	ExecMemory      Size          `mapstructure:"exec-memory"`
	ExecDisk        Size          `mapstructure:"exec-disk"`
	ExecOutput      Size          `mapstructure:"exec-output"`
	CoordTimeout    time.Duration `mapstructure:"coord-timeout"`
	DrainTimeout    time.Duration `mapstructure:"drain-timeout"`
	Spot            string        `mapstructure:"spot"` // "auto" or "off"

	LogLevel  string `mapstructure:"log-level"`  // trace, debug, info, warn or error
	LogFormat string `mapstructure:"log-format"` // auto, text or json
	LogFile   string `mapstructure:"log-file"`   // "" = stderr
	Color     string `mapstructure:"color"`      // auto, always or never
	Pager     string `mapstructure:"pager"`      // auto, never or a command line
	Progress  string `mapstructure:"progress"`   // auto, plain, json or none
}

// Loaded is a configuration that knows where it came from.
type Loaded struct {
	Config
	// File is the configuration file that was read; "" for none.
	File string

	entries []Entry
}

// Entry is one key of a loaded configuration.
type Entry struct {
	Key    string
	Value  string // as it is written in a file or after a flag
	Origin Origin
}

// Entries returns all keys in the order of [Keys].
func (l *Loaded) Entries() []Entry { return append([]Entry(nil), l.entries...) }

// Origin returns where the value of key came from; the zero Origin for a key
// that does not exist.
func (l *Loaded) Origin(key string) Origin {
	for _, e := range l.entries {
		if e.Key == key {
			return e.Origin
		}
	}
	return Origin{}
}

// IsSet reports whether key was set anywhere, whatever the value.
func (l *Loaded) IsSet(key string) bool { return l.Origin(key).Level > Default }

// Level orders origins: the higher one wins.
type Level int

// The levels, from the weakest.
const (
	Default Level = iota
	File
	Env
	Flag
)

// Origin is where a value came from.
type Origin struct {
	Level Level
	Name  string // "--bucket", "MRAWS_BUCKET" or the path of the file
}

// String returns "flag --bucket", "env MRAWS_BUCKET", "file PATH" or
// "default".
func (o Origin) String() string {
	switch o.Level {
	case Flag:
		return "flag " + o.Name
	case Env:
		return "env " + o.Name
	case File:
		return "file " + o.Name
	}
	return "default"
}
