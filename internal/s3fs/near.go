package s3fs

// Server says where the server of a store runs. All that a store does
// differently for it is decided in this package, so that nobody else has to
// know (decision 0060).
type Server int

const (
	// Elsewhere is a server behind a network.
	Elsewhere Server = iota
	// SameMachine is the embedded server, in another process of this machine.
	// It is as fast as its client, and what costs is to copy bytes: payloads
	// are not signed but sent with a CRC32C, large ranges are read from the
	// connection as their bytes are wanted, and an object that is written as a
	// stream goes in one request if there is memory for it.
	SameMachine
	// SameProcess is the embedded server of this process. It is part of the
	// same build, whose tests have proved what a preflight would try.
	SameProcess
)

func (s *Store) near() bool { return s.o.Server != Elsewhere }

const (
	// directFrom is the least range in bytes that is read directly from a
	// server on this machine. A smaller one fits into a processor's cache: it
	// is fetched whole, and so is ready when it is wanted.
	directFrom = 1 << 20
	// mostWhole is the most bytes of an object written as a stream that a
	// server on this machine gets in one request.
	mostWhole = 256 << 20
	// streamParts is from how many parts on those of a stream are larger than
	// the store's own, and mostPart how many bytes they have at most.
	streamParts = 64
	mostPart    = 64 << 20
)

// direct tells whether a range of n bytes is read directly (see direct.go).
func (s *Store) direct(n int64) bool { return s.near() && n >= directFrom }

// Reach says how many of the n bytes that come next one [Store.Stream] is best
// asked for by a caller with memory for chunk bytes, and how many of them the
// stream then holds at a time.
func (s *Store) Reach(n, chunk int64) (reach, held int64) {
	if s.direct(n) {
		return n, viewSize
	}
	reach = min(n, chunk)
	return reach, reach
}

// Cut says how a writer with these options cuts what it is given: up to whole
// bytes are one request, more are parts of part bytes each. It holds at most
// whole bytes, or five parts.
func (s *Store) Cut(o PutOptions) (part, whole int64) {
	part = max(s.o.PartSize, min(o.Expect/streamParts, o.Memory/8, mostPart))
	if most := min(o.Memory, mostWhole); s.near() && o.Expect <= most {
		return part, max(part, most)
	}
	return part, part
}
