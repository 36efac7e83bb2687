package hadoop

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// words splits a command line whose words have no spaces; an underscore is one.
func words(line string) []string {
	all := strings.Fields(line)
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], "·", " ")
	}
	return all
}

func TestParseStreaming(t *testing.T) {
	const io = "-input in -output out "
	for _, tt := range []struct {
		name, line string
		want       Streaming
	}{
		{
			"as mrjob writes it",
			"-files hdfs:///t/files/wd/job.py#job.py,hdfs:///t/files/wd/stop.txt#stop.txt -D mapreduce.partition.keypartitioner.options=-k1,1" +
				" -D stream.num.map.output.key.fields=2 -partitioner org.apache.hadoop.mapred.lib.KeyFieldBasedPartitioner -cmdenv TZ=UTC" +
				" -input hdfs:///t/files/b1.txt -input hdfs:///t/files/b2.txt -output hdfs:///t/step-output/0000" +
				" -mapper python3·job.py·--step-num=0·--mapper -combiner python3·job.py·--step-num=0·--combiner -reducer python3·job.py·--step-num=0·--reducer",
			Streaming{
				Mapper: "python3 job.py --step-num=0 --mapper", Combiner: "python3 job.py --step-num=0 --combiner", Reducer: "python3 job.py --step-num=0 --reducer",
				Inputs: []string{"hdfs:///t/files/b1.txt", "hdfs:///t/files/b2.txt"}, Output: "hdfs:///t/step-output/0000",
				Files:     []string{"hdfs:///t/files/wd/job.py#job.py", "hdfs:///t/files/wd/stop.txt#stop.txt"},
				Env:       []string{"mapreduce_partition_keypartitioner_options=-k1,1", "stream_num_map_output_key_fields=2", "TZ=UTC"},
				KeyFields: 2, PartitionFields: "1,1", Reduces: -1,
			},
		},
		{
			"a mapper alone, as mrjob writes it", "-D mapreduce.job.reduces=0 " + io + "-mapper cat",
			Streaming{Mapper: "cat", Inputs: []string{"in"}, Output: "out", Env: []string{"mapreduce_job_reduces=0"}, KeyFields: 1, Reduces: -1},
		},
		{
			"no reducer is one that hands on", io + "-mapper cat -numReduceTasks 4",
			Streaming{Mapper: "cat", Reducer: "cat", Inputs: []string{"in"}, Output: "out", KeyFields: 1, Reduces: 4},
		},
		{
			"classes that stand for commands", "org.apache.hadoop.streaming.HadoopStreaming " + io + "-mapper cat -combiner aggregate -reducer org.apache.hadoop.mapred.lib.IdentityReducer",
			Streaming{Mapper: "cat", Reducer: "cat", Inputs: []string{"in"}, Output: "out", KeyFields: 1, Reduces: -1},
		},
		{
			"NONE", io + "-mapper cat -combiner wc -reducer NONE",
			Streaming{Mapper: "cat", Inputs: []string{"in"}, Output: "out", KeyFields: 1, Reduces: -1},
		},
		{
			"old names, two dashes, the joined form", "-Dmapred.reduce.tasks=3 -jobconf mapred.job.name=old·one -Dmy.own-key=a=b --mapper cat -reducer wc -input a,b{1,2} -input c -output out" +
				" -file m.py -cacheFile hdfs:///x#y -archives a.tgz#a,b.zip -cacheArchive c.jar -verbose",
			Streaming{
				Mapper: "cat", Reducer: "wc", Inputs: []string{"a", "b{1,2}", "c"}, Output: "out", Files: []string{"m.py", "hdfs:///x#y"},
				Archives: []string{"a.tgz#a", "b.zip", "c.jar"}, Env: []string{"mapred_reduce_tasks=3", "mapred_job_name=old one", "my_own_key=a=b"},
				KeyFields: 1, Reduces: 3, Name: "old one", Ignored: []string{"my.own-key"},
			},
		},
		{
			"fields of keys", "-D stream.map.output.field.separator=. -D stream.num.map.output.key.fields=4 -D map.output.key.field.separator=." +
				" -D mapred.text.key.partitioner.options=-k1,2 -partitioner KeyFieldBasedPartitioner " + io + "-mapper cat -reducer cat",
			Streaming{
				Mapper: "cat", Reducer: "cat", Inputs: []string{"in"}, Output: "out", Separator: ".", KeyFields: 4, PartitionFields: "1,2", Reduces: -1,
				Env: []string{"stream_map_output_field_separator=.", "stream_num_map_output_key_fields=4", "map_output_key_field_separator=.", "mapred_text_key_partitioner_options=-k1,2"},
			},
		},
		{
			"the order of keys, a range of their fields", "-D mapred.output.key.comparator.class=org.apache.hadoop.mapred.lib.KeyFieldBasedComparator -D mapred.text.key.comparator.options=-k2,2nr" +
				" -D stream.num.map.output.key.fields=3 -D mapreduce.partition.keypartitioner.options=-k2 -partitioner KeyFieldBasedPartitioner " + io + "-mapper cat -reducer cat",
			Streaming{
				Mapper: "cat", Reducer: "cat", Inputs: []string{"in"}, Output: "out", KeyFields: 3, PartitionFields: "2,3", Sort: "-k2,2nr", Reduces: -1,
				Env: []string{
					"mapred_output_key_comparator_class=org.apache.hadoop.mapred.lib.KeyFieldBasedComparator", "mapred_text_key_comparator_options=-k2,2nr",
					"stream_num_map_output_key_fields=3", "mapreduce_partition_keypartitioner_options=-k2",
				},
			},
		},
		{
			"fields within a key", "-D map.output.key.field.separator=, -D num.key.fields.for.partition=1 -partitioner KeyFieldBasedPartitioner " + io + "-mapper cat -reducer cat",
			Streaming{
				Mapper: "cat", Reducer: "cat", Inputs: []string{"in"}, Output: "out", KeyFields: 1, KeySeparator: ",", PartitionFields: "1,1", Reduces: -1,
				Env: []string{"map_output_key_field_separator=,", "num_key_fields_for_partition=1"},
			},
		},
		{
			"lines of a task", "-D mapred.line.input.format.linespermap=3 -inputformat org.apache.hadoop.mapred.lib.NLineInputFormat " + io + "-mapper cat -reducer cat",
			Streaming{
				Mapper: "cat", Reducer: "cat", Inputs: []string{"in"}, Output: "out", KeyFields: 1, LinesPerTask: 3, Offsets: true, Reduces: -1,
				Env: []string{"mapred_line_input_format_linespermap=3"},
			},
		},
		{
			"lines of a task without their offsets", "-D stream.map.input.ignoreKey=true -D mapreduce.job.inputformat.class=NLineInputFormat " + io + "-mapper cat -reducer cat",
			Streaming{
				Mapper: "cat", Reducer: "cat", Inputs: []string{"in"}, Output: "out", KeyFields: 1, LinesPerTask: 1, Reduces: -1,
				Env: []string{"stream_map_input_ignoreKey=true", "mapreduce_job_inputformat_class=NLineInputFormat"},
			},
		},
		{
			"offsets of lines", "-D stream.map.input.ignoreKey=false " + io + "-mapper cat -reducer cat",
			Streaming{
				Mapper: "cat", Reducer: "cat", Inputs: []string{"in"}, Output: "out", KeyFields: 1, Offsets: true, Reduces: -1,
				Env: []string{"stream_map_input_ignoreKey=false"},
			},
		},
		{
			"options of a partitioner that is not there", "-D mapred.text.key.partitioner.options=-k3 " + io + "-mapper cat -reducer cat -inputformat org.apache.hadoop.mapred.TextInputFormat",
			Streaming{Mapper: "cat", Reducer: "cat", Inputs: []string{"in"}, Output: "out", KeyFields: 1, Reduces: -1, Env: []string{"mapred_text_key_partitioner_options=-k3"}},
		},
	} {
		got, err := ParseStreaming(words(tt.line))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if diff := cmp.Diff(&tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestParseStreamingRefuses: an error names what is wrong or not there.
func TestParseStreamingRefuses(t *testing.T) {
	const job = "-input in -output out -mapper cat -reducer cat "
	for line, want := range map[string]string{
		"-input in -output out":           "-mapper is missing",
		"-mapper cat -output out":         "-input is missing",
		"-mapper cat -input in":           "-output is missing",
		job + "-maper cat":                "unknown option of Hadoop Streaming: -maper",
		job + "file":                      "unknown option of Hadoop Streaming: file",
		job + "-cmdenv":                   "-cmdenv needs a value",
		job + "-D x":                      `-D "x" is not name=value`,
		job + "-libjars a.jar":            "-libjars of Hadoop is not supported",
		job + "-io typedbytes":            "-io typedbytes is not supported",
		job + "-numReduceTasks many":      `"many" is no number of reduce tasks`,
		job + "-D mapred.reduce.tasks=-1": `"-1" is no number of reduce tasks`,
		job + "-mapper org.apache.hadoop.mapred.lib.TokenCount":                                        "-mapper org.apache.hadoop.mapred.lib.TokenCount is a class of Java",
		job + "-combiner a.b.Sum":                                                                      "-combiner a.b.Sum is a class of Java",
		job + "-inputformat a.b.SequenceFileInputFormat":                                               "-inputformat a.b.SequenceFileInputFormat is not supported; TextInputFormat",
		job + "-inputformat NLineInputFormat -D mapred.line.input.format.linespermap=0":                "linespermap=0 is no number of lines",
		job + "-inputformat NLineInputFormat -D stream.map.input.field.separator=,":                    "separator=, is not supported",
		job + "-inputformat a.KeyValueTextInputFormat -D stream.map.input.ignoreKey=true":              "ignoreKey=true is not supported with a.KeyValueTextInputFormat",
		job + "-outputformat a.SequenceFileOutputFormat":                                               "SequenceFileOutputFormat is not supported",
		job + "-partitioner a.TotalOrderPartitioner":                                                   "the partitioner a.TotalOrderPartitioner is not supported",
		job + "-D stream.num.map.output.key.fields=0":                                                  "is no number of fields",
		job + "-D stream.reduce.input.field.separator=,":                                               "stream.reduce.input.field.separator=, is not supported",
		job + "-reducer aggregate -D aggregate.max.num.unique.values=3":                                "unique.values=3 is not supported",
		job + "-D mapred.output.compress=true":                                                         "compress=true is not supported",
		job + "-D mapreduce.job.output.key.comparator.class=a.B":                                       "the comparator a.B is not supported",
		job + "-partitioner a.KeyFieldBasedPartitioner -D mapred.text.key.partitioner.options=-k2,2":   "by field 2 of the key: it has 1 (stream.num.map.output.key.fields)",
		job + "-partitioner a.KeyFieldBasedPartitioner -D mapred.text.key.partitioner.options=-k1.2,2": "-kM,N is",
		job + "-partitioner a.KeyFieldBasedPartitioner -D mapred.text.key.partitioner.options=-k2,1":   "by the fields 2 to 1",
	} {
		_, err := ParseStreaming(words(line))
		var option *OptionError
		if !errors.As(err, &option) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

func TestCounters(t *testing.T) {
	got := Counters(append(UserCounters(map[string]int64{"words,all, or most": 3, "words,a": 1, "group": 2}), Counter{"Job Counters", "tasks", 4}))
	want := "Counters: 4\n\tJob Counters\n\t\ttasks=4\n\tgroup\n\t\t=2\n\twords\n\t\ta=1\n\t\tall, or most=3"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
