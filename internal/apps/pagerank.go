package apps

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"math/bits"
	"slices"
	"strconv"

	"github.com/mraws/mraws/mr"
)

// pagerank ranks the nodes of a graph by its links, in the form of "The Anatomy of a
// Large-Scale Hypertextual Web Search Engine" (Brin and Page, 1998):
//
//	PR(a) = (1-d) + d (PR(t1)/C(t1) + ... + PR(tn)/C(tn))
//
// where t1 to tn link to a and C is the number of links of a node. A node without links
// hands on nothing. Ranks add up to the number of nodes, but for that.
//
// With step=links the app reads edges and writes nodes; with step=round it reads nodes
// and writes them with their next ranks, for a step of a chain that is repeated. A line
// of a node is its name, its rank and the nodes that it links to, with spaces between.
// Ranks are whole numbers of 1e-9, so that the order in which they are added up does not
// show.
func pagerank() mr.App {
	return mr.App{
		Name:    "pagerank",
		Help:    "rank nodes by their links: step=links makes nodes of edges, step=round is one round over nodes",
		Version: "1",
		Params: []mr.Param{
			{Name: "step", Help: "links reads lines \"from to\" of edges, round reads lines of nodes", Required: true, Check: func(v string) error {
				if v != stepLinks && v != stepRound {
					return fmt.Errorf("%q is neither %s nor %s", v, stepLinks, stepRound)
				}
				return nil
			}},
			{Name: "damping", Help: "share of its rank that a node hands on", Default: "0.85", Check: checkShare},
			{Name: "tolerance", Help: "the counter moved has the nodes whose rank changes by more than this", Default: "0.000001", Check: checkShare},
		},
		NewMapper:  newRankMapper,
		NewReducer: newRankReducer,
		Combine:    mr.CombinerFunc(addRank),

		ExactCounters: true,
	}
}

const (
	stepLinks = "links"
	stepRound = "round"
	// one is a rank of 1.
	one = 1_000_000_000
	// moved is the counter of nodes whose rank has changed.
	moved = "moved"
)

// checkShare refuses what is no number from 0 to 1.
func checkShare(v string) error {
	_, err := parseShare(v)
	return err
}

// parseShare reads a number from 0 to 1 as a number of 1e-9.
func parseShare(v string) (uint64, error) {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f >= 0 && f <= 1) {
		return 0, fmt.Errorf("%q is no number from 0 to 1", v)
	}
	return uint64(math.Round(f * one)), nil
}

// A value is what a node gets from others: 8 bytes, little endian. The value of the node
// itself goes on with its rank, 8 bytes, and with its links, separated by spaces.
const (
	rankAt  = 8
	linksAt = 16
)

// addRank is the combiner. Links of one node come from several values where edges are read.
func addRank(acc, next []byte) []byte {
	binary.LittleEndian.PutUint64(acc, binary.LittleEndian.Uint64(acc)+binary.LittleEndian.Uint64(next))
	switch {
	case len(next) == rankAt:
	case len(acc) == rankAt:
		acc = append(acc, next[rankAt:]...)
	default:
		if len(acc) > linksAt && len(next) > linksAt {
			acc = append(acc, ' ')
		}
		acc = append(acc, next[linksAt:]...)
	}
	return acc
}

func newRankMapper(t *mr.Task) (mr.Mapper, error) {
	var value []byte
	if t.Params["step"] == stepLinks {
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			fields := bytes.Fields(rec.Data)
			if len(fields) == 0 || rec.Data[0] == '#' { // a comment, as files of edges have them
				return nil
			}
			if len(fields) != 2 {
				return fmt.Errorf("an edge of %d fields, not 2", len(fields))
			}
			value = binary.LittleEndian.AppendUint64(value[:0], 0)
			value = binary.LittleEndian.AppendUint64(value, one)
			out.Emit(fields[1], value)
			out.Emit(fields[0], append(value, fields[1]...))
			return nil
		}), nil
	}
	return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
		name, rest, _ := bytes.Cut(rec.Data, space)
		text, links, _ := bytes.Cut(rest, space)
		rank, err := parseRank(text)
		if err != nil {
			return fmt.Errorf("no line of a node, which is its name, its rank and its links: %w", err)
		}
		value = binary.LittleEndian.AppendUint64(value[:0], 0)
		value = binary.LittleEndian.AppendUint64(value, rank)
		out.Emit(name, append(value, links...))
		if len(links) == 0 {
			return nil
		}
		binary.LittleEndian.PutUint64(value, rank/uint64(bytes.Count(links, space)+1))
		for link := range bytes.SplitSeq(links, space) {
			out.Emit(link, value[:rankAt])
		}
		return nil
	}), nil
}

var space = []byte{' '}

// parseRank is the inverse of appendRank.
func parseRank(text []byte) (uint64, error) {
	whole, part, ok := bytes.Cut(text, []byte{'.'})
	if !ok || len(part) != 9 {
		return 0, fmt.Errorf("%q is no rank", text)
	}
	return strconv.ParseUint(string(whole)+string(part), 10, 64)
}

// appendRank writes a rank with 9 digits behind the point.
func appendRank(b []byte, rank uint64) []byte {
	b = append(strconv.AppendUint(b, rank/one, 10), '.')
	at := len(b)
	b = strconv.AppendUint(b, rank%one+one, 10) // a digit more, so that there are 9 behind it
	return slices.Delete(b, at, at+1)
}

// rankReducer writes nodes.
type rankReducer struct {
	task      *mr.Task
	round     bool
	damping   uint64
	tolerance uint64
	sum, line []byte
}

func newRankReducer(t *mr.Task) (mr.Reducer, error) {
	r := &rankReducer{task: t, round: t.Params["step"] == stepRound}
	var err error
	if r.damping, err = parseShare(t.Params["damping"]); err != nil {
		return nil, err
	}
	r.tolerance, err = parseShare(t.Params["tolerance"])
	return r, err
}

// Reduce writes the line of a node.
func (r *rankReducer) Reduce(name []byte, values iter.Seq[[]byte], out mr.Output) error {
	r.sum = r.sum[:0]
	for v := range values {
		if len(r.sum) == 0 {
			r.sum = append(r.sum, v...)
			continue
		}
		r.sum = addRank(r.sum, v)
	}
	if len(r.sum) < linksAt {
		return fmt.Errorf("nodes link to %q, which has no line of its own", name)
	}
	rank, links := binary.LittleEndian.Uint64(r.sum[rankAt:]), r.sum[linksAt:]
	if r.round {
		before := rank
		high, low := bits.Mul64(r.damping, binary.LittleEndian.Uint64(r.sum))
		rank, _ = bits.Div64(high, low, one)
		rank += one - r.damping
		if max(rank, before)-min(rank, before) > r.tolerance {
			r.task.Counters.Add(moved, 1)
		}
	}
	r.line = appendRank(r.line[:0], rank)
	if r.round {
		if len(links) > 0 {
			r.line = append(append(r.line, ' '), links...)
		}
	} else {
		neighbours := slices.SortedFunc(bytes.FieldsSeq(links), bytes.Compare)
		for _, link := range slices.CompactFunc(neighbours, bytes.Equal) {
			r.line = append(append(r.line, ' '), link...)
		}
	}
	out.Write(r.line)
	return nil
}
