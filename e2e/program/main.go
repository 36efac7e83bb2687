// Command program is mraws with applications more, for tests that need
// input to do something special to a task.
package main

import (
	"github.com/mraws/mraws/cli"
	"github.com/mraws/mraws/cli/embedded"
	"github.com/mraws/mraws/cli/parquet"
	"github.com/mraws/mraws/internal/apps"
)

func main() {
	cli.With(embedded.Server(), parquet.Files()).Main(append(apps.Table(), fickle(), endless(), quits())...)
}
