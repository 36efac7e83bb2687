package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/manifest"
)

// A partitioned output. The objects in its folders are read as those of named outputs are
// (named.go), and hold what is left of the rows. The reference keeps a digest of the rows
// of each partition, so that it has no more than one of the objects open.

// partitioned is what the spec of a job says of such an output.
type partitioned struct {
	all, rest    *tableShape // all columns, and those of the rows in the folders
	by, others   []int       // numbers of the columns that name folders, and of the rest
	open         func(io.Reader) Lines
	valuesOfRows *tableShape // all, with line breaks as they are
}

// nullFolder is the value of a folder whose rows have none.
const nullFolder = "__HIVE_DEFAULT_PARTITION__"

// partitionedOf returns what an output of the format c is, nil for one without partitions.
// It has no open if there is no reader of the format.
func (o Options) partitionedOf(c manifest.Choice) *partitioned {
	text, ok := c.Options["partition"]
	if !ok {
		return nil
	}
	kind := Outputs[c.Name]
	if c.Name == manifest.Lines {
		kind = tableKind(openTabbed, false)
	}
	part := manifest.Choice{Name: c.Name, Options: maps.Clone(c.Options)}
	delete(part.Options, "partition")
	delete(part.Options, "named")
	if kind.shape == nil {
		return &partitioned{all: shapeOf(part.Options, false), rest: shapeOf(part.Options, false)}
	}
	p := &partitioned{all: kind.shape(part.Options), valuesOfRows: shapeOf(part.Options, false)}
	for name := range strings.SplitSeq(text, ",") {
		p.by = append(p.by, slices.Index(p.all.names, name))
	}
	var columns []string
	for i, name := range p.all.names {
		if !slices.Contains(p.by, i) {
			p.others = append(p.others, i)
			columns = append(columns, name+":"+p.all.kinds[i])
		}
	}
	part.Options["columns"] = strings.Join(columns, ",")
	p.rest = kind.shape(part.Options)
	p.open = o.openAs(kind, part)
	return p
}

// openTabbed reads lines with tabs between fields.
func openTabbed(o Output, s *tableShape) (func() ([][]byte, error), func()) {
	lines, n := openPacked(o), 0
	return func() ([][]byte, error) {
		line, err := lines.Next()
		if err != nil {
			return nil, err
		}
		n++
		fields := bytes.SplitN(line, []byte{'\t'}, len(s.names))
		if len(fields) != len(s.names) {
			return nil, &MalformedError{fmt.Sprintf("line %d has %d fields, want %d", n, len(fields), len(s.names))}
		}
		return fields, nil
	}, lines.Close
}

// values are those of the fields of the columns by, in the one form that each type has.
func (p *partitioned) values(fields func(n int) ([]byte, error)) (key string, err error) {
	var text []byte
	for n, i := range p.by {
		f, err := fields(n)
		if err != nil {
			return "", err
		}
		if string(f) == nullFolder {
			f = nil
		}
		v, err := p.valuesOfRows.field(nil, p.all.kinds[i], f)
		if err != nil {
			return "", fmt.Errorf("column %s: %w", p.all.names[i], err)
		}
		text = append(binary.AppendUvarint(text, uint64(len(v))), v...)
	}
	return string(text), nil
}

// valuesOf are those in the name of a partition.
func (p *partitioned) valuesOf(name string) (string, error) {
	folders := strings.Split(name, "/")
	if len(folders) != len(p.by) {
		return "", fmt.Errorf("it lies in %d folders, not %d", len(folders), len(p.by))
	}
	return p.values(func(n int) ([]byte, error) {
		column, value, _ := strings.Cut(folders[n], "=")
		column, err := url.PathUnescape(column)
		if err == nil && column != p.all.names[p.by[n]] {
			err = fmt.Errorf("its folder %s is not of column %s", folders[n], p.all.names[p.by[n]])
		}
		if err != nil {
			return nil, err
		}
		value, err = url.PathUnescape(value)
		return []byte(value), err
	})
}

