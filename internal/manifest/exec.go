package manifest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Executables is the kind of code that consists of executables: programs and
// scripts that read lines and write lines, as Hadoop Streaming has it. SHA256 is
// [Exec.Digest] then, and there are no Params.
const Executables = "exec"

// Wasm is the kind of code that is a WebAssembly module: [Exec.Module]. SHA256 is
// [Exec.Digest] here too, and there are no Params.
const Wasm = "wasm"

// Apart says whether the code of the application runs in processes of its own, as
// [App.Exec] says: executables, or a module.
func (a *App) Apart() bool { return a.Kind == Executables || a.Kind == Wasm }

// ByTask is the partitioner of a job without a reducer: a partition has the lines
// of neighbouring map tasks, in input order.
const ByTask = "task"

// Exec says which executables, or which module, an application consists of. All of
// it decides the output.
type Exec struct {
	// Module says that the application is a module, nil for executables. Mapper,
	// Combiner and Reducer are then names of functions that it exports, what it
	// writes is [BinaryRecords] without being said so, and Files lie in the only
	// folder that it can read.
	Module *Module `json:"module,omitempty"`
	// Mapper, Combiner and Reducer are command lines, see [SplitCommand].
	// Combiner may be "", so may Reducer: the output then has the lines of the
	// mapper.
	Mapper   string `json:"mapper"`
	Combiner string `json:"combiner,omitempty"`
	Reducer  string `json:"reducer,omitempty"`
	// Files are shipped into the working directory of each command, in byte order
	// of name.
	Files []CodeFile `json:"files,omitempty"`
	// Env are variables of the environment of each command.
	Env map[string]string `json:"env,omitempty"`
	// InheritAWS says that each command has the variables AWS_* of its worker.
	InheritAWS bool `json:"inherit_aws,omitempty"`
	// Separator ends the fields of a line of the mapper; "" is a tab.
	Separator string `json:"separator,omitempty"`
	// KeyFields is how many fields, from the first, make the key; 0 is 1.
	KeyFields int `json:"key_fields,omitempty"`
	// KeySeparator ends the fields of a key, where it is cut for Sort and for the
	// partition; "" is Separator.
	KeySeparator string `json:"key_separator,omitempty"`
	// PartitionFields is the last field of the key that says which partition it
	// belongs to; 0 is all of the key. PartitionFrom is the first; 0 is 1.
	PartitionFields int `json:"partition_fields,omitempty"`
	PartitionFrom   int `json:"partition_from,omitempty"`
	// Sort is the order of the keys, as [SortFields] writes it; "" is by bytes.
	Sort string `json:"sort,omitempty"`
	// Whole says that the mapper gets objects in place of lines: [WholeBytes] or
	// [WholePath]; "" is lines.
	Whole string `json:"whole,omitempty"`
	// Offsets says that the mapper gets the offset of each line in its object, and a
	// tab, before the line.
	Offsets bool `json:"offsets,omitempty"`
	// Records says what commands read and write: "" is lines, [BinaryRecords] is
	// pairs with their lengths in front.
	Records string `json:"records,omitempty"`
}

// Module is a WebAssembly module.
type Module struct {
	File string `json:"file"` // its name among [Exec.Files]
	// Allow is what else it may use, in byte order: [AllowClock], [AllowRandom].
	Allow []string `json:"allow,omitempty"`
}

// What a module may use. Both make its output differ from attempt to attempt.
const (
	AllowClock  = "clock"  // the time
	AllowRandom = "random" // random numbers
)

// Allowances are what there is for [Module.Allow], in byte order.
func Allowances() []string { return []string{AllowClock, AllowRandom} }

// BinaryRecords are pairs of any bytes: the length of the key, that of the value,
// 32 bits each, little-endian, the key, the value.
const BinaryRecords = "binary"

// Aggregate is a Reducer that is no command: the worker adds up itself what keys
// ask for, such as "LongValueSum:word".
const Aggregate = "aggregate"

// How a mapper gets an object.
const (
	WholeBytes = "bytes" // the bytes of the object, and nothing behind them
	WholePath  = "path"  // a line with the path of a file that has these bytes
)

// ByFields is the partitioner that hashes the fields of the key from
// [Exec.PartitionFrom] to [Exec.PartitionFields], with the separators between them,
// and the order of keys that [Exec.Sort] says. A partitioner gets the key as the
// mapper writes it; the keys of segments begin with what their order is made of
// (package execrunner).
const ByFields = "fields"

