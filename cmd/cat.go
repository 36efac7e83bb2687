package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/s3fs"
)

// catFlags are those of `cat`.
type catFlags struct {
	partition, head int // -1 is all
	raw             bool
	name, out       string
}

func (f *frame) catCommand() *cobra.Command {
	o := &catFlags{}
	c := &cobra.Command{
		Use:   "cat",
		Short: "Print the output of a job",
		Long: "Print the lines of output/mr-out-* in order of partition. Lines are sorted by key within\n" +
			"each partition; pipe them through sort for one order over all partitions. Output that is\n" +
			"compressed is printed as what it was before, rows of Parquet as lines of JSON, and the header\n" +
			"of CSV and TSV once. Of an output that is partitioned the rows are printed folder by folder,\n" +
			"without the columns that name these. With --named it is the named output of that name in place of the output.\n" +
			"With --out the file has its name once it is whole.",
		Example: "  " + f.name + " cat --head 20\n  " + f.name + " cat last\n  " + f.name + " cat --partition 3 --out part\n  " + f.name + " cat --named errors",
		RunE: f.run(func(ctx context.Context, s *session, _ []string) error {
			switch {
			case o.partition < -1:
				return usagef("partitions are numbered from 0; -1 is all", "there is no partition %d", o.partition)
			case o.head < -1:
				return usagef("-1 is all", "invalid --head %d", o.head)
			}
			return s.withStore(ctx, func(st *store) error { return printOutput(ctx, s, st, o) })
		}),
	}
	c.Flags().IntVar(&o.partition, "partition", -1, "only this partition; -1 is all")
	c.Flags().IntVar(&o.head, "head", -1, "only this many lines; -1 is all")
	c.Flags().StringVar(&o.out, "out", "", "write to this `file` in place of stdout")
	c.Flags().StringVar(&o.name, "named", "", "the named output of this `name`; empty is the output")
	c.Flags().BoolVar(&o.raw, "raw", false, "print the bytes of the objects as they are stored")
	f.takesJob(c, 0)
	completes(c, "partition", f.completePartitions)
	completes(c, "named", f.completeNamed)
	return paging(c)
}

func printOutput(ctx context.Context, s *session, st *store, o *catFlags) error {
	if o.name != "" {
		return printNamed(ctx, s, st, o)
	}
	outputs, done, err := findOutputs(ctx, st.Store, s.layout, o.partition)
	from := st.Store
	if err == nil && len(outputs) == 0 {
		job, jerr := s.readJob(ctx, st)
		if jerr != nil {
			return jerr
		}
		lay := job.Layout(s.layout)
		if lay != s.layout {
			if job.OutputAt.Bucket != "" {
				from = st.In(job.OutputAt.Bucket)
			}
			outputs, done, err = findOutputs(ctx, from, lay, o.partition)
		}
		if err == nil && len(outputs) == 0 {
			return noOutput(job, layout.Place(from.Bucket(), lay.OutputDir()), o.partition)
		}
		if err == nil && job.Output.Partitioned() {
			return printPartitions(ctx, s, from, job, o)
		}
	}
	if err != nil {
		return err
	}
	if !done {
		s.note("the job is not finished: its output is incomplete")
	}
	return s.printOutputs(ctx, from, outputs, o)
}

// printPartitions prints the rows of an output that is partitioned. They are there once
// the job is done.
func printPartitions(ctx context.Context, s *session, from *s3fs.Store, job *manifest.Job, o *catFlags) error {
	success, _, err := jobstate.ReadSuccess(ctx, from, job.Layout(s.layout), job.ID)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usagef("`mraws status` shows the progress of the job", "the partitions of the output of job %s are there when it is done", job.ID)
	case err != nil:
		return err
	}
	objects := map[int]object.Info{}
	for i, p := range success.Partitions {
		if o.partition < 0 || o.partition == p.Task {
			objects[i] = object.Info{Key: p.Key, Size: p.Size}
		}
	}
	return s.printOutputs(ctx, from, objects, o)
}

// printNamed prints a named output. Its objects are there once the job is done.
func printNamed(ctx context.Context, s *session, st *store, o *catFlags) error {
	name, partition := o.name, o.partition
	job, err := s.readJob(ctx, st)
	if err != nil {
		return err
	}
	from, lay := st.Store, job.Layout(s.layout)
	if job.OutputAt.Bucket != "" {
		from = st.In(job.OutputAt.Bucket)
	}
	success, _, err := jobstate.ReadSuccess(ctx, from, lay, job.ID)
	names := namesOf(job)
	switch {
	case !slices.Contains(names, name) && len(names) > 0:
		return usagef(nearHint(name, names)+"it has "+strings.Join(names, ", "), "job %s has no named output %q", job.ID, name)
	case !slices.Contains(names, name):
		return usagef("it has none", "job %s has no named output %q", job.ID, name)
	case partition >= job.Outputs():
		return noOutput(job, "", partition)
	case errors.Is(err, fs.ErrNotExist):
		return usagef("`mraws status` shows the progress of the job", "the named outputs of job %s are there when it is done", job.ID)
	case err != nil:
		return err
	}
	outputs := map[int]object.Info{}
	for _, n := range success.Named {
		if n.Name == name && (partition < 0 || partition == n.Task) {
			outputs[n.Task] = object.Info{Key: n.Key, Size: n.Size}
		}
	}
	return s.printOutputs(ctx, from, outputs, o)
}

