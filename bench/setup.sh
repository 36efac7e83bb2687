#!/usr/bin/env bash
# Installs the peers of the benchmark that are not packages of the system, pinned,
# into ${XDG_CACHE_HOME:-~/.cache}/mraws-bench: DuckDB and ClickHouse (chDB,
# 150 MB) from PyPI, with --spark Spark
# as well (430 MB, needs Java 17), with --hadoop Hadoop Streaming by Maven (50 MB,
# needs Java and mvn). mawk, ripgrep and GNU sort come from the system.
set -euo pipefail
dir=${XDG_CACHE_HOME:-$HOME/.cache}/mraws-bench
venv=$dir/python
jars=(
	"607c0299f4df33013bd0a0f37c8cf255c635bbaddd247b8fec68c210cc17d19f org.apache.hadoop:hadoop-client-api:3.4.2"
	"18d071c7f72f8a946677b398a57af9c7afa2dd41a81023c310f99373fec200b3 org.apache.hadoop:hadoop-client-runtime:3.4.2"
	"4965003390b1ab133a3fe70a446f9cd29273b1554f9b58c9cf3ad6616782fd6d org.apache.hadoop:hadoop-streaming:3.4.2"
	"d3ef575e3e4979678dc01bf1dcce51021493b4d11fb7f1be8ad982877c16a1c0 org.slf4j:slf4j-api:1.7.36"
	"daddea1ea0be0f56978ab3006b8ac92834afeefbd9b7e4e6316fca57df0fa636 commons-logging:commons-logging:1.2"
	"d3d530d0f28fd0fbbffe2b0b338f70e8cb96f1605579e2e3abd4db29cac24e69 commons-cli:commons-cli:1.9.0"
)
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet duckdb==1.5.0 chdb==4.4.0
for peer in "$@"; do
	case $peer in
	--spark) "$venv/bin/pip" install --quiet pyspark==4.0.1 ;;
	--hadoop)
		mkdir -p "$dir/hadoop"
		for jar in "${jars[@]}"; do
			read -r sum artifact <<<"$jar"
			IFS=: read -r _ name version <<<"$artifact"
			mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -Dartifact="$artifact" -DoutputDirectory="$dir/hadoop"
			sha256sum --quiet -c <<<"$sum  $dir/hadoop/$name-$version.jar"
		done
		;;
	*) echo "usage: bench/setup.sh [--spark] [--hadoop]" >&2 && exit 2 ;;
	esac
done
echo "$venv/bin/python"
