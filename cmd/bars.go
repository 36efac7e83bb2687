package cmd

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/mraws/mraws/internal/escape"
)

// bar is how far work of known size is.
type bar struct {
	name        string
	done, total int64
	things      bool // they count things; else bytes
	full        bool // the work is done, whatever was counted
	speed       speed
	says        string // in place of rate and time left; "" for nothing
}

// view is what people are shown of work that goes on.
type view struct {
	above []parts
	bars  []bar
	now   int // index of the bar that moves
	more  []parts

	done, total int64            // of that bar, for programs: of a job, tasks
	job         *jobProgressJSON // nil for what is no job
}

// parts is a line below the bars: a name and what is said of it.
type parts struct {
	name string
	of   []string
}

const (
	// narrow is the width below which lines are not indented.
	narrow = 70
	// leastBar is how many characters a bar has between its brackets at least, and fairBar
	// those for which the gaps between what is beside it are narrower.
	leastBar, fairBar = 5, 10
	// amountWidth is how many columns an amount of bytes has at most: "1023/1023 GiB".
	amountWidth = 13
)

// head begins a line of so many columns. Summaries begin so too.
func head(name string, width int) string {
	if width < narrow {
		return fmt.Sprintf("%-7s ", name)
	}
	return fmt.Sprintf("  %-7s ", name)
}

// lines returns the view as lines of at most so many columns, in ASCII.
func (v view) lines(width int) (lines []string) {
	for _, m := range v.above {
		lines = append(lines, m.lines(width)...)
	}
	for _, b := range v.bars {
		lines = append(lines, b.line(width))
	}
	for _, m := range v.more {
		lines = append(lines, m.lines(width)...)
	}
	return lines
}

func (p parts) lines(width int) (lines []string) {
	of := make([]string, len(p.of))
	for i, text := range p.of {
		of[i] = escape.Line(text)
	}
	for line := range strings.Lines(foldLine(head(p.name, width), of, width)) {
		line = strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' { // what comes from outside
				return '?'
			}
			return r
		}, strings.TrimRight(line, "\n"))
		lines = append(lines, clip(line, width))
	}
	return lines
}

func clip(line string, width int) string { return line[:min(len(line), max(width, 0))] }

// line is a bar of so many columns. What has no room is left out: first the rate, last the
// bar itself.
func (b bar) line(width int) string {
	percent := fmt.Sprintf("%3d%%", b.percent())
	amount := fmt.Sprintf("%*s", max(amountWidth, len(amountText(b.total, b.total, b.things, "/"))), b.amount("/"))
	rate, left := fmt.Sprintf("%10s", b.rate()), fmt.Sprintf("%-11s", b.left())
	name := head(b.name, width)
	all := func(string) []string { return []string{amount, rate, left} }
	if b.says != "" {
		columns := len(rate) + len(left)
		all = func(gap string) []string { return []string{amount, fmt.Sprintf("%-*s", columns+len(gap), b.says)} }
		left = b.says
	}
	for _, f := range []struct {
		least  int
		gap    string
		fields []string
	}{
		{fairBar, "  ", all("  ")}, {leastBar, " ", all(" ")},
		{leastBar, " ", []string{amount, left}}, {leastBar, " ", []string{left}}, {least: leastBar},
	} {
		text := " " + percent
		for _, field := range f.fields {
			text += f.gap + field
		}
		if n := width - len(name) - len("[]") - len(text); n >= f.least {
			return strings.TrimRight(name+b.drawn(n)+text, " ")
		}
	}
	return clip(name+percent, width)
}

// drawn is the bar between brackets.
func (b bar) drawn(n int) string {
	done := n
	if !b.full {
		done = min(n*b.percent()/100, n-1)
	}
	tip := ""
	if done > 0 && done < n {
		done, tip = done-1, ">"
	}
	return "[" + strings.Repeat("=", done) + tip + strings.Repeat("-", n-done-len(tip)) + "]"
}

// percent is 100 only when the work is done.
func (b bar) percent() int {
	switch {
	case b.full:
		return 100
	case b.total <= 0 || b.done <= 0:
		return 0
	}
	return int(min(99, float64(b.done)/float64(b.total)*100))
}

// amount is how much is done, and of how much.
func (b bar) amount(of string) string {
	done := b.done
	if b.total <= 0 {
		return "" // it has not begun
	}
	if b.full {
		done = b.total
	}
	return amountText(done, b.total, b.things, of)
}

// amountText is "24.4/38.1 GiB", or "1,234/16,000" for things.
func amountText(done, total int64, things bool, of string) string {
	if things {
		return humanize.Comma(done) + of + humanize.Comma(total)
	}
	unit, name := unitOf(float64(max(done, total)))
	return digits(float64(done)/unit) + of + digits(float64(total)/unit) + " " + name
}

// unitOf is the unit in which a number of bytes has at most four digits.
func unitOf(n float64) (unit float64, name string) {
	names := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	for i, name := range names {
		if unit = math.Pow(1024, float64(i)); n < 1024*unit || i == len(names)-1 {
			return unit, name
		}
	}
	return 1, names[0]
}

// digits is a number of three or four digits at most, such as "0.4", "38.1", "212".
func digits(n float64) string {
	if n >= 99.95 || n == math.Trunc(n) {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.1f", n)
}

// rate is "212 MiB/s"; "" if it is not known.
func (b bar) rate() string {
	switch r := b.speed.rate; {
	case b.full || r <= 0:
		return ""
	case b.things:
		return humanize.CommafWithDigits(r, 0) + "/s"
	default:
		unit, name := unitOf(r)
		return digits(r/unit) + " " + name + "/s"
	}
}

// left is the time left, or how long nothing has moved; "" if neither is known.
func (b bar) left() string {
	switch {
	case b.full:
		return ""
	case b.speed.stalled > 0:
		return "stalled " + roughly(b.speed.stalled)
	case b.speed.left > 0:
		return roughly(b.speed.left) + " left"
	}
	return ""
}

// roughly is a length of time of as many digits as an estimate is worth: "48s", "2m10s",
// "35m", "3h05m", "4d".
func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 10*time.Minute:
		d = d.Round(5 * time.Second)
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 4*day:
		d = d.Round(5 * time.Minute)
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd", d/day)
}

// plain is the view as one line of a log for people.
func (v view) plain() string {
	if len(v.bars) == 0 {
		return v.more[0].name + ": " + strings.Join(v.more[0].of, ", ")
	}
	b := v.bars[v.now]
	fields := []string{fmt.Sprintf("%d%%", b.percent())}
	for _, text := range []string{b.amount(" of "), b.rate(), b.left(), b.says} {
		if text != "" {
			fields = append(fields, text)
		}
	}
	for _, m := range v.more {
		fields = append(fields, m.name+" "+strings.Join(m.of, ", "))
	}
	return b.name + ": " + strings.Join(fields, ", ")
}
