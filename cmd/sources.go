package cmd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/inventory"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/pick"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/upload"
)

// s3Scheme begins an INPUT that lies in a bucket already.
const s3Scheme = "s3://"

// inputFlags say what a job reads, besides arguments.
type inputFlags struct {
	in          []string // as INPUT
	lists       []string // files of INPUT, a line each
	inventories []string // s3://bucket/key of manifest.json
	pick        pick.Filter
}

// add adds the flags. What of the input may be a file of this machine, files says.
func (o *inputFlags) add(c *cobra.Command, in, files string) {
	defer section(c.Flags(), inputSection)()
	c.Flags().StringArrayVar(&o.in, "in", nil, in)
	c.Flags().StringArrayVar(&o.lists, "in-list", nil, "read what the lines of this `file` name, each "+files+"; s3://bucket/key, or - for standard input; may be repeated")
	c.Flags().StringArrayVar(&o.inventories, "in-inventory", nil, "read the objects that an S3 Inventory lists, by its `s3://bucket/…/manifest.json`; may be repeated")
	addPick(c, &o.pick)
}

// addPick adds the flags of a filter.
func addPick(c *cobra.Command, p *pick.Filter) {
	c.Flags().StringArrayVar(&p.Include, "include", nil, "take only the input that matches this `glob`; may be repeated")
	c.Flags().StringArrayVar(&p.Exclude, "exclude", nil, "leave out the input that matches this `glob`; may be repeated")
}

// any tells whether the flags name input.
func (o *inputFlags) any() bool { return len(o.in)+len(o.lists)+len(o.inventories) > 0 }

// cutURL cuts s3://bucket/key; ok is false for what does not begin so.
func cutURL(text string) (bucket, key string, ok bool) {
	name, ok := strings.CutPrefix(text, s3Scheme)
	bucket, key, _ = strings.Cut(name, "/")
	return bucket, key, ok
}

// splitInput tells the INPUT that lies in buckets from that of this machine.
func splitInput(args []string) (here, there []string) {
	for _, arg := range args {
		if strings.HasPrefix(arg, s3Scheme) {
			there = append(there, arg)
		} else {
			here = append(here, arg)
		}
	}
	return here, there
}

// local is what the flags name without a request: INPUT, with the lines of lists that
// are files of this machine.
func (o *inputFlags) local(p *printer) (args []string, err error) {
	if err := o.pick.Check(); err != nil {
		return nil, usagef("", "%w", err)
	}
	args = slices.Clone(o.in)
	if slices.ContainsFunc(args, isStdin) {
		return nil, usagef("name it as an argument", "--in %s is standard input", upload.Stdin)
	}
	for _, name := range o.lists {
		if strings.HasPrefix(name, s3Scheme) {
			continue
		}
		var data []byte
		if isStdin(name) {
			data, err = io.ReadAll(p.io.In)
		} else {
			data, err = os.ReadFile(name)
		}
		if err != nil {
			return nil, usagef("", "--in-list: %w", err)
		}
		lines, err := listed(name, data)
		if err != nil {
			return nil, err
		}
		args = append(args, lines...)
	}
	return args, nil
}

// isStdin tells whether a path is the standard input.
func isStdin(path string) bool { return path == upload.Stdin || path == "/dev/stdin" }

// listed returns the lines of a list. Blank ones, and those that begin with #, are
// passed over.
func listed(name string, data []byte) (lines []string, err error) {
	scan := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; scan.Scan(); n++ {
		line := strings.TrimSuffix(scan.Text(), "\r")
		switch {
		case strings.TrimSpace(line) == "" || line[0] == '#':
		case isStdin(line):
			return nil, usagef("name it as an argument", "line %d of the list %s is standard input", n, name)
		default:
			lines = append(lines, line)
		}
	}
	switch {
	case scan.Err() != nil:
		return nil, usagef("a line is a path or s3://bucket/key", "the list %s: %w", name, scan.Err())
	case len(lines) == 0:
		return nil, usagef("", "the list %s names nothing", name)
	}
	return lines, nil
}

