// Patterns has a short application for each of the usual patterns of MapReduce,
// a file each, over typed keys and values:
//
//	go run ./examples/patterns run --app wordcount FILE...
package main

import (
	"github.com/mraws/mraws/cli"
	"github.com/mraws/mraws/cli/embedded"
	"github.com/mraws/mraws/mr"
)

func main() { cli.With(embedded.Server()).Main(table()...) }

// table lists the applications.
func table() []mr.App {
	return []mr.App{wordCount(), invertedIndex(), sessions(), join(), topK(), secondarySort(), distinct(), histogram(), keywords()}
}
