package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/s3fs"
)

func (f *frame) catCommand() *cobra.Command {
	partition, head := -1, -1
	c := &cobra.Command{
		Use:   "cat",
		Short: "Print the output of a job",
		Long: "Print the lines of output/mr-out-* in order of partition. Lines are sorted by key within\n" +
			"each partition; pipe them through sort for one order over all partitions.",
		Example: "  " + f.name + " cat --head 20\n  " + f.name + " cat --partition 3 >part",
		Args:    cobra.NoArgs,
		RunE: f.run(func(ctx context.Context, s *session, _ []string) error {
			switch {
			case partition < -1:
				return usagef("partitions are numbered from 0; -1 is all", "there is no partition %d", partition)
			case head < -1:
				return usagef("-1 is all", "invalid --head %d", head)
			}
			return s.withStore(ctx, func(st *store) error { return printOutput(ctx, s, st, partition, head) })
		}),
	}
	c.Flags().IntVar(&partition, "partition", -1, "only this partition; -1 is all")
	c.Flags().IntVar(&head, "head", -1, "only this many lines; -1 is all")
	return c
}

func printOutput(ctx context.Context, s *session, st *store, partition, head int) error {
	outputs, done, err := findOutputs(ctx, st.Store, s.layout, partition)
	from := st.Store
	if err == nil && len(outputs) == 0 {
		job, jerr := s.readJob(ctx, st)
		if jerr != nil {
			return jerr
		}
		lay := job.Layout(s.layout)
		if job.OutputAt.Bucket != "" {
			from = st.In(job.OutputAt.Bucket)
			outputs, done, err = findOutputs(ctx, from, lay, partition)
		}
		if err == nil && len(outputs) == 0 {
			return noOutput(job, layout.Place(from.Bucket(), lay.OutputDir()), partition)
		}
	}
	if err != nil {
		return err
	}
	if !done {
		s.note("the job is not finished: its output is incomplete")
	}
	return s.printData(func(w io.Writer) error {
		out := bufio.NewWriterSize(w, 64<<10)
		for _, r := range slices.Sorted(maps.Keys(outputs)) {
			body, err := from.OpenRange(ctx, outputs[r], "", 0, -1)
			if err != nil {
				return err
			}
			n, err := copyLines(out, body, head)
			if err = errors.Join(err, body.Close()); err != nil {
				return fmt.Errorf("print %s: %w", outputs[r], err)
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

// findOutputs lists the keys of outputs, of one partition or of all for -1, and says
// whether the job is done.
func findOutputs(ctx context.Context, st *s3fs.Store, lay layout.Layout, partition int) (outputs map[int]string, done bool, err error) {
	outputs = map[int]string{}
	for o, err := range st.List(ctx, lay.OutputDir()) {
		if err != nil {
			return nil, false, err
		}
		done = done || o.Key == lay.Success()
		if r, ok := lay.ParseOutput(o.Key); ok && (partition < 0 || r == partition) {
			outputs[r] = o.Key
		}
	}
	return outputs, done, nil
}

// noOutput says why there is nothing to print.
func noOutput(job *manifest.Job, where string, partition int) error {
	switch {
	case partition >= job.NReduce:
		return usagef("they are numbered from 0", "there is no partition %d: job %s has %s", partition, job.ID, countText(int64(job.NReduce), "partition"))
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
