package events

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// oddLines are lines that the parser must leave to encoding/json, or must not take for
// others.
const oddLines = `{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","task":"map-1","cause":"a \"word\""}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","counters":{"a":-1},"bytes":7}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","counters":{}}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","counters":{"a":{}}}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","counters":{"a":1}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","counters":{"a":1}}}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","s3":{"requests":3}}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","s3":{"requests":{"a":1,"a":2},"more":3}}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","s3":{"sent":1,"sent":2},"s3":{"received":3}}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","counters":{"a":1},"counters":{"b":1}}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","bytes":{}}
{"type":"job.done","at":"2026-03-01T12:30:00.000Z","totals":{"map":{"tasks":1}}}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","bytes":1,"bytes":2}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","Bytes":3}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","bytes":01}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","bytes":+1}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","bytes":}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","seconds":1e3,"slot":1.5}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","seconds":0x10}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","seconds":1_0}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","seconds":1e999}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","seconds":7.}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","speculative":false}
{"type":"attempt.ended","at":"2026-13-01T12:30:00.000Z"}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.0x0Z"}
{"type":"attempt.ended","at":"2026-03-01T12:30:00+00:00"}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","later":"field"}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","worker":"w` + "\xff" + `"}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z","worker":"wé"}
{"type":"attempt.ended" ,"at":"2026-03-01T12:30:00.000Z"}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z",}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z"}}
{"type":"attempt.ended","at":"2026-03-01T12:30:00.000Z"
{}
{"type":"task.restored","at":"2026-03-01T12:30:00.000Z","task":null}`

// plainLines are lines that the parser reads itself.
const plainLines = `{"type":"attempt.started","at":"2026-03-01T12:30:00.007Z","task":"map-1","attempt":"t52lz4gn.m1.1","worker":"w-1","slot":3,"speculative":true}
{"type":"attempt.ended","at":"2026-03-01T12:31:01.999Z","task":"map-1","attempt":"t52lz4gn.m1.1","worker":"w-1","outcome":"committed","seconds":12.858749514921713,"records":500001,"bytes":67108864,"emitted":9000007,"wrote_records":30001,"wrote_bytes":400001,"wait_seconds":0.25}
{"type":"task.restored","at":"2026-03-01T12:31:01.000Z","task":"reduce-0","attempt":"a","worker":"w","started":"2026-03-01T12:29:00.000Z","seconds":0.5,"keys":4,"skipped":0}
{"type":"attempt.ended","at":"2026-03-01T12:31:01.999Z","task":"map-1","counters":{"a b":1,"c":0},"s3":{"requests":{"GetObject":3,"PutObject":1},"sent":7,"received":9},"throttled":2,"throttled_seconds":1,"spills":3,"spilled_bytes":9,"spill_seconds":0.1}`

// sameAsJSON wants the parser to make of a line what encoding/json makes of it, and
// returns whether it has read the line itself.
func sameAsJSON(t *testing.T, p *parser, line string) (plain bool) {
	t.Helper()
	var got, want, self Event
	err := p.parse([]byte(line), &got)
	wantErr := json.Unmarshal([]byte(line), &want)
	if (err == nil) != (wantErr == nil) {
		t.Errorf("%s\n%v, encoding/json says %v", line, err, wantErr)
	} else if err == nil {
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s\n-encoding/json +parser\n%s", line, d)
		}
	}
	return p.plain([]byte(line), &self)
}

// TestParse: every line comes to what encoding/json makes of it, whoever reads it.
func TestParse(t *testing.T) {
	p := new(parser)
	for line := range strings.Lines(oddLines) {
		sameAsJSON(t, p, strings.TrimSuffix(line, "\n"))
	}
	for line := range strings.Lines(plainLines) {
		if !sameAsJSON(t, p, strings.TrimSuffix(line, "\n")) {
			t.Errorf("left to encoding/json: %s", line)
		}
	}
}

func FuzzParse(f *testing.F) {
	for line := range strings.Lines(oddLines + "\n" + plainLines) {
		f.Add(strings.TrimSuffix(line, "\n"))
	}
	f.Fuzz(func(t *testing.T, line string) { sameAsJSON(t, new(parser), line) })
}
