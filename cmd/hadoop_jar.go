package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/hadoop"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
)

// hadoopStreaming is one run of `hadoop jar`.
type hadoopStreaming struct {
	*jobRun
	line *hadoop.Streaming
	root hadoop.Root
	id   string // of the job, as Hadoop has them
	dir  string // for files that are fetched, until the end
}

// hadoopJar is `hadoop jar`: the name of the jar and its arguments.
func (s *session) hadoopJar(ctx context.Context, args []string) (err error) {
	if len(args) == 0 {
		return usagef("any name will do: it is not read", "hadoop jar needs the name of a jar")
	}
	line, err := hadoop.ParseStreaming(args[1:])
	if err != nil {
		return usagef("", "hadoop jar: %w", err)
	}
	if _, err := manifest.ParseSortFields(line.Sort); line.Sort != "" && err != nil {
		return usagef("", "hadoop jar: %s=%s: %w", hadoop.ComparatorOptions, line.Sort, err)
	}
	// As for Hadoop, a job goes on when nobody reads its messages any more, and its end
	// removes what is temporary.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	for _, name := range line.Ignored {
		s.log.Debug().Str("property", name).Msg("this property has no effect; commands have it in their environment")
	}
	j := &hadoopStreaming{
		jobRun: &jobRun{session: s, flags: &runFlags{jobFlags: &jobFlags{allowEmpty: true}}},
		line:   line, root: s.hadoopRoot(), id: fmt.Sprintf("job_%d_%04d", time.Now().UnixMilli(), 1+rand.N(9999)),
	}
	j.watch = j.watchPercent
	if j.dir, err = os.MkdirTemp(cmp.Or(s.conf.Scratch, os.TempDir()), "mraws-hadoop-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(j.dir)) }()
	if j.st, err = s.openStore(ctx, embedded); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.st.Close()) }()
	success, err := j.run(ctx)
	if err != nil {
		return j.failed(err)
	}
	text := hadoop.Counters(hadoopCounters(success, line.Reducer != ""))
	j.tell("INFO", "mapreduce.Job", text)
	j.tell("INFO", "streaming.StreamJob", "Output directory: "+j.outputURI())
	return nil
}

// run runs the job.
func (j *hadoopStreaming) run(ctx context.Context) (success *manifest.Success, err error) {
	for _, step := range []func(context.Context) error{j.findOutput, j.findInput, j.settings} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	if err := j.choose(ctx); err != nil {
		return nil, err
	}
	if err := j.complete(); err != nil {
		return nil, err
	}
	if j.host, err = newExecHost(j.session, j.st); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, j.host.Close()) }()
	j.flags.jobID, j.layout, j.ownPrefix = j.id, layout.New(j.hadoopJob(j.id)), true
	if j.line.Name != "" {
		j.tell("INFO", "mapreduce.Job", "Job name: "+j.line.Name)
	}
	j.tell("INFO", "mapreduce.Job", "Running job: "+j.id)
	success, _, err = j.job(ctx)
	if err == nil {
		j.tell("INFO", "mapreduce.Job", "Job "+j.id+" completed successfully")
	}
	return success, err
}

// tell writes a line of Hadoop's log.
func (j *hadoopStreaming) tell(level, logger, text string) {
	_, _ = io.WriteString(safely{j.io.Err}, hadoop.Log(time.Now(), level, logger, text)) // nowhere left to report to
}

// outputURI is the place of the output, with a scheme: mrjob looks for one.
func (j *hadoopStreaming) outputURI() string {
	if strings.Contains(j.line.Output, "://") {
		return j.line.Output
	}
	p, err := j.root.Parse(j.line.Output)
	if err != nil {
		return j.line.Output
	}
	return "hdfs:///" + p.Name
}

// findOutput sets the place of the output, which must not exist.
func (j *hadoopStreaming) findOutput(ctx context.Context) error {
	p, err := j.root.Parse(j.line.Output)
	if err != nil {
		return usagef("", "-output: %w", err)
	}
	place := manifest.Place{Bucket: p.Bucket, Dir: p.Folder()}
	if err := place.Validate(); err != nil {
		return usagef("name another folder", "-output %s: %w", j.line.Output, err)
	}
	there, err := hadoop.Find(ctx, j.st.In(p.Bucket), p)
	switch {
	case err != nil:
		return err
	case len(there) > 0:
		return &Error{Code: ExitInternal, What: "Output directory " + j.outputURI() + " already exists",
			Hint: "`mraws hadoop fs -rm -R " + shellQuote(j.line.Output) + "` removes it"}
	}
	j.flags.outputAt = place.String()
	return nil
}

// findInput sets where the input lies.
func (j *hadoopStreaming) findInput(ctx context.Context) error {
	for _, in := range j.line.Inputs {
		p, err := j.root.Parse(in)
		if err != nil {
			return usagef("", "-input: %w", err)
		}
		found, err := hadoop.Find(ctx, j.st.In(p.Bucket), p)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return &Error{Code: ExitInternal, What: "Input path does not exist: " + in}
		}
		for _, e := range found {
			s := coordinator.Source{Bucket: p.Bucket, Prefix: e.Key}
			if !e.Folder {
				s.Kind = coordinator.Object
				if layout.Hidden(e.Key) {
					continue
				}
			}
			j.flags.sources = append(j.flags.sources, s)
		}
	}
	return nil
}

