package main

import "math"

// Shuffle is how map tasks store their partitions.
type Shuffle string

const (
	// Plain is an object for each partition of each map task.
	Plain Shuffle = "plain"
	// Packed is one object for each map task, read by ranges.
	Packed Shuffle = "packed"
)

// Job is a sort.
type Job struct {
	Bytes         float64
	Maps, Reduces int
	Shuffle       Shuffle
	Machines      int
	Shards        int     // prefixes that the keys of intermediate data are spread over
	Read          float64 // bytes of a ranged read, at most
	Part          float64 // bytes of a part of an upload, at most
	// Direct lets a reduce read what it needs of the commit records alone,
	// wherever that comes from, in place of all of each once for a worker.
	Direct bool
}

// prefix is a part of the bucket whose requests are limited together.
type prefix int

const (
	inputs prefix = iota
	intermediate
	records
	outputs
	prefixes
)

func (p prefix) String() string {
	return [...]string{"input/", "intermediate/", "_commit/", "output/"}[p]
}

// stage is a part of an attempt all of whose work overlaps.
type stage struct {
	cpu       float64 // seconds of one core
	in, out   float64 // bytes over the network
	disk      float64 // bytes to and from scratch files
	get, put  [prefixes]float64
	least     float64 // seconds, however fast the machine is
	leastConn bool    // least is that of connections, not of one core
}

const (
	requests = 16 // of an attempt at the same time (task/memory.go)
	window   = 4  // parts of an upload at the same time (s3fs)
	// least is the bytes of a ranged read or part, as by default.
	least = 8 << 20
	// reader is the memory of one source of a merge (recordio.ReaderMemory),
	// readerLeast what one of a small segment takes besides the segment.
	reader      = 140288
	readerLeast = 24 << 10
	// multipartAbove is from where on a file is uploaded in parts.
	multipartAbove = 64 << 20
)

// budget is the memory of a slot: of half the machine, as by default.
func budget(m Machine) float64 {
	return (m.Memory/2 - 64*mib) / float64(m.slots())
}

// passes is how often segments of size bytes are merged into larger ones
// before the rest fits into memory at once.
func passes(n, size, memory float64) int {
	weight := math.Min(reader, readerLeast+2.2*size)
	for p := 0; ; p++ {
		fan := math.Max(2, math.Floor(memory/weight))
		if n <= fan {
			return p
		}
		n, weight = math.Ceil(n/fan), reader
	}
}

// parts is how many requests an upload of size bytes takes: one up to whole,
// else begin, parts and complete. Parts of large ones grow up to most.
func parts(size, most, whole float64) float64 {
	if size <= whole {
		return 1
	}
	return math.Ceil(size/min(most, max(least, size/64))) + 2
}

// reads is how many ranged reads pieces of size bytes take of an attempt that
// reads so many bytes in all, and has b bytes of memory. Reads of much are large,
// up to most, if eight of them fit into an eighth of the memory.
func reads(pieces, size, total, most, b float64) float64 {
	return pieces * math.Ceil(size/min(most, max(least, min(math.Ceil(total/64/mib)*mib, b/64))))
}

// mapStages are those of a map attempt: what is read while it is parsed,
// partitioned, sorted and spilled; then the upload and the commit.
func (s *Sim) mapStages() []stage {
	j, c, b := s.Job, s.Costs, budget(s.Machine)
	size := j.Bytes / float64(j.Maps)
	out := size * c.Ratio
	read := stage{cpu: size * (c.Map + c.TLS), in: size}
	read.get[inputs] = reads(1, size, size, j.Read, b)
	runs := math.Ceil(size / (b / 2))
	if runs > 1 {
		p := float64(passes(runs, math.Inf(1), b/8))
		read.disk = 2 * out * (1 + p)
		read.cpu += size * c.Pass * p
	}
	s.connections(&read, read.get[inputs], requests)
	up := stage{cpu: out * c.TLS, out: out}
	if j.Shuffle == Plain {
		up.put[intermediate] = float64(j.Reduces) * parts(out/float64(j.Reduces), j.Part, multipartAbove)
	} else {
		up.put[intermediate] = parts(out, j.Part, multipartAbove)
	}
	up.put[records] = 1
	width := math.Min(requests, up.put[intermediate])
	if j.Shuffle == Packed {
		width = window
	}
	s.connections(&up, up.put[intermediate], width)
	up.least += s.S3.Latency // the record comes after all else
	return []stage{read, up}
}

// reduceStages are those of a reduce attempt: fetch all segments, merge them
// into an upload, commit. The first of a worker also read the records.
func (s *Sim) reduceStages(first bool) []stage {
	j, c, b := s.Job, s.Costs, budget(s.Machine)
	size := j.Bytes / float64(j.Reduces)
	in := size * c.Ratio
	segments := math.Min(float64(j.Maps), math.Max(1, size/100)) // a record has 100 bytes
	segment := in / segments
	var all []stage
	if each := float64(j.Maps) * c.Record; first && !j.Direct {
		slots := float64(s.Machine.slots()) // read the records together
		rec := stage{cpu: float64(j.Maps*j.Reduces) * c.Decode / slots, in: each * float64(j.Reduces) / slots}
		rec.get[records] = float64(j.Maps) / slots
		s.connections(&rec, rec.get[records], requests)
		all = append(all, rec)
	} else if j.Direct {
		rec := stage{cpu: float64(j.Maps) * c.Decode / 9, in: each / 3}
		rec.get[records] = reads(1, each/3, each/3, j.Read, b)
		s.connections(&rec, rec.get[records], requests)
		all = append(all, rec)
	}
	fetch := stage{cpu: in * c.TLS, in: in}
	fetch.get[intermediate] = reads(segments, segment, in, j.Read, b)
	if in > 3*b/8 {
		fetch.disk = in
	}
	s.connections(&fetch, fetch.get[intermediate], requests)
	merge := stage{cpu: size * (c.Reduce + c.TLS), out: size}
	p := float64(passes(segments, segment, b/4))
	merge.cpu += size * c.Pass * p
	merge.disk = fetch.disk + 2*in*p
	merge.put[outputs] = parts(size, j.Part, least)
	merge.put[records] = 1
	s.connections(&merge, merge.put[outputs], window)
	merge.least += 2 * s.S3.Latency // its record, and the completion
	return append(all, fetch, merge)
}

// connections works out how long a stage takes at least: on one core, and
// with its requests over so many connections.
func (s *Sim) connections(st *stage, n, width float64) {
	wire := (st.in+st.out)/(s.S3.Conn*math.Max(1, math.Min(n, width))) + n*s.S3.Latency/width
	st.least, st.leastConn = st.cpu, false
	if wire > st.cpu {
		st.least, st.leastConn = wire, true
	}
}
