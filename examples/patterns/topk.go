package main

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/mraws/mraws/mr"
)

// most is how many items topK finds.
const most = 3

// topK finds the items with the highest scores. A line is "ITEM SCORE", as the
// output of wordcount has it. All pairs have one key; the combiner leaves a list
// of the best for each map task, so that little is shuffled. Of equal scores
// the item that is less comes first, which makes the combiner associative.
func topK() mr.App {
	pairs := mr.PairsOf(mr.Text{}, scores{})
	return mr.App{
		Name:    "topk",
		Help:    fmt.Sprintf("find the %d highest scores in lines \"ITEM SCORE\"", most),
		Version: "1",
		NewMapper: pairs.Map(func(line string, out *mr.Out[string, []score]) error {
			end := strings.LastIndexByte(line, ' ')
			n, err := strconv.ParseInt(line[end+1:], 10, 64)
			if err != nil || end < 0 {
				return errors.New("not ITEM SCORE")
			}
			out.Emit("top", []score{{line[:end], n}})
			return nil
		}),
		Combine: pairs.Combine(best),
		NewReducer: pairs.Reduce(func(_ string, lists iter.Seq[[]score], out *mr.Printer) error {
			var all []score
			for list := range lists {
				all = best(all, list)
			}
			for _, s := range all {
				out.Printf("%s %d", s.item, s.n)
			}
			return nil
		}),
	}
}

type score struct {
	item string
	n    int64
}

// best returns the best of two lists, the highest score first.
func best(a, b []score) []score {
	all := append(a, b...)
	slices.SortFunc(all, func(a, b score) int {
		return cmp.Or(cmp.Compare(b.n, a.n), strings.Compare(a.item, b.item))
	})
	return all[:min(len(all), most)]
}

// scores is the codec of lists of scores: for each its number in 8 bytes, the
// length of the item, and the item.
type scores struct{}

// Append implements mr.Codec.
func (scores) Append(b []byte, list []score) []byte {
	for _, s := range list {
		b = binary.AppendUvarint(mr.AppendInt64(b, s.n), uint64(len(s.item)))
		b = append(b, s.item...)
	}
	return b
}

// Parse implements mr.Codec.
func (scores) Parse(b []byte) (list []score, err error) {
	for len(b) > 8 {
		length, size := binary.Uvarint(b[8:])
		end := 8 + size + int(length)
		if size <= 0 || length > uint64(len(b)) || end > len(b) {
			return nil, errors.New("a list of scores ends too early")
		}
		list = append(list, score{string(b[8+size : end]), mr.ParseInt64(b[:8])})
		b = b[end:]
	}
	return list, nil
}
