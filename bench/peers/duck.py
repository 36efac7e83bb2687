"""DuckDB's side of the benchmark: duck.py wc|sort|index|json|csv|parquet INPUT RESULT.

The input of index is a glob of files, each of which is one value. json, csv and
parquet group the rows of a table of that format. Of the others every line is one,
read as CSV with a delimiter that does not occur. The result is written as text.
DuckDB takes all cores by default.
"""

import os
import sys

import duckdb

work, source, result = sys.argv[1:]
db = duckdb.connect()
db.execute(f"SET temp_directory = '{os.path.dirname(result)}'")
LINES = (
    f"read_csv('{source}', columns={{'line': 'VARCHAR'}}, header=false, auto_detect=false,"
    " delim='\x01', quote='', escape='', strict_mode=false)"
)
PLAIN = "(FORMAT csv, HEADER false, DELIMITER ' ', QUOTE '', ESCAPE '')"

if work == "wc":
    query = f"""SELECT w, count(*) FROM
        (SELECT unnest(string_split_regex(line, '[^A-Za-z]+')) AS w FROM {LINES})
        WHERE w <> '' GROUP BY w ORDER BY w"""
elif work == "sort":
    query = f"SELECT line FROM {LINES} ORDER BY line"
    PLAIN = "(FORMAT csv, HEADER false, DELIMITER '\x01', QUOTE '', ESCAPE '')"
elif work == "index":
    query = f"""SELECT w, count(DISTINCT f), string_agg(DISTINCT f, ',' ORDER BY f) FROM
        (SELECT parse_filename(filename) AS f, unnest(string_split_regex(content, '[^A-Za-z]+')) AS w FROM read_text('{source}'))
        WHERE w <> '' GROUP BY w ORDER BY w"""
elif work in ("json", "csv", "parquet"):
    rows = {
        "json": f"read_json('{source}', format='newline_delimited', columns={{status: 'BIGINT', path: 'VARCHAR', bytes: 'BIGINT'}})",
        "csv": f"read_csv('{source}')",
        "parquet": f"read_parquet('{source}')",
    }[work]
    query = f"""SELECT status || '\t' || replace(path, '\n', '\\n') || ' ' || count(*) || '\t' || sum(bytes)
        FROM {rows} GROUP BY status, path"""
    PLAIN = "(FORMAT csv, HEADER false, DELIMITER '\x01', QUOTE '', ESCAPE '')"
else:
    sys.exit(f"unknown work {work}")
db.execute(f"COPY ({query}) TO '{result}' {PLAIN}")
