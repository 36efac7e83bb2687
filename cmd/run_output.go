package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/s3fs"
)

// firstLines reads the first n lines of the first output that has any, decoded.
func (s *session) firstLines(ctx context.Context, st *s3fs.Store, success *manifest.Success, n int) (lines []string, key string, err error) {
	for _, out := range success.Objects() {
		if out.Lines == 0 || n <= 0 {
			continue
		}
		body, err := s.openOutput(ctx, st, out.Key, out.Size)
		if err != nil {
			return nil, "", err
		}
		scanner := bufio.NewScanner(io.LimitReader(body, 64<<10))
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

func fetchFile(ctx context.Context, st *s3fs.Store, key, path string, p *progress) (err error) {
	body, err := st.OpenRange(ctx, key, "", 0, -1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	to, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", key, err)
	}
	_, err = io.Copy(to, p.through(body))
	if err = errors.Join(err, to.Close()); err != nil {
		return fmt.Errorf("fetch %s: %w", key, err)
	}
	return nil
}
