// Package layout is the one place that knows the names of objects: every key
// of a job is built and parsed here, by pure functions.
//
//	input/<name>                              the user's files
//	intermediate/mr-<m>-<r>                   partition r of map task m, if it has records
//	intermediate/<xx>/mr-<m>                  all partitions of map task m, of jobs that pack them
//	intermediate/_job.json                    the job's spec
//	intermediate/_ranges.json                 the key range of each partition, of apps with ordered output
//	intermediate/_commit/map-<m>              THE COMMIT POINT of map task m
//	intermediate/_attempts/map-<m>/<id>/<r>   partitions of an attempt that met other bytes
//	intermediate/_attempts/map-<m>/<id>/packed  the same, packed
//	intermediate/_attempts/map-<m>/<id>/bad   its list of bad records, if it met another one
//	intermediate/_attempts/reduce-<r>/<id>    what a reduce attempt is about to commit
//	intermediate/_attempts/named-<r>/<id>/<name>  what an attempt has written to a named output
//	intermediate/_coordinator.json            who coordinates, and the key to its door
//	intermediate/_preflight/<id>              the race that a store must win, removed at once
//	intermediate/_side/<name>                 side files of the application
//	intermediate/_code/<sha256>               a file that executables of the application need
//	intermediate/_events/<n>.jsonl.zst        segment n of the event log, counted from 1, in 8 digits or more
//	output/mr-out-<r>                         the output, one object each reduce task; of other formats
//	                                          than lines with an ending, such as mr-out-<r>.parquet
//	output/_named/<name>/mr-out-<r>           what task r has written to a named output, if anything
//	output/<column>=<value>/mr-out-<r>        of a partitioned output, the rows of task r with that value
//	output/_mr-out-<r>                        of a partitioned output, the list of what task r has
//	output/_bad/map-<m>                       the input records that map task m skipped, if any
//	output/_SUCCESS                           the job's summary; its existence says done
//
// Of a job whose output lies in a place of its own, which may be in another bucket,
// what lies there is:
//
//	<place>/_owner.json                       which job the place belongs to
//	<place>/mr-out-<r>                        the output
//	<place>/_named/<name>/mr-out-<r>          what task r has written to a named output, if anything
//	<place>/<column>=<value>/, _mr-out-<r>    as below output/
//	<place>/_SUCCESS                          the job's summary
package layout

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Layout builds the keys of one job. Its zero value is the layout at the
// root of the bucket.
type Layout struct {
	root string
	// Where the output lies: "" for both is output/ of the job. dir ends in a slash.
	bucket, dir string
	ending      string // of the names of outputs; "" for none
	hidden      string // what the names of outputs begin with, "_" or ""
}

// New returns the layout below prefix, with or without a closing slash.
func New(prefix string) Layout {
	prefix = strings.Trim(prefix, "/")
	if prefix == "" {
		return Layout{}
	}
	return Layout{root: prefix + "/"}
}

// Prefix returns the prefix without its closing slash; "" is the root.
func (l Layout) Prefix() string { return strings.TrimSuffix(l.root, "/") }

// Root is what all keys of the job begin with, but for outputs in a place of their
// own: the prefix with a slash, or "".
func (l Layout) Root() string { return l.root }

// InputDir ends in a slash, for listings.
func (l Layout) InputDir() string { return l.root + "input/" }

// IntermediateDir ends in a slash, for listings.
func (l Layout) IntermediateDir() string { return l.root + "intermediate/" }

// OutputDir ends in a slash, for listings. It holds outputs and the summary.
func (l Layout) OutputDir() string {
	if l.bucket != "" {
		return l.dir
	}
	return l.OwnOutputDir()
}

// OwnOutputDir is the folder output/ of the job, wherever outputs lie.
func (l Layout) OwnOutputDir() string { return l.root + "output/" }

// WithOutput returns the layout of the same job with its output in a bucket below
// dir, which ends in a slash.
func (l Layout) WithOutput(bucket, dir string) Layout {
	l.bucket, l.dir = bucket, dir
	return l
}

// WithEnding returns the layout of the same job with outputs whose names have an
// ending, such as ".csv.gz"; "" is none.
func (l Layout) WithEnding(ending string) Layout {
	l.ending = ending
	return l
}

