package manifest

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitCommand(t *testing.T) {
	for line, want := range map[string][]string{
		"python3 m.py":               {"python3", "m.py"},
		"  a \t b\n":                 {"a", "b"},
		`awk '{ print $1 "\t" 1 }'`:  {"awk", `{ print $1 "\t" 1 }`},
		`sh -c "echo \"a b\" \\ \n"`: {"sh", "-c", `echo "a b" \ \n`},
		"a \"\\$x \\`b\\`\"":         {"a", "$x `b`"},
		`a'b c'd "" ''`:              {"ab cd", "", ""},
		`a\ b \'c`:                   {"a b", "'c"},
		"":                           nil,
		" ":                          nil,
		`""`:                         nil,
		`a 'b`:                       nil,
		`a "b\"`:                     nil,
		`a \`:                        nil,
	} {
		got, err := SplitCommand(line)
		if (err != nil) != (want == nil) || err == nil && !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", line, got, err, want)
		}
	}
}

// TestExecValidate: what is not valid in executables is refused, each with its
// reason.
func TestExecValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Exec)
		want   string
	}{
		{"sample", func(*Exec) {}, ""},
		{"no mapper", func(e *Exec) { e.Mapper = "" }, "no command"},
		{"open quote", func(e *Exec) { e.Reducer = "sh -c 'x" }, "reducer"},
		{"zero", func(e *Exec) { e.Mapper = "a\x00" }, "a byte of zero"},
		{"not UTF-8", func(e *Exec) { e.Mapper = "a\xff" }, "not UTF-8"},
		{"combiner alone", func(e *Exec) { e.Reducer = "" }, "a combiner and no reducer"},
		{"path", func(e *Exec) { e.Files[0].Name = "../m.py" }, `no file "../m.py"`},
		{"absolute", func(e *Exec) { e.Files[0].Name = "/m.py" }, `no file "/m.py"`},
		{"dots", func(e *Exec) { e.Files[0].Name = ".." }, `no file ".."`},
		{"twice", func(e *Exec) { e.Files[1] = e.Files[0] }, "does not follow"},
		{"hash", func(e *Exec) { e.Files[0].SHA256 = "../../_SUCCESS" }, "the SHA-256"},
		{"size", func(e *Exec) { e.Files[0].Size = -1 }, "-1 bytes"},
		{"archive", func(e *Exec) { e.Files[1].Archive = "rar" }, `unknown kind "rar"`},
		{"variable", func(e *Exec) { e.Env["A=B"] = "" }, `no variable "A=B"`},
		{"value", func(e *Exec) { e.Env["A"] = "\x00" }, `no variable "A"`},
		{"large", func(e *Exec) { e.Env["A"] = strings.Repeat("x", mostExec) }, "more than 524288"},
		{"many", func(e *Exec) { e.Files = make([]CodeFile, mostFiles+1) }, "more than 1000"},
		{"separator", func(e *Exec) { e.Separator = "\n" }, "cannot be separated"},
		{"fields", func(e *Exec) { e.KeyFields = -1 }, "-1 fields"},
		{"partition", func(e *Exec) { e.PartitionFields = 3 }, "partitions by field 3 of a key of 2"},
		{"whole", func(e *Exec) { e.Whole = "socket" }, `handed to the mapper as "socket"`},
		{"records", func(e *Exec) { e.Records = "json" }, `unknown records "json"`},
		{"records and fields", func(e *Exec) { e.Records = BinaryRecords }, "fields of lines"},
		{"aggregate", func(e *Exec) { e.Reducer = Aggregate }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := execJob()
			tt.change(j.App.Exec)
			j.App.SHA256 = j.App.Exec.Digest()
			if err := j.Validate(lay); (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		name   string
		change func(*Job)
		want   string
	}{
		{"other code", func(j *Job) { j.App.Exec.Mapper = "rm" }, "with the SHA-256"},
		{"no code", func(j *Job) { j.App.Exec = nil }, "app of kind exec without code"},
		{"parameters", func(j *Job) { j.App.Params = map[string]string{"a": ""} }, "with parameters"},
		{"Go with executables", func(j *Job) { j.App.Kind = Go }, "of kind go with executables"},
		{"whole objects, as lines", func(j *Job) { j.Input.Name = Objects }, "app of kind exec with the input objects"},
		{"partitioner", func(j *Job) { j.Partitioner.Name = AppPartitioner }, "with the partitioner app"},
		{"map only, by hash", func(j *Job) {
			j.Partitioner.Name, j.App.Exec.Combiner, j.App.Exec.Reducer, j.App.Exec.PartitionFields = Hash, "", "", 0
			j.App.SHA256 = j.App.Exec.Digest()
		}, "with the partitioner hash"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := execJob()
			tt.change(j)
			if err := j.Validate(lay); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestExecDiff: every change of the executables stands in the difference of two
// jobs, and changes the digest.
func TestExecDiff(t *testing.T) {
	for want, change := range map[string]func(*Exec){
		`mapper: "python3 m.py" -> "cat"`:                       func(e *Exec) { e.Mapper = "cat" },
		`combiner: "./sum.sh" -> ""`:                            func(e *Exec) { e.Combiner = "" },
		`reducer: "./sum.sh" -> "cat"`:                          func(e *Exec) { e.Reducer = "cat" },
		`file "m.py": 9f86d081884c -> e3b0c44298fc`:             func(e *Exec) { e.Files[0].SHA256 = zeroHash },
		`file "m.py": 9f86d081884c -> 9f86d081884c executable`:  func(e *Exec) { e.Files[0].Executable = true },
		`file "names.tgz": 9f86d081884c tar.gz -> 9f86d081884c`: func(e *Exec) { e.Files[1].Archive = "" },
		`file "sum.sh": 9f86d081884c executable -> not there`:   func(e *Exec) { e.Files = e.Files[:2] },
		`variable LC_ALL: "C" -> not set`:                       func(e *Exec) { e.Env = nil },
		`variables AWS_* of the worker: true -> false`:          func(e *Exec) { e.InheritAWS = false },
		`separator of fields: "," -> ""`:                        func(e *Exec) { e.Separator = "" },
		`fields of a key: 2 -> 3`:                               func(e *Exec) { e.KeyFields = 3 },
		`objects handed to the mapper as: "" -> "path"`:         func(e *Exec) { e.Whole = WholePath },
		`records: "" -> "binary"`:                               func(e *Exec) { e.Records = BinaryRecords },
		`fields that decide the partition: 1 to 1 -> 1 to 2`:    func(e *Exec) { e.PartitionFields = 2 },
	} {
		a, b := execJob(), execJob()
		change(b.App.Exec)
		if diff := cmp.Diff([]string{want}, Diff(a, b)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if a.App.Exec.Digest() == b.App.Exec.Digest() {
			t.Errorf("%s: the digest is the same", want)
		}
	}
}

// TestFilesOfApp: a job of code in Go ships files, which decide its output. What an app
// declares says nothing of them.
func TestFilesOfApp(t *testing.T) {
	files := func(names ...string) (all []CodeFile) {
		for _, name := range names {
			all = append(all, CodeFile{Name: name, SHA256: zeroHash, Size: 1})
		}
		return all
	}
	a := &Spec{App: App{Kind: Go, Name: "wc", Files: files("a", "b")}, Input: Choice{Name: Lines}, Partitioner: Choice{Name: Hash}, Order: (*Exec)(nil).Order(), Output: Choice{Name: Lines}}
	if err := a.Validate(); err != nil {
		t.Fatal(err)
	}
	b := *a
	b.App.Files = files("b")
	if diff := cmp.Diff([]string{`file "a": ` + zeroHash[:12] + " -> not there"}, a.Diff(&b)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := a.AppDiff(&b); len(diff) > 0 {
		t.Errorf("of what apps declare %q differs", diff)
	}
	for want, wrong := range map[string][]CodeFile{
		`file "a" does not follow "b"`: files("b", "a"),
		`there can be no file "../a"`:  files("../a"),
		"more than 1000":               make([]CodeFile, mostFiles+1),
	} {
		b.App.Files = wrong
		if err := b.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	exec := execJob()
	exec.App.Files = files("a")
	if err := exec.Validate(lay); err == nil || !strings.Contains(err.Error(), "with files beside its code") {
		t.Errorf("%v", err)
	}
}

// moduleJob is a job of a module.
func moduleJob() *Job {
	j := execJob()
	e := &Exec{
		Module: &Module{File: "wc.wasm", Allow: []string{AllowClock}}, Mapper: "mraws_map", Reducer: "mraws_reduce",
		Files: []CodeFile{{Name: "names.txt", SHA256: zeroHash, Size: 3}, {Name: "wc.wasm", SHA256: zeroHash, Size: 700}},
		Env:   map[string]string{"WORD": "whale"},
	}
	j.Spec = *e.Spec("wc.wasm")
	return j
}

// TestModuleValidate: a module has no option of executables, and a kind of its own.
func TestModuleValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*App)
		want   string
	}{
		{"sample", func(*App) {}, ""},
		{"kind", func(a *App) { a.Kind = Executables }, "app of kind exec with code of kind wasm"},
		{"no module", func(a *App) { a.Exec.Module = nil }, "app of kind wasm with code of kind exec"},
		{"no code", func(a *App) { a.Exec = nil }, "app of kind wasm without code"},
		{"not shipped", func(a *App) { a.Exec.Module.File = "app.wasm" }, "is none of the files"},
		{"no mapper", func(a *App) { a.Exec.Mapper = "" }, "no command"},
		{"unknown", func(a *App) { a.Exec.Module.Allow = []string{"network"} }, `the unknown "network"`},
		{"twice", func(a *App) { a.Exec.Module.Allow = []string{AllowClock, AllowClock} }, "not in byte order"},
		{"archive", func(a *App) { a.Exec.Files[0].Archive = Tar }, "with an archive"},
		{"module in an archive", func(a *App) { a.Exec.Files[1].Archive = Tar }, "is none of the files"},
		{"records", func(a *App) { a.Exec.Records = BinaryRecords }, "with an option of executables"},
		{"credentials", func(a *App) { a.Exec.InheritAWS = true }, "with an option of executables"},
		{"path", func(a *App) { a.Exec.Whole = WholePath }, "with an option of executables"},
		{"aggregate", func(a *App) { a.Exec.Reducer = Aggregate }, "with an option of executables"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := moduleJob()
			tt.change(&j.App)
			if j.App.Exec != nil {
				j.App.SHA256 = j.App.Exec.Digest()
			}
			if err := j.Validate(lay); (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestModuleDiff: what the module may use decides the output, so does the module.
func TestModuleDiff(t *testing.T) {
	for want, change := range map[string]func(*Exec){
		`module: "wc.wasm", clock -> "wc.wasm"`:          func(e *Exec) { e.Module.Allow = nil },
		`combiner: "" -> "mraws_combine"`:                func(e *Exec) { e.Combiner = "mraws_combine" },
		`file "names.txt": e3b0c44298fc -> 9f86d081884c`: func(e *Exec) { e.Files[0].SHA256 = execJob().App.Exec.Files[0].SHA256 },
		`variable WORD: "whale" -> "ship"`:               func(e *Exec) { e.Env["WORD"] = "ship" },
	} {
		a, b := moduleJob(), moduleJob()
		change(b.App.Exec)
		if diff := cmp.Diff([]string{want}, Diff(a, b)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if a.App.Exec.Digest() == b.App.Exec.Digest() {
			t.Errorf("%s: the digest is the same", want)
		}
	}
	if moduleJob().App.Exec.Digest() == execJob().App.Exec.Digest() {
		t.Error("two digests are the same")
	}
}
