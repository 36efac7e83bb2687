#!/bin/sh
# Hadoop Streaming's side of the benchmark, in Hadoop's local mode on all cores:
# hadoop.sh INPUT RESULT MAPPER REDUCER. It counts words with awk if these are not
# given.
set -eu
mapper=${3:-"mawk '{ gsub(/[^A-Za-z]+/, \" \"); n = split(\$0, w, \" \"); for (i = 1; i <= n; i++) c[w[i]]++ } END { for (x in c) print x \"\\t\" c[x] }'"}
reducer=${4:-"mawk -F '\\t' '{ c[\$1] += \$2 } END { for (x in c) print x, c[x] }'"}
java -cp "$HADOOP/*" org.apache.hadoop.streaming.HadoopStreaming \
	-D mapreduce.framework.name=local -D fs.defaultFS=file:/// -D hadoop.tmp.dir="$2.tmp" \
	-D mapreduce.local.map.tasks.maximum="$CORES" -D mapreduce.local.reduce.tasks.maximum="$CORES" -D mapreduce.job.reduces="$CORES" \
	-input "$1" -output "$2.parts" -mapper "$mapper" -reducer "$reducer"
sed 's/\t$//' "$2.parts"/part-* >"$2" # which Hadoop appends to a line without a tab
rm -r "$2.parts" "$2.tmp"
