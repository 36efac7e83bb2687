// Lab runs functions in the shape of the MIT 6.824 lab as they are: Map and
// Reduce below could be those of anybody's mrapps/wc.go.
//
//	go run ./examples/lab run --app labwc FILE...
package main

import (
	"github.com/mraws/mraws/cli"
	"github.com/mraws/mraws/cli/embedded"
	"github.com/mraws/mraws/mr"
)

func main() { cli.With(embedded.Server()).Main(mr.Lab("labwc", Map, Reduce)) }
