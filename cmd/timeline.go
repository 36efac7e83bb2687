package cmd

import (
	"bufio"
	"context"
	"errors"

	"github.com/spf13/cobra"
)

func (f *frame) traceCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "trace",
		Short: "Print the timeline of a job for Perfetto",
		Long: "Print the timeline of a job as JSON in the Chrome trace format, which https://ui.perfetto.dev\n" +
			"opens: phases, takeovers and progress, and the attempts on the slots of each worker. It reads the\n" +
			"event log in the bucket, during the job or after it; no coordinator is needed.",
		Example: "  " + f.name + " trace --prefix runs/42 >trace.json",
		RunE: f.run(func(ctx context.Context, s *session, _ []string) error {
			return s.withStore(ctx, func(st *store) error {
				l, err := s.openLog(ctx, st)
				if err != nil {
					return err
				}
				state, err := l.replay(ctx)
				if err != nil {
					return err
				}
				out := bufio.NewWriterSize(s.io.Out, 64<<10)
				return errors.Join(state.WriteTrace(safely{out}), out.Flush())
			})
		}),
	}
	f.takesJob(c, 0)
	return c
}
