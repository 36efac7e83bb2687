// Command mraws is MapReduce over S3, with the applications of internal/apps.
package main

import (
	"github.com/mraws/mraws/cli"
	"github.com/mraws/mraws/cli/embedded"
	"github.com/mraws/mraws/cli/parquet"
	"github.com/mraws/mraws/cli/wasm"
	"github.com/mraws/mraws/internal/apps"
)

func main() { cli.With(embedded.Server(), wasm.Runtime(), parquet.Files()).Main(apps.Table()...) }
