// Package cli makes a program of applications: a main function of
//
//	func main() { cli.Main(app) }
//
// has every subcommand of mraws (run, coordinator, worker, verify, ...) with
// app to choose from.
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

// Main runs the command line of the process with apps to choose from and
// exits with its code. The first SIGINT or SIGTERM asks the command to end
// (exit 130 or 143), the second ends the process at once. A worker that gets
// SIGTERM drains first, and counts from there. Where code of an app runs, the
// process may be a child that Main starts with the same arguments, since the
// code may end it.
func Main(apps ...mr.App) {
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	p := cmd.NewProcess(os.Args)
	ctx := cmd.WithSignals(p.Context(context.Background()), p.Signals(signals), p.Exit)
	stdio := cmd.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	p.Exit(cmd.Execute(ctx, filepath.Base(os.Args[0]), p.Invocation(), os.Args[1:], stdio, apps))
}
