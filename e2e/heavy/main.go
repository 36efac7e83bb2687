// Heavy is mraws with applications that weigh on a worker. The tests of e2e
// run it to see that a worker takes no more than it was given.
package main

import (
	"github.com/mraws/mraws/cli"
	"github.com/mraws/mraws/cli/embedded"
	"github.com/mraws/mraws/internal/apps"
)

func main() {
	cli.With(embedded.Server()).Main(append(apps.Table(), hot(), hotSum(), blob(), shaky())...)
}
