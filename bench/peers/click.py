"""ClickHouse's side of the benchmark, by chDB: click.py group FORMAT INPUT RESULT.

The result is written as text. ClickHouse takes all cores by default.
"""

import sys

import chdb

work, form, source, result = sys.argv[1:]
FORMATS = {"json": "JSONEachRow", "csv": "CSVWithNames", "parquet": "Parquet"}
if work != "group":
    sys.exit(f"unknown work {work}")
rows = f"file('{source}', '{FORMATS[form]}', 'status Int64, path String, bytes Int64')"
chdb.query(
    f"""SELECT concat(toString(status), '\\t', replaceAll(path, '\\n', '\\\\n'), ' ', toString(count()), '\\t', toString(sum(bytes)))
    FROM {rows} GROUP BY status, path INTO OUTFILE '{result}' FORMAT TSVRaw"""
)
