//go:build readers

package e2e

import "testing"

// TestTablesOfOthers reads tables that pyarrow, pandas and DuckDB have written, of all
// types and compressions that they have, whole and in pieces, and their damaged twins.
// MRAWS_READERS_PYTHON is a Python that has the three.
func TestTablesOfOthers(t *testing.T) {
	newPlainFixture(t).python("tables.py", "duckdb json: 3000 rows", "pandas parquet: 3000 rows", "pyarrow parquet brotli", "bad-pyarrow.parquet: left out")
}