// CodeFile is a file that the code of a job needs, and that the job ships. Its bytes
// are in the bucket below the key that the layout makes of SHA256.
type CodeFile struct {
	// Name is that in the working directory, or in [mr.Task.Files]; of an archive
	// that of the folder into which it is unpacked.
	Name   string `json:"name"`
	SHA256 string `json:"sha256"` // hex
	Size   int64  `json:"size"`   // bytes
	// Executable says that it may be run.
	Executable bool `json:"executable,omitempty"`
	// Archive is "" for a plain file, else [Tar], [TarGz] or [Zip].
	Archive string `json:"archive,omitempty"`
}

// The kinds of archives.
const (
	Tar   = "tar"
	TarGz = "tar.gz"
	Zip   = "zip"
)

const (
	// mostFiles bounds the files of an application, and its variables.
	mostFiles = 1000
	// mostExec bounds the commands, names and variables of an application, in
	// bytes.
	mostExec = 512 << 10
	// mostSeparator bounds a separator, in bytes.
	mostSeparator = 16
	// mostKeyFields bounds the fields of a key.
	mostKeyFields = 1000
)

// Digest is the SHA-256 of e as JSON, in hex: the same digest is the same code.
func (e *Exec) Digest() string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		panic(err) // it is plain data
	}
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:])
}

// Spec is that of a job of these executables.
func (e *Exec) Spec(name string) *Spec {
	s := &Spec{
		App:   App{Kind: e.kind(), Name: name, SHA256: e.Digest(), Exec: e},
		Input: Choice{Name: Lines}, Partitioner: Choice{Name: e.partitioner()}, Order: e.Order(), Output: Choice{Name: Lines},
	}
	if e.Whole != "" {
		s.Input.Name = Objects
	}
	return s
}

// kind is the kind of code.
func (e *Exec) kind() string {
	if e.Module != nil {
		return Wasm
	}
	return Executables
}

// partitioner is the name of the partitioner.
func (e *Exec) partitioner() string {
	switch {
	case e.Reducer == "":
		return ByTask
	case e.PartitionFields > 0:
		return ByFields
	}
	return Hash
}

// Order is the order of keys and values, also of nil, an application without
// executables.
func (e *Exec) Order() Order {
	if e != nil && e.Sort != "" {
		return Order{Keys: ByFields, Values: ByInput}
	}
	return Order{Keys: ByBytes, Values: ByInput}
}

// SortFields is the order of the keys, nil for that by bytes.
func (e *Exec) SortFields() SortFields {
	if e.Sort == "" {
		return nil
	}
	fields, err := ParseSortFields(e.Sort)
	if err != nil {
		return nil // Validate says so
	}
	return fields
}

// FieldSeparator ends the fields of a line of the mapper.
func (e *Exec) FieldSeparator() string { return cmp.Or(e.Separator, "\t") }

// SeparatorInKey ends the fields of a key.
func (e *Exec) SeparatorInKey() string { return cmp.Or(e.KeySeparator, e.FieldSeparator()) }

// Shipped are the files that the job ships, whatever its code is.
func (a *App) Shipped() []CodeFile {
	if a.Exec != nil {
		return a.Exec.Files
	}
	return a.Files
}

// Commands are the command lines that e has, by what they are.
func (e *Exec) Commands() []Command {
	all := []Command{{"mapper", e.Mapper}, {"combiner", e.Combiner}, {"reducer", e.Reducer}}
	return slices.DeleteFunc(all, func(c Command) bool { return c.Line == "" || c.Role == "reducer" && c.Line == Aggregate })
}

// Command is a command line and what it is for.
type Command struct{ Role, Line string }

