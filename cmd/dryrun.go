package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/estimate"
	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/jobs"
	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/task"
	"github.com/mraws/mraws/internal/upload"
)

// fleet is the workers that a job is expected to have.
type fleet struct {
	workers, processes int
	memory             int64 // of each, for one slot
	guessed            bool  // nobody has said how many there will be
}

// estimateJSON is what --dry-run says.
type estimateJSON struct {
	Schema      string           `json:"schema"`
	Bucket      string           `json:"bucket"`
	Prefix      string           `json:"prefix"`
	App         string           `json:"app"`
	Planned     string           `json:"planned,omitempty"` // the job that is there already
	Objects     int              `json:"objects"`
	Bytes       int64            `json:"bytes"`
	MapTasks    int              `json:"map_tasks"`
	ReduceTasks int              `json:"reduce_tasks"`
	Requests    map[string]int64 `json:"requests"`
	Sent        int64            `json:"sent"`
	Received    int64            `json:"received"`
	USD         float64          `json:"usd"`
	Region      string           `json:"region"`
	Prices      string           `json:"prices"`
	Seconds     float64          `json:"seconds,omitempty"`
	Workers     int              `json:"workers"`
	BasedOn     string           `json:"based_on,omitempty"` // the prefix of the job before
	Notes       []string         `json:"notes,omitempty"`
}

// dryRun plans the job, and says what it would ask of S3.
func (s *session) dryRun(ctx context.Context, st *store, c *coordinator.Coordinator, uploads *upload.Plan, f fleet) error {
	if err := c.Survey(ctx); err != nil {
		return s.roleError(err)
	}
	job, found, err := c.Plan(ctx)
	switch {
	case errors.Is(err, coordinator.ErrNoApp):
		return usagef("name it with --app", "%w", err)
	case errors.Is(err, coordinator.ErrExpectedLines):
		return usagef("`mraws upload-input` uploads it", "%w", err)
	case err != nil:
		return s.roleError(err)
	}
	rates, err := s.rates(st)
	if err != nil {
		return err
	}
	e := estimateJSON{
		Schema: "mraws/estimate/v1", Bucket: st.Bucket(), Prefix: s.layout.Prefix(), App: job.App.Name,
		MapTasks: len(job.Tasks), ReduceTasks: job.NReduce, Workers: f.workers, Region: rates.Region, Prices: rates.Date,
	}
	note := func(format string, args ...any) { e.Notes = append(e.Notes, fmt.Sprintf(format, args...)) }
	usual, from, err := s.usual(ctx, st, job)
	if err != nil {
		return err
	}
	if e.BasedOn = from; from == "" {
		note("no finished job of app %s in this bucket: segments and output are taken for half of the input's bytes each, and the time is not known", job.App.Name)
	}
	if found {
		e.Planned = job.ID
		note("the job is planned already, and the same line goes on with it: the estimate is of all of it")
	}
	if f.guessed {
		note("priced for one worker: each further worker process reads the %d map records once more", job.Maps())
	}
	if job.Reuse != (manifest.Reuse{}) {
		note("map tasks are taken over from %s: these read no input", job.Reuse.Job)
	}
	if uploads != nil && slices.ContainsFunc(job.Objects, func(o manifest.Object) bool { return o.Compression != "" }) {
		note("whether compressed files can be cut is known once they are uploaded")
	}
	if uploads != nil && input.Grouped(job.Input.Name) {
		note("how many map tasks read Parquet is known once it is uploaded: probably fewer")
	}
	all := estimate.Of(job, estimate.Setup{
		Workers: int64(f.workers), Processes: int64(f.processes), Trusted: st.Served(), Lease: s.conf.Lease, Events: s.conf.Events, Usual: usual,
		Chunk: func(total int64) int64 { return task.Chunk(f.memory, 1, total) },
		Reach: func(n, chunk int64) int64 { reach, _ := st.Reach(n, chunk); return reach },
		Cut: func(pairs int64) (part, whole int64) {
			return st.Cut(s3fs.PutOptions{Expect: pairs, Memory: task.OutputMemory(f.memory, 1)})
		},
	})
	e.Objects, e.Bytes, e.Seconds = all.Objects, all.Bytes, all.Time.Seconds()
	e.Requests, e.Sent, e.Received = all.Requests(), all.Sent, all.Received
	s.beside(&e, st, uploads, f)
	maps.DeleteFunc(e.Requests, func(_ string, n int64) bool { return n == 0 })
	e.USD = rates.Dollars(object.Traffic{Requests: e.Requests, Sent: e.Sent, Received: e.Received})
	if s.forMachines() {
		return s.printDoc(e)
	}
	return s.say("%s", estimateText(&e, s.width()))
}

