"""Reads the outputs of a job with DuckDB, pyarrow and pandas, and prints for each what
the rows add up to: rows, sum of n, values of n, sum of x, rows that are ok, bytes of w
of note and of raw, values of more. Arguments: format, files."""

import json
import sys

import duckdb
import pandas
import pyarrow
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

kind, files = sys.argv[1], sys.argv[2:]
names = ["w", "n", "x", "ok", "raw", "more", "note"]
types = {"w": "VARCHAR", "n": "BIGINT", "x": "DOUBLE", "ok": "BOOLEAN", "raw": "VARCHAR", "more": "JSON", "note": "VARCHAR"}
arrow = {"w": pyarrow.string(), "n": pyarrow.int64(), "x": pyarrow.float64(), "ok": pyarrow.bool_(), "raw": pyarrow.string(), "more": pyarrow.string(), "note": pyarrow.string()}
frame = {"w": "string", "n": "Int64", "x": "Float64", "ok": "boolean", "raw": "string", "note": "string"}


def by_duckdb():
    source = {
        "parquet": f"read_parquet({files})",
        "json": f"read_json({files}, columns={types})",
        "csv": f"read_csv({files}, columns={types}, header=true)",
        "tsv": f"read_csv({files}, columns={types}, header=true, delim='\\t')",
        "lines": f"read_csv({files}, columns={types}, header=false, delim='\\t', quote='', escape='')",
    }[kind]
    return list(duckdb.sql(
        "SELECT count(*), sum(n)::BIGINT, count(n), sum(x), count(*) FILTER (ok), sum(strlen(w))::BIGINT, sum(coalesce(strlen(note), 0))::BIGINT,"
        " sum(coalesce(strlen(raw), 0))::BIGINT, count(nullif(more::VARCHAR, ''))"
        f" FROM {source}").fetchall()[0])


def of_frame(t):
    size = lambda column: int(t[column].fillna("").map(lambda s: len(s.encode())).sum())
    return [len(t), int(t["n"].sum()), int(t["n"].count()), float(t["x"].sum()), int(t["ok"].sum()), size("w"), size("note"), size("raw"), int(t["more"].replace("", None).count())]


def by_pyarrow():
    def read(file):
        if kind == "parquet":
            return pyarrow.parquet.read_table(file)
        if kind == "json":
            return pyarrow.json.read_json(file, parse_options=pyarrow.json.ParseOptions(explicit_schema=pyarrow.schema(list({**arrow, "more": pyarrow.struct([("a", pyarrow.int64())])}.items()))))
        lines = kind == "lines"
        return pyarrow.csv.read_csv(
            file,
            read_options=pyarrow.csv.ReadOptions(column_names=names if lines else None),
            parse_options=pyarrow.csv.ParseOptions(delimiter="," if kind == "csv" else "\t", quote_char=False if lines else '"', newlines_in_values=not lines),
            convert_options=pyarrow.csv.ConvertOptions(column_types=arrow))
    t = pyarrow.concat_tables([read(f) for f in files])
    assert t.column_names == names, t.column_names
    if kind == "parquet":
        assert all(t.schema.field(n).type == arrow[n] for n in names if n != "more"), t.schema
    return of_frame(t.to_pandas(types_mapper={pyarrow.int64(): pandas.Int64Dtype(), pyarrow.float64(): pandas.Float64Dtype(), pyarrow.bool_(): pandas.BooleanDtype()}.get))


def by_pandas():
    def read(file):
        if kind == "parquet":
            return pandas.read_parquet(file)
        if kind == "json":
            return pandas.read_json(file, lines=True, dtype=frame, convert_dates=False)
        if kind == "lines":
            return pandas.read_csv(file, sep="\t", header=None, names=names, dtype=frame, quoting=3)
        return pandas.read_csv(file, sep="," if kind == "csv" else "\t", dtype=frame, na_values=[""], keep_default_na=False)
    t = pandas.concat([read(f) for f in files])
    assert list(t.columns) == names, t.columns
    return of_frame(t)


print(json.dumps({"duckdb": by_duckdb(), "pyarrow": by_pyarrow(), "pandas": by_pandas()}))
