#!/usr/bin/env bash
# Prints a Python that has mrjob 0.7.4, the last one, from PyPI. Makes a virtual
# environment for it once. setuptools and standard-pipes have the modules of the
# standard library that mrjob needs and Python 3.12 and 3.13 have not. Exit code 75
# says that PyPI cannot be reached.
set -euo pipefail
dir=${XDG_CACHE_HOME:-$HOME/.cache}/mraws-tools/mrjob-0.7.4
if [ ! -e "$dir/done" ]; then
	rm -rf "$dir"
	mkdir -p "$(dirname "$dir")"
	python3 -m venv "$dir" >&2
	if ! "$dir/bin/pip" install -q --disable-pip-version-check mrjob==0.7.4 'setuptools<81' standard-pipes >&2; then
		url=${PIP_INDEX_URL:-$("$dir/bin/pip" config get global.index-url 2>/dev/null || echo https://pypi.org/simple/)}
		if python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=20)' "${url%/}/mrjob/" 2>/dev/null; then
			echo "mrjob cannot be installed" >&2
			exit 1
		fi
		exit 75
	fi
	touch "$dir/done"
fi
echo "$dir/bin/python3"
