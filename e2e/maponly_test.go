//go:build !interop

package e2e

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/manifest"
)

// TestMapOnly: the outputs of a map-only job, one after the other, are what grep(1)
// finds, whatever the splits and the workers, and nothing is shuffled. verify finds
// each change of an output, and of the record that describes it.
func TestMapOnly(t *testing.T) {
	b := newFixture(t)
	b.fill("books")
	grep := exec.CommandContext(t.Context(), "grep", "-h", "the")
	grep.Stdin = strings.NewReader(strings.Join(inputs()["books"], ""))
	want, err := grep.Output()
	if err != nil {
		t.Fatal(err)
	}
	job := []string{"--app", "grep", "--app-arg", "pattern=the", "--nreduce", "0", "--split-size", "2KiB"}
	b.run(0, append([]string{"run", "--workers", "3"}, job...)...)
	all := b.outputs()
	var got strings.Builder
	for i := range len(all) {
		got.WriteString(all[i])
	}
	if got.String() != string(want) || len(all) < 6 {
		t.Errorf("%d outputs of %d bytes, grep has %d", len(all), got.Len(), len(want))
	}
	if left := append(b.keys(b.layout.CommitDir()), b.keys(b.layout.Partition(0, 0))...); len(left) > 0 {
		t.Errorf("it has shuffled: %q", left)
	}
	verify := func(code int, parts ...string) {
		t.Helper()
		out, _ := b.run(code, "verify", "--app", "grep")
		wants(t, out, parts...)
	}
	verify(0, "reference  ok")
	b.damageMapOnly(verify)
	b.run(0, "reset", "--yes")
	if left := b.keys(b.layout.Output(0)); len(left) > 0 {
		t.Errorf("reset left %q", left)
	}
}

// damageMapOnly changes objects of a map-only job, one at a time.
func (b *fixture) damageMapOnly(verify func(code int, parts ...string)) {
	b.t.Helper()
	out := b.layout.Output(1)
	data, info, err := b.store.Get(b.t.Context(), out)
	if err != nil {
		b.t.Fatal(err)
	}
	key := b.layout.ReduceAttempt(1, info.Meta[manifest.MetaAttempt])
	record, recordInfo, err := b.store.Get(b.t.Context(), key)
	if err != nil {
		b.t.Fatal(err)
	}
	change := func(what map[string]any) []byte {
		var rec map[string]any
		if err := json.Unmarshal(record, &rec); err != nil {
			b.t.Fatal(err)
		}
		for name, v := range what {
			rec[name] = v
		}
		changed, err := json.Marshal(rec)
		if err != nil {
			b.t.Fatal(err)
		}
		return changed
	}
	hash := func(data []byte) map[string]string {
		return map[string]string{
			manifest.MetaJob: recordInfo.Meta[manifest.MetaJob], manifest.MetaAttempt: recordInfo.Meta[manifest.MetaAttempt],
			manifest.MetaHash: manifest.DigestOf(data).String(),
		}
	}
	for _, c := range []struct {
		key   string
		now   stored
		finds string
	}{
		{out, stored{bytes.Replace(data, []byte("the"), []byte("The"), 1), info.Meta}, "SHA-256"},
		{out, stored{data[:len(data)/2], info.Meta}, "finding: replaced: " + out},
		{key, stored{change(map[string]any{"input": nil}), nil}, "what it has read of the input does not fit to its job"},
		{key, stored{change(map[string]any{"input": map[string]any{"records": 1, "bytes": 1}}), nil}, "it read 1 bytes of input"},
		{b.layout.MapCommit(0), stored{record, hash(record)}, "no task of this job writes it"},
		{b.layout.Partition(0, 0), stored{record, hash(record)}, "no task of this job writes it"},
	} {
		was, wasInfo, err := b.store.Get(b.t.Context(), c.key)
		if c.now.meta == nil {
			c.now.meta = hash(c.now.data)
		}
		b.overwrite(c.key, &c.now)
		verify(8, c.finds)
		if err != nil {
			b.overwrite(c.key, nil)
		} else {
			b.overwrite(c.key, &stored{was, wasInfo.Meta})
		}
	}
	verify(0, "reference  ok")
}