// Partitioned returns the layout of the same job with an output that is partitioned:
// [Layout.Output] is then the key of the list of what a task has, which readers of the
// output pass over.
func (l Layout) Partitioned() Layout {
	l.hidden = "_"
	return l
}

// OutputBucket is the bucket of a place of its own for the output, "" if the output
// lies in output/ of the job.
func (l Layout) OutputBucket() string { return l.bucket }

// Outside tells whether key, one of this layout, lies in the place of its own that
// the output has: it is that of the folder or of an object below it. All other
// keys of a job have one of its folders as an element behind its prefix, which no key
// of the place has behind its folder.
func (l Layout) Outside(key string) bool {
	name, ok := strings.CutPrefix(key, l.dir)
	if l.bucket == "" || !ok {
		return false
	}
	parts := strings.Split(name, "/")
	return !slices.ContainsFunc(parts[:len(parts)-1], jobFolder)
}

// jobFolder tells whether an element of a key is the folder of a job.
func jobFolder(part string) bool {
	return part == "input" || part == "intermediate" || part == "output"
}

// Owner returns the key of the object that says which job a place of its own for
// the output belongs to.
func (l Layout) Owner() string { return l.OutputDir() + OwnerName }

// OwnerName is the last element of [Layout.Owner].
const OwnerName = "_owner.json"

// CheckOutputDir returns the folder of a place for the output with a slash at its
// end, or says why no output can lie there.
func CheckOutputDir(s string) (string, error) {
	dir, err := CheckPrefix(s)
	if err == nil && dir == "" {
		err = errors.New("must be a folder of the bucket, not all of it")
	}
	return dir + "/", err
}

// Input returns the key of the input object name.
func (l Layout) Input(name string) string { return l.InputDir() + name }

// InputName is the inverse of Input; ok is false for a key outside input/
// and for the placeholder objects of folders ("input/", "input/a/").
func (l Layout) InputName(key string) (name string, ok bool) {
	name, ok = strings.CutPrefix(key, l.InputDir())
	return name, ok && name != "" && !strings.HasSuffix(name, "/")
}

// Hidden tells whether a name or key is no input unless it is named itself:
// its last element begins with "_" or ".", as for Hadoop, Spark and mrjob,
// which put _SUCCESS and the like beside their outputs. The lists of bad records of
// a job are none either, nor are its named outputs: whoever reads its output/ wants the
// outputs.
func Hidden(name string) bool {
	last := name[strings.LastIndexByte(name, '/')+1:]
	return last != "" && (last[0] == '_' || last[0] == '.') || strings.Contains("/"+name, "/output/_bad/map-") ||
		strings.Contains("/"+name, "/"+namedFolder+"/")
}

// HiddenBelow is Hidden of a key where the objects below dir are asked for: that may be
// a named output.
func HiddenBelow(dir, key string) bool {
	if strings.Contains("/"+dir, "/"+namedFolder+"/") {
		key = path.Base(key)
	}
	return Hidden(key)
}

// Partition returns the key of partition r of map task m.
func (l Layout) Partition(m, r int) string {
	return l.IntermediateDir() + "mr-" + strconv.Itoa(m) + "-" + strconv.Itoa(r)
}

// ParsePartition is the inverse of Partition.
func (l Layout) ParsePartition(key string) (m, r int, ok bool) {
	i := strings.LastIndexByte(key, '-')
	if i < 0 {
		return 0, 0, false
	}
	m, okM := parseIndex(key[:i], l.IntermediateDir()+"mr-")
	r, okR := parseIndex(key, key[:i+1])
	return m, r, okM && okR
}

// Packed returns the key of all partitions of map task m in one object. These
// objects lie in 256 folders: every reduce task reads of each, and S3 takes so
// many requests a second for keys with the same beginning.
func (l Layout) Packed(m int) string {
	return l.IntermediateDir() + folder(m) + "/mr-" + strconv.Itoa(m)
}

// folder is the highest byte, in hex, of m times 2^32 divided by the golden
// ratio: tasks that follow on each other, which are read at the same time, lie
// far apart, and all folders fill up alike.
func folder(m int) string {
	return hex.EncodeToString([]byte{byte(uint32(m) * 2654435769 >> 24)})
}

