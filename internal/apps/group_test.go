package apps

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/mr"
	"github.com/mraws/mraws/mr/mrtest"
)

// groupOf runs group on tables, from name to content.
func groupOf(t testing.TB, params, inputs map[string]string) []string {
	t.Helper()
	res, err := mrtest.Job{App: group(), NReduce: 2, Params: params, Inputs: inputs}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return res.Lines()
}

func TestGroup(t *testing.T) {
	table := map[string]string{
		"a.csv":   "status,path,bytes\n200,/a,10\n200,/b,2.5\n404,/a,\n",
		"b.jsonl": `{"status":200,"path":"/a","bytes":-0.5}` + "\n" + `{"path":"x\ty","bytes":1e3,"more":[1]}` + "\n",
	}
	for _, c := range []struct {
		params string
		want   []string
	}{
		{"by=status", []string{" 1", "200 3", "404 1"}},
		{"by=status,path sum=bytes", []string{"\tx\\ty 1000", "200\t/a 9.5", "200\t/b 2.5", "404\t/a "}},
		{"by=path count=true sum=bytes avg=bytes min=bytes max=bytes", []string{
			"/a 3\t9.5\t4.75\t-0.5\t10", "/b 1\t2.5\t2.5\t2.5\t2.5", "x\\ty 1\t1000\t1000\t1000\t1000"}},
		{"count=true max=bytes,status", []string{"all 5\t1000\t404"}},
	} {
		if diff := cmp.Diff(c.want, groupOf(t, parse(c.params), table)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.params, diff)
		}
	}
}

func TestGroupFails(t *testing.T) {
	for input, want := range map[string]string{
		`{"n":"many"}`:                         `column "n" is "many", which is not a number`,
		`{"n":1e40}`:                           `column "n" is "1e40", which is a number too large to add up`,
		`{"n":5.6e38}` + "\n" + `{"n":5.6e38}`: `the sum of column "n" of a group is a number too large`,
	} {
		_, err := mrtest.Job{App: group(), Params: map[string]string{"sum": "n"}, Inputs: map[string]string{"a": input}}.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", input, err, want)
		}
	}
	for _, params := range []map[string]string{{"by": "a,,b"}, {"count": "no"}, {"sum": ","}} {
		if _, err := group().Resolve(params); err == nil {
			t.Errorf("%v is taken", params)
		}
	}
}

// TestGroupAddsUp compares with sums of exact fractions.
func TestGroupAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type row struct {
			Key string      `json:"key"`
			N   json.Number `json:"n"`
		}
		number := rapid.OneOf(
			rapid.Map(rapid.Int64(), func(n int64) string { return fmt.Sprint(n) }),
			rapid.StringMatching(`-?(0|[1-9][0-9]{0,15})\.[0-9]{1,9}`),
			rapid.StringMatching(`-?[1-9]e[0-9]`),
		)
		rows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) row {
			return row{rapid.SampledFrom([]string{"a", "b", "é"}).Draw(t, "key"), json.Number(number.Draw(t, "n"))}
		}), 1, 30).Draw(t, "rows")
		sums := map[string]*big.Rat{}
		inputs := map[string]string{}
		for i, r := range rows {
			if sums[r.Key] == nil {
				sums[r.Key] = new(big.Rat)
			}
			n, _ := new(big.Rat).SetString(string(r.N))
			sums[r.Key].Add(sums[r.Key], n)
			line, _ := json.Marshal(r)
			inputs[fmt.Sprint(i%3)] += string(line) + "\n"
		}
		var want []string
		for key, sum := range sums {
			want = append(want, key+" "+exact(sum))
		}
		slices.Sort(want)
		res, err := mrtest.Job{App: group(), Params: map[string]string{"by": "key", "sum": "n"}, Inputs: inputs}.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, res.Lines()); diff != "" {
			t.Fatalf("(-exact +got):\n%s", diff)
		}
	})
}

// anyDecimal draws a decimal: any bits, or a number of a table.
func anyDecimal(t *rapid.T, label string) decimal {
	if rapid.Bool().Draw(t, label+" is small") {
		return times(rapid.Uint64().Draw(t, label), rapid.IntRange(0, decimals).Draw(t, label+" decimals")).sign(rapid.Bool().Draw(t, label+" sign"))
	}
	var d decimal
	for i := range d {
		d[i] = rapid.Uint64().Draw(t, label)
	}
	return d
}