// SplitCommand cuts a command line into words, as a shell does with quotes and
// backslashes: words are separated by spaces, tabs and line breaks; what stands
// between single quotes is taken as it is; between double quotes a backslash
// escapes a double quote, a backslash, a dollar sign and a back quote, outside of
// quotes any character. Nothing
// else is special: there are no variables, pipes and patterns. It returns an error
// for quotes that do not end, and for a line without words.
func SplitCommand(line string) ([]string, error) {
	var words []string
	var word []byte
	in := false // a word
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case ' ', '\t', '\n', '\r':
			if in {
				words, word, in = append(words, string(word)), nil, false
			}
		case '\'', '"':
			in = true
			end := i + 1
			for ; end < len(line) && line[end] != c; end++ {
				if c == '"' && line[end] == '\\' && end+1 < len(line) && strings.IndexByte("\"\\$`", line[end+1]) >= 0 {
					end++
				}
				word = append(word, line[end])
			}
			if end == len(line) {
				return nil, fmt.Errorf("a quote %c does not end", c)
			}
			i = end
		case '\\':
			if i++; i == len(line) {
				return nil, errors.New("nothing follows the last backslash")
			}
			in, word = true, append(word, line[i])
		default:
			in, word = true, append(word, c)
		}
	}
	if in {
		words = append(words, string(word))
	}
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("no command")
	}
	return words, nil
}

// OptionError is the error of a field of an [Exec] that says how commands read and write.
type OptionError struct {
	Field string // in JSON
	What  string
}

func (e *OptionError) Error() string { return e.What }

// option is an [OptionError].
func option(field, format string, args ...any) error {
	return &OptionError{Field: field, What: fmt.Sprintf(format, args...)}
}

// Validate returns an error unless a worker can run e. It may be an [OptionError].
func (e *Exec) Validate() error {
	size := len(e.Combiner) + len(e.Reducer)
	for _, c := range append([]Command{{"mapper", e.Mapper}}, e.Commands()...) {
		if _, err := SplitCommand(c.Line); err != nil {
			return fmt.Errorf("%s %.200q: %w", c.Role, c.Line, err)
		}
		if !validValue(c.Line) {
			return fmt.Errorf("%s %.200q: it is not UTF-8, or has a byte of zero", c.Role, c.Line)
		}
		size += len(c.Line)
	}
	if e.Combiner != "" && e.Reducer == "" {
		return option("combiner", "there is a combiner and no reducer")
	}
	if len(e.Files) > mostFiles || len(e.Env) > mostFiles {
		return fmt.Errorf("it has %d files and %d variables, more than %d", len(e.Files), len(e.Env), mostFiles)
	}
	names, err := validateFiles(e.Files)
	if err != nil {
		return err
	}
	size += names
	for name, value := range e.Env {
		if name == "" || strings.ContainsAny(name, "=") || !validValue(name) || !validValue(value) {
			return fmt.Errorf("there can be no variable %.200q", name)
		}
		size += len(name) + len(value)
	}
	switch {
	case size > mostExec:
		return fmt.Errorf("its commands, names and variables have %d bytes, more than %d", size, mostExec)
	case e.Whole != "" && e.Whole != WholeBytes && e.Whole != WholePath:
		return option("whole", "objects handed to the mapper as %.200q", e.Whole)
	case e.Whole != "" && e.Offsets:
		return errors.New("offsets of lines where the mapper gets objects")
	case e.Records != "" && e.Records != BinaryRecords:
		return option("records", "unknown records %.200q", e.Records)
	case e.Records != "" && (e.Separator != "" || e.KeyFields > 0 || e.PartitionFields > 0 || e.KeySeparator != "" || e.Sort != "" || e.Offsets):
		return option("records", "fields of lines where there are records")
	}
	if err := e.validateFields(); err != nil {
		return err
	}
	return e.validateModule()
}

// validateFiles returns an error unless a job can ship such files. size is that of
// their names in bytes.
func validateFiles(files []CodeFile) (size int, err error) {
	if len(files) > mostFiles {
		return 0, fmt.Errorf("it has %d files, more than %d", len(files), mostFiles)
	}
	for i, f := range files {
		if err := f.validate(); err != nil {
			return 0, err
		}
		if i > 0 && f.Name <= files[i-1].Name {
			return 0, fmt.Errorf("file %.200q does not follow %.200q in byte order", f.Name, files[i-1].Name)
		}
		size += len(f.Name)
	}
	return size, nil
}

