package apps

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"os/exec"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/mr"
	"github.com/mraws/mraws/mr/mrtest"
)

// run runs an app with parameters "name=value name=value".
func run(t testing.TB, app mr.App, params string, inputs map[string]string) mrtest.Result {
	t.Helper()
	res, err := try(t, app, params, inputs)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func try(t testing.TB, app mr.App, params string, inputs map[string]string) (mrtest.Result, error) {
	t.Helper()
	return mrtest.Job{App: app, NReduce: 2, Params: parse(params), Inputs: inputs}.Run(t.Context())
}

func TestDistinct(t *testing.T) {
	inputs := map[string]string{"a": "b\n\na\nb\n", "b": "c\na\n\xff"}
	res := run(t, distinct(), "", inputs)
	c := exec.CommandContext(t.Context(), "sort", "-u")
	c.Env = []string{"LC_ALL=C"}
	c.Stdin = strings.NewReader(inputs["a"] + inputs["b"])
	want, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), strings.Join(res.Partitions, "")); diff != "" {
		t.Errorf("(-sort -u +got):\n%s", diff)
	}
}

func TestHistogram(t *testing.T) {
	inputs := map[string]string{"a.csv": "n\n0\n9.99\n10\n-0.1\n\n25\n", "b": `{"n":1e20}` + "\n" + `{"n":-1e20}` + "\n{}\n"}
	for params, want := range map[string][]string{
		"column=n width=10":  {"-10 1", "-100000000000000000000 1", "0 2", "10 1", "100000000000000000000 1", "20 1"},
		"column=n width=0.3": {"-0.3 1", "-100000000000000000000.2 1", "0 1", "24.9 1", "9.9 2", "99999999999999999999.9 1"},
	} {
		if diff := gocmp.Diff(want, run(t, histogram(), params, inputs).Lines()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", params, diff)
		}
	}
	for _, params := range []string{"width=1", "column=n width=0", "column=n width=-1", "column=n width=x", "column=n width=1e-39"} {
		if _, err := try(t, histogram(), params, inputs); err == nil {
			t.Errorf("%s is taken", params)
		}
	}
}

// TestFloor compares with the definition.
func TestFloor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, w := anyDecimal(t, "d"), times(rapid.Uint64Min(1).Draw(t, "width"), rapid.IntRange(0, decimals).Draw(t, "decimals"))
		floor := new(big.Int).Sub(d.big(), new(big.Int).Mod(d.big(), w.big()))
		if decimalOfBig(floor).big().Cmp(floor) != 0 {
			return // too large
		}
		got := d.floor(w).big()
		rest := new(big.Int).Sub(d.big(), got)
		if rest.Sign() < 0 || rest.Cmp(w.big()) >= 0 || got.Mod(got, w.big()).Sign() != 0 {
			t.Fatalf("floor of %v by %v is %v", d.big(), w.big(), d.floor(w).big())
		}
	})
}

