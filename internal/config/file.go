package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/viper"
)

// FileError is a configuration file that cannot be used.
type FileError struct {
	File string
	Err  error
}

// Error names the file.
func (e *FileError) Error() string { return fmt.Sprintf("read configuration %s: %v", e.File, e.Err) }

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// readFile reads a file into a viper of its own, which therefore tells what
// the file says from what the other layers say. No file is an empty file.
func readFile(file string) (*viper.Viper, error) {
	v := viper.New()
	if file == "" {
		return v, nil
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return nil, &FileError{file, errors.New("is a folder")}
	}
	v.SetConfigFile(file)
	v.SetConfigType("yaml") // of which JSON is a part
	if err := v.ReadInConfig(); err != nil {
		var parse viper.ConfigParseError
		if errors.As(err, &parse) {
			err = parse.Unwrap()
		}
		return nil, &FileError{file, err}
	}
	names := keyNames()
	var errs []error
	for _, key := range v.AllKeys() {
		if slices.Contains(names, key) {
			continue
		}
		err := fmt.Errorf("unknown key %q", key)
		if near := Nearest(key, names); near != "" {
			err = fmt.Errorf("unknown key %q, did you mean %q?", key, near)
		}
		errs = append(errs, &FileError{file, err})
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return v, errors.Join(errs...)
}

// Stray is a MRAWS_* variable that means nothing.
type Stray struct {
	Name string
	Near string // what it may have been meant to be; "" for nothing
}

// String says so in one line.
func (s Stray) String() string {
	line := "environment variable " + s.Name + " is unknown"
	if s.Near != "" {
		line += ", did you mean " + s.Near + "?"
	}
	return line
}

// StrayEnv returns the MRAWS_* variables that mean nothing, but for those of
// also. Such variables are no errors: others may have uses of their own for
// them.
func StrayEnv(environ []string, also ...string) []Stray {
	known := append([]string{fileEnv}, also...)
	for _, k := range Keys() {
		known = append(known, k.Env())
	}
	var stray []Stray
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "MRAWS_") || slices.Contains(known, name) {
			continue
		}
		stray = append(stray, Stray{name, nearestEnv(name, known)})
	}
	slices.SortFunc(stray, func(a, b Stray) int { return strings.Compare(a.Name, b.Name) })
	return stray
}

// nearestEnv is [Nearest] for the part that variables do not all begin with.
func nearestEnv(name string, known []string) string {
	const ours = "MRAWS_"
	var rest []string
	for _, k := range known {
		rest = append(rest, strings.TrimPrefix(k, ours))
	}
	if near := Nearest(strings.TrimPrefix(name, ours), rest); near != "" {
		return ours + near
	}
	return ""
}

func keyNames() []string {
	var names []string
	for _, k := range Keys() {
		names = append(names, k.Name)
	}
	return names
}

// Nearest returns the one of names with the fewest edits to get to it from
// s, or "" if none is near enough to be a misspelling of it.
func Nearest(s string, names []string) string {
	simple := strings.NewReplacer("-", "", "_", "", ".", "").Replace
	best, nearest := 1+(len(s)+1)/4, ""
	for _, n := range names {
		if d := edits(simple(strings.ToLower(s)), simple(strings.ToLower(n))); d <= best {
			best, nearest = d-1, n
		}
	}
	return nearest
}

// edits is how many bytes are to be replaced, added, left out or exchanged with the next
// to make b of a, by the usual table.
func edits(a, b string) int {
	table := make([][]int, len(a)+1)
	for i := range table {
		table[i] = make([]int, len(b)+1)
		table[i][0] = i
	}
	for j := range len(b) {
		table[0][j+1] = j + 1
	}
	for i := range len(a) {
		for j := range len(b) {
			cost := table[i][j]
			if a[i] != b[j] {
				cost++
			}
			cost = min(cost, table[i][j+1]+1, table[i+1][j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				cost = min(cost, table[i-1][j-1]+1)
			}
			table[i+1][j+1] = cost
		}
	}
	return table[len(a)][len(b)]
}
