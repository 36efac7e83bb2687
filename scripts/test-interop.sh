#!/usr/bin/env bash
# The conformance suite and the end-to-end tests over MinIO, and the AWS CLI
# as a client of both servers. Builds MinIO once from the module proxy (about
# ten minutes) and installs Debian's awscli if there is no `aws`.
set -euo pipefail
cd "$(dirname "$0")/.."
race=-race
if [ "$(go env CGO_ENABLED)" != 1 ] || ! command -v "$(go env CC)" >/dev/null; then
	race=
fi
if ! command -v aws >/dev/null; then
	sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	$sudo apt-get update -qq && $sudo apt-get install -y -qq awscli
fi
MRAWS_MINIO=$(scripts/minio.sh)
export MRAWS_MINIO
step() { echo "=== $*" >&2; "$@"; }
step go test $race -timeout 20m -tags interop ./internal/s3fs/...
step go test $race -timeout 20m -tags interop,awscli ./e2e
step go test $race -timeout 20m -tags awscli -run TestAWSCLI ./e2e