// exact is the text of a fraction without zeros at its end.
func exact(r *big.Rat) string {
	text := strings.TrimSuffix(strings.TrimRight(r.FloatString(decimals), "0"), ".")
	if text == "-0" {
		return "0"
	}
	return text
}

func TestDecimal(t *testing.T) {
	one := new(big.Int).Exp(big.NewInt(10), big.NewInt(decimals), nil)
	rapid.Check(t, func(t *rapid.T) {
		d, e := anyDecimal(t, "d"), anyDecimal(t, "e")
		if decimalOfBig(d.big()) != d || d.neg().neg() != d {
			t.Fatalf("%v is %v in steps", d, d.big())
		}
		sum, ok := d.add(e)
		want := new(big.Int).Add(d.big(), e.big())
		if fits := decimalOfBig(want).big().Cmp(want) == 0; fits != ok || ok && sum.big().Cmp(want) != 0 {
			t.Fatalf("%v + %v = %v, %v", d, e, sum, ok)
		}
		var first, second [decimalSize]byte
		d.put(first[:])
		e.put(second[:])
		if less := d.big().Cmp(e.big()) < 0; d.less(e) != less || bytes.Compare(first[:], second[:]) < 0 != less || decimalFrom(first[:]) != d {
			t.Fatalf("%v < %v is %v", d, e, d.less(e))
		}
		text := exact(new(big.Rat).SetFrac(d.big(), one))
		if got := string(d.append(nil)); got != text {
			t.Fatalf("%v is %s, want %s", d.big(), got, text)
		}
		if back, err := parseDecimal([]byte(text)); d != (decimal{3: 1 << 63}) && (err != nil || back != d) {
			t.Fatalf("%s is read as %v, %v", text, back, err)
		}
		n := rapid.Uint64Min(1).Draw(t, "n")
		mean, _ := new(big.Rat).SetFrac(d.big(), new(big.Int).Mul(new(big.Int).SetUint64(n), one)).Float64()
		if got := d.mean(n); got != mean {
			t.Fatalf("%s / %d is %v, want %v", text, n, got, mean)
		}
		i := rapid.Int64().Draw(t, "int")
		if got := string(decimalOfInt(i).append(nil)); got != fmt.Sprint(i) {
			t.Fatalf("%d is %s", i, got)
		}
	})
	for text, want := range map[string]string{
		"1e-9": "0.000000001", "0.1234567894": "0.1234567894", "1e20": "100000000000000000000", "-1.50": "-1.5", "1E2": "100",
		"0.30000000000000004": "0.30000000000000004", "9007199254740993.0000000000": "9007199254740993",
		"123456789012345678.123456789000000000": "123456789012345678.123456789", "4e-10": "0.0000000004", "-0": "0",
		"5e-39": "0", "15e-39": "0.00000000000000000000000000000000000002", "1e-5000000": "0", "0e999999": "0",
		"0.99995072823334420000000000000000000000000001": "0.9999507282333442", "1e38": "1" + strings.Repeat("0", 38),
	} {
		if d, err := parseDecimal([]byte(text)); err != nil || string(d.append(nil)) != want {
			t.Errorf("%s is %s, %v, want %s", text, d.append(nil), err, want)
		}
	}
	for _, text := range []string{"", "-", ".", ".5x", "1.", "1.e2", "1e", "e1", "abc", "NaN", "inf", "0x1p-2", "1 2", " 7", "1_000", "--1", "1-1", "1e1e1"} {
		if d, err := parseDecimal([]byte(text)); !errors.Is(err, errNumber) {
			t.Errorf("%q is read as %s, %v", text, d.append(nil), err)
		}
	}
	for _, text := range []string{"6e38", "1e999999", "-1e40", strings.Repeat("9", 40)} {
		if d, err := parseDecimal([]byte(text)); !errors.Is(err, errLarge) {
			t.Errorf("%q is read as %s, %v", text, d.append(nil), err)
		}
	}
}

