package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/mraws/mraws/internal/config"
)

// A hint in the source names a command as `mraws reset --yes`. What the user
// sees is a line to paste: the program as it was started, the command, and
// the flags by which it finds this bucket, prefix and data folder, wherever
// they were set. This file is the only one that makes such lines.

// commandLine is how this process was started.
type commandLine struct {
	name       string   // of the program
	program    []string // as it was started; empty is its name
	args       []string
	configFile string  // of --config
	at         *target // nil until the configuration is read
}

var commandInHint = regexp.MustCompile("`mraws ([^`]*)`")

// whole marks a line in a hint that is one to paste already.
const whole = "\x00"

// paste replaces the commands in a hint by lines that work when pasted.
func (l *commandLine) paste(hint string) string {
	hint = commandInHint.ReplaceAllStringFunc(hint, func(found string) string {
		return "`" + l.command(commandInHint.FindStringSubmatch(found)[1]) + "`"
	})
	return strings.ReplaceAll(hint, whole, "")
}

// line is the command line of this program with these words.
func (l *commandLine) line(words ...string) string { return l.command(quoteAll(words)) }

// command is line for words that are a shell's already.
func (l *commandLine) command(words string) string {
	out := l.self() + " " + words
	verb, _, _ := strings.Cut(words, " ")
	if l.at == nil || slices.Contains([]string{"apps", "config", "version", "help"}, verb) || strings.Contains(words, "--help") {
		return out
	}
	flags := l.storeFlags()
	if slices.Contains([]string{"coordinator", "worker", "status"}, verb) {
		flags = append(flags, netFlags(l.at.conf, verb)...)
	}
	if len(flags) == 0 {
		return out
	}
	if verb == "hadoop" { // what follows is in the language of hadoop
		return l.self() + " hadoop " + quoteAll(flags) + strings.TrimPrefix(words, verb)
	}
	return out + " " + quoteAll(flags)
}

// again is the command line of this process, for a hint. With a prefix that it
// made up itself it names that, so that it goes on with the same job. more are
// further flags; one with a value takes the place of the same flag.
func (l *commandLine) again(more ...string) string {
	words := slices.Clone(l.args)
	for i := 0; i+1 < len(more); i++ {
		if strings.HasPrefix(more[i], "--") && !strings.HasPrefix(more[i+1], "--") {
			words = without(words, more[i])
		}
	}
	if l.at != nil {
		for _, word := range l.at.spent {
			if i := slices.Index(words, word); i >= 0 {
				words = slices.Delete(words, i, i+1)
			}
		}
		if l.at.spentFor != "" {
			words = append(words, l.at.spentFor)
		}
		if l.at.ownPrefix {
			more = append([]string{"--prefix", l.at.layout.Prefix()}, more...)
		}
		if i := slices.Index(words, l.at.verb); i >= 0 {
			words = slices.Insert(words, i+1, more...)
		}
	}
	return "`" + whole + l.self() + " " + quoteAll(words) + "`"
}

// without is words without a flag and its value.
func without(words []string, flag string) []string {
	for i := 0; i < len(words); i++ {
		n := 0
		if words[i] == flag {
			n = min(2, len(words)-i)
		} else if strings.HasPrefix(words[i], flag+"=") {
			n = 1
		}
		words = slices.Delete(words, i, i+n)
		if n > 0 {
			i--
		}
	}
	return words
}

// self is the program as it was started, for a shell.
func (l *commandLine) self() string {
	if len(l.program) == 0 {
		return l.name
	}
	return quoteAll(l.program)
}

// storeFlags are the flags by which another command finds this store and
// prefix: everything about it that was set, wherever it was set.
func (l *commandLine) storeFlags() []string {
	var flags []string
	if l.configFile != "" {
		flags = append(flags, "--config", l.configFile)
	}
	keys := []string{"bucket", "region", "endpoint", "profile"}
	switch {
	case l.at.local || !l.at.chosen && l.at.conf.Local:
		flags = append(flags, "--local")
		keys = []string{"bucket", "data-dir"}
	case !l.at.chosen:
		keys = append(keys, "data-dir")
	}
	for _, e := range l.at.conf.Entries() {
		if slices.Contains(keys, e.Key) && (e.Origin.Level > config.Default || e.Key == "bucket" && l.at.chosen && !l.at.local) {
			flags = append(flags, "--"+e.Key, e.Value)
		}
	}
	if prefix := l.at.layout.Prefix(); prefix != "" {
		flags = append(flags, "--prefix", prefix)
	}
	return flags
}

// netFlags are those by which coordinator and workers know each other, as far
// as the command takes them.
func netFlags(conf *config.Loaded, verb string) []string {
	var flags []string
	for _, e := range conf.Entries() {
		switch {
		case e.Origin.Level == config.Default:
		case e.Key == "insecure" && conf.Insecure && verb != "status":
			flags = append(flags, "--insecure")
		case slices.Contains([]string{"tls-ca", "tls-cert", "tls-key", "token-file"}, e.Key):
			flags = append(flags, "--"+e.Key, e.Value)
		}
	}
	return flags
}

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shellQuote(w)
	}
	return strings.Join(quoted, " ")
}

// shellQuote makes one word of s for a POSIX shell.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+=,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Invocation is how a user started the program whose arguments are argv
// (os.Args): the words in front of its own arguments, such as "./mraws", or
// "go", "run", ".".
func Invocation(argv []string) []string {
	if len(argv) == 0 {
		return nil
	}
	parent, _ := os.ReadFile("/proc/" + strconv.Itoa(os.Getppid()) + "/cmdline") // none without /proc
	if words := goRun(argv, strings.Split(strings.TrimSuffix(string(parent), "\x00"), "\x00")); words != nil {
		return words
	}
	self, err := os.Executable()
	switch {
	case err != nil:
		return argv[:1]
	case strings.Contains(self, "/go-build"): // `go run` removes it when it ends
		if info, ok := debug.ReadBuildInfo(); ok && info.Path != "" {
			return []string{"go", "run", info.Path}
		}
	case !strings.ContainsRune(argv[0], filepath.Separator):
		// A name is good if the shell finds this program by it.
		if found, err := exec.LookPath(argv[0]); err != nil || !sameFile(found, self) {
			return []string{self}
		}
	}
	return argv[:1]
}

// goRun is the beginning of the parent's command line if that is `go run` or
// `go tool` of this program.
func goRun(argv, parent []string) []string {
	own := argv[1:]
	head := len(parent) - len(own)
	if head < 3 || filepath.Base(parent[0]) != "go" || !slices.Equal(parent[head:], own) {
		return nil
	}
	if !slices.Contains(parent[1:head], "run") && !slices.Contains(parent[1:head], "tool") {
		return nil
	}
	return parent[:head]
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}
