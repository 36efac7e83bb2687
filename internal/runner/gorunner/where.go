package gorunner

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"runtime/pprof"
	"strings"

	"github.com/mraws/mraws/internal/runner"
)

// Where returns the stacks of those goroutines of an attempt that are in the
// application's code, the innermost function first, and names the function of
// the application that has not returned; "" if there is none.
func Where(attempt string) (stack, function string) {
	stack = stackOf(attempt)
	return stack, userFunction(stack)
}

func stackOf(attempt string) string {
	var all bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		return ""
	}
	var found []string
	for block := range strings.SplitSeq(all.String(), "\n\n") {
		if !strings.Contains(block, fmt.Sprintf("%q:%q", runner.AttemptLabel, attempt)) || !strings.Contains(block, "/internal/runner/gorunner.") {
			continue
		}
		var lines []string
		for line := range strings.Lines(block) {
			if f := strings.Fields(line); len(f) == 4 && f[0] == "#" { // # 0xaddress function+0xoffset file:line
				name, _, _ := strings.Cut(f[2], "+0x")
				lines = append(lines, name+" "+path.Base(f[3]))
			}
		}
		found = append(found, strings.Join(lines, "\n"))
	}
	return strings.Join(found, "\n\n")
}

// caller are the functions that call the application.
var caller = regexp.MustCompile(`/internal/(runner/gorunner|task|sortbuf|recordio)\.`)

// userFunction names the innermost function of a stack that is the
// application's, with its file and line.
func userFunction(stack string) string {
	var inner string
	for line := range strings.SplitSeq(stack, "\n") {
		name, place, _ := strings.Cut(line, " ")
		if caller.MatchString(name) {
			break
		}
		inner = fmt.Sprintf("%s (%s)", name, place)
		if !isStandard(name) {
			break
		}
	}
	return inner
}

// isStandard says whether a function is one of the standard library.
func isStandard(name string) bool {
	pkg, _, _ := strings.Cut(name, "/")
	if pkg != name {
		return !strings.Contains(pkg, ".")
	}
	pkg, _, _ = strings.Cut(name, ".")
	return pkg != "main"
}