// settings makes settings of a run of the options.
func (j *hadoopStreaming) settings(ctx context.Context) error {
	o, l := &j.flags.exec, j.line
	o.mapper, o.combiner, o.reducer = l.Mapper, l.Combiner, l.Reducer
	o.env, o.separator, o.keyFields, o.keySeparator = l.Env, l.Separator, l.KeyFields, l.KeySeparator
	o.partitionFields, o.sort = l.PartitionFields, l.Sort
	o.executable, o.offsets = true, l.Offsets
	j.flags.perTask = l.LinesPerTask
	switch {
	case l.Reduces > 0:
		j.conf.NReduce = l.Reduces
	case l.Reducer != "" && !j.conf.IsSet("nreduce"):
		j.conf.NReduce = 1 // as for Hadoop
	}
	var err error
	if o.files, err = j.local(ctx, l.Files); err == nil {
		o.archives, err = j.local(ctx, l.Archives)
	}
	return err
}

// local returns the paths of files on this machine, with #name. It fetches those that
// lie in a bucket.
func (j *hadoopStreaming) local(ctx context.Context, files []string) (paths []string, err error) {
	for i, file := range files {
		file, name, named := strings.Cut(file, "#")
		scheme, _, uri := strings.Cut(file, "://")
		switch {
		case uri && scheme == "file":
			file = strings.TrimPrefix(file, "file://")
		case uri:
			if file, err = j.fetch(ctx, file, strconv.Itoa(i)); err != nil {
				return nil, err
			}
		}
		if named {
			file += "#" + name
		}
		paths = append(paths, file)
	}
	return paths, nil
}

// fetch fetches a file into a new folder.
func (j *hadoopStreaming) fetch(ctx context.Context, uri, folder string) (string, error) {
	p, err := j.root.Parse(uri)
	if err != nil {
		return "", usagef("", "a file to ship: %w", err)
	}
	st := j.st.In(p.Bucket)
	found, err := hadoop.Find(ctx, st, p)
	switch {
	case err != nil:
		return "", err
	case len(found) != 1 || found[0].Folder:
		return "", &Error{Code: ExitInternal, What: "File does not exist: " + uri}
	}
	dir, err := os.MkdirTemp(j.dir, folder+"-")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, p.Base())
	return file, hadoop.Fetch(ctx, st, found[0], file, 0o700)
}

// watchPercent tells how far the job is, in the words of Hadoop, until over is called.
func (j *hadoopStreaming) watchPercent(c *coordinator.Coordinator) (over func(done bool)) {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	told := ""
	tell := func(maps, reduces int) {
		if text := fmt.Sprintf(" map %d%% reduce %d%%", maps, reduces); text != told {
			told = text
			j.tell("INFO", "mapreduce.Job", text)
		}
	}
	tell(0, 0)
	watching.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if st := c.Status(ctx); st.GetMap().GetTasks() > 0 {
				tell(int(100*st.Map.Done/st.Map.Tasks), int(100*st.Reduce.Done/max(st.Reduce.Tasks, 1)))
			}
		}
	})
	return func(bool) { cancel(); watching.Wait() }
}

// failed tells of the failure of a job as Hadoop does.
func (j *hadoopStreaming) failed(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		j.tell("ERROR", "streaming.StreamJob", "Job not successful!")
		return err
	}
	switch {
	case e.Code == ExitUsage:
		return err
	case e.Code == ExitJobFailed && e.Cause != nil:
		e.Code, e.Hint = ExitInternal, ""
		if m := failedTask.FindStringSubmatch(e.Cause.Error()); m != nil {
			task, _ := strconv.Atoi(m[2]) // digits
			j.tell("INFO", "mapreduce.Job", fmt.Sprintf("Task Id : attempt_%s_%s_%06d_0, Status : FAILED\nError: %v",
				strings.TrimPrefix(j.id, "job_"), m[1][:1], task, e.Cause))
			e.Hint = "`mraws replay " + m[1] + "-" + m[2] + "` runs only this task again"
		}
		j.tell("ERROR", "streaming.StreamJob", "Job not successful!")
	default:
		j.tell("ERROR", "streaming.StreamJob", "Error Launching job : "+e.What)
	}
	_, _ = io.WriteString(j.io.Err, "Streaming Command Failed!\n") // nowhere left to report to
	return err
}

// hadoopCounters are the counters of a job by the names of Hadoop, and its own.
func hadoopCounters(s *manifest.Success, reduces bool) []hadoop.Counter {
	const framework = "Map-Reduce Framework"
	lines, bytes := s.Wrote()
	all := []hadoop.Counter{
		{Group: "File Input Format Counters", Name: "Bytes Read", N: s.Input.Bytes},
		{Group: "File Output Format Counters", Name: "Bytes Written", N: bytes},
		{Group: "Job Counters", Name: "Launched map tasks", N: int64(s.Map.Tasks)},
		{Group: framework, Name: "Map input records", N: s.Input.Records},
		{Group: framework, Name: "Map output records", N: s.Emitted},
	}
	if reduces {
		all = append(all,
			hadoop.Counter{Group: "Job Counters", Name: "Launched reduce tasks", N: int64(s.Reduce.Tasks)},
			hadoop.Counter{Group: framework, Name: "Reduce input groups", N: s.Keys},
			hadoop.Counter{Group: framework, Name: "Reduce input records", N: s.Read.Records},
			hadoop.Counter{Group: framework, Name: "Reduce output records", N: lines},
		)
	}
	return append(all, hadoop.UserCounters(s.Counters)...)
}