// validateModule returns an error unless a worker can run the module, if there is
// one.
func (e *Exec) validateModule() error {
	m := e.Module
	if m == nil {
		return nil
	}
	i := slices.IndexFunc(e.Files, func(f CodeFile) bool { return f.Name == m.File })
	switch {
	case i < 0 || e.Files[i].Archive != "":
		return fmt.Errorf("the module %.200q is none of the files", m.File)
	case e.Separator != "" || e.KeyFields > 0 || e.PartitionFields > 0 || e.KeySeparator != "" || e.Sort != "" || e.Offsets || e.Records != "" || e.InheritAWS || e.Whole == WholePath || e.Reducer == Aggregate:
		return fmt.Errorf("the module %q with an option of executables", m.File)
	case slices.ContainsFunc(e.Files, func(f CodeFile) bool { return f.Archive != "" }):
		return fmt.Errorf("the module %q with an archive", m.File)
	case !slices.IsSorted(m.Allow) || len(slices.Compact(slices.Clone(m.Allow))) < len(m.Allow):
		return fmt.Errorf("what the module %q may use is not in byte order: %.200q", m.File, m.Allow)
	}
	for _, what := range m.Allow {
		if !slices.Contains(Allowances(), what) {
			return fmt.Errorf("the module %q may use the unknown %.200q", m.File, what)
		}
	}
	return nil
}

// validateFields looks at where lines and keys are cut.
func (e *Exec) validateFields() error {
	for _, s := range []struct{ field, text string }{{"separator", e.Separator}, {"key_separator", e.KeySeparator}} {
		if len(s.text) > mostSeparator || !validValue(s.text) || strings.Contains(s.text, "\n") {
			return option(s.field, "fields cannot be separated by %.200q, but by at most %d bytes of UTF-8 without a line break", s.text, mostSeparator)
		}
	}
	most := max(e.KeyFields, 1)
	if e.KeySeparator != "" {
		most = mostKeyFields
	}
	switch {
	case e.KeyFields < 0 || e.KeyFields > mostKeyFields:
		return option("key_fields", "a key of %d fields: it may have 1 to %d", e.KeyFields, mostKeyFields)
	case e.PartitionFields < 0 || e.PartitionFields > most:
		return option("partition_fields", "partitions by field %d of a key of %d", e.PartitionFields, most)
	case e.PartitionFrom < 0 || e.PartitionFrom > e.PartitionFields:
		return fmt.Errorf("partitions by the fields %d to %d of a key", e.PartitionFrom, e.PartitionFields)
	case e.Reducer == "" && (e.PartitionFields > 0 || e.Sort != ""):
		return option("reducer", "an order or partition of keys without a reducer: the output has the lines of the mapper as they are")
	case e.Sort == "":
		return nil
	}
	fields, err := ParseSortFields(e.Sort)
	if err != nil {
		return fmt.Errorf("order of keys %.200q: %w", e.Sort, err)
	}
	if e.Sort != fields.String() {
		return fmt.Errorf("order of keys %.200q, which is written as %q", e.Sort, fields)
	}
	return nil
}

// validate returns an error unless the file can lie in a working directory.
func (f *CodeFile) validate() error {
	switch {
	case !ValidFileName(f.Name):
		return fmt.Errorf("there can be no file %.200q", f.Name)
	case !validHash(f.SHA256) || f.Size < 0 || f.Size > Most:
		return fmt.Errorf("file %q has %d bytes and the SHA-256 %.200q", f.Name, f.Size, f.SHA256)
	case f.Archive != "" && f.Archive != Tar && f.Archive != TarGz && f.Archive != Zip:
		return fmt.Errorf("file %q is an archive of the unknown kind %.200q", f.Name, f.Archive)
	}
	return nil
}