// ParsePacked is the inverse of Packed.
func (l Layout) ParsePacked(key string) (m int, ok bool) {
	i := strings.LastIndexByte(key, '/') + 1
	m, ok = parseIndex(key[i:], "mr-")
	return m, ok && key == l.Packed(m)
}

// Job returns the key of the job spec.
func (l Layout) Job() string { return l.IntermediateDir() + "_job.json" }

// Ranges returns the key of the key ranges of a job with ordered output.
func (l Layout) Ranges() string { return l.IntermediateDir() + "_ranges.json" }

// Coordinator returns the key of the coordinator's announcement.
func (l Layout) Coordinator() string { return l.IntermediateDir() + "_coordinator.json" }

// CommitDir ends in a slash and holds the commit records of map tasks.
func (l Layout) CommitDir() string { return l.IntermediateDir() + "_commit/" }

// MapCommit returns the key of the commit record of map task m.
func (l Layout) MapCommit(m int) string { return l.CommitDir() + "map-" + strconv.Itoa(m) }

// ParseMapCommit is the inverse of MapCommit.
func (l Layout) ParseMapCommit(key string) (m int, ok bool) {
	return parseIndex(key, l.CommitDir()+"map-")
}

// AttemptsDir ends in a slash and holds what attempts leave under names of
// their own.
func (l Layout) AttemptsDir() string { return l.IntermediateDir() + "_attempts/" }

// MapAttempt returns the key of partition r of an attempt of map task m
// whose bytes differ from those already under the plain name.
func (l Layout) MapAttempt(m int, attempt string, r int) string {
	return l.IntermediateDir() + "_attempts/map-" + strconv.Itoa(m) + "/" + attempt + "/" + strconv.Itoa(r)
}

// MapAttemptPacked returns the key of all partitions of an attempt of map
// task m whose bytes differ from those already under the plain name.
func (l Layout) MapAttemptPacked(m int, attempt string) string {
	return l.IntermediateDir() + "_attempts/map-" + strconv.Itoa(m) + "/" + attempt + "/packed"
}

// MapAttemptBad returns the key of the list of bad records of an attempt of
// map task m that differs from the one already under the plain name.
func (l Layout) MapAttemptBad(m int, attempt string) string {
	return l.IntermediateDir() + "_attempts/map-" + strconv.Itoa(m) + "/" + attempt + "/bad"
}

// ReduceAttempt returns the key of the record that an attempt of reduce task
// r writes before it commits its output.
func (l Layout) ReduceAttempt(r int, attempt string) string {
	return l.IntermediateDir() + "_attempts/reduce-" + strconv.Itoa(r) + "/" + attempt
}

// ParseAttempt is the inverse of MapAttempt, MapAttemptPacked, MapAttemptBad
// and ReduceAttempt. Of a map task, part is the partition, or -1 for what the
// attempt has one of; of a reduce task, for its record, it is -1 too.
func (l Layout) ParseAttempt(key string) (reduce bool, task int, attempt string, part int, ok bool) {
	name, ok := strings.CutPrefix(key, l.AttemptsDir())
	if !ok {
		return false, 0, "", 0, false
	}
	head, rest, _ := strings.Cut(name, "/")
	if task, ok = parseIndex(head, "reduce-"); ok {
		return true, task, rest, -1, rest != "" && !strings.Contains(rest, "/")
	}
	task, okTask := parseIndex(head, "map-")
	attempt, last, _ := strings.Cut(rest, "/")
	part, ok = parseIndex(last, "")
	if last == "packed" || last == "bad" {
		part, ok = -1, true
	}
	return false, task, attempt, part, ok && okTask && attempt != ""
}

// PreflightDir ends in a slash; below it the preflight races.
func (l Layout) PreflightDir() string { return l.IntermediateDir() + "_preflight/" }

// CodeDir ends in a slash and holds the files that the job ships.
func (l Layout) CodeDir() string { return l.IntermediateDir() + "_code/" }

// Code returns the key of the file whose bytes have this SHA-256, in hex.
func (l Layout) Code(sha256 string) string { return l.CodeDir() + sha256 }

