package s3fs

// Server says where the server of a store runs. Only this package treats servers
// differently (decision 0060).
type Server int

const (
	// Elsewhere is a server behind a network.
	Elsewhere Server = iota
	// SameMachine is the embedded server in another process of this machine. It
	// is as fast as its client, and most of the cost is copying bytes. Payloads
	// are sent with a CRC32C instead of a signature. Large ranges are read from
	// the connection when their bytes are wanted. An object that is written as
	// a stream is sent in one request if memory allows.
	SameMachine
	// SameProcess is the embedded server of this process. It needs no
	// preflight: the tests of this build cover what a preflight checks.
	SameProcess
)

func (s *Store) onThisMachine() bool { return s.o.Server != Elsewhere }

const (
	// minDirect is the minimum size in bytes of a range that is read directly
	// from a server on this machine. A smaller range fits into a processor's
	// cache and is fetched whole.
	minDirect = 1 << 20
	// maxWhole is the maximum size in bytes of an object written as a stream
	// that is sent to a server on this machine in one request.
	maxWhole = 256 << 20
	// streamParts is the number of parts of a stream from which on its parts are
	// larger than Options.PartSize. maxStreamPart is their maximum size in
	// bytes.
	streamParts   = 64
	maxStreamPart = 64 << 20
)

// direct tells whether a range of n bytes is read directly (see direct.go).
func (s *Store) direct(n int64) bool { return s.onThisMachine() && n >= minDirect }

// Reach returns how many of the next n bytes a caller with memory for chunk
// bytes should request by one [Store.Stream], and how many bytes that stream
// holds in memory at a time.
func (s *Store) Reach(n, chunk int64) (reach, held int64) {
	if s.direct(n) {
		return n, viewSize
	}
	reach = min(n, chunk)
	return reach, reach
}

// Cut returns the sizes in bytes by which a writer with these options sends an
// object: one request for an object of at most whole bytes, else parts of part
// bytes. The writer holds at most whole bytes, or five parts.
func (s *Store) Cut(o PutOptions) (part, whole int64) {
	part = max(s.o.PartSize, min(o.Expect/streamParts, o.Memory/8, maxStreamPart))
	if most := min(o.Memory, maxWhole); s.onThisMachine() && o.Expect <= most {
		return part, max(part, most)
	}
	return part, part
}