// ValidFileName says whether name can be that of a file in a working directory:
// one element of a path, of at most 255 bytes of UTF-8 without control characters.
func ValidFileName(name string) bool {
	return name != "." && name != ".." && name != "" && len(name) <= 255 && filepath.Base(name) == name &&
		!strings.ContainsAny(name, `/\`) && utf8.ValidString(name) && validText(name)
}

// validValue says whether s can be handed to a process, and stand in JSON.
func validValue(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// validateExec returns an error unless a can be an application of executables, or
// of a module.
func (a *App) validateExec() error {
	switch {
	case a.Exec == nil:
		return fmt.Errorf("app of kind %s without code", a.Kind)
	case a.Kind != a.Exec.kind():
		return fmt.Errorf("app of kind %s with code of kind %s", a.Kind, a.Exec.kind())
	case len(a.Params) > 0:
		return fmt.Errorf("app of kind %s with parameters", a.Kind)
	case len(a.Files) > 0:
		return fmt.Errorf("app of kind %s with files beside its code", a.Kind)
	}
	if err := a.Exec.Validate(); err != nil {
		return fmt.Errorf("app of kind %s: %w", a.Kind, err)
	}
	if want := a.Exec.Digest(); a.SHA256 != want {
		return fmt.Errorf("app of kind %s with the SHA-256 %.200q, want %s", a.Kind, a.SHA256, want)
	}
	return nil
}

// validateExec returns an error unless input and partitioner are those of the
// executables, and of them alone.
func (s *Spec) validateExec() error {
	of := s.Partitioner.Name
	switch {
	case !s.App.Apart() && of == ByTask, s.App.Apart() && of != s.App.Exec.partitioner() && !s.namesPartitioner():
		return fmt.Errorf("app %s of kind %s with the partitioner %s", s.App.Name, s.App.Kind, of)
	case s.App.Apart() && s.App.Exec.Reducer == "" && (s.Order.Values != ByInput || s.Order.Keys != ByBytes):
		return option("reducer", "an order of keys or values without a reducer: the output has the lines of the mapper as they are")
	case s.App.Apart() && s.App.Exec.Sort != "" && (s.Order.Keys != ByFields || s.Order.Fields != "" || s.Order.Separator != ""):
		return fmt.Errorf("app %s of kind %s with keys in the order %s", s.App.Name, s.App.Kind, s.Order.shown())
	case s.App.Apart() && (s.App.Exec.Whole != "") != (s.Input.Name == Objects):
		return fmt.Errorf("app of kind %s with the input %s, and objects handed to the mapper as %q", s.App.Kind, s.Input.Name, s.App.Exec.Whole)
	}
	return nil
}

// diffExec notes how the executables of b differ from those of a.
func (c *changes) diffExec(a, b *Exec) {
	if a == nil || b == nil {
		return // of another kind, which is a difference already
	}
	c.note("module", a.Module.String(), b.Module.String())
	c.note("mapper", quote(a.Mapper), quote(b.Mapper))
	c.note("combiner", quote(a.Combiner), quote(b.Combiner))
	c.note("reducer", quote(a.Reducer), quote(b.Reducer))
	c.diffFiles(a.Files, b.Files)
	names := maps.Clone(a.Env)
	if names == nil {
		names = map[string]string{}
	}
	maps.Copy(names, b.Env)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		c.note("variable "+name, valueOf(a.Env, name), valueOf(b.Env, name))
	}
	c.note("variables AWS_* of the worker", a.InheritAWS, b.InheritAWS)
	c.note("separator of fields", quote(a.Separator), quote(b.Separator))
	c.note("fields of a key", max(a.KeyFields, 1), max(b.KeyFields, 1))
	c.note("separator of fields in keys", quote(a.KeySeparator), quote(b.KeySeparator))
	c.note("fields that decide the partition", a.partitionText(), b.partitionText())
	c.note("fields that order the keys", quote(a.Sort), quote(b.Sort))
	c.note("objects handed to the mapper as", quote(a.Whole), quote(b.Whole))
	c.note("offsets before lines", a.Offsets, b.Offsets)
	c.note("records", quote(a.Records), quote(b.Records))
}

// String is the name, and what the module may use.
func (m *Module) String() string {
	if m == nil {
		return "none"
	}
	return strings.Join(append([]string{quote(m.File)}, m.Allow...), ", ")
}

// partitionText is the fields that decide the partition.
func (e *Exec) partitionText() string {
	if e.PartitionFields == 0 {
		return "all"
	}
	return fmt.Sprintf("%d to %d", max(e.PartitionFrom, 1), e.PartitionFields)
}

// diffFiles notes which files are not the same.
func (c *changes) diffFiles(a, b []CodeFile) {
	show := func(f CodeFile) string {
		text := f.SHA256[:min(len(f.SHA256), 12)]
		if f.Archive != "" {
			text += " " + f.Archive
		}
		if f.Executable {
			text += " executable"
		}
		return text
	}
	old, all := map[string]string{}, map[string]string{}
	for _, f := range a {
		old[f.Name] = show(f)
	}
	now := map[string]string{}
	for _, f := range b {
		now[f.Name] = show(f)
	}
	maps.Copy(all, old)
	maps.Copy(all, now)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, ok := old[name]
		if !ok {
			was = "not there"
		}
		is, ok := now[name]
		if !ok {
			is = "not there"
		}
		c.note("file "+quote(name), was, is)
	}
}

// valueOf returns what the variables say of name.
func valueOf(values map[string]string, name string) string {
	v, ok := values[name]
	if !ok {
		return "not set"
	}
	return quote(v)
}
