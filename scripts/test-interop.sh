#!/usr/bin/env bash
# The conformance suite and the end-to-end tests over MinIO, the AWS CLI as a
# client of both servers, grep against Python's re, the package for Python, the alert
# rules, a collector of OpenTelemetry, the page of the dashboard in Chromium, each block of commands in the documents, tables of pyarrow, pandas and DuckDB as input, outputs that these
# read, the applications over tables against SQLite, DuckDB and pandas, and jobs of the real mrjob, which are installed from PyPI.
# Builds MinIO once from the module proxy (about ten minutes) and installs Debian's
# awscli, python3 and python3-venv if there is no `aws`, no `python3` or no venv. It
# is about the other side, so the race detector, which scripts/test.sh has on for the
# same code, stays off.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/beside.sh
missing=()
command -v aws >/dev/null || missing+=(awscli)
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
if [ "${#missing[@]}" -gt 0 ]; then
	sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	$sudo apt-get update -qq && $sudo apt-get install -y -qq "${missing[@]}"
fi
MRAWS_MINIO=$(scripts/minio.sh)
export MRAWS_MINIO
step go test -vet=off -timeout 20m -count=1 -tags interop -run TestConformanceOfMinIO ./internal/s3fs
step go test -vet=off -timeout 20m -count=1 -tags interop,awscli -parallel 4 ./e2e
step go test -vet=off -timeout 20m -count=1 -tags awscli -run TestAWSCLI ./e2e
step clients/python/test.sh
step scripts/guests.sh
optional "the alert rules, since promtool cannot be fetched" scripts/test-alerts.sh
optional "the page of the dashboard, since Chromium or axe-core cannot be fetched" scripts/test-page.sh
optional "a job by Slurm, since its packages cannot be fetched" scripts/test-slurm.sh
if have MRAWS_OTELCOL "TestCollector, since the collector of OpenTelemetry cannot be fetched" scripts/otelcol.sh; then
	step go test -vet=off -timeout 20m -count=1 -tags otelcol -run TestCollector ./e2e
fi
without=()
if have MRAWS_READERS_PYTHON "TestTablesOfOthers, TestReaders and TestAppsOfTables, since PyPI cannot be reached" scripts/readers.sh; then
	step go test -vet=off -timeout 20m -count=1 -tags readers -run 'TestTablesOfOthers|TestReaders|TestPartitionReaders|TestAppsOfTables' ./e2e
else
	without+=(readers)
fi
if have MRAWS_MRJOB_PYTHON "TestMrjob, since PyPI cannot be reached" scripts/mrjob.sh; then
	step go test -vet=off -timeout 20m -count=1 -tags mrjob -run TestMrjob ./e2e
else
	without+=(mrjob)
fi
MRAWS_DOCUMENTS_WITHOUT="${without[*]-}" step go test -vet=off -timeout 20m -count=1 -parallel 4 -tags documents -run TestDocuments -v ./e2e
