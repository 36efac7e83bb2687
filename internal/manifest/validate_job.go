package manifest

import (
	"errors"
	"fmt"
	"math"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/layout"
)

// This file validates the job spec: its numbers, its input objects and its tasks.

// Validate reports whether the job can be run as it is written, on objects
// that lay names: names and counts are right, the objects are pinned and in
// strict byte order of name, and the tasks, read in order, cover the whole input exactly once in input
// order. An empty object is covered by one piece of length 0 or by none.
func (j *Job) Validate(lay layout.Layout) error {
	switch {
	case j.ID == "":
		return errors.New("job without an id")
	case !layout.ValidName(j.ID):
		return fmt.Errorf("job with the id %q", j.ID)
	case j.NReduce < 0 || j.NReduce > MostReduces:
		return fmt.Errorf("nreduce is %d, want 0 to %d", j.NReduce, MostReduces)
	case j.Outputs() > MostReduces:
		return fmt.Errorf("a map-only job with %d tasks: it may have %d, since each writes an output", j.Outputs(), MostReduces)
	case j.MapOnly() && j.App.Exec != nil && j.App.Exec.Reducer != "":
		return errors.New("a map-only job with a reducer")
	case len(j.Tasks) > math.MaxInt32:
		return fmt.Errorf("%d map tasks are more than the protocol can number", len(j.Tasks))
	case j.Shuffle != "" && j.Shuffle != ShufflePacked:
		return fmt.Errorf("unknown shuffle %q", j.Shuffle)
	case j.SplitSize < 0:
		return fmt.Errorf("split size is %d", j.SplitSize)
	case j.Partitioner.Name == Range && len(j.Partitioner.Options) == 0:
		return errors.New("key ranges without a sample")
	case j.MaxBad.Records < 0 || j.MaxBad.PPM < 0 || j.MaxBad.PPM > 1_000_000:
		return fmt.Errorf("max_bad_records is %+v", j.MaxBad)
	}
	if err := j.Spec.Validate(); err != nil {
		return err
	}
	if j.InputFormat() == nil {
		return fmt.Errorf("input %s is of no format", j.Input)
	}
	if err := j.validateReuse(); err != nil {
		return err
	}
	if j.OutputAt != (Place{}) {
		if err := j.OutputAt.Validate(); err != nil {
			return fmt.Errorf("place of the output: %w", err)
		}
	}
	if err := j.validateBuckets(); err != nil {
		return err
	}
	if err := j.validateObjects(lay); err != nil {
		return err
	}
	f := j.InputFormat()
	if err := j.validateCompression(f); err != nil {
		return err
	}
	return j.validateTasks(f)
}

// validateObjects looks at what pins the input.
func (j *Job) validateObjects(lay layout.Layout) error {
	total := int64(0)
	for i, o := range j.Objects {
		if o.Name == "" {
			return fmt.Errorf("input object %d has no name", i)
		}
		if err := o.validatePlace(lay); err != nil {
			return fmt.Errorf("input object %q: %w", o.Name, err)
		}
		switch {
		case i > 0 && o.Name <= j.Objects[i-1].Name:
			return fmt.Errorf("input object %q does not follow %q in byte order", o.Name, j.Objects[i-1].Name)
		case o.ETag == "":
			return fmt.Errorf("input object %q has no etag", o.Name)
		case !validETag(o.ETag):
			return fmt.Errorf("input object %q has the etag %q", o.Name, o.ETag)
		case o.Size < 0 || o.Size > Most-total:
			return fmt.Errorf("input object %q has size %d", o.Name, o.Size)
		}
		total += o.Size
	}
	return nil
}

// validatePlace judges where an object lies. Nobody reads what a spec does not
// name so.
func (o Object) validatePlace(lay layout.Layout) error {
	switch elsewhere := o.Bucket != "" || o.Key != ""; {
	case elsewhere && (!layout.ValidBucket(o.Bucket) || !layout.ValidKey(o.Key)):
		return fmt.Errorf("there can be no key %q in a bucket %q", o.Key, o.Bucket)
	case elsewhere && o.Name != layout.Place(o.Bucket, o.Key):
		return fmt.Errorf("this is not the name of the key %q in the bucket %q", o.Key, o.Bucket)
	case !elsewhere && !lay.ValidInput(o.Name):
		return fmt.Errorf("its key is no UTF-8 of at most %d bytes without the elements \".\" and \"..\"; rename it", layout.MaxKey)
	}
	return nil
}

// validateTasks walks all pieces with a cursor on the next byte of input
// that is not covered yet.
func (j *Job) validateTasks(f input.Format) error {
	object, offset := 0, int64(0)
	empty := false // the object at the cursor is empty and has its piece
	for t, pieces := range j.Tasks {
		if len(pieces) == 0 {
			return fmt.Errorf("map task %d has no piece", t)
		}
		for _, p := range pieces {
			if p.Object < 0 || p.Object >= len(j.Objects) {
				return fmt.Errorf("map task %d names input object %d of %d", t, p.Object, len(j.Objects))
			}
			o := j.Objects[p.Object]
			if p.Offset < 0 || p.Length < 0 || p.Offset > o.Size || p.Length > o.Size-p.Offset {
				return fmt.Errorf("map task %d has piece %v outside input object %q of %d bytes", t, p, o.Name, o.Size)
			}
			end := p.Offset + p.Length
			cut := p.Length != o.Size
			if o.Compression != "" && cut && !(o.Compression.Splits() && f.Resumes()) ||
				(o.Compression == "" || !cut) && (f.Cut(o.Size, p.Offset) != p.Offset || f.Cut(o.Size, end) != end) {
				return fmt.Errorf("map task %d has piece %v of input object %q, which is compressed or of a format that cannot be cut there", t, p, o.Name)
			}
			if n := j.LinesPerTask(); n > 0 && (len(pieces) > 1 || o.Compression != "") {
				return fmt.Errorf("map task %d is not %d lines of one object that is not compressed", t, n)
			}
			if p.Length == 0 && o.Size > 0 {
				return fmt.Errorf("map task %d has an empty piece %v of input object %q", t, p, o.Name)
			}
			for object < p.Object && offset == j.Objects[object].Size {
				object, offset, empty = object+1, 0, false
			}
			if p.Object != object || p.Offset != offset || empty {
				return fmt.Errorf("map task %d has piece %v of input object %q where input order wants byte %d of object %d",
					t, p, o.Name, offset, object)
			}
			offset += p.Length
			empty = o.Size == 0
		}
	}
	for ; object < len(j.Objects); object, offset = object+1, 0 {
		if o := j.Objects[object]; offset != o.Size {
			return fmt.Errorf("no map task reads input object %q from byte %d on", o.Name, offset)
		}
	}
	return nil
}

// validateReuse judges the job from which map tasks are taken over.
func (j *Job) validateReuse() error {
	r := j.Reuse
	if r == (Reuse{}) {
		return nil
	}
	prefix, err := layout.CheckPrefix(r.Prefix)
	if err == nil && prefix != r.Prefix {
		err = errors.New("it has slashes at its ends")
	}
	switch {
	case err != nil:
		return fmt.Errorf("prefix %.200q of a job to take tasks over from: %w", r.Prefix, err)
	case !layout.ValidName(r.Job) || r.Job == j.ID:
		return fmt.Errorf("job %.200q to take tasks over from", r.Job)
	}
	return nil
}