func TestTopK(t *testing.T) {
	inputs := map[string]string{
		"a.csv": "kind,n,name\nx,3,a\nx,-1,b\ny,2.5,c\nx,,d\n",
		"b.csv": "kind,n,name\nx,3,A\ny,1e2,t\\ab\nx,7,e\n",
	}
	for params, want := range map[string][]string{
		"column=n k=2 by=kind show=name":               {"x 7\te", "x 3\tA", "y 100\tt\\\\ab", "y 2.5\tc"},
		"column=n k=3 by=kind show=name smallest=true": {"x -1\tb", "x 3\tA", "x 3\ta", "y 2.5\tc", "y 100\tt\\\\ab"},
		"column=n k=1": {"all 100"},
		"column=n k=1 by=kind,name smallest=true": {"x\tA 3", "x\ta 3", "x\tb -1", "x\te 7", "y\tc 2.5", "y\tt\\\\ab 100"},
	} {
		var got []string
		for _, p := range run(t, topk(), params, inputs).Partitions {
			got = append(got, slices.Collect(strings.Lines(p))...)
		}
		slices.SortStableFunc(got, func(a, b string) int { return cmp.Compare(a[:strings.Index(a, " ")], b[:strings.Index(b, " ")]) })
		if diff := gocmp.Diff(want, strings.Split(strings.TrimSuffix(strings.Join(got, ""), "\n"), "\n")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", params, diff)
		}
	}
	for _, params := range []string{"column=n k=0", "column=n show=n", "column=n by=name show=name"} {
		if _, err := try(t, topk(), params, inputs); err == nil {
			t.Errorf("%s is taken", params)
		}
	}
	small := map[string]string{"a.csv": "n,name\n1e-10,a\n3e-10,b\n0.00000000020000000000000000001,c\n"}
	if diff := gocmp.Diff([]string{"all 0.0000000003\tb"}, run(t, topk(), "column=n k=1 show=name", small).Lines()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTopKFlushes has more rows than an attempt holds.
func TestTopKFlushes(t *testing.T) {
	var text strings.Builder
	text.WriteString("g,n\n")
	for i := range mostRows + 5000 {
		fmt.Fprintf(&text, "%d,%d\n", i%70_000, i)
	}
	res := run(t, topk(), "column=n k=2 by=g", map[string]string{"a.csv": text.String()})
	lines := res.Lines()
	if len(lines) != mostRows+5000 || !slices.Contains(lines, "0 70000") || !slices.Contains(lines, "0 0") || !slices.Contains(lines, "69999 69999") {
		t.Errorf("%d lines, %q", len(lines), lines[:3])
	}
}

func TestRank(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyDecimal(t, "a"), anyDecimal(t, "b")
		for _, smallest := range []bool{false, true} {
			best := best{smallest: smallest}
			first := bytes.Compare(best.rank(nil, a), best.rank(nil, b)) < 0
			if want := smallest && a.less(b) || !smallest && b.less(a); first != want || best.number(best.rank(nil, a)) != a {
				t.Fatalf("%v before %v is %v with smallest %v", a, b, first, smallest)
			}
		}
	})
}

