//go:build documents

package e2e

// built has the program that all documents share in place of one of their own.
var built = []string{`go build -C "$MRAWS" -o "$PWD/bin/mraws" .`, `mkdir bin; ln -s "$(command -v mraws)" bin/mraws`}

// scenes are the blocks that need something besides the document.
var scenes = []scene{
	{document: "docs/tutorial-own-code.md", has: "mkdir tutorial && cd tutorial", replace: built},
	{document: "docs/tutorial.md", has: "mkdir machines", replace: built},
	{document: "docs/tutorial.md", has: "export MRAWS_BUCKET=my-bucket", before: "remote my-bucket"},
	{
		document: "docs/tutorial.md", has: "mraws coordinator --prefix words --app wc --nreduce 4\n",
		replace: []string{"--nreduce 4\n", "--nreduce 4 >summary 2>c.log & coord=$!\nrunning c.log address\n"},
	},
	{
		document: "docs/tutorial.md", has: "--coord host:1234",
		replace: []string{"host:1234", "$HOST:1234 2>w.log & first=$!\nrunning w.log joined"},
	},
	{
		document: "docs/tutorial.md", has: "mraws worker --prefix words\n", replace: []string{"words\n", "words || late\n"},
		after: "wait $coord; wait $first || late; grep -q SUCCEEDED summary",
	},
	{document: "docs/tutorial-data.md", has: "mkdir data-tutorial", replace: built},
	{
		document: "README.md", has: "go run . run --app wc --verify",
		replace: []string{"go run . run", `cd "$MRAWS"; go run . run`}, after: "cd - >/dev/null",
	},
	{
		document: "README.md", has: "host:1234",
		before:  "remote my-bucket; export MRAWS_BUCKET=my-bucket; mkdir books; echo 'call me a whale' >books/moby.txt",
		replace: []string{"--nreduce 10            # on one", "--nreduce 10 2>c.log & coord=$!\nrunning c.log address; #", "host:1234", "$HOST:1234"},
		after:   "wait $coord; here",
	},
	{
		document: "README.md", has: "./mraws run --mapper",
		before: `printf 'import sys\nfor line in sys.stdin: print(*line.split(), sep="\\n")\n' >m.py
printf 'import sys\nfor line in sys.stdin: print(line, end="")\n' >r.py; echo 'call me a whale' >book.txt`,
		replace: []string{"go build -o mraws .", `ln -s "$(command -v mraws)" mraws`},
		after:   "cat counts/mr-out-* | grep -q whale",
	},
	{document: "docs/operations.md", has: "mraws upload-input --local books", before: "here; mkdir -p books; echo 'call me a whale' >books/moby.txt", replace: []string{"--nreduce 10 &", "--nreduce 10 2>local.log & coord=$!\nrunning local.log address", "mraws worker &\nmraws worker", "mraws worker & w=$!\nmraws worker || late"}, after: "wait $coord; wait $w || late; remote mapreducedata"},
	{
		document: "clients/python/README.md", has: "pip install ./clients/python",
		before:  `export PATH="$HOME/.local/bin:$PATH"; cp -r "$MRAWS/clients" .; mkdir -p ~/.local/bin`,
		replace: []string{"go build -o ~/.local/bin/mraws .", `ln -s "$(command -v mraws)" ~/.local/bin/mraws`},
	},
	{
		document: "docs/events.md", has: "mraws events -o json",
		before: `printf '%s\n' one two three four | split -l 1 - in-; mraws run --prefix e --app wc in-*; export MRAWS_PREFIX=e
w1=$(mraws logs all -o jsonl | grep -o '"worker": *"[^"]*"' | head -1 | cut -d '"' -f 4)`,
		replace: []string{"--worker w1", `--worker "$w1"`},
		after:   "mraws events -o jsonl >events.jsonl",
	},
	{document: "docs/events.md", has: "read_json('events.jsonl')", needs: "readers"},
	{
		document: "docs/operations.md", has: "mraws doctor --fix-policy",
		before: "remote mapreducedata; mraws s3 --help >/dev/null",
	},
	{
		document: "docs/operations.md", has: "aws s3 cp s3://mapreducedata/output/_bad/map-12",
		before: `mkdir bad; for i in $(seq 13); do echo '{"n":1}' >bad/$(printf %02d $i).json; done; echo '{' >bad/13.json; mraws upload-input bad
mraws run --app group --app-arg by=n --format json --max-bad-records 1 || test $? = 3`,
		needs: "aws",
	},
	{document: "docs/operations.md", has: "aws s3 rm --recursive", needs: "aws", after: "! mraws cat 2>/dev/null; mraws run --app wc"},
	{
		document: "docs/own-code.md", has: "mraws coordinator --bucket my-bucket",
		before:  "remote my-bucket",
		replace: []string{"--file r.py\n", "--file r.py 2>c.log & coord=$!\nrunning c.log address\n"},
		after:   "wait $coord; mraws verify --bucket my-bucket; here",
	},
	{
		document: "docs/own-code.md", has: "pip install -q mrjob",
		replace: []string{"python3 -m venv env && env/bin/pip install -q mrjob==0.7.4 'setuptools<81' standard-pipes", `ln -s "$(dirname "$(dirname "$MRJOB_PYTHON")")" env`},
		needs:   "mrjob",
	},
	{
		document: "docs/own-data.md", has: "--columns status,bytes --as tsv",
		before: `mkdir -p logs/a; printf 'status,bytes\n200,7\n404,1\n' >log.csv; echo '{"user":{"name":"ann"},"path":"/"}' | tee logs/1.json >logs/a/2.json`,
	},
	{
		document: "docs/own-data.md", has: "pandas.read_parquet('counts')",
		before:  "echo 'the cat saw the dog' >book.txt",
		replace: []string{"python3 -c", "python-with-readers -c"},
		needs:   "readers",
	},
	{
		document: "docs/own-data.md", has: "--output-partition year,month --out out sales.tsv",
		before:  `printf '2026\t01\tOslo\t4.5\n2026\t02\tRome\t3\n' >sales.tsv`,
		replace: []string{"python3 -c", "python-with-readers -c"},
		needs:   "readers",
	},
	{
		document: "docs/own-data.md", has: "mraws coordinator -f jobs.yaml --bucket my-bucket",
		before:  "remote my-bucket; printf 'name: c\\nsteps:\\n  - name: one\\n    input: s3://my-bucket/x/input/\\n    app: wc\\n' >jobs.yaml; mraws upload-input --bucket my-bucket --prefix x book.txt",
		replace: []string{"--bucket my-bucket          # on host", "--bucket my-bucket 2>c.log & coord=$!\nrunning c.log address", "host:1234", "$HOST:1234"},
		after:   "wait $coord; here",
	},
	{
		document: "docs/own-data.md", has: "--reuse last s3://logs/2026/",
		before: "mraws upload-input --local --bucket logs --prefix 2026 book.txt sales.tsv",
	},
	{
		document: "docs/own-data.md", has: "--app sort --sort '-k2,2nr'",
		before: `printf 'ann 3\nbob 12\n' >visits.txt; printf 'a\t3\na\t12\n' >points.txt`,
	},
	{
		document: "docs/own-go.md", has: "cp ../6.5840/src/mrapps/indexer.go .",
		before: `mkdir -p 6.5840/src/mr 6.5840/src/mrapps
printf 'module 6.5840\ngo 1.22\n' >6.5840/src/go.mod
printf 'package mr\ntype KeyValue struct{ Key, Value string }\n' >6.5840/src/mr/mr.go
cat >6.5840/src/mrapps/indexer.go <<'END'
package main

import "strings"
import "6.5840/mr"

func Map(document string, value string) (res []mr.KeyValue) {
	for _, w := range strings.Fields(value) {
		res = append(res, mr.KeyValue{w, document})
	}
	return
}

func Reduce(key string, values []string) string { return strings.Join(values, ",") }
END
cp "$MRAWS/go.sum" .`,
		replace: []string{"mkdir mine && cd mine", "mkdir mine && cd mine && cp ../go.sum ."},
	},
	{
		document: "docs/own-go.md", has: "go run ./examples/patterns run --app wordcount",
		replace: []string{"go run ./examples/patterns", "./patterns", "examples/patterns/testdata", "$MRAWS/examples/patterns/testdata"},
		before:  `cd ..; go build -C "$MRAWS" -o "$PWD/patterns" ./examples/patterns`,
	},
	{document: "docs/own-wasm.md", has: "clang --target=wasm32-wasi", needs: "guests"},
	{
		document: "docs/price.md", has: "--dry-run in/*.txt",
		before: `mkdir in; for i in $(seq -w 20); do seq 1000 | head -c 5222 >in/$i.txt; done; mraws run --app wc --nreduce 4 in/*.txt`,
	},
	{document: "examples/wasm/README.md", has: "cd c\n", needs: "guests", before: `cp -r "$MRAWS"/examples/wasm/* .; echo 'a b a' >book.txt`},
	{document: "examples/wasm/README.md", has: "cd ../rust\n", needs: "rust", replace: []string{"rustc --", "/usr/bin/rustc --"}},
	{document: "examples/wasm/README.md", has: "--nreduce 2 book.txt", replace: []string{"book.txt", "../book.txt"}},
}
