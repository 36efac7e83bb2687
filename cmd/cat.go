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
	outputs, done := map[int]string{}, false
	for o, err := range st.List(ctx, s.layout.OutputDir()) {
		if err != nil {
			return err
		}
		done = done || o.Key == s.layout.Success()
		if r, ok := s.layout.ParseOutput(o.Key); ok && (partition < 0 || r == partition) {
			outputs[r] = o.Key
		}
	}
	if len(outputs) == 0 {
		return noOutput(ctx, s, st, partition)
	}
	if !done {
		s.note("the job is not finished: its output is incomplete")
	}
	return s.printData(func(w io.Writer) error {
		out := bufio.NewWriterSize(w, 64<<10)
		for _, r := range slices.Sorted(maps.Keys(outputs)) {
			body, err := st.OpenRange(ctx, outputs[r], "", 0, -1)
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

// noOutput says why there is nothing to print.
func noOutput(ctx context.Context, s *session, st *store, partition int) error {
	job, err := s.readJob(ctx, st)
	switch {
	case err != nil:
		return err
	case partition >= job.NReduce:
		return usagef("they are numbered from 0", "there is no partition %d: job %s has %s", partition, job.ID, countText(int64(job.NReduce), "partition"))
	case partition >= 0:
		return usagef("`mraws status` shows the progress of the job", "there is no output of partition %d yet in s3://%s/%s", partition, st.Bucket(), s.layout.OutputDir())
	}
	return usagef("`mraws status` shows the progress of the job", "there is no output yet in s3://%s/%s", st.Bucket(), s.layout.OutputDir())
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
