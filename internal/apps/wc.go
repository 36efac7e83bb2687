package apps

import "github.com/mraws/mraws/mr"

// wc counts words: maximal runs of Unicode letters, as in the lab.
func wc() mr.App {
	return mr.App{
		Name:    "wc",
		Help:    "count words (runs of Unicode letters)",
		Version: "1",

		NewMapper: func(*mr.Task) (mr.Mapper, error) {
			return &wcMapper{classes: newClasses(), one: mr.AppendInt64(nil, 1)}, nil
		},
		NewReducer: mr.SumReducer,
		OutputColumns: func(map[string]string) []mr.Column {
			return []mr.Column{{Name: "word"}, {Name: "count", Type: mr.IntColumn}}
		},
		Combine: mr.Sum{},

		ExactCounters: true, // there are none
	}
}

type wcMapper struct {
	classes *classes
	one     []byte // emitted with each word
	edges   []uint32
}

// MapBlock does what Map does, for many lines at a time.
func (m *wcMapper) MapBlock(block mr.Record, out mr.Emitter) error {
	for rest := block.Data; len(rest) > 0; {
		text := step(rest)
		rest = rest[len(text):]
		m.edges = edges(m.edges[:0], text)
		mr.EmitSpans(out, text, m.edges, m.one)
	}
	return nil
}

// Map emits (word, 1) for each word of a line.
func (m *wcMapper) Map(rec mr.Record, out mr.Emitter) error {
	for start, end := m.classes.next(rec.Data, 0); start < end; start, end = m.classes.next(rec.Data, end) {
		out.Emit(rec.Data[start:end], m.one)
	}
	return nil
}
