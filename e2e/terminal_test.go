//go:build !interop

package e2e

import (
	"flag"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/testkit"
)

// pictures has the pictures of docs/pictures taken again.
var pictures = flag.Bool("pictures", false, "write the pictures of the terminal to docs/pictures")

// show starts mraws with args on a terminal of so many columns.
func (b *fixture) show(columns int, args ...string) (*process, *testkit.Terminal) {
	b.t.Helper()
	screen := testkit.NewTerminal(b.t, columns, 44)
	c := exec.Command(b.bin, args...)
	c.Stdin, c.Stdout, c.Stderr = screen.TTY, screen.TTY, screen.TTY
	return b.launch(c, args), screen
}

// sees waits until the screen is as it should be, and returns it.
func (b *fixture) sees(screen *testkit.Terminal, what string, ok func(shown string) bool) string {
	b.t.Helper()
	b.t.Cleanup(func() {
		if b.t.Failed() {
			b.t.Logf("the terminal when the test ended:\n%s", screen.Screen())
		}
	})
	var shown string
	b.until(what, func() bool { shown = screen.Screen(); return ok(shown) })
	return shown
}

// bar is a bar of a job in bytes.
var bar = regexp.MustCompile(`(?m)^ *(map|reduce) +\[([=>-]+)\] +([0-9]+)%(?: +([0-9.]+)/([0-9.]+) [KMG]?i?B)?(?: +([0-9.]+ [KMG]?i?B/s))?(?: +(.+))?$`)

// barsOf are the bars on a screen by their names, each with what bar finds. A screen has each
// of them once: those before are gone.
func barsOf(t *testing.T, shown string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, m := range bar.FindAllStringSubmatch(shown, -1) {
		if found[m[1]] != nil {
			t.Errorf("there are two bars %q:\n%s", m[1], shown)
		}
		found[m[1]] = m
	}
	return found
}

