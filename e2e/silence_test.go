//go:build !interop

package e2e

import (
	"regexp"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/testkit"
)

// What a command says and shows that has said nothing for 2 s: what it is at, or a bar.
var (
	saysWork  = regexp.MustCompile(`(?m)^[a-z-]+: (\w+, )?[0-9]+s, [0-9]+ requests|^[a-z-]+: [0-9]+%, `)
	drawsWork = regexp.MustCompile(`(?m)^(\x1b\[\d+A\r\x1b\[J)? +[a-z-]+ +(\[|(\w+, )?[0-9]+s, [0-9]+ requests)`)
)

// TestNothingIsSilent runs commands on a store that takes its time for each request: what
// takes longer than 2 s says that it goes on, in lines and on a terminal.
func TestNothingIsSilent(t *testing.T) {
	b := newPlainFixture(t)
	b.env = append(b.env, "PAGER=cat") // nobody is here to close a pager
	b.run(0, append([]string{"run", "--app", "wc", "--nreduce", "2"}, b.books()...)...)
	b.write("more.txt", "more\n", 0o644)
	slow, _ := b.through("* * delay 800ms")
	slower, _ := b.through("* * delay 2500ms")
	type command struct {
		line          string
		lines, screen *process
		terminal      *testkit.Terminal
	}
	var all []command
	for line, b := range map[string]*fixture{
		"verify": slow, "replay map-0 --out again-{}": slow, "cat --out part-{}": slow, "events": slow, "logs map-0": slow,
		"trace": slow, "hadoop fs -du /": slow, "jobs": slower, "jobs prune --older 0s --dry-run": slower, "status": slower,
		"upload-input more.txt": slower, "run --app wc --nreduce 1 --prefix {} --out out-{} more.txt": slow,
	} {
		c := command{line: line, lines: b.start(strings.Fields(strings.ReplaceAll(line, "{}", "lines"))...)}
		c.screen, c.terminal = b.show(80, strings.Fields(strings.ReplaceAll(line, "{}", "screen"))...)
		all = append(all, c)
	}
	ends := func(c command) {
		if code := b.exit(c.lines); code != 0 {
			t.Errorf("mraws %s: exit code %d", c.line, code)
		}
		// Programs read what hadoop says.
		if said := c.lines.errout.String(); !strings.HasPrefix(c.line, "hadoop") && !saysWork.MatchString(said) {
			t.Errorf("mraws %s was silent:\n%s", c.line, said)
		}
		if c.screen == nil {
			return
		}
		if code := b.exit(c.screen); code != 0 {
			t.Errorf("mraws %s: exit code %d", c.line, code)
		}
		c.terminal.End(t)
		if drawn := strings.ReplaceAll(c.terminal.Raw(), "\r\n", "\n"); !drawsWork.MatchString(drawn) {
			t.Errorf("mraws %s was silent on a terminal:\n%q", c.line, drawn)
		}
	}
	for _, c := range all {
		ends(c)
	}
	ends(command{line: "reset --yes", lines: slow.start("reset", "--yes")}) // which can be done once
}
