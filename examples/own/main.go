// Own is a program with a go.mod of its own, for jobs on S3.
package main

import "github.com/mraws/mraws/cli"

func main() { cli.Main(longest()) }
