package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// A connection is a guest until a call over it has shown the token (or, where
// none is asked for, any call that is not public). A guest may send little, stay
// for a short time and make a few public calls, and there are few guests at a
// time, so what strangers can make a coordinator hold has a bound that does not
// depend on their number. Members, which have shown it, have places of their
// own that no guest takes. A connection that has no place yet waits in a
// seat: it is open, and nothing is read from it.

const (
	// guestTime is how long a connection may be a guest.
	guestTime = 10 * time.Second
	// guestBytes is how much a guest may send: a handshake with certificates of
	// an own authority and a call are a few KiB.
	guestBytes = 64 << 10
	// guestCalls is how many public calls a guest may make, and how often it may
	// be refused another call, before its connection is closed.
	guestCalls = 8
	// mostGuests bounds the guests at the same time.
	mostGuests = 128
	// guestPeace is how long a guest is left in peace, though others wait for
	// its place: a handshake takes some time where many come at once.
	guestPeace = time.Second
	// refusalEvery is how often refusals are logged at most.
	refusalEvery = time.Minute
)

var (
	errGuestBytes = errors.New("a connection that has not shown the token sent too much")
	errMembers    = status.Error(codes.Unavailable, "the coordinator has as many connections as its limit of file descriptors allows, and takes no more")
)

// door is the listener that turns connections into guests. It accepts each
// connection at once and lets it wait for a place. A queue of the kernel would
// serve the silent connections first that came before.
type door struct {
	net.Listener
	o       *ServerOptions
	places  int           // maximum number of guests
	seats   int           // maximum number of connections that wait
	members int           // maximum number of members
	moved   chan struct{} // holds a value when a connection has come or a place is free
	failed  chan error    // of the listener
	closed  chan struct{}
	once    sync.Once

	mu      sync.Mutex
	inside  map[*guest]struct{}
	waiting map[*guest]struct{}
	joined  int
	denied  int64     // since they were last logged
	logged  time.Time // when that was
}

// open puts the door before a listener that takes most connections.
func (o *ServerOptions) open(lis net.Listener) *door {
	most := o.Connections
	if most <= 0 {
		most = 4 * mostGuests
	}
	places, seats := max(1, min(most/4, mostGuests)), max(1, most/8)
	d := &door{
		Listener: lis, o: o, places: places, seats: seats, members: max(1, most-places-seats),
		inside: map[*guest]struct{}{}, waiting: map[*guest]struct{}{},
		moved: make(chan struct{}, 1), failed: make(chan error), closed: make(chan struct{}),
	}
	go d.receive()
	return d
}

// Close ends Accept as well, and closes the connections that wait.
func (d *door) Close() error {
	d.once.Do(func() { close(d.closed) })
	err := d.Listener.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	for g := range d.waiting {
		_ = g.Conn.Close() // nothing was written to it
	}
	clear(d.waiting)
	return err
}

// receive accepts connections and seats them until the listener is closed.
func (d *door) receive() {
	for {
		c, err := d.Listener.Accept()
		if err == nil {
			d.seat(&guest{Conn: c, door: d, since: time.Now(), from: hostOf(c.RemoteAddr())})
			continue
		}
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			d.refuse("Connect", "no_descriptor", "no file descriptor is left for another connection", "")
			if d.evict() {
				continue
			}
		}
		select {
		case d.failed <- err:
		case <-d.closed:
			return
		}
	}
}

// seat lets g wait for a place. If all seats are taken, and all places that are free, for
// which Accept has not come to run yet, it turns away another: of the address with the
// most waiting connections, the one that came first.
func (d *door) seat(g *guest) {
	var out *guest
	d.mu.Lock()
	select {
	case <-d.closed:
		out = g
	default:
		if len(d.waiting) >= d.seats+max(0, d.places-len(d.inside)) {
			out, _ = oldest(d.waiting)
			delete(d.waiting, out)
		}
		d.waiting[g] = struct{}{}
	}
	d.mu.Unlock()
	d.move()
	if out != nil {
		d.turnAway(out)
	}
}

func (d *door) turnAway(g *guest) {
	d.refuse("Connect", "too_many", "too many connections that have not shown the token", g.from)
	_ = g.Close() // it is a stranger's
}

