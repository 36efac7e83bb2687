package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// goResult is what a Go benchmark printed: its name without that of the function,
// and its figures by their units.
type goResult struct {
	name    string
	figures map[string]float64
}

// goBenchmark runs a benchmark of a package of ours, which knows best how to load it,
// and reads what it prints.
func goBenchmark(ctx context.Context, pkg, function, benchtime string) ([]goResult, error) {
	fmt.Fprintf(os.Stderr, "  %s of %s\n", function, pkg)
	out, err := command(ctx, "go", "test", "-run", "^$", "-bench", "^"+function+"$", "-benchtime", benchtime, "github.com/mraws/mraws/"+pkg)
	if err != nil {
		return nil, err
	}
	return parseGoBenchmark(out)
}

var goLine = regexp.MustCompile(`(?m)^Benchmark[^/\s]*/(\S+?)(?:-\d+)?\s+\d+\s+(.*)$`)

// parseGoBenchmark reads the lines of a Go benchmark: a name, a count, and pairs of
// a number and its unit.
func parseGoBenchmark(out string) (results []goResult, err error) {
	for _, m := range goLine.FindAllStringSubmatch(out, -1) {
		r := goResult{name: m[1], figures: map[string]float64{}}
		words := strings.Fields(m[2])
		for i := 0; i+1 < len(words); i += 2 {
			if r.figures[words[i+1]], err = strconv.ParseFloat(words[i], 64); err != nil {
				return nil, fmt.Errorf("read %q of a Go benchmark: %w", m[0], err)
			}
		}
		results = append(results, r)
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("read a Go benchmark: no results in %q", out)
	}
	return results, nil
}
