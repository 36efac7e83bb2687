package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Rule is trouble on the way from one host to another. The way back is
// another one.
type Rule struct {
	From, To *Host         // nil means every host
	Cut      bool          // nothing arrives
	Delay    time.Duration // everything arrives this much later
	Loss     float64       // the share of packets that do not arrive, 0 to 1
}

// Dial is the first packet of a connection, a SYN, as a host sent it. A
// packet that was sent again counts again.
type Dial struct {
	At       time.Time
	From, To *Host
	Port     uint16
}

// Network carries the packets between hosts. Its methods are safe for
// concurrent use.
type Network struct {
	real  bool
	third byte // the third byte of the addresses where the network is not real

	mu      sync.Mutex
	hosts   map[netip.Addr]*Host
	rules   map[int]Rule
	next    int // key of the next rule
	rng     *rand.Rand
	dropped int64
	dials   []Dial
	late    map[[2]*Host]chan packet // packets that are under way
	closed  chan struct{}
	wires   sync.WaitGroup
}

// packet is an IP packet that is under way.
type packet struct {
	due   time.Time
	bytes []byte
}

// queue is how many packets may be under way between two hosts.
const queue = 4096

// NewNetwork returns a network without hosts. The seed decides which packets
// are lost.
func NewNetwork(seed uint64) *Network {
	return &Network{
		real: true, hosts: map[netip.Addr]*Host{}, rules: map[int]Rule{}, rng: rand.New(rand.NewPCG(seed, 0)),
		late: map[[2]*Host]chan packet{}, closed: make(chan struct{}),
	}
}

// NewLoopback returns a network whose hosts are addresses 127.77.third.x of
// this machine. It needs no rights, and cannot be troubled.
func NewLoopback(third byte) *Network {
	n := NewNetwork(0)
	n.real, n.third = false, third
	return n
}

// Real says whether Impose has an effect.
func (n *Network) Real() bool { return n.real }

// Impose adds a rule and returns what lifts it again.
func (n *Network) Impose(r Rule) (lift func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	id := n.next
	n.next++
	n.rules[id] = r
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.rules, id)
	}
}

// Cut cuts both ways between two hosts; nil is every other one.
func (n *Network) Cut(a, b *Host) (heal func()) {
	there, back := n.Impose(Rule{From: a, To: b, Cut: true}), n.Impose(Rule{From: b, To: a, Cut: true})
	return func() { there(); back() }
}

// Heal lifts every rule.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.rules)
}

// Dropped counts the packets that did not arrive.
func (n *Network) Dropped() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dropped
}

// Dials returns the connections that hosts have tried to make.
func (n *Network) Dials() []Dial {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.dials)
}

// Host adds a host, with the address 10.77.0.last.
func (n *Network) Host(name string, last byte) (*Host, error) {
	h := &Host{Name: name, net: n, Addr: netip.AddrFrom4([4]byte{10, 77, 0, last})}
	if !n.real {
		h.Addr = netip.AddrFrom4([4]byte{127, 77, n.third, last})
	} else if err := h.open(); err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	n.mu.Lock()
	n.hosts[h.Addr] = h
	n.mu.Unlock()
	if n.real {
		n.wires.Go(func() { n.wire(h) })
	}
	return h, nil
}

// Close takes all hosts away. What runs on them is killed.
func (n *Network) Close() error {
	n.mu.Lock()
	hosts := n.hosts
	n.hosts = map[netip.Addr]*Host{}
	n.mu.Unlock()
	close(n.closed)
	var err error
	for _, h := range hosts {
		err = errors.Join(err, h.close())
	}
	n.wires.Wait()
	return err
}

// wire carries what a host sends until the host is closed.
func (n *Network) wire(h *Host) {
	buf := make([]byte, mtu+64)
	for {
		size, err := h.tun.Read(buf)
		if err != nil {
			return
		}
		n.carry(h, buf[:size])
	}
}

// carry takes one packet to where it is meant to go, at once or later, or
// nowhere. What is no IPv4 is dropped: no host has another address.
func (n *Network) carry(from *Host, p []byte) {
	if len(p) < 20 || p[0]>>4 != 4 {
		return
	}
	to, delay := n.route(from, p)
	if to == nil {
		return
	}
	if delay == 0 {
		_, _ = to.tun.Write(p) // a host that goes away loses it, as on any network
		return
	}
	select {
	case n.way(from, to) <- packet{time.Now().Add(delay), slices.Clone(p)}:
	default: // the queue of a router is full
	}
}

// route applies the rules: to is nil if the packet does not arrive.
func (n *Network) route(from *Host, p []byte) (to *Host, delay time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	to = n.hosts[netip.AddrFrom4([4]byte(p[16:20]))]
	if to == nil {
		return nil, 0
	}
	if port, ok := syn(p); ok {
		n.dials = append(n.dials, Dial{time.Now(), from, to, port})
	}
	for _, r := range n.rules {
		if r.From != nil && r.From != from || r.To != nil && r.To != to {
			continue
		}
		if r.Cut || r.Loss > 0 && n.rng.Float64() < r.Loss {
			n.dropped++
			return nil, 0
		}
		delay += r.Delay
	}
	return to, delay
}

// syn tells whether an IPv4 packet opens a TCP connection, and to which port.
func syn(p []byte) (port uint16, ok bool) {
	const tcp = 6
	head := int(p[0]&15) * 4
	if p[9] != tcp || len(p) < head+20 {
		return 0, false
	}
	const fin, synFlag, ack = 1, 2, 16
	flags := p[head+13]
	return binary.BigEndian.Uint16(p[head+2:]), flags&(fin|synFlag|ack) == synFlag
}

// way returns the queue of the packets from one host to another that arrive
// late.
func (n *Network) way(from, to *Host) chan<- packet {
	n.mu.Lock()
	defer n.mu.Unlock()
	q := n.late[[2]*Host{from, to}]
	if q != nil {
		return q
	}
	q = make(chan packet, queue)
	n.late[[2]*Host{from, to}] = q
	n.wires.Go(func() {
		for {
			select {
			case p := <-q:
				time.Sleep(time.Until(p.due))
				_, _ = to.tun.Write(p.bytes) // as in carry
			case <-n.closed:
				return
			}
		}
	})
	return q
}
