package cmd_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"iter"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mraws/mraws/cli"
	"github.com/mraws/mraws/cli/embedded"
	"github.com/mraws/mraws/cli/parquet"
	"github.com/mraws/mraws/cli/wasm"
	"github.com/mraws/mraws/internal/apps"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/internal/testkit/wat"
	"github.com/mraws/mraws/mr"
)

// TestMain lets the test binary be mraws, so that scripts run the real
// command line in processes of its own, with the race detector if on.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"mraws": func() { cli.With(embedded.Server(), wasm.Runtime(), parquet.Files()).Main(apps.Table()...) },
		"plain": func() { cli.With(embedded.Server()).Main(apps.Table()...) },
		"sums":  func() { cli.With(embedded.Server()).Main(sums()) },
		"where": func() { cli.With(embedded.Server()).Main(where()) },
		"stop":  func() { cli.With(embedded.Server()).Main(stop()) },
		"count": func() { cli.With(embedded.Server()).Main(fields()) },
	})
}

// sums is an app that fails: it adds up numbers, apart for even and odd ones.
// A line that is none is an error, and an empty one a panic.
func sums() mr.App {
	return mr.App{
		Name: "sums", Version: "1",
		NewMapper: func(*mr.Task) (mr.Mapper, error) {
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				out.Emit([]byte("lines"), mr.AppendInt64(nil, 1)) // too early
				if rec.Data[0] == ' ' {
					rec.Data = rec.Data[1:]
				}
				n, err := strconv.ParseInt(string(rec.Data), 10, 64)
				if err != nil {
					return err
				}
				out.Emit([]byte([]string{"even", "odd"}[n&1]), mr.AppendInt64(nil, n))
				return nil
			}), nil
		},
		NewReducer: mr.SumReducer,
		Combine:    mr.Sum{},
	}
}

// stop counts words but those of stopwords.txt, and puts marks.tgz/after behind each
// number.
func stop() mr.App {
	return mr.App{
		Name: "stop", Version: "1",
		NewMapper: func(t *mr.Task) (mr.Mapper, error) {
			list, err := fs.ReadFile(t.Files, "stopwords.txt")
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				for w := range bytes.FieldsSeq(rec.Data) {
					if !bytes.Contains(list, append(w, '\n')) {
						out.Emit(w, mr.AppendInt64(nil, 1))
					}
				}
				return nil
			}), err
		},
		Combine: mr.CombinerTask(func(t *mr.Task) (mr.Combiner, error) {
			_, err := fs.Stat(t.Files, "stopwords.txt")
			return mr.Sum{}, err
		}),
		NewReducer: func(t *mr.Task) (mr.Reducer, error) {
			after, err := fs.ReadFile(t.Files, "marks.tgz/after")
			if err != nil {
				return nil, err
			}
			return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
				sum := int64(0)
				for v := range values {
					sum += mr.ParseInt64(v)
				}
				out.Write(append(strconv.AppendInt(nil, sum, 10), bytes.TrimSpace(after)...))
				return nil
			}), nil
		},
	}
}

// fields counts fields of lines, whatever they are.
func fields() mr.App {
	return mr.App{
		Name: "fields", Version: "1",
		NewMapper: func(*mr.Task) (mr.Mapper, error) {
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				for f := range bytes.FieldsSeq(rec.Data) {
					out.Emit(f, mr.AppendInt64(nil, 1))
				}
				return nil
			}), nil
		},
		NewReducer: mr.SumReducer,
	}
}

// where is an app that tells in which directory its code runs.
func where() mr.App {
	here := func() []byte {
		wd, err := os.Getwd()
		if err != nil {
			return []byte(err.Error())
		}
		return []byte(wd)
	}
	return mr.App{
		Name: "where", Version: "1",
		NewMapper: func(*mr.Task) (mr.Mapper, error) {
			return mr.MapperFunc(func(_ mr.Record, out mr.Emitter) error {
				out.Emit([]byte("map"), here())
				return nil
			}), nil
		},
		NewReducer: func(*mr.Task) (mr.Reducer, error) {
			return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
				for v := range values {
					out.Write(v)
				}
				out.Write(append([]byte("reduce "), here()...))
				return nil
			}), nil
		},
	}
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, ".data"))
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, ".config"))
			env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			env.Values[s3Key{}] = new(*testkit.S3)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":  code,
			"stops": stops,
			"serve": serve,
			"alter": alter,

			"assemble": assemble,
			"paste":    paste,
			"public":   public,
		},
	})
}

// code N COMMAND... runs a command that must exit with N.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command...")
	}
	got := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// stops SIGNAL N COMMAND... runs a command until it has written a line to
// stdout, sends it the signal, and wants exit code N.
func stops(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: stops INT|TERM N command...")
	}
	sig := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM}[args[0]]
	b := start(ts, args[2:])
	if got := strconv.Itoa(b.stop(ts, sig)); got != args[1] {
		ts.Fatalf("exit code %s after SIG%s, want %s", got, args[0], args[1])
	}
}

