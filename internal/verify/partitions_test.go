package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/output"
)

// TestPartitionedJobs: a job whose output is partitioned is verified in every format and
// compression, by its records and by the reference, which finds rows of another value, in
// another partition or in none, where all records fit to them.
func TestPartitionedJobs(t *testing.T) {
	for _, name := range []string{"lines", "csv", "tsv", "json", "parquet"} {
		for _, by := range []string{"count", "word"} {
			for _, compression := range []string{"", output.Gzip, output.Zstd} {
				j := wcJob()
				j.output, j.options = name, map[string]string{"columns": "word,count:int", "partition": by}
				if compression != "" {
					j.options["compression"] = compression
				}
				s, _ := j.build(t)
				opt := Options{Scratch: t.TempDir(), ParquetOutput: parquetOf}
				if rep := run(t, s, layout.New(j.prefix), j.app, opt); !rep.OK() || rep.Reference.State != OK || rep.Reference.Lines == 0 || rep.Proof.Lines != rep.Reference.Lines {
					t.Errorf("%s by %s, %s: %+v\n%s", name, by, compression, rep.Reference, show(rep))
				}
			}
		}
	}
}

// TestForgedPartitions: whoever changes rows, and all that says what they are, is found by
// the reference alone.
func TestForgedPartitions(t *testing.T) {
	j := wcJob()
	j.output, j.options = "csv", map[string]string{"columns": "word,count:int", "partition": "word"}
	for name, forge := range map[string]func(n *manifest.NamedOutput, data []byte) []byte{
		"another value":     func(_ *manifest.NamedOutput, _ []byte) []byte { return []byte("count\n3000\n") },
		"another partition": func(n *manifest.NamedOutput, data []byte) []byte { n.Name = "word=zzz"; return data },
		"no row":            func(n *manifest.NamedOutput, _ []byte) []byte { n.Lines = 0; return nil },
	} {
		s, lay := j.build(t)
		attempt := s.objs[lay.Output(0)].meta[manifest.MetaAttempt]
		job, err := manifest.DecodeJob(s.objs[lay.Job()].data, lay)
		if err != nil {
			t.Fatal(err)
		}
		var now, was manifest.NamedOutput
		edit(t, s, lay.ReduceAttempt(0, attempt), manifest.ReduceSchema, func(r *manifest.Reduce) {
			last := len(r.Partitions) - 1
			was = r.Partitions[last]
			now = was
			o := s.objs[was.Key]
			data := forge(&now, o.data)
			delete(s.objs, job.NamedKey(lay, was.Name, 0))
			if r.Partitions = r.Partitions[:last]; now.Lines > 0 {
				now = putBeside(s, lay, job, r, now.Name, data, int(now.Lines))
				r.Partitions = append(r.Partitions, now)
			} else {
				r.Output.Lines--
			}
			var list []byte
			for _, n := range r.Partitions {
				list = append(list, partitionLine(n)...)
			}
			hash := sha256.Sum256(list)
			r.Output.Size, r.Output.Hash = int64(len(list)), hex.EncodeToString(hash[:])
			s.put(lay.Output(0), list, s.objs[lay.Output(0)].meta)
		})
		v, err := manifest.Decode[manifest.Success](s.objs[lay.Success()].data, manifest.SuccessSchema)
		if err != nil {
			t.Fatal(err)
		}
		v.Partitions = slices.DeleteFunc(v.Partitions, func(n manifest.NamedOutput) bool { return n.Name == was.Name && n.Task == 0 })
		if now.Lines > 0 {
			now.Key, now.ETag, now.Attempt = job.NamedKey(lay, now.Name, 0), "", attempt
			v.List(append(v.Partitions, now))
		}
		rec, err := manifest.Decode[manifest.Reduce](s.objs[lay.ReduceAttempt(0, attempt)].data, manifest.ReduceSchema)
		if err != nil {
			t.Fatal(err)
		}
		v.Outputs[0].Size, v.Outputs[0].Lines, v.Outputs[0].Hash = rec.Output.Size, rec.Output.Lines, rec.Output.Hash
		putSealed(t, s, lay, v)
		rep := run(t, s, layout.New(j.prefix), j.app, Options{Scratch: t.TempDir()})
		if rep.OK() || slices.ContainsFunc(rep.Findings, func(f Finding) bool { return f.Kind != Mismatch }) {
			t.Errorf("%s:\n%s", name, show(rep))
		}
	}
}
