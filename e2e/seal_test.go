package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/verify"
)

// odd is the program under test with an application more, which may skip
// records.
var odd = program("odd", "/e2e/program", func() []string { return nil })

// sealedJob runs a job of two small files, and returns the key and bytes of
// each of its objects.
func (b *fixture) sealedJob(app string, flags ...string) map[string]stored {
	b.t.Helper()
	var paths []string
	for name, text := range map[string]string{"a.txt": "the whale\n!first\nthe sea\n!second\n", "b.txt": "a ship\n!third\nthe end\nthe whale\n"} {
		path := filepath.Join(b.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			b.t.Fatal(err)
		}
		paths = append(paths, path)
	}
	b.run(0, append([]string{"upload-input"}, paths...)...)
	code := 0
	if slices.Contains(flags, "--max-bad-records") {
		code = 3
	}
	b.run(code, append([]string{"run", "--app", app, "--nreduce", "2", "--workers", "2"}, flags...)...)
	all := map[string]stored{}
	for _, key := range b.keys(b.layout.Prefix() + "/") {
		data, info, err := b.store.Get(b.t.Context(), key)
		if err != nil {
			b.t.Fatal(err)
		}
		all[key] = stored{data, info.Meta}
		b.keep(key)
	}
	return all
}

// stored is an object of a job.
type stored struct {
	data []byte
	meta map[string]string
}

