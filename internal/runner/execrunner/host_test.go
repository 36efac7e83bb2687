package execrunner

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// bomb takes memory without end, and small some 20 MB.
const (
	bomb  = `awk 'BEGIN { s = "0123456789abcdef"; while (1) s = s s }'`
	small = `awk 'BEGIN { s = "0123456789abcdef"; while (length(s) < 16000000) s = s s; system("sleep 1000") }'`
)

// hostVariable makes the binary of the test a process that runs one attempt, with
// the command in mapperVariable as its mapper. It writes what bounds memory, or why
// no control group does, and how the attempt ended, into the file that the variable
// names.
const (
	hostVariable   = "MRAWS_TEST_HOST"
	mapperVariable = "MRAWS_TEST_MAPPER"
)

func runOneAttempt(file string) {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	dir := filepath.Dir(file)
	var log bytes.Buffer
	h := NewHost(Options{
		Store: code{}, Scratch: dir, Log: zerolog.New(&log), Limits: Limits{Memory: 1 << 30}, Guard: []string{"env", guardVariable + "=1", self},
	})
	e := manifest.Exec{Mapper: os.Getenv(mapperVariable), Env: map[string]string{"DIR": dir, "BOMB": bomb}}
	in := &lines{objects: []object{{"a", "x\n"}}}
	job := &manifest.Job{Spec: *e.Spec("exec"), NReduce: 1, Tasks: [][]manifest.Piece{{{Length: 2}}}, Objects: []manifest.Object{{Name: "a", Size: 2}}}
	task := &mr.Task{Context: context.Background(), Job: "j", Attempt: "e.1", Phase: mr.MapPhase, Counters: &counts{}, Side: &side{files: map[string]string{}}}
	err = h.Runner(job, lay).Map(task, in, new(emitted))
	if err := os.WriteFile(file, fmt.Appendf(nil, "%sattempt: %v, close: %v", log.String(), err, h.Close()), 0o600); err != nil {
		panic(err)
	}
}
