#!/usr/bin/env bash
# Prints a Python that has DuckDB, pyarrow and pandas from PyPI, which write inputs and
# read outputs of jobs in tests. Makes a virtual environment for it once. Exit code 75 says that
# PyPI cannot be reached.
set -euo pipefail
dir=${XDG_CACHE_HOME:-$HOME/.cache}/mraws-tools/readers-1
if [ ! -e "$dir/done" ]; then
	rm -rf "$dir"
	mkdir -p "$(dirname "$dir")"
	python3 -m venv "$dir" >&2
	if ! "$dir/bin/pip" install -q --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1 pandas==3.1.1 zstandard==0.25.0 >&2; then
		url=${PIP_INDEX_URL:-$("$dir/bin/pip" config get global.index-url 2>/dev/null || echo https://pypi.org/simple/)}
		if python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=20)' "${url%/}/duckdb/" 2>/dev/null; then
			echo "DuckDB, pyarrow and pandas cannot be installed" >&2
			exit 1
		fi
		exit 75
	fi
	touch "$dir/done"
fi
echo "$dir/bin/python3"