// serve COMMAND... starts a command that serves until the script ends, and
// waits for what it says first, which becomes stdout.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: serve command...")
	}
	b := start(ts, args)
	ts.Defer(func() { b.stop(ts, syscall.SIGTERM) })
	_, err := ts.Stdout().Write([]byte(b.said))
	ts.Check(err)
}

// background is a command that runs beside a script.
type background struct {
	cmd  *exec.Cmd
	out  *bufio.Reader
	said string // its first lines
}

// start runs a command until it has written something.
func start(ts *testscript.TestScript, args []string) *background {
	// The first folder of the script's PATH has the commands of TestMain.
	bin, _, _ := strings.Cut(ts.Getenv("PATH"), string(os.PathListSeparator))
	b := &background{cmd: exec.Command(filepath.Join(bin, args[0]), args[1:]...)}
	b.cmd.Dir = ts.MkAbs(".")
	b.cmd.Stderr = os.Stderr
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME"} {
		b.cmd.Env = append(b.cmd.Env, name+"="+ts.Getenv(name))
	}
	out, err := b.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(b.cmd.Start())
	b.out = bufio.NewReader(out)
	_, err = b.out.Peek(1)
	ts.Check(err)
	first, err := b.out.Peek(b.out.Buffered()) // one write, of whole lines
	ts.Check(err)
	b.said = string(first)
	return b
}

// stop sends the signal and returns the exit code; a hang shows as -1.
func (b *background) stop(ts *testscript.TestScript, sig syscall.Signal) int {
	timer := time.AfterFunc(time.Minute, func() { _ = b.cmd.Process.Kill() })
	defer timer.Stop()
	ts.Check(b.cmd.Process.Signal(sig))
	_, err := io.Copy(io.Discard, b.out)
	ts.Check(err)
	_ = b.cmd.Wait() // the code says it
	return b.cmd.ProcessState.ExitCode()
}

// paste N STREAM REGEXP gives the shell what the last command wrote to stdout
// or stderr and the group of the regexp matches, as a user pastes it, and
// wants exit code N.
func paste(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: paste code stdout|stderr regexp")
	}
	found := regexp.MustCompile("(?m)" + args[2]).FindStringSubmatch(ts.ReadFile(args[1]))
	if len(found) != 2 {
		ts.Fatalf("no line to paste matches %s", args[2])
	}
	ts.Logf("> %s", found[1])
	code(ts, false, []string{args[0], "sh", "-c", found[1]})
}

// assemble KIND FILE writes a WebAssembly module.
func assemble(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: assemble kind file")
	}
	m := wat.Sorter(true)
	switch args[0] {
	case "sort":
	case "other":
		m.Pages++
	case "only":
		m = wat.Sorter(false)
	case "unfit":
		m.Functions[1].Name = "map"
	case "fail":
		m = wat.Guest(wat.Code(wat.I32Const(16), wat.I32Const(12), wat.Call, 0, wat.Unreachable))
		m.Imports = []wat.Func{{Of: "mraws", Name: "fail", Params: []byte{wat.I32, wat.I32}}}
		m.Data = map[int]string{16: "no such luck"}
	default:
		ts.Fatalf("no module %s", args[0])
	}
	file := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o755))
	ts.Check(os.WriteFile(file, m.Bytes(), 0o644))
}

// public WANTS REGION KEY=FILE... serves the buckets open and shut over HTTP until the
// script ends, as the S3 of the AWS environment. The requests to it so far, one line
// each, public writes to stdout without arguments.
func public(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 1 {
		ts.Fatalf("usage: public [wants region key=file...]")
	}
	if len(args) == 0 {
		s := ts.Value(s3Key{}).(**testkit.S3)
		_, err := io.WriteString(ts.Stdout(), strings.Join((*s).Requests(), "\n")+"\n")
		ts.Check(err)
		return
	}
	objects := map[string]string{}
	s := &testkit.S3{Wants: args[0], Region: args[1], Buckets: map[string]map[string]string{"open": objects}, Classes: map[string]string{"cold/a.txt": "GLACIER"}}
	for _, arg := range args[2:] {
		key, file, _ := strings.Cut(arg, "=")
		objects[key] = ts.ReadFile(file)
	}
	server := httptest.NewServer(s)
	ts.Defer(server.Close)
	*ts.Value(s3Key{}).(**testkit.S3) = s
	ts.Setenv("AWS_ENDPOINT_URL_S3", server.URL)
}

// s3Key is the key of what public serves.
type s3Key struct{}

// alter FILE OLD NEW replaces text in a file.
func alter(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: alter file old new")
	}
	data := ts.ReadFile(args[0])
	if !strings.Contains(data, args[1]) {
		ts.Fatalf("%s does not contain %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(data, args[1], args[2])), 0o644))
}
