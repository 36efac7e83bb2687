#!/bin/sh
# Hadoop streaming's side of the benchmark: hadoop.sh INPUT RESULT counts
# words with awk as mapper and reducer, in Hadoop's local mode.
set -eu
jar=$(find "${HADOOP_HOME:-/usr/lib/hadoop}" -name 'hadoop-streaming-*.jar' | head -1)
hadoop jar "$jar" -D mapreduce.framework.name=local -D fs.defaultFS=file:/// \
	-input "$1" -output "$2.parts" \
	-mapper "mawk '{ gsub(/[^A-Za-z]+/, \" \"); n = split(\$0, w, \" \"); for (i = 1; i <= n; i++) c[w[i]]++ } END { for (x in c) print x \"\\t\" c[x] }'" \
	-reducer "mawk -F '\\t' '{ c[\$1] += \$2 } END { for (x in c) print x, c[x] }'"
cat "$2.parts"/part-* >"$2"
rm -r "$2.parts"
