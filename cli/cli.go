// Package cli makes a program of applications: a main function of
//
//	func main() { cli.Main(app) }
//
// has the subcommands of mraws (run, coordinator, worker, verify, ...) with app
// to choose from, for jobs on S3. What not every program needs is a [Part] that
// a package of its own brings, so that only programs that import it are larger:
//
//	func main() { cli.With(embedded.Server()).Main(app) }
package cli

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/mraws/mraws/cmd"
	"github.com/mraws/mraws/mr"
)

// Part is a part of the engine that a program may have or not, such as the
// server of package embedded.
type Part = cmd.Part

// Program is a program with parts. The zero value has none.
type Program struct{ parts []Part }

// With returns a program that has these parts.
func With(parts ...Part) Program { return Program{parts} }

// Main is [Program.Main] of a program without parts.
func Main(apps ...mr.App) { Program{}.Main(apps...) }

// Main runs the command line of the process with apps to choose from and
// exits with its code. The first SIGINT or SIGTERM asks the command to end
// (exit 130 or 143), the second ends the process at once. A worker that gets
// SIGTERM drains first, and counts from there. Where code of an app runs, the
// process may be a child that Main starts with the same arguments, since the
// code may end it.
func (p Program) Main(apps ...mr.App) {
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	process := cmd.NewProcess(os.Args, p.parts...)
	ctx := cmd.WithSignals(process.Context(context.Background()), process.Signals(signals), process.Exit)
	stdio := cmd.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	process.Exit(cmd.Execute(ctx, filepath.Base(os.Args[0]), process.Invocation(), os.Args[1:], stdio, apps, p.parts...))
}
