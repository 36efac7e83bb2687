package execrunner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// TestMap: lines go in as they are, each with a line break, and come out as pairs,
// cut at the first tab.
func TestMap(t *testing.T) {
	for _, blocks := range []bool{true, false} {
		b := newBench(t, "cat", "cat")
		got, err := b.mapAll(blocks, object{"a", "x\t1\ty\nno tab\n\n\tv\nk\t\r\n"}, object{"b", "last\tline"}, object{"empty", ""})
		want(t, got, err, "x|1\ty", "no tab|", "|", "|v", "k|\r", "last|line")
	}
}

// TestMapFields: the key has as many fields as are asked for, ended by what the
// job says.
func TestMapFields(t *testing.T) {
	b := newBench(t, "cat", "cat")
	b.exec.Separator, b.exec.KeyFields = "::", 2
	got, err := b.mapAll(true, object{"a", "a::b::c::d\na::b\na::b::\nplain\n"})
	want(t, got, err, "a::b|c::d", "a::b|", "a::b|", "plain|")
}

// TestMapEachObject: each object has a process of its own, which knows its name
// and place.
func TestMapEachObject(t *testing.T) {
	b := newBench(t, `awk 'END { print ENVIRON["mapreduce_map_input_file"] "\t" NR " " ENVIRON["map_input_start"] "+" ENVIRON["mapreduce_map_input_length"] " " ENVIRON["MRAWS_INPUT"] }'`, "cat")
	got, err := b.mapAll(true, object{"x y", "1\n2\n3\n4"}, object{"none", ""}, object{"z", "1\n"})
	want(t, got, err, "s3://bucket/p/input/x y|4 0+7 x y", "s3://bucket/p/input/z|1 0+2 z")
}

// TestReduce: a reducer gets sorted lines with a tab each, and writes lines.
func TestReduce(t *testing.T) {
	b := newBench(t, "cat", "cat")
	got, err := b.reduce("a|1", "a|2", "b|", "c d|e\tf")
	want(t, got, err, "a\t1", "a\t2", "b\t", "c d\te\tf")
	b.exec.Reducer = "wc -l"
	got, err = b.reduce()
	if err != nil || len(got) != 1 || strings.TrimSpace(got[0]) != "0" {
		t.Errorf("a reducer of no pairs: %q, %v", got, err)
	}
}

// TestMapOnly: without a reducer the key is the number of the task, and the values
// are the lines of the output.
func TestMapOnly(t *testing.T) {
	b := newBench(t, "cat", "")
	got, err := b.mapAll(true, object{"a", "b\t1\na"})
	want(t, got, err, "\x00\x00\x00\x01|b\t1", "\x00\x00\x00\x01|a")
	part := b.host.Runner(b.job, lay).Properties().Partition
	if p := []int{part([]byte{0, 0, 0, 0}, 2), part([]byte{0, 0, 0, 1}, 2), part([]byte{0, 0, 0, 2}, 2), part(nil, 2)}; fmt.Sprint(p) != "[0 0 1 -1]" {
		t.Errorf("partitions are %v", p)
	}
	got, err = b.reduce("\x00\x00\x00\x00|z", "\x00\x00\x00\x00|y\t", "\x00\x00\x00\x01|")
	want(t, got, err, "z", "y\t", "")
}

// TestCombiner: a combiner gets sorted pairs and its pairs are emitted.
func TestCombiner(t *testing.T) {
	b := newBench(t, "cat", "cat")
	b.exec.Combiner = `awk -F '\t' '$1 != k { if (NR > 1) print k "\t" n; k = $1; n = 0 } { n += $2 } END { print k "\t" n }'`
	got, err := b.mapAll(true, object{"a", "b\t1\na\t1\nb\t1\n"}, object{"b", "a\t5\n"})
	want(t, got, err, "a|6", "b|2")
}

