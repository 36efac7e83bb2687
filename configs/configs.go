// Package configs has the files of this folder that the program contains.
package configs

import _ "embed"

// Prices is prices.json: what S3 charges, by region.
//
//go:embed prices.json
var Prices []byte
