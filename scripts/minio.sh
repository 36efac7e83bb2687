#!/bin/sh
# Prints the path of a MinIO server binary, the independent S3 server of the
# interop tests. The first call builds it from the module proxy (about ten
# minutes) into ${XDG_CACHE_HOME:-$HOME/.cache}/mraws-tools/minio; concurrent
# calls wait for that one build. MinIO (AGPL-3.0) runs as a process of its own
# and is never linked into mraws.
set -eu

module=github.com/minio/minio
version=v0.0.0-20260212201848-7aac2a2c5b7c

dir=${XDG_CACHE_HOME:-$HOME/.cache}/mraws-tools/minio
bin=$dir/minio

# built reports whether the binary is there and is of the wanted version.
built() {
	[ -x "$bin" ] && go version -m "$bin" 2>/dev/null | grep -q "mod[[:space:]]$module[[:space:]]$version"
}

if ! built; then
	mkdir -p "$dir"
	exec 9>"$dir/lock"
	if command -v flock >/dev/null; then
		flock 9
	fi
	if ! built; then
		echo "minio.sh: building $module@$version into $dir" >&2
		tmp=$(mktemp -d "$dir/build.XXXXXX")
		trap 'rm -rf "$tmp"' EXIT
		trap 'exit 1' HUP INT TERM
		# Outside the module, so that its go.mod stays as it is; renamed
		# at the end, so that no half of a binary is ever seen.
		(cd "$tmp" && GOFLAGS= CGO_ENABLED=0 GOBIN=$tmp go install -trimpath -ldflags '-s -w' "$module@$version" >&2)
		mv "$tmp/minio" "$bin"
	fi
fi
echo "$bin"