// TestGroupBatches compares batches of every form with the same rows one by one.
func TestGroupBatches(t *testing.T) {
	app := group()
	rapid.Check(t, func(t *rapid.T) {
		params, err := app.Resolve(map[string]string{
			"by": rapid.SampledFrom([]string{"", "a", "b,a"}).Draw(t, "by"), "count": "true", "sum": "n,b", "avg": "n", "min": "m", "max": "n",
		})
		if err != nil {
			t.Fatal(err)
		}
		columns, err := app.Columns(params)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := app.NewMapper(&mr.Task{Params: params, MapOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		mapper, err := app.NewMapper(&mr.Task{Params: params})
		if err != nil {
			t.Fatal(err)
		}
		folding := mapper.(*foldingMapper)
		folding.groups.most = rapid.IntRange(1, 20).Draw(t, "groups")
		want, got := folded{}, folded{}
		for range rapid.IntRange(0, 3).Draw(t, "batches") {
			b := drawBatch(t, columns)
			row, err := folding.MapBatch(b, got)
			for i := range b.Len() {
				werr := plain.Map(b.Record(i), want)
				switch {
				case (werr != nil) != (err != nil && i == row):
					t.Fatalf("row %d: %v; batch: row %d, %v", i, werr, row, err)
				case werr != nil && werr.Error() != err.Error():
					t.Fatalf("row %d: %v; batch: %v", i, werr, err)
				case werr != nil:
					return
				}
			}
		}
		if err := folding.Flush(got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-rows +batches:\n%s", diff)
		}
	})
}

// folded is an emitter that combines, and counts pairs as the key "".
type folded map[string]string

func (f folded) Emit(key, value []byte) { f.EmitFolded(key, value, 1) }

func (f folded) EmitFolded(key, value []byte, pairs int64) {
	n, _ := strconv.ParseInt(f[""], 10, 64)
	f[""] = fmt.Sprint(n + pairs)
	name := "key " + string(key)
	if acc, ok := f[name]; ok {
		value = combineGroups([]byte(acc), value)
	}
	f[name] = string(value)
}

// drawBatch draws rows of these columns, each of one form.
func drawBatch(t *rapid.T, columns []string) *mr.Batch {
	n := rapid.IntRange(1, 100).Draw(t, "rows")
	b := &mr.Batch{Object: "o", Names: columns, Columns: make([]mr.Vector, len(columns)), Offsets: make([]int64, n)}
	number := rapid.SampledFrom([]string{"0", "-7", "12", "0.5", "-2.25", "1e3", "9223372036854775807", "-9223372036854775808", "99999999999999999999", "7.000", "-0", "0.30000000000000004"})
	text := number
	if rapid.IntRange(0, 9).Draw(t, "fails") == 0 {
		number = rapid.OneOf(number, rapid.Just("1e40"))
		text = rapid.OneOf(text, rapid.SampledFrom([]string{"007", "x", "-", "", "1e40", "1.", "a text of more than twenty-four bytes", "+5"}))
	}
	for c := range columns {
		v := &b.Columns[c]
		form := rapid.IntRange(0, 3).Draw(t, "form")
		for range n {
			kind := mr.NumberField
			switch form {
			case 0:
				v.Ints = append(v.Ints, rapid.OneOf(rapid.Int64(), rapid.Int64Range(-3, 3)).Draw(t, "int"))
			case 1:
				v.Floats = append(v.Floats, rapid.OneOf(rapid.Float64Range(-1e30, 1e30), rapid.SampledFrom([]float64{0.5, 3, -1, 1 << 62})).Draw(t, "float"))
			case 2:
				v.Texts = append(v.Texts, []byte(number.Draw(t, "number")))
			default:
				kind = mr.TextField
				v.Texts = append(v.Texts, []byte(text.Draw(t, "text")))
			}
			if rapid.IntRange(0, 5).Draw(t, "null") == 0 {
				kind = mr.NullField
			}
			v.Kinds = append(v.Kinds, kind)
		}
	}
	return b
}

// batchMapper groups rows by columns a and b.
func batchMapper(b *testing.B) mr.BatchMapper {
	b.Helper()
	app := group()
	params, err := app.Resolve(map[string]string{"by": "a,b", "count": "true", "sum": "n"})
	if err != nil {
		b.Fatal(err)
	}
	m, err := app.NewMapper(&mr.Task{Params: params})
	if err != nil {
		b.Fatal(err)
	}
	return m.(mr.BatchMapper)
}

// BenchmarkGroupBatch maps batches of 1,000 rows.
func BenchmarkGroupBatch(b *testing.B) {
	m := batchMapper(b)
	var batch mr.Batch
	batch.Reset("o", []string{"a", "b", "n"})
	row := mr.NewFields("a", "b", "n")
	for i := range 1000 {
		row.SetNumber(0, fmt.Append(nil, 200+i%7))
		row.SetText(1, fmt.Appendf(nil, "/some/path/%d", i*i%5000))
		row.SetNumber(2, fmt.Append(nil, i*77))
		batch.Append(int64(i), row)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.MapBatch(&batch, discard{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/row")
}

// BenchmarkGroupMany maps batches as Parquet has them: numbers are such, and the rows are
// of 30,000 groups, of which few are frequent.
func BenchmarkGroupMany(b *testing.B) {
	m := batchMapper(b)
	random := rand.New(rand.NewPCG(1, 2))
	often := rand.NewZipf(random, 1.1, 8, 7000)
	batches := make([]mr.Batch, 200)
	const rows = 1000
	for k := range batches {
		kinds, texts := make([]mr.FieldKind, rows), make([]mr.FieldKind, rows)
		c := []mr.Vector{{Kinds: kinds, Ints: make([]int64, rows)}, {Kinds: texts, Texts: make([][]byte, rows)}, {Kinds: kinds, Ints: make([]int64, rows)}}
		for i := range rows {
			kinds[i], texts[i] = mr.NumberField, mr.TextField
			c[0].Ints[i], c[2].Ints[i] = 200+random.Int64N(5), random.Int64N(50_000)
			c[1].Texts[i] = fmt.Appendf(nil, "/path/%d", often.Uint64())
		}
		batches[k] = mr.Batch{Object: "o", Names: []string{"a", "b", "n"}, Columns: c, Offsets: make([]int64, rows)}
	}
	for b.Loop() {
		for k := range batches {
			if _, err := m.MapBatch(&batches[k], discard{}); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows/float64(len(batches)), "ns/row")
}

// TestGroupMapAllocates holds the promise of mr.Fields for the mapper.
func TestGroupMapAllocates(t *testing.T) {
	app := group()
	params, err := app.Resolve(map[string]string{"by": "a,b", "sum": "n", "max": "n"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := app.NewMapper(&mr.Task{Params: params})
	if err != nil {
		t.Fatal(err)
	}
	row := mr.NewFields("a", "b", "n")
	row.SetText(0, []byte("200"))
	row.SetText(1, []byte("/index"))
	row.SetNumber(2, []byte("12.25"))
	if n := testing.AllocsPerRun(100, func() { _ = m.Map(mr.Record{Fields: row}, discard{}) }); n > 0 {
		t.Errorf("Map allocates %v times", n)
	}
}

// TestGroupTellsTextsApart: texts that begin and end alike, of all lengths round those of a
// signature, and values of all forms are each a group of their own.
func TestGroupTellsTextsApart(t *testing.T) {
	app := group()
	rapid.Check(t, func(t *rapid.T) {
		columns := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}[:rapid.IntRange(0, 9).Draw(t, "columns")]
		text := rapid.Custom(func(t *rapid.T) string {
			n := rapid.SampledFrom([]int{0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 18, 30, 200}).Draw(t, "length")
			b := bytes.Repeat([]byte("a"), n)
			if n > 0 && rapid.Bool().Draw(t, "odd") {
				b[rapid.IntRange(0, n-1).Draw(t, "at")] = 'b'
			}
			return string(b)
		})
		params, err := app.Resolve(map[string]string{"by": strings.Join(columns, ",")})
		if err != nil {
			t.Fatal(err)
		}
		m, err := app.NewMapper(&mr.Task{Params: params})
		if err != nil {
			t.Fatal(err)
		}
		n := rapid.IntRange(1, 80).Draw(t, "rows")
		b := &mr.Batch{Object: "o", Names: columns, Columns: make([]mr.Vector, len(columns)), Offsets: make([]int64, n)}
		for c := range columns {
			v := &b.Columns[c]
			v.Kinds = slices.Repeat([]mr.FieldKind{mr.TextField}, n)
			form := rapid.IntRange(0, 4).Draw(t, "form")
			for range n {
				switch form {
				case 0:
					v.Ints = append(v.Ints, rapid.Int64Range(-2, 2).Draw(t, "int"))
				case 1:
					v.Floats = append(v.Floats, rapid.SampledFrom([]float64{0, 0.5, -1, 1e300}).Draw(t, "float"))
				default:
					v.Texts = append(v.Texts, []byte(text.Draw(t, "text")))
				}
			}
		}
		want, got := map[string]int64{}, map[string]int64{}
		for row := range n {
			want[string(appendGroup(nil, b.Record(row).Fields, len(columns)))]++
		}
		out := groupSizes(got)
		if _, err := m.(mr.BatchMapper).MapBatch(b, out); err != nil {
			t.Fatal(err)
		}
		if err := m.(*foldingMapper).Flush(out); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

// groupSizes counts the pairs of each key, each of which is emitted once.
type groupSizes map[string]int64

func (groupSizes) Emit(_, _ []byte) { panic("a pair that is not folded") }

func (f groupSizes) EmitFolded(key, _ []byte, pairs int64) {
	if f[string(key)] > 0 {
		panic("a group is emitted twice")
	}
	f[string(key)] = pairs
}

// TestLongTexts: of rows with one signature those with the same long texts are of one group.
func TestLongTexts(t *testing.T) {
	texts := []string{"aaaaaaaa1bbbbbbbb", "aaaaaaaa2bbbbbbbb", "aaaaaaaa11bbbbbbbb", "short"}
	rows := [][2]string{}
	for _, x := range texts {
		for _, y := range texts {
			rows = append(rows, [2]string{x, y})
		}
	}
	m := newFoldingMapper(&groupMapper{grouping: &grouping{columns: []string{"a", "b"}, by: 2}, value: make([]byte, countSize)})
	var b mr.Batch
	b.Reset("o", []string{"a", "b"})
	row := mr.NewFields("a", "b")
	for i, r := range rows {
		row.SetText(0, []byte(r[0]))
		row.SetText(1, []byte(r[1]))
		b.Append(int64(i), row)
	}
	m.signRows(&b, 0, len(rows))
	sign := func(i int) []uint64 { return m.signs[i*m.groups.sign:][:m.groups.sign] }
	for i := range rows {
		g := m.add(&b, i, uint32(i), sign(i), discard{})
		for j := range rows {
			if slices.Equal(sign(i), sign(j)) && m.sameLong(g, &b, j) != (rows[i] == rows[j]) {
				t.Errorf("%q and %q", rows[i], rows[j])
			}
		}
	}
}

// TestGroupTableGrows: a table that is filled has all of its groups, and at least a
// quarter of its cells are free, without which a search would not end. Where records are
// large it takes fewer groups.
func TestGroupTableGrows(t *testing.T) {
	for slots, want := range map[int]int{1: mostGroups, 20: mostRecords / (8 * (1 + 20*wholeWords + 3)), 100: mostGroups / 2} {
		want = max(want, mostGroups/2)
		table := newGroupTable(1, slots)
		sign := make([]uint64, table.sign)
		hash := func(i int) uint32 { return uint32(i/2) * 2654435761 } // two groups have the same
		n := 0
		for ; !table.full(1); n++ {
			sign[1] = uint64(n)
			if g := table.add(hash(n), sign, nil, []byte{byte(n)}); g != n {
				t.Fatalf("group %d is %d", n, g)
			}
			if free := len(table.cells) - table.n; 4*free < len(table.cells) {
				t.Fatalf("%d groups in %d cells", table.n, len(table.cells))
			}
		}
		for i := range n {
			sign[1] = uint64(i)
			if g, _ := table.find(hash(i), hash(i), sign); g != i {
				t.Fatalf("%d slots: group %d is found as %d", slots, i, g)
			}
		}
		sign[1] = uint64(n)
		if g, _ := table.find(hash(n), hash(n), sign); g >= 0 || n != want {
			t.Errorf("%d slots: %d groups, want %d; one that is not there is %d", slots, n, want, g)
		}
	}
}
