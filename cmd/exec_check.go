package cmd

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/runner/execrunner"
)

// checkShipped returns an error if no machine can start the commands, since they name
// shipped files that may not be executed.
func (x *execCode) checkShipped() error {
	var missing *execrunner.NotFoundError
	if errors.As(execrunner.Check(x.spec.App.Exec), &missing) && missing.Shipped {
		return x.check()
	}
	return nil
}

// check returns an error if this machine cannot start the commands.
func (x *execCode) check() error {
	err := execrunner.Check(x.spec.App.Exec)
	if err == nil {
		return nil
	}
	e := &Error{Code: ExitUsage, What: err.Error() + " on this machine", Hint: "name the program by its whole path, or ship it with " + x.flag}
	var missing *execrunner.NotFoundError
	if !errors.As(err, &missing) {
		return e
	}
	name := strings.TrimPrefix(missing.Name, "./")
	if missing.Shipped {
		e.What, e.Hint = err.Error(), "`chmod +x "+shellQuote(x.pathOf(name))+"` makes it one; or name the program that runs it, as in sh "+shellQuote(name)
		return e
	}
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && !filepath.IsAbs(name) {
		e.Hint = x.flag + " " + shellQuote(name) + " ships the file of this folder"
		if info.Mode()&0o111 == 0 && x.flag == "--file" { // that of Hadoop makes it executable
			e.Hint = "`chmod +x " + shellQuote(name) + "` makes it executable, and " + e.Hint
		}
		if name != filepath.Base(name) {
			e.Hint += ", and the command then names it " + shellQuote("./"+filepath.Base(name))
		}
	}
	return e
}

// pathOf is the path on this machine of a shipped file.
func (x *execCode) pathOf(name string) string {
	files := x.spec.App.Exec.Files
	i := slices.IndexFunc(files, func(f manifest.CodeFile) bool { return f.Name == name })
	if i < 0 {
		return name
	}
	path := x.paths[files[i].SHA256]
	if here, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return path
}

// warn warns of files that the commands name and that will not be there.
func (x *execCode) warn(log zerolog.Logger) {
	for _, name := range x.unshipped() {
		text := "a command names this file, which is not shipped: its working directory has the files of " + x.flag + " alone"
		if _, err := os.Stat(name); err != nil {
			text = "a command names this file, which is not in this folder and not shipped: its working directory has the files of " + x.flag + " alone"
		}
		log.Warn().Str("file", name).Msg(text)
	}
}

// unshipped returns the words of the commands that name files of the working
// directory which are not shipped: files that are here, and what has the name of a
// script.
func (x *execCode) unshipped() []string {
	var names []string
	e := x.spec.App.Exec
	if e.Module != nil {
		return nil // its commands are functions
	}
	for _, c := range e.Commands() {
		words, _ := manifest.SplitCommand(c.Line) // which has been validated
		words = append(words[1:], scriptWords(words)...)
		for _, w := range words {
			first, _, _ := strings.Cut(strings.TrimPrefix(w, "./"), "/")
			shipped := slices.ContainsFunc(e.Files, func(f manifest.CodeFile) bool { return f.Name == first })
			info, err := os.Stat(w)
			wanted := err == nil && info.Mode().IsRegular() || err != nil && isScript(w)
			if wanted && !shipped && !filepath.IsAbs(w) && !slices.Contains(names, w) {
				names = append(names, w)
			}
		}
	}
	return names
}

// isScript says whether a word is the name of a script, and nothing else.
func isScript(word string) bool {
	ends := []string{".py", ".pl", ".rb", ".sh", ".bash", ".js", ".mjs", ".R", ".r", ".awk", ".php", ".lua", ".jl", ".sed"}
	return slices.Contains(ends, filepath.Ext(word)) && filepath.Ext(word) != filepath.Base(word) && !strings.HasPrefix(word, "-") &&
		!strings.ContainsAny(word, " \t\n*?[]{}()$`'\"\\|&;<>=,:")
}

// scriptWords are the words of a script that a shell gets, as in sh -c '…', as far as
// they can be told without running it.
func scriptWords(command []string) []string {
	shells := []string{"sh", "bash", "dash", "zsh", "ksh", "busybox"}
	if !slices.Contains(shells, filepath.Base(command[0])) {
		return nil
	}
	i := slices.IndexFunc(command[1:], func(w string) bool {
		return len(w) > 1 && w[0] == '-' && w[1] != '-' && strings.HasSuffix(w, "c")
	})
	if i < 0 || i+2 >= len(command) {
		return nil
	}
	return strings.FieldsFunc(command[i+2], func(c rune) bool { return strings.ContainsRune(" \t\n;|&()<>`'\"{}", c) })
}