func TestJoin(t *testing.T) {
	inputs := map[string]string{
		"customers.csv":  "id,name\n1,ann\n2,\"b\tob\"\n3,cy\n,nobody\n",
		"orders-1.csv":   "id,what,price\n1,tea,2\n1,rum,9\n4,gin,8\n",
		"orders-2.jsonl": `{"price":1,"id":2,"what":"pie"}` + "\n" + `{"price":3,"what":"lost"}` + "\n",
	}
	for params, want := range map[string][]string{
		"left=customers* on=id":                                    {"1 ann\trum\t9", "1 ann\ttea\t2", "2 b\\tob\t1\tpie"},
		"left=customers* on=id right-show=what":                    {"1 ann\trum", "1 ann\ttea", "2 b\\tob\tpie"},
		"left=customers* on=id type=left right-show=what,price":    {" nobody\t\t", "1 ann\trum\t9", "1 ann\ttea\t2", "2 b\\tob\tpie\t1", "3 cy\t\t"},
		"left=customers* right=orders-2* on=id left-show=name,x":   nil,
		"left=orders* right=customers.csv on=id left-show=what":    {"1 rum\tann", "1 tea\tann", "2 pie\tb\\tob"},
		"left=orders-1* right=customers* on=id right-show=nothing": nil,
	} {
		res, err := try(t, join(), params, inputs)
		if want == nil {
			if err == nil || !strings.Contains(err.Error(), "is of neither table") {
				t.Errorf("%s: got %v", params, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, res.Lines()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", params, diff)
		}
	}
	for params, want := range map[string]string{
		"left=customers* on=idd":     `no row of object "customers.csv" has the column "idd"`,
		"left=customers* on=id,name": `no row of object "orders-1.csv" has the column "name"`,
	} {
		if _, err := try(t, join(), params, inputs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", params, err)
		}
	}
	counters := run(t, join(), "left=customers* on=id", inputs).Counters
	if counters["left rows"] != 4 || counters["right rows"] != 5 || counters["left rows without a partner"] != 1 || counters["right rows without a partner"] != 1 {
		t.Errorf("the counters are %v", counters)
	}
	if _, err := join().Columns(map[string]string{"type": "left"}); err == nil {
		t.Error("a left join without right-show is taken")
	}
}

const accessLog = `10.0.0.1 - frank [10/Oct/2026:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326
10.0.0.1 - - [10/Oct/2026:14:20:00 -0700] "GET /a%20b HTTP/1.1" 200 100 "http://x/\"y\"" "Mozilla/5.0 (X; \"q\")"
10.0.0.2 - - [10/Oct/2026:20:55:37 +0000] "POST /form HTTP/1.1" 302 - "-" "curl/8"

10.0.0.1 - - [10/Oct/2026:16:00:00 -0700] "\x16\x03" 400 0 "-" "-"
10.0.0.1 - - [10/Oct/2026:16:00:00 -0700] "GET /z" 200 5
`

func TestSessionize(t *testing.T) {
	for params, want := range map[string][]string{
		"": {
			"10.0.0.1 2026-10-10T20:55:36Z\t1464\t2\t2426\t/apache_pb.gif\t/a%20b",
			"10.0.0.1 2026-10-10T23:00:00Z\t0\t2\t5\t\t/z",
			"10.0.0.2 2026-10-10T20:55:37Z\t0\t1\t0\t/form\t/form",
		},
		"gap=10m visitor=host-agent": {
			"10.0.0.1\t 2026-10-10T20:55:36Z\t0\t1\t2326\t/apache_pb.gif\t/apache_pb.gif",
			"10.0.0.1\t 2026-10-10T23:00:00Z\t0\t1\t5\t/z\t/z",
			"10.0.0.1\t- 2026-10-10T23:00:00Z\t0\t1\t0\t\t",
			`10.0.0.1` + "\t" + `Mozilla/5.0 (X; \\"q\\") 2026-10-10T21:20:00Z` + "\t0\t1\t100\t/a%20b\t/a%20b",
			"10.0.0.2\tcurl/8 2026-10-10T20:55:37Z\t0\t1\t0\t/form\t/form",
		},
	} {
		if diff := gocmp.Diff(want, run(t, sessionize(), params, map[string]string{"access.log": accessLog}).Lines()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", params, diff)
		}
	}
	for _, line := range []string{"x", `h - - [10/Oct/2026] "GET / HTTP/1.1" 200 1`, `h - - [10/Oct/2026:14:20:00 -0700] "GET / HTTP/1.1" 200 many`, `h - - [10/Oct/2026:14:20:00 -0700] "GET /`} {
		if _, err := try(t, sessionize(), "", map[string]string{"a": line}); err == nil || !strings.Contains(err.Error(), errNoLog.Error()) {
			t.Errorf("%s: got %v", line, err)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	for line := range strings.Lines(accessLog) {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if r, err := parseRequest(line); err == nil && !bytes.Contains(line, r.path) {
			t.Errorf("%q has the path %q", line, r.path)
		}
	})
}

// TestOutputColumns compares the columns that apps declare with what they write.
func TestOutputColumns(t *testing.T) {
	table := map[string]string{"a.csv": "k,n,x\na,1,p\nb,2,\"q\tr\"\na,,s\n"}
	for _, c := range []struct {
		app    mr.App
		params string
		inputs map[string]string
		want   string
	}{
		{group(), "by=k count=true sum=n avg=n", table, "k count sum_n avg_n"},
		{group(), "by=k,x max=n", table, "k x max_n"},
		{group(), "", table, "group count"},
		{topk(), "column=n by=k show=x", table, "k n x"},
		{topk(), "column=n", table, "group n"},
		{histogram(), "column=n", table, "from count"},
		{topk(), "column=n by=k,x", table, "k x n"},
		{join(), "left=a* on=k left-show=n,x right-show=n", map[string]string{"a.csv": table["a.csv"], "b.csv": table["a.csv"]}, "k n x right_n"},
		{sessionize(), "", map[string]string{"log": accessLog}, "visitor start seconds requests bytes first_path last_path"},
		{sessionize(), "visitor=host-agent", map[string]string{"log": accessLog}, "visitor agent start seconds requests bytes first_path last_path"},
	} {
		res := run(t, c.app, c.params, c.inputs)
		params, err := c.app.Resolve(parse(c.params))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, column := range c.app.OutputColumns(params) {
			names = append(names, column.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s %s: columns %s, want %s", c.app.Name, c.params, got, c.want)
		}
		for _, line := range res.Lines() {
			// The key ends at the first space, with these inputs.
			value := line[strings.IndexByte(line, ' ')+1:]
			key := line[:len(line)-len(value)]
			if c.app.Name == "sessionize" {
				at := strings.Index(line, " 2026-") + 1
				key, value = line[:at], line[at:]
			}
			if n := 2 + strings.Count(key, "\t") + strings.Count(value, "\t"); n != len(names) {
				t.Errorf("%s %s: %d fields in %q, %d columns", c.app.Name, c.params, n, line, len(names))
			}
		}
	}
}

// parse reads "name=value name=value".
func parse(text string) map[string]string {
	params := map[string]string{}
	for p := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(p, "=")
		params[name] = value
	}
	return params
}
