"""Writes tables with pyarrow, pandas and DuckDB, has mraws read each of them as lines,
whole and in pieces, and compares the rows. The argument is the program mraws; the
working directory is empty."""

import datetime
import decimal
import json
import os
import subprocess
import sys
import uuid

import duckdb
import pandas
import pyarrow
import pyarrow.csv
import pyarrow.parquet

MRAWS = sys.argv[1]
ROWS = 3000
failed = 0


def read(path, *flags):
    out = f"out-{len(os.listdir('.'))}"
    subprocess.run(
        [MRAWS, "run", "--local", "-q", "--mapper", "cat", "--nreduce", "1", "--out", out, *flags, path],
        check=True, stdout=subprocess.DEVNULL,
    )
    with open(f"{out}/mr-out-0", encoding="utf-8") as f:
        return [json.loads(line, parse_int=str, parse_float=str) for line in f]


def plain(v):
    """A value as mraws writes it, with numbers as their digits."""
    if isinstance(v, bool) or v is None or isinstance(v, str):
        return v
    if isinstance(v, (int, decimal.Decimal)):
        return f"{v:f}" if isinstance(v, decimal.Decimal) else str(v)
    if isinstance(v, float):
        return None if v != v else v
    if isinstance(v, datetime.datetime):
        text = v.replace(tzinfo=None).isoformat()
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        return text + ("Z" if v.tzinfo else "")
    if isinstance(v, datetime.time):
        text = v.isoformat()
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(v, datetime.date):
        return v.isoformat()
    if isinstance(v, uuid.UUID):
        return str(v)
    if isinstance(v, bytes):
        return v.decode()
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, list) and v and isinstance(v[0], tuple):  # a map
        return {str(k): plain(x) for k, x in v}
    return [plain(x) for x in v]


def same(a, b):
    if isinstance(a, float):
        return isinstance(b, str) and float(b) == a
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        if b == {} and a == []:  # a map without pairs
            return True
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return a == b


def check(what, path, want, *flags):
    global failed
    want = [plain(r) for r in want]
    for split in ("64MiB", "16KiB"):
        got = read(path, "--split-size", split, *flags)
        bad = next((i for i, (a, b) in enumerate(zip(want, got)) if not same(a, b)), None)
        if len(want) != len(got) or bad is not None:
            failed += 1
            print(f"{what}, --split-size {split}: {len(got)} rows, want {len(want)}")
            if bad is not None:
                print(f"  row {bad} is   {got[bad]}\n  and must be {want[bad]}")
            return
    subprocess.run([MRAWS, "run", "--local", "-q", "--app", "wc", "--verify", "--split-size", "16KiB", *flags, path], check=True, stdout=subprocess.DEVNULL)
    print(f"{what}: {len(want)} rows")


def rows(n):
    texts = ["plain", 'with "quotes"', "two\nlines", "comma, and\ttab", "", "é😀", None, "CR\r\nLF", "back\\slash"]
    for i in range(n):
        yield {
            "id": i,
            "text": texts[i % len(texts)],
            "price": decimal.Decimal(i * 7 - 5).scaleb(-2) if i % 5 else None,
            "big": decimal.Decimal(10**25 + i).scaleb(-3),
            "double": i / 7,
            "yes": i % 2 == 0,
            "day": datetime.date(2026, 1, 1) + datetime.timedelta(i),
            "at": datetime.datetime(2026, 1, 2, 3, 4, 5, 120000 + i),
            "utc": datetime.datetime(2026, 1, 2, 3, 4, 5, i, tzinfo=datetime.timezone.utc),
            "time": datetime.time(1, 2, 3, i),
            "binary": f"b{i}".encode(),
            "list": None if i % 4 == 0 else ["a", None, "b"][: i % 4],
            "struct": None if i % 3 == 0 else {"x": i, "y": {"z": "w" if i % 2 else None}},
            "lists": [[1], [], [2, 3]][: i % 4],
            "map": [("k", i)] if i % 2 else [],
        }


schema = pyarrow.schema([
    ("id", pyarrow.int64()), ("text", pyarrow.string()), ("price", pyarrow.decimal128(12, 2)), ("big", pyarrow.decimal128(38, 3)),
    ("double", pyarrow.float64()), ("yes", pyarrow.bool_()), ("day", pyarrow.date32()), ("at", pyarrow.timestamp("us")),
    ("utc", pyarrow.timestamp("us", "UTC")), ("time", pyarrow.time64("us")), ("binary", pyarrow.binary()),
    ("list", pyarrow.list_(pyarrow.string())), ("struct", pyarrow.struct([("x", pyarrow.int32()), ("y", pyarrow.struct([("z", pyarrow.string())]))])),
    ("lists", pyarrow.list_(pyarrow.list_(pyarrow.int16()))), ("map", pyarrow.map_(pyarrow.string(), pyarrow.int64())),
])
table = pyarrow.Table.from_pylist(list(rows(ROWS)), schema=schema)
want = table.to_pylist()

for compression in ("none", "snappy", "gzip", "zstd", "brotli"):
    for options in ({}, {"use_dictionary": False, "data_page_version": "2.0"}, {"use_deprecated_int96_timestamps": True}):
        if compression != "snappy" and options.get("use_deprecated_int96_timestamps"):
            continue
        pyarrow.parquet.write_table(table, "pyarrow.parquet", row_group_size=500, compression=compression, **options)
        expect = want
        if options.get("use_deprecated_int96_timestamps"):  # which have no zone
            expect = [{**r, "utc": r["utc"].replace(tzinfo=None)} for r in want]
        check(f"pyarrow parquet {compression} {options}", "pyarrow.parquet", expect, "--format", "parquet")
