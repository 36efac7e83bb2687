#!/usr/bin/env bash
# The conformance suite and the end-to-end tests over MinIO, the AWS CLI as a
# client of both servers, and grep against Python's re. Builds MinIO once from
# the module proxy (about ten minutes) and installs Debian's awscli and python3
# if there is no `aws` or no `python3`. It is about
# the other side, so the race detector, which scripts/test.sh has on for the
# same code, stays off.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/beside.sh
missing=()
command -v aws >/dev/null || missing+=(awscli)
command -v python3 >/dev/null || missing+=(python3)
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
