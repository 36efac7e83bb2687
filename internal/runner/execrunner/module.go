package execrunner

import (
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/mraws/mraws/internal/manifest"
)

// A module runs in a process of this program, since one that loops would freeze the
// process that it runs in. The first line that this process reads is its [Order], and
// what follows is the input of the function: lines for a mapper, or the bytes of an
// object, and records for a combiner and a reducer. It writes records.

// Order says to the process of a module what it runs.
type Order struct {
	Module   string `json:"module"`   // path of the file
	Name     string `json:"name"`     // of the module, for messages
	Function string `json:"function"` // which is called
	// Reads is what the input consists of: [Lines], [Bytes] or [Records].
	Reads string `json:"reads"`
	// Files is the folder that the module can read, "" for none.
	Files string `json:"files,omitempty"`
	// Env are the variables that it sees, as name=value.
	Env []string `json:"env,omitempty"`
	// Allow is as [manifest.Module] has it.
	Allow []string `json:"allow,omitempty"`
	// Memory is what the process may have, in bytes; 0 is no bound.
	Memory int64 `json:"memory,omitempty"`
	// Cache is the folder for what is made of modules.
	Cache string `json:"cache"`
}

// What the input of a module consists of.
const (
	Lines   = "lines"   // each with a line break
	Bytes   = "bytes"   // of one object
	Records = "records" // see [Exec.Records]
)

// moduleCommand is the process of a module. It has no variable of this process: the
// module could not see them.
func (p *process) moduleCommand() (*exec.Cmd, error) {
	line := p.host.o.Module
	if len(line) == 0 {
		return nil, fmt.Errorf("start the %s: %w", p.role, p.host.Check(p.exec))
	}
	o := Order{
		Module: filepath.Join(p.attempt.dir.work, p.exec.Module.File), Name: p.exec.Module.File, Function: p.commandLine, Reads: Records,
		Env: append([]string{}, p.env...), Allow: p.exec.Module.Allow, Memory: p.host.o.Limits.Memory, Cache: filepath.Join(p.host.dir, "modules"),
	}
	switch {
	case p.role == "mapper" && p.exec.Whole == manifest.WholeBytes:
		o.Reads = Bytes
	case p.role == "mapper":
		o.Reads = Lines
	}
	if len(p.exec.Files) > 1 {
		o.Files = p.attempt.dir.work
	}
	for _, name := range slices.Sorted(maps.Keys(p.exec.Env)) {
		o.Env = append(o.Env, name+"="+p.exec.Env[name])
	}
	order, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("start the %s: %w", p.role, err)
	}
	p.order = append(order, '\n')
	env := []string{"TMPDIR=" + p.attempt.dir.tmp, "PWD=" + p.attempt.dir.work, scopeVariable + "=" + p.scope}
	return &exec.Cmd{Path: line[0], Args: line, Env: env}, nil
}
