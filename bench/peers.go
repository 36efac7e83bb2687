package main

// countWords is wc in awk. A word is a run of letters.
const countWords = `{ gsub(/[^A-Za-z]+/, " "); n = split($0, w, " "); for (i = 1; i <= n; i++) c[w[i]]++ } END { for (x in c) print x, c[x] }`

// wordCounts are the ways to count words, us first.
func wordCounts(us contestant) []contestant {
	return []contestant{
		us,
		{name: "memory only", command: `"$BENCH" -words "$INPUT"`, inner: true},
		{name: "mawk", needs: "mawk", command: `mawk '` + countWords + `' "$INPUT" >"$OUT/result"`, form: words},
		{name: "tr|sort|uniq", needs: "sort", command: `tr -cs A-Za-z '\n' <"$INPUT" | sort --parallel="$CORES" -T "$OUT" | uniq -c >"$OUT/result"`, form: countsFirst},
		{name: "DuckDB", needs: "python:duckdb", command: `"$PYTHON" "$PEERS/duck.py" wc "$INPUT" "$OUT/result"`, form: words},
		{name: "Spark", needs: "python:pyspark", command: `"$PYTHON" "$PEERS/spark.py" wc "$INPUT" "$OUT/result"`, form: words},
		{name: "Hadoop Streaming", needs: "hadoop", command: `"$PEERS/hadoop.sh" "$INPUT" "$OUT/result"`, form: words},
	}
}

// sorts are the ways to sort lines, us first.
func sorts(us contestant) []contestant {
	return []contestant{
		us,
		{name: "sort", needs: "sort", command: `sort --parallel="$CORES" -T "$OUT" -o "$OUT/result" "$INPUT"`, form: sorted},
		{name: "DuckDB", needs: "python:duckdb", command: `"$PYTHON" "$PEERS/duck.py" sort "$INPUT" "$OUT/result"`, form: sorted},
		{name: "Spark", needs: "python:pyspark", command: `"$PYTHON" "$PEERS/spark.py" sort "$INPUT" "$OUT/result"`, form: sorted},
	}
}

// indexes are the ways to list the files of each word, us first.
func indexes(us contestant) []contestant {
	const index = `FNR == 1 { n = split(FILENAME, p, "/"); f = p[n] } ` +
		`{ gsub(/[^A-Za-z]+/, " "); k = split($0, w, " "); for (i = 1; i <= k; i++) if (!((w[i], f) in s)) { s[w[i], f]; c[w[i]]++; l[w[i]] = l[w[i]] (c[w[i]] > 1 ? "," : "") f } } ` +
		`END { for (x in c) print x, c[x], l[x] }`
	return []contestant{
		us,
		{name: "mawk", needs: "mawk", command: `find "$INPUT" -type f -name "$GLOB" | sort >"$OUT/list" && (cd "$INPUT" && sed "s:^$INPUT/::" "$OUT/list" | xargs -s 1900000 mawk '` + index + `' >"$OUT/result")`, form: postings},
		{name: "DuckDB", needs: "python:duckdb", command: `"$PYTHON" "$PEERS/duck.py" index "$INPUT/**/$GLOB" "$OUT/result"`, form: postings},
	}
}

// groups are the ways to group the rows of a table, us first.
func groups(us contestant, format string) []contestant {
	return []contestant{
		us,
		{name: "ClickHouse", needs: "python:chdb", command: `"$PYTHON" "$PEERS/click.py" group ` + format + ` "$INPUT" "$OUT/result"`, form: lines},
		{name: "DuckDB", needs: "python:duckdb", command: `"$PYTHON" "$PEERS/duck.py" ` + format + ` "$INPUT" "$OUT/result"`, form: lines},
	}
}

// grouping groups by two columns of twelve and adds up a third.
const grouping = "--app group --app-arg by=status,path --app-arg count=true --app-arg sum=bytes --format "

// scripts are the ways to run a mapper and a reducer that are Python scripts, us
// first. The pipe is on one core, so that its wall time can be divided by theirs.
func scripts(us contestant) []contestant {
	return []contestant{
		us,
		{name: onePipe, needs: "python3", command: `taskset -c 0 sh -c '"$PYTHON3" "$SCRIPTS/map.py" <"$INPUT" | sort -T "$OUT" | "$PYTHON3" "$SCRIPTS/reduce.py" >"$OUT/result"'`, form: words},
		{name: "Hadoop Streaming", needs: "hadoop", command: `"$PEERS/hadoop.sh" "$INPUT" "$OUT/result" "$PYTHON3 $SCRIPTS/map.py" "$PYTHON3 $SCRIPTS/reduce.py"`, form: words},
	}
}

// onePipe is map.py | sort | reduce.py.
const onePipe = "pipe on one core"

// scriptJob is a run of mraws with the scripts.
func scriptJob(name, reducer string, f form) contestant {
	return job(name, `--mapper "$PYTHON3 map.py" --file "$SCRIPTS/map.py" `+reducer, f)
}

const byScript = `--reducer "$PYTHON3 reduce.py" --file "$SCRIPTS/reduce.py"`
