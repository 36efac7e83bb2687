//go:build linux

package lab

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// words are what books are made of; some are not ASCII.
const words = "the of and whale Ishmael sea captain ship naïve façade Ærø über 山 don't water-proof 42 a I man Queequeg harpoon white deep"

// Books makes n texts of up to size bytes each: lines with either ending,
// every fifth or so without a break at its end, and, where there are more
// than three, an empty one.
func Books(rng *rand.Rand, n, size int) map[string]string {
	all := strings.Fields(words)
	books := map[string]string{}
	for i := range n {
		var s strings.Builder
		for left := size/2 + rng.IntN(size/2+1); s.Len() < left; {
			s.WriteString(all[rng.IntN(len(all))])
			if rng.IntN(4) == 0 {
				fmt.Fprintf(&s, "%c", 'a'+rune(rng.IntN(26)))
			}
			switch rng.IntN(40) {
			case 0:
				s.WriteString("\r\n")
			case 1, 2, 3:
				s.WriteString("\n")
			default:
				s.WriteString(" ")
			}
		}
		if rng.IntN(5) > 0 {
			s.WriteString("\n")
		}
		books[fmt.Sprintf("book-%03d.txt", i)] = s.String()
	}
	if n > 3 {
		books["book-001.txt"] = ""
	}
	return books
}
