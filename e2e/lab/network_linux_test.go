package lab

import (
	"net/netip"
	"testing"
	"time"
)

// plug adds a host that has no namespace: packets to it go nowhere.
func plug(n *Network, last byte) *Host {
	h := &Host{net: n, Addr: netip.AddrFrom4([4]byte{10, 77, 0, last})}
	n.hosts[h.Addr] = h
	return h
}

// tcp is a TCP packet without data.
func tcp(from, to *Host, port uint16, flags byte) []byte {
	p := make([]byte, 40)
	p[0], p[9] = 4<<4|5, 6
	a, b := from.Addr.As4(), to.Addr.As4()
	copy(p[12:], a[:])
	copy(p[16:], b[:])
	p[22], p[23], p[33] = byte(port>>8), byte(port), flags
	return p
}

// TestRules: a rule holds for its direction alone, several add up, and a rule
// that is lifted leaves the others.
func TestRules(t *testing.T) {
	n := NewNetwork(1)
	a, b, c := plug(n, 1), plug(n, 2), plug(n, 3)
	arrives := func(from, to *Host) bool { h, _ := n.route(from, tcp(from, to, 9, 16)); return h == to }
	if !arrives(a, b) || !arrives(b, a) {
		t.Error("a network without rules loses packets")
	}
	heal, lift := n.Cut(a, nil), n.Impose(Rule{From: a, To: b, Cut: true})
	if arrives(a, b) || arrives(b, a) || arrives(c, a) || !arrives(b, c) {
		t.Error("a is not cut off as it should be")
	}
	heal()
	if arrives(a, b) || !arrives(b, a) || !arrives(a, c) {
		t.Error("only the way from a to b should be cut")
	}
	lift()
	n.Impose(Rule{Delay: time.Second})
	n.Impose(Rule{To: b, Delay: time.Minute})
	if _, d := n.route(a, tcp(a, b, 9, 16)); d != time.Minute+time.Second {
		t.Errorf("a delay of %s", d)
	}
	n.Heal()
	if _, d := n.route(a, tcp(a, b, 9, 16)); d != 0 {
		t.Errorf("a delay of %s after all is healed", d)
	}
	n.Impose(Rule{Loss: 0.25})
	got := 0
	for range 1000 {
		if arrives(a, b) {
			got++
		}
	}
	if got < 700 || got > 800 {
		t.Errorf("%d of 1000 packets arrive, want about 750", got)
	}
}

// TestDials: connections that are opened are counted, and nothing else.
func TestDials(t *testing.T) {
	n := NewNetwork(1)
	a, b := plug(n, 1), plug(n, 2)
	const syn, synAck, ack, rst = 2, 18, 16, 4
	for _, flags := range []byte{syn, synAck, ack, rst} {
		n.route(a, tcp(a, b, 1234, flags))
	}
	n.route(a, tcp(a, plug(NewNetwork(1), 9), 1234, syn)) // nobody there
	if d := n.Dials(); len(d) != 1 || d[0].From != a || d[0].To != b || d[0].Port != 1234 {
		t.Errorf("%+v", d)
	}
}
