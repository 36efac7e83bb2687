//go:build readers

package e2e

import "testing"

// TestAppsOfTables: the applications over tables, logs and graphs give what SQLite,
// DuckDB, pandas, numpy, sort(1) and uniq(1) do, over random rows with quotes, line
// breaks, tabs, nulls, decimals, and bytes that are no UTF-8. MRAWS_READERS_PYTHON is a
// Python that has the libraries.
func TestAppsOfTables(t *testing.T) {
	newPlainFixture(t).python("apps.py", "group of json, DuckDB: ", "topk of csv", "histogram of decimals", "left join of parquet, SQLite: ", "inner join, pandas: ", "sessionize, gap 1800 s", "distinct, sort -u: ", "wc, uniq -c: ", "pagerank, numpy: ")
}
