package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/decompress"
	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/pick"
	"github.com/mraws/mraws/internal/upload"
)

// findInput makes the plan of an upload. Its errors are usage errors. The data
// folder and the folders of avoid are never read.
func findInput(c *config.Loaded, args []string, take pick.Filter, avoid ...upload.Avoid) (*upload.Plan, error) {
	search := upload.Search{Filter: take, Store: datadir.Is, Avoid: avoid}
	dir := c.DataDir
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		for _, path := range append(datadir.Secrets(dir), dir) {
			search.Avoid = append(search.Avoid, upload.Avoid{Path: path, Why: upload.StoreFolder})
		}
	}
	for _, path := range secrets(c) {
		search.Avoid = append(search.Avoid, upload.Avoid{Path: path, Why: "credentials of this run"})
	}
	plan, err := upload.Find(args, search)
	var nothing *upload.NothingError
	var name *upload.NameError
	switch {
	case err == nil:
		return plan, nil
	case errors.As(err, &nothing) && nothing.Hidden():
		return nil, usagef("a file whose name begins with a dot or _ is read if it is named itself", "%w", err)
	case errors.As(err, &name):
		return nil, usagef("rename it or leave it out with --exclude", "%w", err)
	case errors.Is(err, fs.ErrPermission):
		return nil, err
	}
	return nil, &Error{Code: ExitUsage, What: err.Error()}
}

// unreadable returns an error if files of a plan are archives, are encrypted, or are
// compressed in a way that no job reads. The job would say so after the upload.
func unreadable(plan *upload.Plan) error {
	var first *decompress.RefusedError
	more := 0
	err := plan.Heads(decompress.HeadSize, func(name string, head []byte) error {
		_, err := decompress.Detect(name, head)
		switch refused := (*decompress.RefusedError)(nil); {
		case !errors.As(err, &refused):
			return err
		case first == nil:
			first = refused
		default:
			more++
		}
		return nil
	})
	if err != nil || first == nil {
		return err
	}
	what := first.Error()
	if more > 0 {
		what += fmt.Sprintf("; %s of the other files cannot be read either", humanize.Comma(int64(more)))
	}
	pattern := path.Base(first.Object)
	if ext := path.Ext(pattern); ext != "" {
		pattern = "**/*" + ext
	}
	return &Error{Code: ExitUsage, What: what, Hint: "--exclude '" + pattern + "' leaves files out; --decompress off reads all input as it is"}
}

// secrets lists the files of token, private key and AWS credentials of this process.
func secrets(c *config.Loaded) []string {
	files := []string{c.TokenFile, c.TLSKey}
	for _, name := range []string{"AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"} {
		files = append(files, os.Getenv(name))
	}
	return slices.DeleteFunc(files, func(path string) bool { return path == "" })
}

// maxSkipped is the maximum number of files that a warning names for one reason.
const maxSkipped = 5

// warnOfSkipped warns of the files that a plan skips.
func warnOfSkipped(log zerolog.Logger, plan *upload.Plan) {
	count := map[string]int{}
	for _, skip := range plan.Skipped {
		if count[skip.Why]++; count[skip.Why] <= maxSkipped {
			log.Warn().Str("key", skip.Path).Msg("skipped: " + skip.Why)
		}
	}
	for why, n := range count {
		if n > maxSkipped {
			log.Warn().Int("files", n-maxSkipped).Msg("skipped more: " + why)
		}
	}
}

// warnOfHidden warns of named files of upload-input that a job reads only if its
// own command line names them.
func warnOfHidden(log zerolog.Logger, lay layout.Layout, plan *upload.Plan) {
	for _, file := range plan.Files {
		if layout.Hidden(file.Name) {
			log.Warn().Str("key", lay.Input(file.Name)).Msg("a job reads this only if `run` names it: its name begins with a dot or _")
		}
	}
}

// spoolPatience is the time after which the command says that it waits for a pipe.
const spoolPatience = 2 * time.Second

// spool reads the pipes of a plan.
func (s *session) spool(ctx context.Context, plan *upload.Plan) error {
	return plan.Spool(ctx, upload.SpoolOptions{
		Dir: cmp.Or(s.conf.Scratch, os.TempDir()), Stdin: s.io.In, Patience: spoolPatience,
		Waits: func(path string, bytes int64) {
			if path == upload.Stdin {
				path = "the standard input"
			}
			s.note("reading %s to its end: %s so far", escape.Line(path), bytesText(bytes))
		},
	})
}

// noteStdin says that the command does not read standard input, if it has data.
func (s *session) noteStdin() {
	f, ok := s.io.In.(*os.File)
	if !ok {
		return
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&fs.ModeCharDevice != 0 || info.Mode().IsRegular() && info.Size() == 0 {
		return // a terminal, /dev/null, nothing
	}
	if t := info.Mode().Type(); t != 0 && t != fs.ModeNamedPipe {
		return
	}
	s.note("standard input is not read: the job reads s3://%s/%s; to read standard input, name - as INPUT", s.conf.Bucket, s.layout.InputDir())
}

// uploadPlan uploads with progress on stderr.
func (s *session) uploadPlan(ctx context.Context, st *store, plan *upload.Plan) (upload.Report, error) {
	warnOfSkipped(s.log, plan)
	p := s.newProgress("upload", plan.Bytes, true)
	defer p.end()
	return upload.Run(ctx, st, s.layout, plan, upload.Options{
		Progress: func(n upload.Progress) { p.set(n.Bytes) },
	})
}

// names returns the names of a plan below input/, nil without a plan.
func names(plan *upload.Plan) []string {
	if plan == nil {
		return nil
	}
	out := make([]string, len(plan.Files))
	for i, file := range plan.Files {
		out[i] = file.Name
	}
	return out
}
