// Wordlen is an application of one's own: a binary with every subcommand of
// mraws that counts how many words of each length a text has.
//
//	go run ./examples/wordlen run --app wordlen --app-arg least=3 FILE...
package main

import (
	"github.com/mraws/mraws/cli"
	"github.com/mraws/mraws/cli/embedded"
)

func main() { cli.With(embedded.Server()).Main(app()) }