// countOf is how many attempts a screen shows of a kind. A machine that is busy may lose more
// than the test kills.
func countOf(shown, kind string) int {
	m := regexp.MustCompile(`([0-9]+) ` + kind + `\b`).FindStringSubmatch(shown)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// picture writes a screen as an image, if that was asked for.
func picture(t *testing.T, name, shown string, columns int) {
	t.Helper()
	if !*pictures {
		return
	}
	lines := strings.Split(shown, "\n")
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" font-family="monospace" font-size="13">`+"\n"+
		`<rect width="100%%" height="100%%" rx="6" fill="#1b1f24"/>`+"\n", float64(columns)*7.83+24, len(lines)*18+22)
	for i, line := range lines {
		fmt.Fprintf(&b, `<text x="12" y="%d" fill="#e6edf3" xml:space="preserve">%s</text>`+"\n", i*18+24, html.EscapeString(line))
	}
	if err := os.WriteFile(filepath.Join("..", "docs", "pictures", name+".svg"), []byte(b.String()+"</svg>\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// workersOf are the processes that a process has started.
func workersOf(t *testing.T, p *process) (pids []int) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		data, _ := os.ReadFile(thread) // a thread may have ended
		for _, field := range strings.Fields(string(data)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestTerminal is a whole job on a terminal, whose worker is killed in the middle, seen at 80
// and at 60 columns, and by `status --watch` beside it: a bar a phase in bytes, the rate, the
// time left once it can be told, what runs, was retried, failed and was lost; warnings above
// the bars; at the end full bars, and below them the summary.
func TestTerminal(t *testing.T) {
	for _, columns := range []int{80, 60} {
		t.Run(strconv.Itoa(columns), func(t *testing.T) {
			b := newPlainFixture(t)
			line := "the quick brown fox jumps over the lazy dog and runs away from the terminal\n"
			b.put(map[string]string{"book.txt": strings.Repeat(line, 3<<20/len(line))})
			slow, _ := b.through("GetObject *book.txt* slow 1us") // so that a task takes about a second
			p, screen := slow.show(columns, "run", "--app", "wc", "--processes", "--workers", "2", "--nreduce", "2", "--split-size", "128KiB", "--speculation", "off")
			first := b.sees(screen, "the first bars", func(s string) bool { return barsOf(t, s)["map"] != nil })
			if m := barsOf(t, first); m["reduce"] == nil || m["reduce"][7] != "waits for map" || strings.Contains(m["map"][7], "left") {
				t.Errorf("the bars at the beginning: %q", m)
			}
			watch, watched := slow.show(columns, "status", "--watch", "--every", "200ms")
			b.sees(screen, "the time left", func(s string) bool { m := barsOf(t, s)["map"]; return m != nil && strings.HasSuffix(m[7], "s left") })
			killed := time.Time{}
			lost := b.sees(screen, "the lost attempt is run again", func(s string) bool {
				if workers := workersOf(t, p); len(workers) == 2 && countOf(s, "lost") == 0 && time.Since(killed) > 8*time.Second { // again, if it had no attempt
					killed = time.Now()
					if err := syscall.Kill(workers[0], syscall.SIGKILL); err != nil {
						t.Error(err)
					}
				}
				return countOf(s, "lost") > 0 && countOf(s, "retried") > 0 && strings.Contains(s, "attempt lost") && barsOf(t, s)["map"] != nil
			})
			m := barsOf(t, lost)["map"]
			if percent, _ := strconv.Atoi(m[3]); percent < 5 || percent > 95 || m[5] == "" || m[6] == "" {
				t.Errorf("the bar %q is not that of bytes with a rate", m[0])
			}
			at := strings.Index(lost, "map     [")
			if died := strings.Index(lost, "WRN worker process died"); died < 0 || died > at || strings.Contains(lost[at:], "WRN") || strings.Contains(lost[at:], "INF") {
				t.Errorf("the warnings are not above the bars:\n%s", lost)
			}
			seen := b.sees(watched, "the same of `status --watch`", func(s string) bool { return countOf(s, "lost") > 0 && barsOf(t, s)["map"] != nil })
			wants(t, seen, "job ", "state ", "workers ", "tasks ")
			picture(t, fmt.Sprintf("run-%d", columns), lost, columns)
			if columns == 60 {
				picture(t, "status-60", seen, columns)
			}

			for _, p := range []*process{p, watch} {
				if code := b.exit(p); code != 0 {
					t.Errorf("mraws %s: exit code %d", p.name, code)
				}
			}
			screen.End(t)
			watched.End(t)
			for _, end := range []string{screen.Screen(), watched.Screen()} {
				for name, m := range barsOf(t, end) {
					if strings.Trim(m[2], "=") != "" || m[3] != "100" {
						t.Errorf("at the end the bar of %s is %q", name, m[0])
					}
				}
			}
			end := screen.Screen()
			if len(barsOf(t, end)) != 2 || strings.Index(end, "SUCCEEDED") < strings.Index(end, "reduce  [") {
				t.Errorf("at the end:\n%s", end)
			}
			wants(t, watched.Screen(), "100%", "done at")
			if raw := screen.Raw(); strings.Contains(raw, "\x1b[2J") {
				t.Error("the screen was cleared")
			}
		})
	}
}

// TestTerminalOfFailure: when a job fails its bars stay where they are, and the failure names
// task, object, record and its text, the cause, and the line to type next.
func TestTerminalOfFailure(t *testing.T) {
	b := newPlainFixture(t)
	numbers := b.write("numbers.txt", "12\n13\nfourteen\n15\n", 0o644)
	p, screen := b.show(100, "run", "--mapper", "awk 'BEGIN { system(\"sleep 1\") } { if ($1 !~ /^[0-9]+$/) { print \"not a number: \" $0 > \"/dev/stderr\"; exit 1 } print $1 \"\\t1\" }'",
		"--reducer", "uniq -c", "--max-attempts", "1", "--nreduce", "1", numbers)
	if code := b.exit(p); code != 4 {
		t.Errorf("exit code %d", code)
	}
	screen.End(t)
	end := screen.Screen()
	wants(t, end, "the job failed", "not a number: fourteen", "the task reads bytes 0 to 18 of s3://", "input/numbers.txt", "replay map-0", "to resume:")
	if m := barsOf(t, end)["map"]; m == nil || m[3] == "100" {
		t.Errorf("the bar of a failed job: %q", m)
	}
}

// TestTerminalOfTakeover: the bars of a coordinator that takes a job over begin with what is
// done, and end full.
func TestTerminalOfTakeover(t *testing.T) {
	b := newPlainFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	line := []string{"coordinator", "--app", "jobcount", "--app-arg", "stall=1s", "--nreduce", "3"}
	first, _ := b.coordinator(line[1:]...)
	w := b.start("worker", "--app", "jobcount", "--slots", "1")
	b.until("maps are committed", func() bool { return b.commits() > 2 })
	second, screen := b.show(80, line...)
	b.sees(screen, "the standby", func(s string) bool { return strings.Contains(s, "standing by") })
	b.kill(first)
	begun := b.sees(screen, "its bars", func(s string) bool { return barsOf(t, s)["map"] != nil })
	if m := barsOf(t, begun)["map"]; m[3] == "0" {
		t.Errorf("the bar of a job that was taken over begins as %q", m[0])
	}
	for _, p := range []*process{second, w} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	screen.End(t)
	var names []string
	for name, m := range barsOf(t, screen.Screen()) {
		if names = append(names, name); m[3] != "100" {
			t.Errorf("at the end: %q", m[0])
		}
	}
	if len(names) != 2 {
		t.Errorf("the bars at the end: %s", cmp.Diff([]string{"map", "reduce"}, names))
	}
}
