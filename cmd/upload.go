package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/pick"
	"github.com/mraws/mraws/internal/upload"
)

func (f *frame) uploadCommand() *cobra.Command {
	var take pick.Filter
	var dryRun bool
	c := &cobra.Command{
		Use:   "upload-input PATH...",
		Short: "Upload files, folders and globs to input/",
		Long: "Upload files, folders and globs to input/. A file keeps its base name, a folder\n" +
			"its tree below its base name, a file of a quoted glob (** is any depth) its path after the\n" +
			"fixed part. Files whose name begins with a dot or \"_\" are skipped unless\n" +
			"named. - is standard input, and a pipe is read to its end. A file whose object\n" +
			"has the same size and checksum is not sent again.",
		Example: "  " + f.name + " upload-input books/*.txt\n" +
			"  " + f.name + " upload-input logs --include '*.log'\n" +
			"  " + f.name + " upload-input 'src/**/*.{go,md}' --dry-run",
		Args: cobra.MinimumNArgs(1),
		RunE: f.run(func(ctx context.Context, s *session, args []string) error {
			plan, err := findInput(s.conf, args, take)
			if err != nil {
				return err
			}
			if dryRun {
				warnOfSkipped(s.log, plan)
				return printPlan(s, plan)
			}
			return uploadFiles(ctx, s, plan)
		}),
	}
	addPick(c, &take)
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only list what would be uploaded")
	f.givesName(c, "name of the job that the input is for")
	return c
}

func uploadFiles(ctx context.Context, s *session, plan *upload.Plan) (err error) {
	defer func() { err = errors.Join(err, plan.Close()) }()
	warnOfHidden(s.log, s.layout, plan)
	if err := s.spool(ctx, plan); err != nil {
		return err
	}
	var report upload.Report
	err = s.withStore(ctx, func(st *store) (err error) { report, err = s.uploadPlan(ctx, st, plan); return err })
	if err != nil {
		return err
	}
	if s.forMachines() {
		return s.printDoc(struct {
			Schema        string  `json:"schema"`
			Bucket        string  `json:"bucket"`
			Dir           string  `json:"dir"`
			Uploaded      int     `json:"uploaded"`
			UploadedBytes int64   `json:"uploaded_bytes"`
			Same          int     `json:"same"`
			SameBytes     int64   `json:"same_bytes"`
			Skipped       int     `json:"skipped"`
			Seconds       float64 `json:"seconds"`
		}{"mraws/upload/v1", s.conf.Bucket, s.layout.InputDir(), report.Uploaded, report.UploadedBytes,
			report.Same, report.SameBytes, len(plan.Skipped), report.Duration.Seconds()})
	}
	return s.say("%s", uploadText(s.target, report))
}

// uploadText is the summary of an upload.
func uploadText(t *target, r upload.Report) string {
	text := fmt.Sprintf("uploaded %s (%s) to s3://%s/%s in %s", countText(int64(r.Uploaded), "file"),
		bytesText(r.UploadedBytes), t.conf.Bucket, t.layout.InputDir(), r.Duration.Round(time.Millisecond))
	if r.Same > 0 {
		text += fmt.Sprintf("; %s (%s) there already", countText(int64(r.Same), "file"), bytesText(r.SameBytes))
	}
	return text
}

type planFileJSON struct {
	Path string `json:"path"`
	Key  string `json:"key"`
	Size int64  `json:"size"`
}

func printPlan(s *session, plan *upload.Plan) error {
	if s.forMachines() {
		files := []planFileJSON{}
		for _, file := range plan.Files {
			files = append(files, planFileJSON{file.Path, s.layout.Input(file.Name), file.Size})
		}
		return printList(s.printer, struct {
			Schema string         `json:"schema"`
			Bucket string         `json:"bucket"`
			Bytes  int64          `json:"bytes"`
			Files  []planFileJSON `json:"files"`
		}{"mraws/upload-plan/v1", s.conf.Bucket, plan.Bytes, files}, files)
	}
	for _, file := range plan.Files {
		if err := s.say("%s -> s3://%s/%s", escape.Line(file.Path), s.conf.Bucket, escape.Line(s.layout.Input(file.Name))); err != nil {
			return err
		}
	}
	s.note("would upload %s, %s", countText(int64(len(plan.Files)), "file"), bytesText(plan.Bytes))
	return nil
}
