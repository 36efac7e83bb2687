package execrunner

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// TestAggregate: the functions of aggregate, and what asks for none.
func TestAggregate(t *testing.T) {
	b := newBench(t, "cat", manifest.Aggregate)
	got, err := b.reduce(
		"DoubleValueSum:d|1.5", "DoubleValueSum:d|1.5", "LongValueMax:m:n|3", "LongValueMax:m:n|-7", "LongValueMin:m|3", "LongValueMin:m|-7",
		"LongValueSum:|1", "LongValueSum:s|2", "LongValueSum:s|40", "StringValueMax:x|b", "StringValueMax:x|c", "StringValueMax:x|a",
		"StringValueMin:x|b", "StringValueMin:x|a", "StringValueMin:x|c", "UniqValueCount:u|a", "UniqValueCount:u|b", "UniqValueCount:u|a")
	want(t, got, err, "d\t3.0", "m:n\t3", "m\t-7", "\t1", "s\t42", "x\tc", "x\ta", "u\t2")
	got, err = b.reduce("VALUEHISTOGRAM:h|a", "VALUEHISTOGRAM:h|b\t7", "VALUEHISTOGRAM:h|a", "VALUEHISTOGRAM:h|", "ValueHistogram:one|x\ty\t10000000")
	want(t, got, err, "h\t3\t1\t2\t7\t3.3333333333333335\t2.6246692913372702", "one\t1\t10000000\t10000000\t10000000\t1.0E7\t0.0")
	for f, text := range map[float64]string{
		0: "0.0", 1: "1.0", -2.5: "-2.5", 9999999: "9999999.0", 1e7: "1.0E7", 12345678: "1.2345678E7", 0.001: "0.001", 0.00012: "1.2E-4",
		1e300: "1.0E300", math.Inf(-1): "-Infinity", math.Inf(1): "Infinity", math.NaN(): "NaN",
	} {
		if got := javaDouble(f); got != text {
			t.Errorf("%v is %s, want %s", f, got, text)
		}
	}
	for pair, why := range map[string]string{"ValueHistogram:x|a\tb": `parsing "b"`, "plain|1": `key "plain" asks for none`, "Median:x|1": "asks for none", "LongValueSum:x|one": `parsing "one"`} {
		if _, err := b.reduce(pair); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", pair, err)
		}
	}
	if err := Check(&b.exec); err != nil {
		t.Error(err)
	}
}

// TestOffsets: a mapper gets the offset of each line and a tab before it, also of long
// lines, empty ones and one without a line break, whether they come in blocks or one by
// one.
func TestOffsets(t *testing.T) {
	b := newBench(t, "cat", "cat")
	b.exec.Offsets = true
	long := strings.Repeat("x", feedBlock+1)
	for _, blocks := range []bool{false, true} {
		got, err := b.mapAll(blocks, object{"a", "one\n\n" + long + "\nlast"}, object{"b", "other\r\n"})
		want(t, got, err, "0|one", "4|", "5|"+long, strconv.Itoa(6+len(long))+"|last", "0|other\r")
	}
}

// TestWholeObjects: a mapper gets the bytes of an object as they are, or the path
// of a file that has them.
func TestWholeObjects(t *testing.T) {
	b := newBench(t, "wc -c", "cat")
	b.exec.Whole = manifest.WholeBytes
	whole := &objects{all: []object{{"x/one", "a\nb"}, {"two", ""}}}
	e := new(emitted)
	if err := b.mapRecords(whole, e); err != nil || len(e.pairs) != 2 || strings.TrimSpace(e.pairs[0]) != "3|" || strings.TrimSpace(e.pairs[1]) != "0|" {
		t.Errorf("%q, %v", e.pairs, err)
	}
	b.exec.Mapper, b.exec.Whole = `sh -c 'read path; echo "$path	$(cat "$path")"'`, manifest.WholePath
	e = new(emitted)
	err := b.mapRecords(&objects{all: []object{{"x/one", "a b"}, {"two", "c"}}}, e)
	want(t, e.pairs, err, "input/one|a b", "input/two|c")
}

// objects are the runner.Records of whole objects.
type objects struct {
	lines
	all []object
}

func (o *objects) Next() (mr.Record, bool) {
	if len(o.all) == 0 {
		return mr.Record{}, false
	}
	one := o.all[0]
	o.all = o.all[1:]
	return mr.Record{Object: one.name, Data: []byte(one.text)}, true
}

func (o *objects) Err() error { return nil }

func (b *bench) mapRecords(in *objects, out *emitted) error {
	b.job = &manifest.Job{Spec: *b.exec.Spec("exec"), NReduce: 2, Tasks: make([][]manifest.Piece, 3)}
	return b.host.Runner(b.job, lay).Map(b.task(mr.MapPhase), in, out)
}

// TestCombinedLine: a combiner that writes the lines that it reads changes no pair, where
// no key has a tab that ends none of its fields.
func TestCombinedLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		separator := rapid.SampledFrom([]string{"\t", ".", ", ", "\x01"}).Draw(t, "separator")
		fields := rapid.IntRange(1, 3).Draw(t, "fields")
		line := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "b c", "7"}), 1, 5).Draw(t, "words"), separator)
		key, value := cut([]byte(line), []byte(separator), fields)
		read := string(key) + "\t" + string(value)
		k, v := cutCombined([]byte(read), []byte(separator), fields)
		if string(k) != string(key) || string(v) != string(value) {
			t.Fatalf("%q: %q, %q become %q, %q", line, key, value, k, v)
		}
	})
}

// TestDataRoom: the process of a module may have more data than a command, as long as no
// control group bounds it.
func TestDataRoom(t *testing.T) {
	host := NewHost(Options{Limits: Limits{Memory: 64 << 20}})
	for want, e := range map[int64]*manifest.Exec{128 << 20: {}, 128<<20 + ModuleRoom: {Module: &manifest.Module{}}} {
		p := &process{attempt: &attempt{execRunner: &execRunner{host: host, exec: e}}}
		if l := p.limits(); l.data() != want || l.Memory != 64<<20 {
			t.Errorf("%+v: %+v, want %d bytes of data", e, l, want)
		}
	}
}
