// Package wasm lets a program of package cli run WebAssembly modules
// (docs/own-wasm.md):
//
//	func main() { cli.With(wasm.Runtime()).Main(app) }
//
// With it `run` and `coordinator` take `--app app.wasm`, and a worker runs such jobs.
package wasm

import (
	"github.com/mraws/mraws/cli"
	"github.com/mraws/mraws/cmd"
	"github.com/mraws/mraws/internal/wasm"
)

// Runtime runs modules. It makes a program 3 MB larger.
func Runtime() cli.Part {
	return cmd.Modules(wasm.Serve)
}