// TestCombinerOfMuch: a combiner runs each time that its buffer is full, and its
// pairs add up to those of the mapper.
func TestCombinerOfMuch(t *testing.T) {
	b := newBench(t, `awk '{ for (i = 0; i < 200000; i++) print "key-" i % 7 "\t" "000000000000000000000000000000000001" }'`, "cat")
	b.exec.Combiner = `awk -F '\t' '{ n[$1] += $2 } END { for (k in n) print k "\t" n[k] }'`
	got, err := b.mapAll(true, object{"a", "1\n2\n"})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, pair := range got {
		n := 0
		if _, err := fmt.Sscanf(pair[strings.IndexByte(pair, '|')+1:], "%d", &n); err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	if sum != 400000 || len(got) <= 7 || len(got) > 70 {
		t.Errorf("the pairs of %d add up to %d", len(got), sum)
	}
}

// TestEnvironment: executables see what they are told and no credentials.
func TestEnvironment(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("MRAWS_TOKEN_FILE", "/token")
	t.Setenv("PYTHONUNBUFFERED", "1")
	t.Setenv("PLAIN", "seen")
	script := `sh -c 'cat >/dev/null; for v in AWS_SECRET_ACCESS_KEY MRAWS_TOKEN_FILE PYTHONUNBUFFERED PLAIN MINE mapreduce_job_id mapreduce_task_id ` +
		`mapreduce_task_attempt_id mapred_task_partition mapreduce_task_ismap mapreduce_job_maps mapreduce_job_reduces MRAWS_PHASE MRAWS_ATTEMPT; do eval "echo \"$v	\$$v\""; done'`
	b := newBench(t, script, "cat")
	b.exec.Env = map[string]string{"MINE": "a b=c"}
	got, err := b.mapAll(true, object{"a", "x\n"})
	common := []string{
		"MRAWS_TOKEN_FILE|", "PYTHONUNBUFFERED|", "PLAIN|seen", "MINE|a b=c", "mapreduce_job_id|job-1", "mapreduce_task_id|task_job-1_m_000001",
		"mapreduce_task_attempt_id|attempt_job-1_m_000001_e.7", "mapred_task_partition|1", "mapreduce_task_ismap|true", "mapreduce_job_maps|3",
		"mapreduce_job_reduces|2", "MRAWS_PHASE|map", "MRAWS_ATTEMPT|e.7",
	}
	want(t, got, err, append([]string{"AWS_SECRET_ACCESS_KEY|"}, common...)...)
	b.exec.InheritAWS = true
	got, err = b.mapAll(true, object{"a", "x\n"})
	want(t, got, err, append([]string{"AWS_SECRET_ACCESS_KEY|secret"}, common...)...)
}

// TestStderr: counters and status are taken from stderr, and the rest is kept.
func TestStderr(t *testing.T) {
	b := newBench(t, `sh -c 'cat >/dev/null
echo reporter:counter:my group,lines,2 >&2
echo reporter:counter:my group,lines,3 >&2
echo reporter:counter:g,with,comma,-1 >&2
echo reporter:counter:none >&2
echo reporter:counter:a,b,x >&2
echo reporter:status:half >&2
echo reporter:other >&2
printf "no end" >&2'`, "cat")
	if _, err := b.mapAll(true, object{"a", "x\n"}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(b.counts.n); got != "map[g,with,comma:-1 my group,lines:5]" {
		t.Errorf("counters are %s", got)
	}
	if got := b.side.files["stderr/map-1/e.7"]; got != "reporter:counter:none\nreporter:counter:a,b,x\nreporter:other\nno end\n" {
		t.Errorf("kept %q", got)
	}
}

// TestMuchStderr: of much stderr the beginning and the end are kept, and a line
// without end is cut.
func TestMuchStderr(t *testing.T) {
	b := newBench(t, `sh -c 'cat >/dev/null; (echo first; head -c 3000000 /dev/zero | tr "\0" x; echo; echo last) >&2; exit 3'`, "cat")
	_, err := b.mapAll(true, object{"a", "x\n"})
	var exit *ExitError
	if !errors.As(err, &exit) || exit.How != "exit code 3" || exit.Stderr[len(exit.Stderr)-1] != "last" || len(err.Error()) > 2*tailBytes {
		t.Errorf("%.300v", err)
	}
	kept := b.side.files["stderr/map-1/e.7"]
	if !strings.HasPrefix(kept, "first\n") || !strings.HasSuffix(kept, "\nlast\n") || len(kept) > 1<<20 || !strings.Contains(kept, "bytes left out") {
		t.Errorf("%d bytes are kept, %q to %q", len(kept), kept[:20], kept[len(kept)-20:])
	}
}

// TestExit: how executables end that do not end well.
func TestExit(t *testing.T) {
	for _, tt := range []struct{ name, mapper, want string }{
		{"code", `sh -c 'cat >/dev/null; echo why >&2; exit 7'`, "mapper \"sh -c 'cat >/dev/null; echo why >&2; exit 7'\": exit code 7\n  stderr: why"},
		{"early", `sh -c 'exit 2'`, "exit code 2; it wrote nothing to stderr"},
		{"signal", `sh -c 'kill -9 $$'`, "ended by signal 9 (killed)"},
		{"not there", "no-such-program", "start the mapper: no-such-program: not found"},
		{"not shipped", "./m.py", "start the mapper: ./m.py: not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newBench(t, tt.mapper, "cat").mapAll(true, object{"a", strings.Repeat("line\n", 100_000)})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// TestHead: an executable that reads no more and ends well has done its work. The
// input is read to its end all the same, so that the counts of the attempt do not
// depend on when it stopped.
func TestHead(t *testing.T) {
	b := newBench(t, "head -n 2", "head -n 2")
	in := &lines{objects: []object{{"a", strings.Repeat("line\n", 200_000)}, {"b", "x\n"}}, blocks: true}
	e := new(emitted)
	err := b.mapTo(in, e)
	want(t, e.pairs, err, "line|", "line|", "x|")
	if in.read != 1_000_002 {
		t.Errorf("%d bytes were read", in.read)
	}
	var pairs []string
	for i := range 50_000 {
		pairs = append(pairs, fmt.Sprintf("key-%06d|v", i/2))
	}
	got, err := b.reduce(pairs...)
	want(t, got, err, "key-000000\tv", "key-000000\tv")
}

// TestEngineFails: an error of the engine ends the executable and comes back.
func TestEngineFails(t *testing.T) {
	broken := errors.New("broken")
	much := object{"a", strings.Repeat("line\n", 200_000)}
	b := newBench(t, "cat", "cat")
	if err := b.mapTo(&lines{objects: []object{much}, blocks: true}, &emitted{fail: broken}); !errors.Is(err, broken) {
		t.Errorf("emit: %v", err)
	}
	if err := b.mapTo(&lines{objects: []object{much}, blocks: true, err: broken}, new(emitted)); !errors.Is(err, broken) {
		t.Errorf("read: %v", err)
	}
	b.exec.Combiner = "cat"
	if err := b.mapTo(&lines{objects: []object{much}, blocks: true}, &emitted{fail: broken}); !errors.Is(err, broken) {
		t.Errorf("emit after the combiner: %v", err)
	}
	if err := b.reduceTo(&sorted{pairs: []string{"a|1"}}, &written{fail: broken}); !errors.Is(err, broken) {
		t.Errorf("write: %v", err)
	}
	if err := b.reduceTo(&sorted{pairs: []string{"a|1"}, err: broken}, new(written)); !errors.Is(err, broken) {
		t.Errorf("read groups: %v", err)
	}
}

// TestCanceled: at the end of its attempt an executable is killed, whatever it
// does.
func TestCanceled(t *testing.T) {
	stop := errors.New("revoked")
	for name, mapper := range map[string]string{
		"loops":           `sh -c 'echo up; while :; do :; done'`,
		"ignores signals": `sh -c 'trap "" TERM INT HUP; echo up; while :; do sleep 1000; done'`,
		"waits for input": `sh -c 'echo up; exec cat'`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, mapper, "cat")
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			b.ctx = ctx
			in := &endless{lines: lines{objects: []object{{"a", "x\n"}}}, until: ctx}
			err := b.mapEndless(in, func() { cancel(stop) })
			if !errors.Is(err, stop) {
				t.Errorf("%v", err)
			}
		})
	}
}

// endless are records that end with a context.
type endless struct {
	lines
	until context.Context
}

func (e *endless) Next() (mr.Record, bool) {
	if rec, ok := e.lines.Next(); ok {
		return rec, true
	}
	<-e.until.Done()
	return mr.Record{}, false
}

func (e *endless) Err() error { return nil }

// calling is an emitter that calls a function.
type calling struct {
	emitted
	f func()
}

func (c *calling) Emit(key, value []byte) error { c.f(); return c.emitted.Emit(key, value) }

func (b *bench) mapEndless(in *endless, up func()) error {
	b.job = &manifest.Job{Spec: *b.exec.Spec("exec"), NReduce: 2, Tasks: make([][]manifest.Piece, 3)}
	return b.host.Runner(b.job, lay).Map(b.task(mr.MapPhase), in, &calling{f: up})
}

// TestFiles: shipped files lie in the working directory, programs among them can
// be run, and modules are found beside a script.
func TestFiles(t *testing.T) {
	b := newBench(t, "m.sh words.txt", "cat")
	files := b.host.o.Store.(code)
	b.exec.Files = []manifest.CodeFile{files.add("m.sh", "#!/bin/sh\ncat >/dev/null; cat \"$1\"; echo changed >> \"$1\"; echo x > own\n"), files.add("words.txt", "a\nb\n")}
	for range 2 { // the first does not change the file of the second
		got, err := b.mapAll(true, object{"a", "x\n"})
		want(t, got, err, "a|", "b|")
	}
	if err := Check(&b.exec); err != nil {
		t.Error(err)
	}
	key := lay.Code(b.exec.Files[1].SHA256)
	other := newBench(t, "cat", "cat")
	other.host.o.Store, other.exec.Files = files, b.exec.Files
	files[key] = "a\nc\n"
	if _, err := other.mapAll(true, object{"a", "x\n"}); err == nil || !strings.Contains(err.Error(), "other bytes than the file that the job ships") {
		t.Errorf("a changed file: %v", err)
	}
	delete(files, key)
	if _, err := other.mapAll(true, object{"a", "x\n"}); err == nil || !strings.Contains(err.Error(), "place file words.txt: fetch p/intermediate/_code/") {
		t.Errorf("a missing file: %v", err)
	}
}

// TestPython: a script finds another that is shipped beside it.
func TestPython(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed")
	}
	b := newBench(t, "python3 m.py", "cat")
	files := b.host.o.Store.(code)
	b.exec.Files = []manifest.CodeFile{
		files.add("helper.py", "def up(s):\n    return s.upper()\n"),
		files.add("m.py", "import sys, helper\nfor line in sys.stdin:\n    print(helper.up(line.strip()), 1, sep='\\t')\n"),
	}
	got, err := b.mapAll(true, object{"a", "x\ny"})
	want(t, got, err, "X|1", "Y|1")
	b.exec.Files[1] = files.add("m.py", "raise ValueError('boom')\n")
	if _, err := b.mapAll(true, object{"a", "x\ny"}); err == nil || !strings.HasSuffix(err.Error(), "\n  stderr: ValueError: boom") {
		t.Errorf("%v", err)
	}
}

// TestCheck: what cannot be started is known before the job runs.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if err := os.WriteFile(filepath.Join(dir, "there"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	files := []manifest.CodeFile{{Name: "env.tgz", Archive: manifest.TarGz}, {Name: "m.py"}, {Name: "run.sh", Executable: true}}
	for command, want := range map[string]string{
		"there":           "",
		dir + "/there":    "",
		"run.sh -x":       "",
		"./run.sh":        "",
		"env.tgz/bin/py":  "",
		"python3 m.py":    "python3: not found",
		"data":            "data: " + dir + "/data is no executable file",
		"/no/such":        "/no/such: not found",
		"./other.sh":      "./other.sh: it is not among the files that are shipped",
		"sub/run.sh":      "sub/run.sh: it is not among the files that are shipped",
		"m.py":            "m.py: it is shipped, and no executable file",
		"env.tgz":         "env.tgz: it is the folder of an archive",
		"'unended quotes": `mapper "'unended quotes": a quote ' does not end`,
	} {
		got := ""
		if err := Check(&manifest.Exec{Mapper: command, Files: files}); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}

// TestModuleNotRun: a host of a program that runs no modules refuses a job of one.
func TestModuleNotRun(t *testing.T) {
	b := newBench(t, "mraws_map", "mraws_reduce")
	b.exec.Module, b.exec.Files = &manifest.Module{File: "a.wasm"}, []manifest.CodeFile{b.host.o.Store.(code).add("a.wasm", "\x00asm")}
	const want = "a.wasm: it is a WebAssembly module, and this program runs none"
	if err := b.host.Check(&b.exec); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := b.mapAll(true, object{"a", "x\n"}); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	b.host.o.Module = []string{"/bin/false"}
	if err := b.host.Check(&b.exec); err != nil {
		t.Error(err)
	}
}
