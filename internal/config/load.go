package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// fileName is what a configuration file is called where none is named.
const fileName = "mraws.yaml"

// fileEnv is the environment variable that names the configuration file.
const fileEnv = "MRAWS_CONFIG"

// Options says where to look. The zero value looks at the environment and at
// the files of searchPath only.
type Options struct {
	// Flags are a command's flags; those that a user gave and that are named
	// like a key count.
	Flags *pflag.FlagSet
	// File is the one file to read. Empty means that MRAWS_CONFIG names it,
	// else that the first of searchPath that exists is read, if any does.
	File string
	// Set holds values that beat all others, such as what -v means.
	Set []Entry
	// Defaults replaces defaults of the table by what only a caller knows.
	Defaults map[string]string
}

// searchPath returns the files that are looked for, in order.
func searchPath() []string {
	paths := []string{fileName}
	if dir, err := os.UserConfigDir(); err == nil {
		paths = append(paths, filepath.Join(dir, "mraws", fileName))
	}
	return append(paths, "/etc/mraws/"+fileName)
}

// Load resolves and checks every key. Its errors are *[Problem] or
// *[FileError], joined: all that is wrong at once.
func Load(o Options) (*Loaded, error) {
	if o.Flags == nil {
		o.Flags = new(pflag.FlagSet)
	}
	file, err := findFile(o)
	if err != nil {
		return nil, err
	}
	fileSettings, err := readFile(file)
	if err != nil {
		return nil, err
	}
	v := layers(o, file, fileSettings)

	l := &Loaded{File: file}
	var errs []error
	for _, k := range Keys() {
		got := k.resolve(v, o.Flags)
		e := Entry{Key: k.Name, Origin: got.origin}
		raw, err := scalar(k, got.raw, e.Origin)
		if err == nil {
			e.Value, err = k.canon(raw)
		}
		if err != nil {
			errs = append(errs, &Problem{k.Name, raw, e.Origin, err})
			continue
		}
		if k.isPath() && e.Value != "" {
			if e.Value, err = absolute(e, file); err != nil {
				errs = append(errs, &Problem{k.Name, raw, e.Origin, err})
			}
		}
		v.Set(k.Name, e.Value)
		l.entries = append(l.entries, e)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	hook := viper.DecodeHook(mapstructure.ComposeDecodeHookFunc(
		mapstructure.TextUnmarshallerHookFunc(), mapstructure.StringToTimeDurationHookFunc()))
	if err := v.UnmarshalExact(&l.Config, hook); err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return l, l.together()
}

// setting is a value of the file, of a default or of Options.Set, together with
// where it stands. viper passes it through, so the origin of a value is always
// that of the layer that viper took it from.
type setting struct {
	raw    any
	origin Origin
}

// layers gives viper all layers. viper knows which one wins.
func layers(o Options, file string, fileSettings *viper.Viper) *viper.Viper {
	v := viper.New()
	ofFile := map[string]any{}
	for _, k := range Keys() {
		if raw := fileSettings.Get(k.Name); raw != nil {
			ofFile[k.Name] = setting{raw, Origin{File, file}}
		}
		def := k.Default
		if d, ok := o.Defaults[k.Name]; ok {
			def = d
		}
		v.SetDefault(k.Name, setting{def, Origin{}})
		_ = v.BindEnv(k.Name, k.Env()) // fails without a key only
		if f := o.Flags.Lookup(k.Name); f != nil {
			_ = v.BindPFlag(k.Name, f) // fails without a flag only
		}
	}
	_ = v.MergeConfigMap(ofFile) // never fails
	for _, e := range o.Set {
		v.Set(e.Key, setting{e.Value, e.Origin})
	}
	return v
}

// resolve asks viper for the value of the key. A value that is no setting is
// that of a flag that was given, else that of a variable.
func (k Key) resolve(v *viper.Viper, flags *pflag.FlagSet) setting {
	raw := v.Get(k.Name)
	if s, ok := raw.(setting); ok {
		return s
	}
	if flags.Changed(k.Name) {
		return setting{raw, Origin{Flag, "--" + k.Name}}
	}
	return setting{raw, Origin{Env, k.Env()}}
}

// absolute resolves the path of an entry: one in a file is relative to that.
// It is absolute for good, since code of an application may change the working
// directory.
func absolute(e Entry, file string) (string, error) {
	if e.Origin.Level == File && !filepath.IsAbs(e.Value) {
		return filepath.Abs(filepath.Join(filepath.Dir(file), e.Value))
	}
	return filepath.Abs(e.Value)
}

func (k Key) isPath() bool { return k.Type == "file" || k.Type == "dir" }

// scalar returns the text of a value. YAML guesses types, and guesses some
// texts wrong (007, 2026-01-01), so a text must be one in the file too.
func scalar(k Key, raw any, o Origin) (string, error) {
	s := fmt.Sprint(raw)
	switch raw.(type) {
	case string:
		return s, nil
	case bool:
		if k.Type == "switch" {
			return s, nil
		}
	case int, int64, uint64:
		if k.Type == "n" || k.Type == "n|n%" || k.Type == "size" || k.Type == "duration" {
			return s, nil
		}
	case float64, time.Time:
	default:
		return s, errors.New("must be a single value")
	}
	if o.Level == File {
		return s, errors.New("must be quoted")
	}
	return s, nil
}

// findFile returns the file to read, or "".
func findFile(o Options) (string, error) {
	if o.File != "" {
		return o.File, nil
	}
	if file := os.Getenv(fileEnv); file != "" {
		return file, nil
	}
	for _, file := range searchPath() {
		switch _, err := os.Stat(file); {
		case err == nil:
			return file, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", &FileError{file, err}
		}
	}
	return "", nil
}
