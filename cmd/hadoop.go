package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/hadoop"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/reset"
)

// hadoopVersion is the version of Hadoop whose command line this one is: programs
// such as mrjob ask for it to know which commands there are.
const hadoopVersion = "3.3.6"

// Where the file system and the jobs of `hadoop` lie below the prefix.
const (
	hadoopFiles = "fs"
	hadoopJobs  = "jobs"
)

func (f *frame) hadoopCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "hadoop version | fs COMMAND... | jar JAR OPTION...",
		Short: "Take the command lines of Hadoop Streaming and of hadoop fs",
		Long: "Run command lines that were written for Hadoop Streaming, and serve as the program hadoop of mrjob.\n\n" +
			"  version         the version of Hadoop that this is like\n" +
			"  fs COMMAND...   -ls -cat -text -head -tail -put -get -getmerge -cp -mv -mkdir -rm -rmdir -test -touchz -du -count\n" +
			"  jar JAR ...     run a job of Hadoop Streaming; JAR is not read\n\n" +
			"The path /user/ann/x, or hdfs:///user/ann/x, is the key fs/user/ann/x below the prefix of the bucket.\n" +
			"s3://bucket/key is that object. Flags of " + f.name + " come before version, fs and jar.",
		Example: "  python3 job.py -r hadoop --hadoop-bin '" + f.name + " hadoop' --hadoop-streaming-jar none books/*.txt\n" +
			"  " + f.name + " hadoop fs -put book.txt /books/book.txt\n" +
			"  " + f.name + " hadoop jar streaming.jar -files m.py,r.py -input /books -output /counts -mapper m.py -reducer r.py",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeHadoop,
	}
	c.Flags().SetInterspersed(false) // what follows fs and jar is Hadoop's
	config.AddFlags(c.Flags(), config.Names(config.Job)...)
	config.AddFlags(c.Flags(), "memory", "scratch", "exec-memory", "exec-disk", "exec-output")
	c.RunE = f.run(func(ctx context.Context, s *session, args []string) error {
		verb := ""
		if len(args) > 0 {
			verb, args = args[0], args[1:]
		}
		// Programs read stderr: it has what Hadoop says, warnings and errors.
		if s.said = true; !s.conf.IsSet("log-level") {
			s.log = s.log.Level(zerolog.WarnLevel)
		}
		switch verb {
		case "version":
			return s.say("Hadoop %s\n%s %s", hadoopVersion, f.name, readVersion().Version)
		case "fs", "dfs":
			return s.hadoopFS(ctx, args)
		case "jar":
			return s.hadoopJar(ctx, args)
		case "":
			return usagef("", "hadoop needs version, fs or jar")
		}
		return usagef(nearHint(verb, hadoopVerbs())+"there are version, fs and jar", "unknown command %q for hadoop", verb)
	})
	return c
}

func hadoopVerbs() []string { return []string{"version", "fs", "jar"} }

// completeHadoop completes the first word. What follows is Hadoop's.
func completeHadoop(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return hadoopVerbs(), noFiles
	}
	return nil, cobra.ShellCompDirectiveDefault
}

// hadoopUser is the user to whom files belong.
func hadoopUser() string {
	name := os.Getenv("HADOOP_USER_NAME")
	if u, err := user.Current(); err == nil {
		name = cmp.Or(name, u.Username)
	}
	return cmp.Or(name, "hadoop")
}

// hadoopRoot is where paths of the file system lie.
func (s *session) hadoopRoot() hadoop.Root {
	return hadoop.Root{Bucket: s.conf.Bucket, Dir: path.Join(s.conf.Prefix, hadoopFiles) + "/", Home: "/user/" + hadoopUser()}
}

// hadoopFS is `hadoop fs`.
func (s *session) hadoopFS(ctx context.Context, args []string) (err error) {
	st, err := s.openStore(ctx, embedded)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	command := hadoop.FS{
		Root: s.hadoopRoot(), User: hadoopUser(), Out: s.io.Out, Err: safely{s.io.Err},
		Store: func(bucket string) hadoop.Store { return st.In(bucket) },
		Remove: func(ctx context.Context, bucket string, keys []string) error {
			return s.hadoopRemove(ctx, st, bucket, keys)
		},
	}
	if len(args) == 0 || !hadoop.ReadsBytes(args[0]) {
		command.Out = safely{s.io.Out} // names come from outside
	}
	code, err := command.Run(ctx, args)
	if err == nil && code != 0 {
		err = printedError(code)
	}
	return err
}

// hadoopRemove deletes objects. With the output of a job of `hadoop` it deletes the
// job: nothing else shows that it is there.
func (s *session) hadoopRemove(ctx context.Context, st *store, bucket string, keys []string) error {
	var jobs []string // their prefixes
	for _, key := range keys {
		if path.Base(key) != layout.OwnerName {
			continue
		}
		data, _, err := st.In(bucket).Get(ctx, key)
		if err != nil {
			return err
		}
		owner, err := manifest.DecodeOwner(data)
		if err != nil {
			continue // not written by a job
		}
		home := manifest.Place{Bucket: st.Bucket(), Dir: s.hadoopJob(owner.Job) + "/"}
		if owner.Home == home {
			jobs = append(jobs, home.Dir)
		}
	}
	if err := st.In(bucket).Delete(ctx, keys...); err != nil {
		return err
	}
	for _, prefix := range jobs {
		if _, err := reset.Run(ctx, st, layout.New(prefix), reset.Options{}); err != nil {
			return fmt.Errorf("remove the job below %s: %w", prefix, err)
		}
	}
	return nil
}

// hadoopJob is the prefix of a job of `hadoop`.
func (s *session) hadoopJob(id string) string {
	return strings.Trim(path.Join(s.conf.Prefix, hadoopJobs, id), "/")
}
