#!/usr/bin/env bash
# Installs the peers of the benchmark that come from PyPI, pinned, into a
# virtual environment of their own: DuckDB, and with --spark Spark as well
# (430 MB, needs Java 17). mawk, ripgrep and GNU sort come from the system.
set -euo pipefail
venv=${XDG_CACHE_HOME:-$HOME/.cache}/mraws-bench/python
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet duckdb==1.5.0
if [ "${1:-}" = --spark ]; then
	"$venv/bin/pip" install --quiet pyspark==4.0.1
fi
echo "$venv/bin/python"