// beside adds what a job asks of S3 that is not in the formula: opening the bucket, and
// the upload, with a look at whether the job or its input is there. The summary and the
// release of the announcement are not in a receipt.
func (s *session) beside(e *estimateJSON, st *store, uploads *upload.Plan, f fleet) {
	e.Requests["PutObject"] -= 2
	open := int64(1)
	if f.processes > 1 {
		open += int64(f.processes)
	}
	if st.Embedded {
		e.Requests["CreateBucket"] += open
	} else {
		e.Requests["ListObjectsV2"] += open
	}
	if uploads == nil {
		return
	}
	if !s.ownPrefix {
		e.Requests["GetObject"]++
		e.Requests["ListObjectsV2"] += 2
	}
	if n := len(uploads.Files); n > upload.StatUpTo {
		e.Requests["ListObjectsV2"]++
	} else {
		e.Requests["HeadObject"] += int64(n)
	}
	for _, file := range uploads.Files {
		w := estimate.FileWrites(file.Size)
		e.Requests["PutObject"] += w.Put
		e.Requests["CreateMultipartUpload"] += w.Create
		e.Requests["UploadPart"] += w.Part
		e.Requests["CompleteMultipartUpload"] += w.Complete
	}
	e.Sent += uploads.Bytes
}

// usual is what a job of this app usually makes of its input, by the newest finished job of
// it in the bucket, whose prefix it returns; "" is that there is none.
func (s *session) usual(ctx context.Context, st *store, job *manifest.Job) (u estimate.Usual, from string, err error) {
	u = estimate.Assumed()
	list, err := jobs.Find(ctx, jobOptions(st, ""))
	if err != nil {
		return u, "", fmt.Errorf("look for earlier jobs in s3://%s: %w", st.Bucket(), err)
	}
	done := slices.DeleteFunc(list.Jobs, func(j jobs.Job) bool {
		return j.State != jobs.Done || j.App != job.App.Name || j.InputBytes <= 0 || j.OutputAt != (manifest.Place{})
	})
	slices.SortStableFunc(done, func(a, b jobs.Job) int { return b.Seen.Compare(a.Seen) })
	for _, j := range done {
		lay := layout.New(j.Prefix)
		success, _, err := jobstate.ReadSuccess(ctx, st, lay, "")
		if err != nil || success.TakenOver > 0 || (success.NReduce == 0) != job.MapOnly() {
			continue // damaged, gone, or of another shape
		}
		before, _, err := jobstate.ReadJob(ctx, st, lay)
		if err != nil {
			continue
		}
		stored := int64(0)
		for _, o := range before.Objects {
			stored += o.Size
		}
		return estimate.UsualOf(success, stored), cmp.Or(j.Prefix, "."), nil
	}
	return u, "", nil
}

// estimateText is an estimate for people.
func estimateText(e *estimateJSON, width int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "would run %s in s3://%s: nothing is written\n", e.App, strings.TrimSuffix(e.Bucket+"/"+e.Prefix, "/"))
	line := func(name string, parts ...string) { b.WriteString(summaryLine(name, parts, width)) }
	line("read", bytesText(e.Bytes)+" in "+countText(int64(e.Objects), "object"))
	line("map", countText(int64(e.MapTasks), "task"))
	if e.ReduceTasks > 0 {
		line("reduce", countText(int64(e.ReduceTasks), "task"))
	}
	all := object.Traffic{Requests: e.Requests}
	parts := []string{
		"about " + countText(all.Count(), "request") + " (" + dollarsText(e.USD) + " on S3 in " + e.Region + ", prices of " + e.Prices + ")",
		bytesText(e.Received) + " received", bytesText(e.Sent) + " sent",
	}
	line("S3", append(parts, operationsText(e.Requests)...)...)
	if e.Seconds > 0 {
		line("time", "about "+secondsText(e.Seconds), "at the rate of s3://"+e.Bucket+"/"+e.BasedOn)
	}
	for _, n := range e.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// operationsText lists requests by operation, most first.
func operationsText(requests map[string]int64) (parts []string) {
	names := slices.SortedFunc(maps.Keys(requests), func(a, b string) int {
		return cmp.Or(cmp.Compare(requests[b], requests[a]), cmp.Compare(a, b))
	})
	for _, name := range names {
		if n := requests[name]; n > 0 {
			parts = append(parts, humanize.Comma(n)+" "+name)
		}
	}
	return parts
}

// expected are the objects of a plan as they are going to be uploaded.
func expected(plan *upload.Plan) []manifest.Object {
	if plan == nil {
		return nil
	}
	objects := make([]manifest.Object, len(plan.Files))
	for i, file := range plan.Files {
		objects[i] = manifest.Object{Name: file.Name, Size: file.Size, ETag: `"not-uploaded-yet"`}
	}
	return objects
}