// overwrite writes other bytes to an object, or removes it if there are none.
func (b *fixture) overwrite(key string, o *stored) {
	b.t.Helper()
	var err error
	if o == nil {
		err = b.store.Delete(b.t.Context(), key)
	} else {
		_, err = b.store.Put(b.t.Context(), key, o.data, object.PutOptions{Meta: o.meta})
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// TestSealedJob damages each object of real jobs as another client does: it
// writes it anew, with and without its metadata, deletes it, swaps it with
// another, and adds some. All of it is found and, once all is as it was, the
// seal is the same again.
func TestSealedJob(t *testing.T) {
	for name, flags := range map[string][]string{
		"sort":    {"sort"},
		"packed":  {"wc", "--shuffle", "packed"},
		"skipped": {"fickle", "--max-bad-records", "3"},
	} {
		t.Run(name, func(t *testing.T) {
			b := fixtureOf(t, odd)
			job := b.sealedJob(flags[0], flags[1:]...)
			out, _ := b.run(0, "verify", "--app", flags[0])
			_, seal, ok := strings.Cut(out, "\nseal       ok       ")
			if seal, _, _ = strings.Cut(seal, "\n"); !ok || seal != sealByHand(t, b.layout, job) {
				t.Fatalf("the seal by hand is %s, of verify:\n%s", sealByHand(t, b.layout, job), out)
			}
			tried := 0
			found := func(what string) {
				t.Helper()
				tried++
				rep, err := verify.Run(t.Context(), b.store, b.layout, verify.Options{Scratch: b.dir, Seal: seal})
				if err != nil || rep.OK() {
					t.Errorf("%s: nothing was found (%v)", what, err)
				}
			}
			keys := []string{}
			for key := range job {
				// The announcement and the event log tell of the job, and are no part of its result.
				if key != b.layout.Coordinator() && !strings.HasPrefix(key, b.layout.EventsDir()) {
					keys = append(keys, key)
				}
			}
			slices.Sort(keys)
			for _, key := range keys {
				o := job[key]
				for what, data := range damages(o.data) {
					b.overwrite(key, &stored{data, nil})
					found(key + ": " + what)
					b.overwrite(key, &stored{data, o.meta})
					found(key + ": " + what + ", metadata kept")
				}
				b.overwrite(key, nil)
				found(key + ": deleted")
				b.putBack(key)
			}
			for i, key := range keys {
				other := keys[(i+1)%len(keys)]
				x, y := job[key], job[other]
				if bytes.Equal(x.data, y.data) {
					continue
				}
				b.overwrite(key, &y)
				b.overwrite(other, &x)
				found(key + " swapped with " + other)
				b.putBack(key)
				b.putBack(other)
			}
			for _, key := range []string{
				"intermediate/mr-9-9", "intermediate/_commit/map-9", "intermediate/_attempts/reduce-0/x", "intermediate/x",
				"output/mr-out-9", "output/_bad/map-9", "output/x",
			} {
				key = b.layout.Prefix() + "/" + key
				b.overwrite(key, &stored{[]byte("x"), nil})
				found(key + ": added")
				b.overwrite(key, nil)
			}
			b.run(0, "verify", "--seal", seal)
			t.Logf("%d damages of %d objects", tried, len(keys))

			// What a person sees of it.
			for _, key := range []string{b.layout.Job(), b.layout.Success(), b.layout.MapCommit(0)} {
				o := job[key]
				lines := bytes.SplitAfter(o.data, []byte("\n"))
				lines[1], lines[2] = lines[2], lines[1]
				b.overwrite(key, &stored{bytes.Join(lines, nil), o.meta})
				for _, line := range [][]string{{"verify"}, {"verify", "--app", flags[0]}, {"verify", "--app", "grep"}} {
					if key == b.layout.MapCommit(0) && slices.Contains(line, "grep") {
						continue // spec and summary say that this is another app
					}
					_, errout := b.run(8, line...)
					wants(t, errout, key)
				}
				b.putBack(key)
			}
			b.overwrite(b.layout.Job(), nil)
			_, errout := b.run(8, "verify")
			wants(t, errout, b.layout.Job()+": it is not there, and ")
		})
	}
}

// damages are ways to change the bytes of an object.
func damages(data []byte) map[string][]byte {
	all := map[string][]byte{
		"emptied": {}, "cut": data[:max(0, len(data)-1)], "cut in half": data[:len(data)/2],
		"appended": append(slices.Clone(data), '\n'), "repeated": slices.Concat(data, data),
	}
	for i := range 6 {
		if at := i * len(data) / 6; at < len(data) {
			b := slices.Clone(data)
			b[at] ^= 1 << i
			all[fmt.Sprintf("bit %d of byte %d flipped", i, at)] = b
		}
	}
	if lines := bytes.SplitAfter(data, []byte("\n")); len(lines) > 3 {
		i := len(lines) / 2
		all["a line repeated"] = bytes.Join(slices.Insert(slices.Clone(lines), i, lines[i]), nil)
		all["a line dropped"] = bytes.Join(slices.Delete(slices.Clone(lines), i, i+1), nil)
		swapped := slices.Clone(lines)
		swapped[i], swapped[i-1] = swapped[i-1], swapped[i]
		all["lines swapped"] = bytes.Join(swapped, nil)
	}
	for what, b := range all {
		if bytes.Equal(b, data) {
			delete(all, what)
		}
	}
	return all
}

// sealByHand checks a job as docs/formats.md says, with nothing of ours but
// the names.
func sealByHand(t *testing.T, l layout.Layout, job map[string]stored) string {
	t.Helper()
	sum := func(data []byte) string { s := sha256.Sum256(data); return hex.EncodeToString(s[:]) }
	digest := func(key string) string { return sum(job[key].data) }
	all := func(n int, key func(int) string) string {
		h := sha256.New()
		for i := range n {
			s := sha256.Sum256(job[key(i)].data)
			h.Write(s[:])
		}
		return hex.EncodeToString(h.Sum(nil))
	}
	data := job[l.Success()].data
	var done struct {
		Map     struct{ Tasks int }
		Outputs []struct{ Hash, Attempt string }
		Sealed  map[string]string
		Seal    string
	}
	if err := json.Unmarshal(data, &done); err != nil {
		t.Fatal(err)
	}
	ranges := ""
	if _, ok := job[l.Ranges()]; ok {
		ranges = digest(l.Ranges())
	}
	for what, s := range map[string][2]string{
		"seal":    {sum(data[:len(data)-68]), done.Seal},
		"job":     {digest(l.Job()), done.Sealed["job"]},
		"ranges":  {ranges, done.Sealed["ranges"]},
		"maps":    {all(done.Map.Tasks, l.MapCommit), done.Sealed["maps"]},
		"reduces": {all(len(done.Outputs), func(r int) string { return l.ReduceAttempt(r, done.Outputs[r].Attempt) }), done.Sealed["reduces"]},
	} {
		if s[0] != s[1] {
			t.Errorf("%s: %s by hand, %s in _SUCCESS", what, s[0], s[1])
		}
	}
	for r, o := range done.Outputs {
		if got := digest(l.Output(r)); got != o.Hash {
			t.Errorf("output %d: %s by hand, %s in _SUCCESS", r, got, o.Hash)
		}
	}
	return done.Seal
}