// Accept returns a connection, as a guest. Where there are as many as there may
// be, the oldest one of the address that has the most makes room, once it has
// had its peace, or at once if that address has half of all places and the next
// one comes from another.
func (d *door) Accept() (net.Conn, error) {
	for {
		g, waits := d.next()
		if g != nil {
			return g, nil
		}
		var peace <-chan time.Time
		if waits {
			peace = time.After(guestPeace / 8)
		}
		select {
		case <-d.moved:
		case <-peace:
		case err := <-d.failed:
			return nil, err
		case <-d.closed:
			return nil, net.ErrClosed
		}
	}
}

// next gives a place to the newest connection of the address that has the fewest
// guests: that connection is the least likely one to be silent. It returns nil
// if no connection waits, and nil and true if none gets a place now.
func (d *door) next() (g *guest, waits bool) {
	d.mu.Lock()
	if g = d.newest(); g == nil {
		d.mu.Unlock()
		return nil, false
	}
	var out *guest
	if len(d.inside) >= d.places {
		var crowd int
		out, crowd = oldest(d.inside)
		if time.Since(out.since) < guestPeace && (out.from == g.from || crowd <= d.places/2) {
			d.mu.Unlock()
			return nil, true
		}
		delete(d.inside, out)
	}
	delete(d.waiting, g)
	d.admit(g)
	d.mu.Unlock()
	if out != nil {
		d.turnAway(out)
	}
	return g, false
}

// newest returns a waiting connection: of the address that has the fewest
// guests, the one that came last. It returns nil if none waits. d is locked.
func (d *door) newest() (g *guest) {
	inside := count(d.inside)
	for w := range d.waiting {
		if g == nil || inside[w.from] < inside[g.from] || inside[w.from] == inside[g.from] && w.since.After(g.since) {
			g = w
		}
	}
	return g
}

// admit counts g in. d is locked.
func (d *door) admit(g *guest) {
	d.inside[g] = struct{}{}
	g.since = time.Now()
	g.left.Store(guestBytes)
	g.timer = time.AfterFunc(guestTime, func() {
		if g.known.Load() {
			return
		}
		d.refuse("Connect", "too_long", "a connection did not show the token in time", g.from)
		_ = g.Close() // it is a stranger's
	})
}

// oldest returns one of guests: of the address that has the most of them, the
// one that came first. It also returns how many that address has. It returns
// nil if there are no guests.
func oldest(guests map[*guest]struct{}) (out *guest, crowd int) {
	counts := count(guests)
	for g := range guests {
		n := counts[g.from]
		if out == nil || n > crowd || n == crowd && g.since.Before(out.since) {
			out, crowd = g, n
		}
	}
	return out, crowd
}

// count tells how many guests there are of each address.
func count(guests map[*guest]struct{}) map[string]int {
	n := map[string]int{}
	for g := range guests {
		n[g.from]++
	}
	return n
}

// evict closes a waiting connection, or a guest if none waits. It returns false
// if there was neither.
func (d *door) evict() bool {
	d.mu.Lock()
	out, _ := oldest(d.waiting)
	if out == nil {
		out, _ = oldest(d.inside)
	}
	if out != nil {
		delete(d.waiting, out)
		delete(d.inside, out)
	}
	d.mu.Unlock()
	if out == nil {
		return false
	}
	_ = out.Close() // it is a stranger's
	return true
}

// refuse counts somebody who was turned away, and logs it.
func (d *door) refuse(method, code, why, from string) {
	if d.o.Observe != nil {
		d.o.Observe(method, code, 0)
	}
	d.tell(why, from)
}

// tell logs who was turned away, and how many there were since it last did.
func (d *door) tell(why, from string) {
	d.mu.Lock()
	d.denied++
	n := d.denied
	due := d.o.Refused != nil && time.Since(d.logged) >= refusalEvery
	if due {
		d.denied, d.logged = 0, time.Now()
	}
	d.mu.Unlock()
	if due {
		d.o.Refused(n, why, from)
	}
}

func hostOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}

// guest is a connection that has not shown the token, or a member, which has.
type guest struct {
	net.Conn
	door  *door
	since time.Time // when it got its seat, then when it got its place
	from  string
	timer *time.Timer
	left  atomic.Int64 // bytes that it may send as a guest
	known atomic.Bool
	gone  sync.Once

	// Of the goroutine that reads from the connection.
	calls int
	proof string // that the caller owes; "" until it was computed
}

