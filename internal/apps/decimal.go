package apps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"

	"github.com/mraws/mraws/mr"
)

// decimal is a number in steps of 1e-38, as an integer of 256 bits, the lowest word
// first: numbers up to 5.7e38. That has room for what columns of type DECIMAL(38,n)
// and most of floating point hold. Sums of it are exact, so they do not depend on the
// order of the terms as those of floating point do. That is what a combiner needs.
type decimal [4]uint64

const decimals = 38

var (
	errNumber = errors.New("is not a number")
	errLarge  = errors.New("is a number too large to add up: the largest is 5.7e38")
)

// decimalOf returns the number of a column, rounded to the nearest step, half to even.
func decimalOf(row *mr.Fields, i int) (decimal, error) {
	d, err := parseDecimal(row.Text(i))
	if err != nil {
		return d, fmt.Errorf("column %q is %.100q, which %w", row.Name(i), row.Text(i), err)
	}
	return d, nil
}

// decimalOfInt returns n.
func decimalOfInt(n int64) decimal {
	abs := uint64(n)
	if n < 0 {
		abs = -abs
	}
	return times(abs, 0).sign(n < 0)
}

// steps returns how many steps a number of so many decimals is for each unit of its
// last one: 10 to the power of what is left of decimals, in two words.
func steps(after int) (hi, lo uint64) {
	lo = 1
	for range decimals - after {
		carry, low := bits.Mul64(lo, 10)
		hi, lo = hi*10+carry, low
	}
	return hi, lo
}

// powers are the steps by the number of decimals.
type powers [decimals + 1][2]uint64

func newPowers() (p powers) {
	for i := range p {
		p[i][1], p[i][0] = steps(i)
	}
	return p
}

var tens = newPowers()

// times returns n units of the last of so many decimals.
func times(n uint64, after int) (d decimal) {
	p := &tens[after]
	d[1], d[0] = bits.Mul64(n, p[0])
	high, low := bits.Mul64(n, p[1])
	var carry uint64
	d[1], carry = bits.Add64(d[1], low, 0)
	d[2] = high + carry
	return d
}

// sign returns d, or -d.
func (d decimal) sign(negative bool) decimal {
	if negative {
		return d.neg()
	}
	return d
}

// parseDecimal reads digits with a sign, a point and an exponent or without, as JSON
// has them.
func parseDecimal(text []byte) (decimal, error) {
	var n uint64
	negative := len(text) > 0 && text[0] == '-'
	digits, after, point := 0, 0, false
	for i, c := range text {
		switch {
		case c-'0' <= 9 && digits < 19:
			n = n*10 + uint64(c-'0')
			digits++
			if point {
				after++
			}
		case c == '.' && !point && digits > 0:
			point = true
		case c == '-' && i == 0:
		default:
			return parseLong(text)
		}
	}
	if digits == 0 || point && after == 0 {
		return decimal{}, errNumber
	}
	return times(n, after).sign(negative), nil
}

// parseLong reads a number of any length.
func parseLong(text []byte) (decimal, error) {
	mantissa, exponent, scientific := strings.Cut(strings.ToLower(string(text)), "e")
	power := 0
	if scientific {
		var err error
		if power, err = strconv.Atoi(exponent); err != nil {
			return decimal{}, errNumber
		}
	}
	whole, fraction, point := strings.Cut(mantissa, ".")
	digits := strings.TrimPrefix(whole, "-")
	if digits == "" || point && fraction == "" || strings.Trim(digits+fraction, "0123456789") != "" {
		return decimal{}, errNumber
	}
	n, _ := new(big.Int).SetString(digits+fraction, 10)
	const far = 10_000 // places from where a number is 0, or too large
	switch power += decimals - len(fraction); {
	case n.Sign() == 0:
		return decimal{}, nil
	case power > far:
		return decimal{}, errLarge
	case power >= 0:
		n.Mul(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(power)), nil))
	case -power > len(text)+1:
		return decimal{}, nil
	default:
		roundedQuo(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-power)), nil))
	}
	if n.BitLen() > 255 {
		return decimal{}, errLarge
	}
	return decimalOfBig(n).sign(whole != digits), nil
}