// SideDir ends in a slash and holds the side files.
func (l Layout) SideDir() string { return l.IntermediateDir() + "_side/" }

// Side returns the key of the side file name; ok is false for a name that is
// empty, absolute or not clean (mr.SideFiles).
func (l Layout) Side(name string) (key string, ok bool) {
	if name == "" || name == "." || name[0] == '/' || path.Clean(name) != name ||
		name == ".." || strings.HasPrefix(name, "../") {
		return "", false
	}
	for _, c := range name {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			strings.ContainsRune("-_./", c):
		default:
			return "", false
		}
	}
	return l.SideDir() + name, true
}

// EventsDir ends in a slash and holds the event log.
func (l Layout) EventsDir() string { return l.IntermediateDir() + "_events/" }

// Events returns the key of segment n of the event log, counted from 1. Keys of up to
// 99,999,999 segments are in byte order.
func (l Layout) Events(n int) string { return l.EventsDir() + fmt.Sprintf("%08d", n) + eventsEnding }

const eventsEnding = ".jsonl.zst"

// ParseEvents is the inverse of Events.
func (l Layout) ParseEvents(key string) (n int, ok bool) {
	digits := strings.TrimSuffix(strings.TrimPrefix(key, l.EventsDir()), eventsEnding)
	n, err := strconv.Atoi(digits)
	return n, err == nil && n > 0 && l.Events(n) == key
}

// ControlPrefix is what the keys of all control objects below
// intermediate/ begin with, those of the attempts included, and no key of a
// partition: for listings.
func (l Layout) ControlPrefix() string { return l.IntermediateDir() + "_" }

// Output returns the key of the output of reduce task r.
func (l Layout) Output(r int) string {
	return l.OutputDir() + l.hidden + "mr-out-" + strconv.Itoa(r) + l.ending
}

// ParseOutput is the inverse of Output: the key of an output with another ending is
// none.
func (l Layout) ParseOutput(key string) (r int, ok bool) {
	name, ok := strings.CutSuffix(key, l.ending)
	if !ok {
		return 0, false
	}
	return parseIndex(name, l.OutputDir()+l.hidden+"mr-out-")
}

// NamedDir ends in a slash and holds the named outputs.
func (l Layout) NamedDir() string { return l.OutputDir() + namedFolder + "/" }

// namedFolder is the folder of named outputs beside the outputs.
const namedFolder = "_named"

// Named returns the key of what task r has written to the named output name, whose
// objects have the ending of this layout.
func (l Layout) Named(name string, r int) string {
	return l.NamedDir() + name + "/mr-out-" + strconv.Itoa(r) + l.ending
}

// ParseNamed is the inverse of Named, whatever the ending.
func (l Layout) ParseNamed(key string) (name string, r int, ok bool) {
	rest, ok := strings.CutPrefix(key, l.NamedDir())
	name, last, in := strings.Cut(rest, "/")
	if !ok || !in || !ValidName(name) {
		return "", 0, false
	}
	last, _, _ = strings.Cut(last, ".")
	r, ok = parseIndex(last, "mr-out-")
	return name, r, ok
}

// InPartition returns the key of what task r has in a partition of the output, such as
// "year=2026/month=01". Its objects have the ending of this layout.
func (l Layout) InPartition(partition string, r int) string {
	return l.OutputDir() + partition + "/mr-out-" + strconv.Itoa(r) + l.ending
}

// ParseInPartition is the inverse of InPartition, whatever the ending. The partition may
// be one that no output has.
func (l Layout) ParseInPartition(key string) (partition string, r int, ok bool) {
	rest, ok := strings.CutPrefix(key, l.OutputDir())
	i := strings.LastIndexByte(rest, '/')
	if !ok || i < 0 {
		return "", 0, false
	}
	last, _, _ := strings.Cut(rest[i+1:], ".")
	r, ok = parseIndex(last, "mr-out-")
	return rest[:i], r, ok
}

// NamedAttempt returns the key of what an attempt at task r has written to a named
// output or has in a partition, until the attempt has committed the task and it is copied
// to its plain name.
func (l Layout) NamedAttempt(r int, attempt, name string) string {
	return l.AttemptsDir() + "named-" + strconv.Itoa(r) + "/" + attempt + "/" + name
}

