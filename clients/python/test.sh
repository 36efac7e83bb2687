#!/usr/bin/env bash
# Builds the program, installs the package into a fresh environment, and runs
# its tests there. Needs Go, and Python 3.9 with venv. Installing fetches
# setuptools.
#
#   PYTHON        the Python to test with, python3 if not set
#   MRAWS_BINARY  a program to test with instead of building one
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "${MRAWS_BINARY:-}" ]; then
	(cd ../.. && go build -o "$work/mraws" .)
	MRAWS_BINARY=$work/mraws
fi
export MRAWS_BINARY
unset PYTHONPATH MRAWS_BUCKET MRAWS_PREFIX MRAWS_CONFIG
mkdir "$work/source"
cp -r pyproject.toml README.md mraws "$work/source" # the build leaves files beside its source
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "$work/source"
cd tests
"$work/venv/bin/python" -B -m unittest discover "$@"
