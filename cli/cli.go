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
// (exit 130 or 143), the second ends the process at once.
func Main(apps ...mr.App) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go heed(signals, cancel, os.Exit)
	stdio := cmd.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	os.Exit(cmd.Execute(ctx, filepath.Base(os.Args[0]), os.Args[1:], stdio, apps))
}

// heed cancels at the first signal and exits at the second.
func heed(signals <-chan os.Signal, cancel context.CancelCauseFunc, exit func(code int)) {
	cancel(cmd.Signal{Signal: <-signals})
	exit(cmd.Signal{Signal: <-signals}.Code())
}