// ParseNamedAttempt is the inverse of NamedAttempt.
func (l Layout) ParseNamedAttempt(key string) (r int, attempt, name string, ok bool) {
	rest, ok := strings.CutPrefix(key, l.AttemptsDir())
	parts := strings.SplitN(rest, "/", 3)
	if !ok || len(parts) != 3 || parts[1] == "" || parts[2] == "" {
		return 0, "", "", false
	}
	r, ok = parseIndex(parts[0], "named-")
	return r, parts[1], parts[2], ok
}

// BadDir ends in a slash and holds the lists of bad records.
func (l Layout) BadDir() string { return l.OwnOutputDir() + "_bad/" }

// Bad returns the key of the list of records that map task m skipped.
func (l Layout) Bad(m int) string { return l.BadDir() + "map-" + strconv.Itoa(m) }

// ParseBad is the inverse of Bad.
func (l Layout) ParseBad(key string) (m int, ok bool) { return parseIndex(key, l.BadDir()+"map-") }

// Success returns the key of the job's summary.
func (l Layout) Success() string { return l.OutputDir() + "_SUCCESS" }

// ValidName says whether s may name a job, an app, a worker or an attempt: 1
// to 128 letters, digits, '.', '-' and '_', and not "." or "..", so that it is
// one element of a key, and safe in a log and a header.
func ValidName(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return s != "" && s != "." && s != ".." && len(s) <= 128
}

// CheckPrefix returns the prefix of a job without slashes at its ends, or says
// why there can be no job below it. Inside, only clean paths: the embedded
// server keeps objects in folders, where "a//b" and "a/../b" have no place.
// No element has the name of a folder of a job: below "z/output" there would
// be a job within the output of the job of "z", and part of its reset.
func CheckPrefix(s string) (string, error) {
	s = strings.Trim(s, "/")
	if s == "" {
		return "", nil
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part == "." || part == ".." || len(part) > 255 {
			return "", errors.New(`must be a path without empty parts, "." and "..", each part at most 255 bytes`)
		}
		if jobFolder(part) {
			return "", fmt.Errorf("must not contain the part %q: the job would lie in a folder of another job, and be deleted with it", part)
		}
	}
	if len(s) > 512 {
		return "", errors.New("must have at most 512 bytes")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errors.New("must not contain control characters")
	}
	return s, nil
}

// MaxKey is the most bytes that a key of S3 may have.
const MaxKey = 1024

// MaxPlace bounds what [Place] returns, in bytes.
const MaxPlace = len("s3://") + 63 + len("/") + MaxKey

// Place names an object of any bucket.
func Place(bucket, key string) string { return "s3://" + bucket + "/" + key }

// ValidBucket says whether name may name a bucket of S3. Nothing else may, since
// requests have it in their path or in the name of the host.
func ValidBucket(name string) bool {
	alnum := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
	if len(name) < 3 || len(name) > 63 || !alnum(name[0]) || !alnum(name[len(name)-1]) || strings.Contains(name, "..") {
		return false
	}
	for i := range len(name) {
		if !alnum(name[i]) && name[i] != '.' && name[i] != '-' {
			return false
		}
	}
	return true
}

// ValidInput says whether name may name an input object: its key is a
// [ValidKey].
func (l Layout) ValidInput(name string) bool {
	return len(l.Input(name)) <= MaxKey && ValidKey(name)
}

// ValidKey says whether key may be that of an input object: it is valid UTF-8 of
// at most [MaxKey] bytes, and no element of it is "." or "..", which a store that
// keeps objects as files would follow out of the folder.
func ValidKey(key string) bool {
	if key == "" || len(key) > MaxKey || !utf8.ValidString(key) {
		return false
	}
	for element := range strings.SplitSeq(key, "/") {
		if element == "." || element == ".." {
			return false
		}
	}
	return true
}

// parseIndex reads the decimal number that is all of key after prefix, in
// the one form that strconv.Itoa gives it.
func parseIndex(key, prefix string) (int, bool) {
	s, ok := strings.CutPrefix(key, prefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || strconv.Itoa(n) != s {
		return 0, false
	}
	return n, true
}