// digested are rows as far as they can be compared.
type digested struct {
	sha hash.Hash
	n   int64
}

func (d *digested) add(row []byte) {
	d.n++
	d.sha.Write(binary.AppendUvarint(nil, uint64(len(row))))
	d.sha.Write(row)
}

// partReference is what the reference of a task writes to partitions.
type partReference struct {
	ctx  context.Context //nolint:containedctx // mr.Output has none
	a    *audit
	r    int
	want map[string]*digested // by values
	find finder
}

func (a *audit) newPartReference(ctx context.Context, r int) *partReference {
	if a.parts == nil {
		return nil
	}
	return &partReference{ctx: ctx, a: a, r: r, want: map[string]*digested{}}
}

// take takes an expected row.
func (p *partReference) take(key, text []byte, pair bool) error {
	parts := p.a.parts
	fields, _, err := parts.all.split(key, text, pair)
	if err != nil {
		return err
	}
	if len(fields) != len(parts.all.names) {
		return fmt.Errorf("%d fields for %d columns", len(fields), len(parts.all.names))
	}
	values, err := parts.values(func(n int) ([]byte, error) { return fields[parts.by[n]], nil })
	if err != nil {
		return err
	}
	rest := make([][]byte, len(parts.others))
	for n, i := range parts.others {
		rest[n] = fields[i]
	}
	row, _, err := parts.rest.join(nil, rest, 1)
	if err != nil {
		return err
	}
	d := p.want[values]
	if d == nil {
		d = &digested{sha: sha256.New()}
		p.want[values] = d
	}
	d.add(row)
	return nil
}

// compare reads the objects of the task and holds them against the reference. It returns
// how many rows they have, and how many of the objects differ.
func (p *partReference) compare() (rows, differ int64, err error) {
	there := p.a.namedOf(p.r)
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if !strings.Contains(name, "=") {
			continue
		}
		o := there[name]
		values, err := p.a.parts.valuesOf(name)
		if err != nil {
			p.find.add(BadOutput, o.Key, "%v", err)
			differ++
			continue
		}
		got, err := p.digest(o)
		if err != nil {
			return 0, 0, err
		}
		rows += got.n
		want := p.want[values]
		if want == nil {
			want = &digested{sha: sha256.New()}
		}
		delete(p.want, values)
		if want.n != got.n || !bytes.Equal(want.sha.Sum(nil), got.sha.Sum(nil)) {
			differ++
			p.find.add(Mismatch, o.Key, "its %d rows are not the %d rows of the reference", got.n, want.n)
		}
	}
	for _, values := range slices.Sorted(maps.Keys(p.want)) {
		differ++
		p.find.add(Mismatch, p.a.lay.Output(p.r), "the reference has %d rows in a partition of which nothing is there: %s", p.want[values].n, quote([]byte(values)))
	}
	return rows, differ, nil
}

// digest reads an object.
func (p *partReference) digest(o *namedObject) (*digested, error) {
	body, err := p.a.stream(p.ctx, o.Key, o.at.ETag, 0, -1)
	if err != nil {
		return nil, err
	}
	lines := newOutputReader(p.a.parts.open, body)
	defer lines.close()
	d := &digested{sha: sha256.New()}
	for {
		row, err := lines.next()
		if errors.Is(err, io.EOF) {
			return d, body.Close()
		}
		if err != nil {
			return nil, errors.Join(err, body.Close())
		}
		d.add(row)
	}
}

// listHash is the SHA-256 of the list of partitions that an output has to be.
func listHash(partitions []manifest.NamedOutput) string {
	h := sha256.New()
	list := json.NewEncoder(h)
	list.SetEscapeHTML(false)
	for _, p := range partitions {
		_ = list.Encode(struct { // to a hash
			Partition string `json:"partition"`
			Size      int64  `json:"size"`
			Lines     int64  `json:"lines"`
			Hash      string `json:"hash"`
		}{p.Name, p.Size, p.Lines, p.Hash})
	}
	return hex.EncodeToString(h.Sum(nil))
}