pyarrow.parquet.write_table(table, "lz4.parquet", compression="lz4")
said = subprocess.run([MRAWS, "run", "--local", "-q", "--app", "wc", "--format", "parquet", "lz4.parquet"], capture_output=True, text=True)
if said.returncode != 4 or "lz4.parquet has column id compressed with LZ4, which is not read" not in said.stderr:
    failed += 1
    print(f"LZ4: exit code {said.returncode}: {said.stderr}")
chosen = [{"struct.y.z": (r["struct"] or {"y": {"z": None}})["y"]["z"], "price": r["price"], "text": r["text"]} for r in want]
check("pyarrow parquet, three columns", "pyarrow.parquet", chosen, "--format", "parquet", "--columns", "struct.y.z,price,text")

flat = table.select(["id", "text", "double", "yes"])
frame = flat.to_pandas()
texts = [{k: None if v is None or v == "" else str(v) for k, v in r.items()} for r in flat.select(["id", "text", "yes"]).to_pylist()]
frame[["id", "text", "yes"]].to_csv("pandas.csv", index=False)
check("pandas csv", "pandas.csv", texts, "--format", "csv")
frame[["id", "text", "yes"]].to_csv("pandas.tsv", index=False, sep="\t")
check("pandas tsv", "pandas.tsv", texts, "--format", "tsv")
frame[["id", "text", "yes"]].to_csv("pandas16.csv", index=False, encoding="utf-16")
check("pandas csv in UTF-16", "pandas16.csv", texts, "--format", "csv", "--encoding", "utf-16")
frame.to_json("pandas.json", orient="records", lines=True, double_precision=15)
again = pandas.read_json("pandas.json", orient="records", lines=True, dtype=False, precise_float=True)
check("pandas json", "pandas.json", [{"text": r["text"], "id": r["id"]} for r in flat.to_pylist()], "--format", "json", "--columns", "text,id")
frame.to_parquet("pandas.parquet", row_group_size=700)
check("pandas parquet", "pandas.parquet", flat.to_pylist(), "--format", "parquet")

db = duckdb.connect()
db.register("t", table.select(["id", "text", "price", "double", "yes", "day", "at", "utc", "list", "struct"]))
want = [{k: r[k] for k in ("id", "text", "price", "double", "yes", "day", "at", "utc", "list", "struct")} for r in want]
db.execute("SET TimeZone = 'UTC'")
db.execute("COPY (SELECT * FROM t ORDER BY id) TO 'duckdb.parquet' (ROW_GROUP_SIZE 2048)")
check("duckdb parquet", "duckdb.parquet", want, "--format", "parquet")
db.execute("COPY (SELECT id, text, day FROM t ORDER BY id) TO 'duckdb.csv'")
check("duckdb csv", "duckdb.csv", [{"id": str(r["id"]), "text": r["text"] or None, "day": str(r["day"])} for r in want], "--format", "csv")
db.execute("COPY (SELECT id, text, list, struct FROM t ORDER BY id) TO 'duckdb.json'")
check("duckdb json", "duckdb.json", [{k: r[k] for k in ("id", "text", "list", "struct")} for r in want], "--format", "json")

# A damaged twin of each: the bad record, or row group, is left out, and verify agrees.
def damaged(path, old, new, *flags):
    global failed
    with open(path, "rb") as f:
        data = f.read()
    at = data.index(old, len(data) // 2) if old else len(data) // 2
    old = old or data[at : at + 1]
    new = new or bytes([old[0] ^ 255])
    with open("bad-" + path, "wb") as f:
        f.write(data[:at] + new + data[at + len(old) :])
    for budget, code in (("0", 4), ("1", 3)):
        said = subprocess.run(
            [MRAWS, "run", "--local", "-q", "--max-attempts", "1", "--app", "wc", "--verify", "--split-size", "16KiB", "--max-bad-records", budget, *flags, "bad-" + path],
            capture_output=True, text=True,
        )
        if said.returncode != code or "bad-" + path not in said.stderr + "bad-" + path * (code == 3):
            failed += 1
            print(f"bad-{path} with a budget of {budget}: exit code {said.returncode}, want {code}\n{said.stderr[-2000:]}")
    print(f"bad-{path}: left out")


damaged("pandas.json", b'{"id"', b'{id"', "--format", "json")
damaged("pandas.csv", b",True\n", b",True,1\n", "--format", "csv")
damaged("duckdb.csv", b",2032", b",,2032", "--format", "csv")
damaged("pyarrow.parquet", b"", b"", "--format", "parquet")
# Rows of one row group over which an application fails.
said = subprocess.run(
    [MRAWS, "run", "--local", "-q", "--app", "group", "--app-arg", "by=yes", "--app-arg", "sum=text", "--format", "parquet", "--max-bad-records", "100%", "--verify", "pandas.parquet"],
    capture_output=True, text=True,
)
if said.returncode != 3 or "2,667 bad records" not in said.stderr:
    failed += 1
    print(f"rows over which an app fails: exit code {said.returncode}\n{said.stderr[-2000:]}")

sys.exit(failed > 0)