// Read gives a guest no more than it may send.
func (g *guest) Read(p []byte) (int, error) {
	if g.known.Load() {
		return g.Conn.Read(p)
	}
	left := g.left.Load()
	if left <= 0 {
		g.door.refuse("Connect", "too_much", errGuestBytes.Error(), g.from)
		return 0, errGuestBytes
	}
	n, err := g.Conn.Read(p[:min(int64(len(p)), left)])
	g.left.Add(int64(-n))
	return n, err
}

// Close frees the place.
func (g *guest) Close() error {
	g.gone.Do(func() {
		d := g.door
		d.mu.Lock()
		if g.timer != nil { // it was inside
			g.timer.Stop()
		}
		delete(d.inside, g)
		if g.known.Load() {
			d.joined--
		}
		d.mu.Unlock()
		d.move()
	})
	return g.Conn.Close()
}

// move makes Accept look again at who waits.
func (d *door) move() {
	select {
	case d.moved <- struct{}{}:
	default:
	}
}

// join makes a guest a member, if there is room for another.
func (g *guest) join() error {
	if g.known.Load() {
		return nil
	}
	d := g.door
	d.mu.Lock()
	_, here := d.inside[g]
	if !here || d.joined >= d.members { // closed a moment ago, or one too many
		d.mu.Unlock()
		d.refuse("Connect", "too_many_members", "more workers than the limit of file descriptors allows", g.from)
		return errMembers
	}
	delete(d.inside, g)
	d.joined++
	g.known.Store(true)
	g.timer.Stop()
	d.mu.Unlock()
	d.move()
	return nil
}

// tagger notes with each connection whose it is.
type tagger struct {
	credentials.TransportCredentials
}

// caller is what is known of a connection.
type caller struct {
	credentials.AuthInfo
	guest *guest
}

// ServerHandshake implements credentials.TransportCredentials.
func (s tagger) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	g, ok := c.(*guest)
	if !ok {
		return nil, nil, fmt.Errorf("handshake with a %T", c)
	}
	conn, info, err := s.TransportCredentials.ServerHandshake(c)
	return conn, caller{info, g}, err
}

// Clone implements credentials.TransportCredentials.
func (s tagger) Clone() credentials.TransportCredentials {
	return tagger{s.TransportCredentials.Clone()}
}

func callerOf(ctx context.Context) (caller, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return caller{}, false
	}
	c, ok := p.AuthInfo.(caller)
	return c, ok
}

// tap judges a call when its headers have come, before any of its body is read.
func (o *ServerOptions) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	c, ok := callerOf(ctx)
	if !ok {
		return ctx, status.Error(codes.Internal, "the connection has no token")
	}
	g, public := c.guest, public(info.FullMethodName)
	switch {
	case o.shown(c, info.Header.Get("authorization")):
		if public && o.Token == "" { // whoever only asks who is there stays a guest
			break
		}
		return ctx, g.join()
	case !public:
		o.strike(g)
		g.door.refuse(methodOf(info.FullMethodName), codes.Unauthenticated.String(), "a call without the token", g.from)
		return ctx, status.Error(codes.Unauthenticated, "the token is not the coordinator's token")
	}
	if !g.known.Load() {
		o.strike(g)
	}
	return ctx, nil
}

// strike counts what a guest asked for, and ends a connection that asks for
// too much.
func (o *ServerOptions) strike(g *guest) {
	if g.calls++; g.calls > guestCalls && !g.known.Load() {
		g.left.Store(0) // what it was told already arrives, and nothing more is read
	}
}

// methodOf names a method of the protocol, for metrics; others are one.
func methodOf(full string) string {
	for _, m := range Coordinator_ServiceDesc.Methods {
		if full == "/"+Coordinator_ServiceDesc.ServiceName+"/"+m.MethodName {
			return m.MethodName
		}
	}
	return "unknown"
}

// From is the address that a call came from, without the port.
func From(ctx context.Context) string {
	if c, ok := callerOf(ctx); ok {
		return c.guest.from
	}
	return ""
}
