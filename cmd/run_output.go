package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/manifest"
)

// storeFlags are the flags by which another command finds this store and
// prefix: everything about it that was set, wherever it was set.
func (s *session) storeFlags(st *store) string {
	var b strings.Builder
	if st.Embedded {
		b.WriteString(" --local")
	}
	for _, e := range s.conf.Entries() {
		switch e.Key {
		case "bucket", "region", "endpoint", "profile", "data-dir":
			if e.Origin.Level > config.Default {
				fmt.Fprintf(&b, " --%s %s", e.Key, shellQuote(e.Value))
			}
		}
	}
	if s.conf.Prefix != "" {
		b.WriteString(" --prefix " + shellQuote(s.conf.Prefix))
	}
	return b.String()
}

// shellQuote makes one word of s for a POSIX shell.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+=,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// firstLines reads the first n lines of the first output that has any.
func (s *session) firstLines(ctx context.Context, st *store, success *manifest.Success, n int) (lines []string, key string, err error) {
	for _, out := range success.Outputs {
		if out.Lines == 0 || n <= 0 {
			continue
		}
		body, err := st.OpenRange(ctx, out.Key, "", 0, min(out.Size, 64<<10))
		if err != nil {
			return nil, "", err
		}
		scanner := bufio.NewScanner(body)
		for len(lines) < n && scanner.Scan() {
			lines = append(lines, shorten(scanner.Text(), 160))
		}
		// A line longer than the part read is no error of the job's.
		return lines, out.Key, errors.Join(body.Close())
	}
	return nil, "", nil
}

// shorten cuts a line for the screen.
func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// fetchers bounds the outputs fetched side by side.
const fetchers = 8

// fetchOutput writes every output to dir, each under a temporary name until
// it is whole.
func (s *session) fetchOutput(ctx context.Context, st *store, success *manifest.Success, dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("make the output folder: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fetchers)
	for r, out := range success.Outputs {
		g.Go(func() error {
			return fetchFile(ctx, st, out.Key, filepath.Join(dir, "mr-out-"+strconv.Itoa(r)))
		})
	}
	return g.Wait()
}

func fetchFile(ctx context.Context, st *store, key, path string) (err error) {
	body, err := st.OpenRange(ctx, key, "", 0, -1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	tmp, err := os.CreateTemp(filepath.Dir(path), ".mr-out-*")
	if err != nil {
		return fmt.Errorf("fetch %s: %w", key, err)
	}
	_, err = io.Copy(tmp, body)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("fetch %s: %w", key, errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}