// parseSource reads s3://bucket/key: a folder, an object or the folder of that name, or
// a pattern.
func parseSource(arg string) (coordinator.Source, error) {
	bucket, key, ok := cutURL(arg)
	s := coordinator.Source{Bucket: bucket, Prefix: key, Kind: coordinator.Named}
	switch {
	case !ok || !layout.ValidBucket(bucket):
		return s, usagef("such as s3://bucket/folder/, s3://bucket/folder/object or 's3://bucket/folder/**/*.gz'", "%q names no object and no folder of a bucket", arg)
	case strings.Contains(key, "?versionId="):
		return s, usagef("a job reads the current version of an object, and no other", "%s names a version", arg)
	case pick.IsPattern(key):
		s.Kind = coordinator.Matching
		if _, err := pick.Parse(key); err != nil {
			return s, usagef("", "%s: %w", arg, err)
		}
	case key == "" || strings.HasSuffix(key, "/"):
		s.Kind = coordinator.Below
	}
	return s, nil
}

// parseSources reads what INPUT names in buckets, and what the flags name as
// inventories. No request is sent.
func (o *inputFlags) parseSources(args []string) (sources []coordinator.Source, err error) {
	for _, arg := range args {
		s, err := parseSource(arg)
		if err != nil {
			return nil, err
		}
		sources = append(sources, s)
	}
	for _, arg := range o.inventories {
		s, err := parseSource(arg)
		if err == nil && s.Kind != coordinator.Named {
			err = usagef("such as s3://bucket/inventory/2026-01-01T00-00Z/manifest.json", "--in-inventory %s names no object", arg)
		}
		if err != nil {
			return nil, err
		}
		s.Kind = coordinator.Listed
		sources = append(sources, s)
	}
	return sources, nil
}

// elsewhere reads what the flags name, which must all lie in buckets.
func (o *inputFlags) elsewhere(p *printer) ([]coordinator.Source, error) {
	named, err := o.local(p)
	if err != nil {
		return nil, err
	}
	return o.parseSources(named)
}

// mostList bounds a list in a bucket, in bytes.
const mostList = 256 << 20

// remote adds to sources what the lists name that lie in buckets.
func (o *inputFlags) remote(ctx context.Context, st *store, c *config.Loaded, sources []coordinator.Source) ([]coordinator.Source, error) {
	for _, name := range o.lists {
		if !strings.HasPrefix(name, s3Scheme) {
			continue
		}
		s, err := parseSource(name)
		if err == nil && s.Kind != coordinator.Named {
			err = usagef("", "--in-list %s names no object", name)
		}
		if err != nil {
			return nil, err
		}
		data, err := st.fetchList(ctx, c, s)
		if err != nil {
			return nil, inputError(err)
		}
		lines, err := listed(name, data)
		if err != nil {
			return nil, err
		}
		if here, _ := splitInput(lines); len(here) > 0 {
			return nil, usagef("a list in a bucket names s3://bucket/key alone", "the list %s names %q", name, here[0])
		}
		more, err := new(inputFlags).parseSources(lines)
		if err != nil {
			return nil, err
		}
		sources = append(sources, more...)
	}
	seen := map[coordinator.Source]bool{}
	return slices.DeleteFunc(sources, func(s coordinator.Source) bool {
		again := seen[s]
		seen[s] = true
		return again
	}), nil
}

// fetchList returns an object that is a list.
func (s *store) fetchList(ctx context.Context, c *config.Loaded, at coordinator.Source) ([]byte, error) {
	var from coordinator.Lister = s.Store
	var access manifest.Access
	if at.Bucket != s.Bucket() {
		b, err := s.reach(c)(ctx, at.Bucket)
		if err != nil {
			return nil, err
		}
		from, access = b, b.Access()
	}
	body, err := from.OpenChunks(ctx, at.Prefix, "", 0, -1, 4<<20, 2)
	if err != nil {
		return nil, &coordinator.SourceError{Source: at, Access: access, Err: err}
	}
	data, err := io.ReadAll(io.LimitReader(body, mostList))
	return data, errors.Join(err, body.Close())
}