// namesOf are the named outputs of a job.
func namesOf(job *manifest.Job) (names []string) {
	for _, n := range job.Output.Named() {
		names = append(names, n.Name)
	}
	return names
}

// printOutputs prints lines of outputs, in order of partition.
func (s *session) printOutputs(ctx context.Context, from *s3fs.Store, outputs map[int]object.Info, o *catFlags) error {
	defer s.followReads(from, outputs, o)()
	to := s.printData
	if o.out != "" {
		to = func(write func(io.Writer) error) error { return writeFile(o.out, write) }
	}
	return to(func(w io.Writer) error {
		out, head := bufio.NewWriterSize(w, 64<<10), o.head
		for i, r := range slices.Sorted(maps.Keys(outputs)) {
			n, err := s.printOne(ctx, from, outputs[r], out, head, o.raw, i == 0)
			if err != nil {
				return fmt.Errorf("print %s: %w", outputs[r].Key, err)
			}
			if head >= 0 {
				if head -= n; head <= 0 {
					break
				}
			}
		}
		return out.Flush()
	})
}

// followReads shows how much of the outputs has been read, unless they can be seen
// themselves.
func (s *session) followReads(from *s3fs.Store, outputs map[int]object.Info, o *catFlags) (over func()) {
	if o.head >= 0 || o.out == "" && (s.term.out || s.form() == "bar" && isPipe(s.out.first)) {
		return func() {}
	}
	var total int64
	for _, out := range outputs {
		total += out.Size
	}
	before := from.Activity().Received
	return s.followOne("read", false, func() (done, all int64) { return min(from.Activity().Received-before, total), total })
}

// writeFile has write fill a file, which has its name once it is whole.
func writeFile(path string, write func(io.Writer) error) (err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return usagef("name another file with --out", "cannot write to %s: it is no file", path)
	}
	part := path + partialFile
	f, err := os.Create(part)
	if err != nil {
		return &Error{Code: ExitUsage, What: "cannot write to " + path, Cause: err, Hint: "name a file in a folder that exists with --out"}
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// partialFile ends the name of a file until it is whole.
const partialFile = ".mraws-partial"

// printOne prints up to head lines of an output, all for -1, and returns how many. A
// header is printed of the first output only, and is no line.
func (s *session) printOne(ctx context.Context, st *s3fs.Store, o object.Info, out *bufio.Writer, head int, raw, first bool) (n int, err error) {
	open := s.openOutput
	if raw {
		open = func(ctx context.Context, st *s3fs.Store, key string, _ int64) (io.ReadCloser, error) {
			return st.OpenRange(ctx, key, "", 0, -1)
		}
	}
	body, err := open(ctx, st, o.Key, o.Size)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	from := io.Reader(body)
	if !raw && hasHeader(o.Key) {
		in := bufio.NewReader(body)
		header, err := in.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if first {
			if _, err := out.Write(header); err != nil {
				return 0, err
			}
		}
		from = in
	}
	return copyLines(out, from, head)
}

// hasHeader tells whether the first line of an output has the names of columns.
func hasHeader(key string) bool {
	name := strings.TrimSuffix(strings.TrimSuffix(key, ".gz"), ".zst")
	return strings.HasSuffix(name, ".csv") || strings.HasSuffix(name, ".tsv")
}

// findOutputs lists the outputs, of one partition or of all for -1, and says
// whether the job is done.
func findOutputs(ctx context.Context, st *s3fs.Store, lay layout.Layout, partition int) (outputs map[int]object.Info, done bool, err error) {
	outputs = map[int]object.Info{}
	for o, err := range st.List(ctx, lay.OutputDir()) {
		if err != nil {
			return nil, false, err
		}
		done = done || o.Key == lay.Success()
		if r, ok := lay.ParseOutput(o.Key); ok && (partition < 0 || r == partition) {
			outputs[r] = o
		}
	}
	return outputs, done, nil
}

// noOutput says why there is nothing to print.
func noOutput(job *manifest.Job, where string, partition int) error {
	switch {
	case partition >= job.Outputs():
		return usagef("they are numbered from 0", "there is no partition %d: job %s has %s", partition, job.ID, countText(int64(job.Outputs()), "partition"))
	case partition >= 0:
		return usagef("`mraws status` shows the progress of the job", "there is no output of partition %d yet in %s", partition, where)
	}
	return usagef("`mraws status` shows the progress of the job", "there is no output yet in %s", where)
}

// copyLines copies up to most lines, all if most is negative, and returns
// how many.
func copyLines(w io.Writer, r io.Reader, most int) (int, error) {
	if most < 0 {
		_, err := io.Copy(w, r)
		return 0, err
	}
	in, n := bufio.NewReader(r), 0
	for n < most {
		line, err := in.ReadSlice('\n')
		if _, werr := w.Write(line); werr != nil {
			return n, werr
		}
		switch {
		case err == nil:
			n++
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return n, nil
		default:
			return n, err
		}
	}
	return n, nil
}
