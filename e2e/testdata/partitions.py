"""Reads a folder of partitions, as a job has written it, with DuckDB, pyarrow and pandas,
and prints for each what the rows add up to: rows, sum of n, rows of the year 2026, rows
without a year, sum of n of the region "a/b=c 50%", different regions. Arguments: format,
folder, ending of the files."""

import glob
import json
import sys

import duckdb
import pandas
import pyarrow
import pyarrow.csv
import pyarrow.dataset
import pyarrow.json

kind, folder, ending = sys.argv[1:]
special = "a/b=c 50%"


def by_duckdb():
    files = f"'{folder}/**/mr-out-*{ending}', hive_partitioning=true, hive_types={{'year': BIGINT, 'region': VARCHAR}}"
    source = {
        "parquet": f"read_parquet('{folder}/**/*.parquet', hive_partitioning=true, hive_types={{'year': BIGINT, 'region': VARCHAR}})",
        "json": f"read_json({files}, columns={{'w': 'VARCHAR', 'n': 'BIGINT'}})",
        "csv": f"read_csv({files}, columns={{'w': 'VARCHAR', 'n': 'BIGINT'}}, header=true)",
        "tsv": f"read_csv({files}, columns={{'w': 'VARCHAR', 'n': 'BIGINT'}}, header=true, delim='\\t')",
        "lines": f"read_csv({files}, columns={{'w': 'VARCHAR', 'n': 'BIGINT'}}, header=false, delim='\\t')",
    }[kind]
    return [int(x or 0) for x in duckdb.sql(
        f"SELECT count(*), sum(n), count(*) FILTER (year = 2026), count(*) FILTER (year IS NULL), sum(n) FILTER (region = '{special}'), count(DISTINCT region) FROM {source}").fetchall()[0]]


def of_frame(t):
    assert sorted(t.columns) == ["n", "region", "w", "year"], t.columns
    year = pandas.to_numeric(t["year"])
    return [len(t), int(t["n"].sum()), int((year == 2026).sum()), int(year.isna().sum()), int(t["n"][t["region"] == special].sum()), int(t["region"].nunique())]


schema = pyarrow.schema([("year", pyarrow.int64()), ("region", pyarrow.string())])
hive = pyarrow.dataset.partitioning(schema, flavor="hive")


def by_file(read):
    """The files one by one, with the columns of their folders."""
    frames = []
    for file in sorted(glob.glob(f"{folder}/*/*/mr-out-*")):
        keys = pyarrow.dataset.get_partition_keys(hive.parse(file[len(folder):]))
        frames.append(read(file).assign(year=keys["year"], region=keys["region"]))
    return of_frame(pandas.concat(frames))


def by_pyarrow():
    rows = pyarrow.schema([("w", pyarrow.string()), ("n", pyarrow.int64())] + list(schema))
    parse = pyarrow.csv.ParseOptions(delimiter="," if kind == "csv" else "\t")
    read = pyarrow.csv.ReadOptions(column_names=["w", "n"] if kind == "lines" else None)
    if ending.endswith(".zst"):  # by which a data set does not know zstd, but a file does
        if kind == "json":
            return by_file(lambda f: pyarrow.json.read_json(f).to_pandas())
        return by_file(lambda f: pyarrow.csv.read_csv(f, read_options=read, parse_options=parse).to_pandas())
    how = {
        "parquet": "parquet",
        "json": pyarrow.dataset.JsonFileFormat(),
    }.get(kind) or pyarrow.dataset.CsvFileFormat(parse_options=parse, read_options=read)
    return of_frame(pyarrow.dataset.dataset(folder, format=how, schema=rows, partitioning=hive).to_table().to_pandas())


def by_pandas():
    if kind == "parquet":  # the types matter, since pyarrow takes no folders without a value for a dictionary
        return of_frame(pandas.read_parquet(folder, partitioning=hive))
    if kind == "json":
        return by_file(lambda f: pandas.read_json(f, lines=True))
    return by_file(lambda f: pandas.read_csv(
        f, sep="," if kind == "csv" else "\t", header=None if kind == "lines" else "infer", names=["w", "n"] if kind == "lines" else None))


print(json.dumps({"duckdb": by_duckdb(), "pyarrow": by_pyarrow(), "pandas": by_pandas()}))