// inputError explains why a source cannot be read.
func inputError(err error) error {
	var nothing *coordinator.NothingError
	var archived *coordinator.ArchivedError
	var failed *coordinator.SourceError
	switch {
	case errors.Is(err, coordinator.ErrNotShipped):
		return &Error{Code: ExitUsage, What: err.Error(), Hint: "start the coordinator with the flags that began the job: --file and --archive ship the files again"}
	case errors.As(err, &nothing):
		return &Error{Code: ExitUsage, What: err.Error(), Hint: showSource(nothing.Source, nothing.Access)}
	case errors.As(err, &archived):
		return &Error{Code: ExitUsage, What: err.Error(),
			Hint: "restore it (`aws s3api restore-object`), or leave it out with --exclude " + shellQuote(archived.Place)}
	case errors.As(err, &failed):
		return sourceError(failed)
	}
	return err
}

// isInputError tells whether inputError explains an error: of input, or of files that
// the job ships.
func isInputError(err error) bool {
	var nothing *coordinator.NothingError
	var archived *coordinator.ArchivedError
	var failed *coordinator.SourceError
	return errors.Is(err, coordinator.ErrNotShipped) || errors.As(err, &nothing) || errors.As(err, &archived) || errors.As(err, &failed)
}

// showSource says how the user sees what is in a bucket.
func showSource(s coordinator.Source, a manifest.Access) string {
	dir := s.Prefix
	switch keys, err := pick.Parse(dir); {
	case s.Kind == coordinator.Listed:
		return ""
	case s.Kind == coordinator.Matching && err == nil:
		dir = keys.Prefixes()[0]
	default:
		dir = strings.TrimSuffix(dir, "/")
	}
	at := shellQuote(layout.Place(s.Bucket, dir[:strings.LastIndexByte(dir, '/')+1]))
	if a == (manifest.Access{}) {
		return "`mraws hadoop fs -ls " + at + "` shows what is there"
	}
	line := "aws s3 ls"
	if a.Unsigned {
		line += " --no-sign-request"
	}
	if a.RequesterPays {
		line += " --request-payer requester"
	}
	return "`" + line + " " + at + "` shows what is there"
}

// sourceError explains why a place cannot be listed or read.
func sourceError(failed *coordinator.SourceError) error {
	var told *Error
	var format *inventory.FormatError
	var s3 *s3fs.Error
	out := &Error{What: failed.Error()}
	out.What, out.Cause = split(failed)
	switch {
	case errors.As(failed, &told):
		return told
	case errors.As(failed, &format):
		out.Code, out.Hint = ExitUsage, "configure the inventory to write CSV or Parquet, or name the objects by a pattern"
	case errors.Is(failed, coordinator.ErrNoParquet):
		out.Code, out.Hint = ExitUsage, "give the program the part: cli.With(parquet.Files()).Main(app), or configure the inventory to write CSV"
	case errors.Is(failed, s3fs.ErrNoBucket):
		out.Code, out.What, out.Cause = ExitUsage, "there is no bucket "+failed.Source.Bucket, failed.Err
		if errors.As(failed, &s3) {
			out.What = "there is no bucket " + s3.Bucket
		}
		out.Hint = "check its name, and by --input-store on which server it lies"
	case errors.Is(failed, fs.ErrNotExist):
		out.Code = ExitUsage
		out.Hint = showSource(coordinator.Source{Bucket: failed.Source.Bucket, Prefix: failed.Source.Prefix}, failed.Access)
	case errors.Is(failed, object.ErrCredentials) && !errors.Is(failed, s3fs.ErrClock):
		_, out.Hint = classify(failed, 0, "")
		out.Hint += "\na public bucket is read without credentials: --no-sign-request"
	case errors.Is(failed, fs.ErrPermission) && errors.As(failed, &s3):
		out.Hint = deniedHint(s3)
	case !errors.As(failed, &s3): // an inventory that is no good
		out.Code = ExitUsage
	}
	return out
}

// deniedHint says what may give access to a bucket of input.
func deniedHint(e *s3fs.Error) string {
	switch {
	case e.Access.Unsigned:
		return "the bucket does not let everybody do so: leave out --no-sign-request, and allow " + e.Action + " on s3://" + e.Bucket + " to your credentials"
	case e.Access.RequesterPays:
		return storeHint(e)
	}
	return storeHint(e) + "\nif its requesters pay: --request-payer requester\nif it is public: --no-sign-request"
}