// roundedQuo sets n, from 0 on, to n/by, rounded to the nearest, half to even.
func roundedQuo(n, by *big.Int) {
	rest := new(big.Int)
	n.QuoRem(n, by, rest)
	if c := rest.Lsh(rest, 1).Cmp(by); c > 0 || c == 0 && n.Bit(0) == 1 {
		n.Add(n, big.NewInt(1))
	}
}

// negative tells whether d < 0.
func (d decimal) negative() bool { return int64(d[3]) < 0 }

// neg returns -d.
func (d decimal) neg() (n decimal) {
	borrow := uint64(0)
	for i := range d {
		n[i], borrow = bits.Sub64(0, d[i], borrow)
	}
	return n
}

// add returns d + e; false if that is too large.
func (d decimal) add(e decimal) (sum decimal, ok bool) {
	carry := uint64(0)
	for i := range d {
		sum[i], carry = bits.Add64(d[i], e[i], carry)
	}
	return sum, d.negative() != e.negative() || sum.negative() == d.negative()
}

// less tells whether d < e.
func (d decimal) less(e decimal) bool {
	if d[3] != e[3] {
		return int64(d[3]) < int64(e[3])
	}
	for i := 2; i > 0; i-- {
		if d[i] != e[i] {
			return d[i] < e[i]
		}
	}
	return d[0] < e[0]
}

// mean returns d/n as the nearest number of floating point.
func (d decimal) mean(n uint64) float64 {
	by := new(big.Int).Exp(big.NewInt(10), big.NewInt(decimals), nil)
	x, _ := new(big.Rat).SetFrac(d.big(), by.Mul(by, new(big.Int).SetUint64(n))).Float64()
	return x
}

// append appends the digits of d, without zeros at the end of its fraction.
func (d decimal) append(b []byte) []byte {
	n := d.big()
	if n.Sign() < 0 {
		b = append(b, '-')
		n.Neg(n)
	}
	text := n.Append(nil, 10)
	if len(text) <= decimals {
		text = append([]byte(strings.Repeat("0", decimals+1-len(text))), text...)
	}
	point := len(text) - decimals
	b = append(b, text[:point]...)
	if fraction := strings.TrimRight(string(text[point:]), "0"); fraction != "" {
		b = append(append(b, '.'), fraction...)
	}
	return b
}

// decimalSize is how many bytes put fills.
const decimalSize = 32

// put writes d so that bytes have the order of numbers.
func (d decimal) put(b []byte) {
	binary.BigEndian.PutUint64(b, d[3]^1<<63)
	binary.BigEndian.PutUint64(b[8:], d[2])
	binary.BigEndian.PutUint64(b[16:], d[1])
	binary.BigEndian.PutUint64(b[24:], d[0])
}

// decimalFrom is the opposite of put.
func decimalFrom(b []byte) decimal {
	return decimal{
		binary.BigEndian.Uint64(b[24:]), binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint64(b[8:]),
		binary.BigEndian.Uint64(b) ^ 1<<63,
	}
}

// floor returns the largest multiple of width that is not above d.
func (d decimal) floor(width decimal) decimal {
	n, w := d.big(), width.big()
	return decimalOfBig(n.Sub(n, new(big.Int).Mod(n, w))) // Mod is from 0 on
}

// big returns the number of steps.
func (d decimal) big() *big.Int {
	negative := d.negative()
	if negative {
		d = d.neg()
	}
	var b [32]byte
	for i, w := range d {
		binary.BigEndian.PutUint64(b[24-8*i:], w)
	}
	n := new(big.Int).SetBytes(b[:])
	if negative {
		n.Neg(n)
	}
	return n
}

// decimalOfBig is the opposite of big. Of a number that is too large it takes the
// last 256 bits.
func decimalOfBig(n *big.Int) (d decimal) {
	low := new(big.Int).Abs(n)
	word := new(big.Int).SetUint64(math.MaxUint64)
	for i := range d {
		d[i] = new(big.Int).And(low, word).Uint64()
		low.Rsh(low, 64)
	}
	return d.sign(n.Sign() < 0)
}
