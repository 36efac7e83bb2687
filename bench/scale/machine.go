package main

// Machine is a type of machine that can be rented.
type Machine struct {
	Name   string
	VCPUs  int
	Slots  int     // attempts at the same time; 0 is one for each vCPU
	Memory float64 // bytes
	Net    float64 // bytes/s, each way at the same time, for as long as one likes
	Disk   float64 // bytes/s that the local disks read and write, together
	Price  float64 // dollars an hour, on demand, Linux, us-east-1
}

// slots is how many attempts run at the same time.
func (m Machine) slots() int {
	if m.Slots == 0 {
		return m.VCPUs
	}
	return m.Slots
}

const (
	gbit = 1e9 / 8
	gib  = 1 << 30
	mib  = 1 << 20
)

// machines are those that -machine knows. VCPUs, memory and network are of
// AWS's "Amazon EC2 instance types" (docs.aws.amazon.com/ec2/latest/instancetypes:
// storage optimized, network specifications; the baseline, not the "up to"
// that lasts for minutes), prices of aws.amazon.com/ec2/pricing/on-demand as of
// January 2026; docs/scale.md says where both were read.
// The rates of the disks are cautious assumptions.
func machines() []Machine {
	return []Machine{
		{"i4i.4xlarge", 16, 0, 128 * gib, 9.375 * gbit, 2e9, 1.373},
		{"i4i.8xlarge", 32, 0, 256 * gib, 18.75 * gbit, 4e9, 2.746},
		{"c6in.8xlarge", 32, 0, 64 * gib, 50 * gbit, 0.5e9, 1.8144},
	}
}

// S3 is what the service takes, and what it asks for that.
type S3 struct {
	PutRate float64 // PUT, COPY, POST and DELETE requests/s of a prefix
	GetRate float64 // GET and HEAD requests/s of a prefix
	Conn    float64 // bytes/s of one connection
	Latency float64 // seconds to the first byte
	PutCost float64 // dollars a request, LIST included
	GetCost float64
	Storage float64 // dollars for a byte in a second
}

// standard is S3 Standard in us-east-1. Rates and bytes/s are of "Best
// practices design patterns: optimizing Amazon S3 performance" (3,500 and
// 5,500 requests a second per prefix; 85 to 90 MB/s a connection, here 80;
// first bytes after 100 to 200 ms at the worst, tens of ms for most), prices of
// aws.amazon.com/s3/pricing.
func standard() S3 {
	return S3{
		PutRate: 3500, GetRate: 5500, Conn: 80e6, Latency: 0.03,
		PutCost: 0.005 / 1000, GetCost: 0.0004 / 1000, Storage: 0.023 / 1e9 / (30.4 * 86400),
	}
}

// Costs is what mraws takes of a CPU and of memory. All were measured on two
// cores of an Intel Xeon, and a vCPU of a rented machine is taken to be as
// fast as one of these.
type Costs struct {
	// Map and Reduce are CPU seconds for a byte of input: a sort of 500 MB
	// of 100-byte records in 8 and 8 tasks took 7.5 s of CPU in coordinator
	// and worker (three runs, 7.4 to 7.8; the S3 server was another
	// process), shared out as the seconds of the commit records are, 52 to 48.
	Map, Reduce float64
	// Pass is the same for one more merge over scratch files: no more than
	// a reduce, which fetches, merges and writes.
	Pass float64
	// TLS is for each byte to or from S3: AES-128-GCM, by openssl speed.
	TLS float64
	// Ratio is the bytes of a shuffled segment for one of input. These
	// records shrink to 0.216; 1 is for what does not shrink.
	Ratio float64
	// Record is the bytes of a commit record for one partition, Decode the
	// CPU seconds for reading it, Cached and Kept the memory that it
	// takes in each worker and in the coordinator.
	Record, Decode, Cached, Kept float64
	// RPC is the CPU seconds of the coordinator for a call of a worker.
	RPC float64
}

func measured() Costs {
	return Costs{
		Map: 7.8e-9, Reduce: 7.2e-9, Pass: 7.2e-9, TLS: 0.25e-9, Ratio: 1,
		Record: 342, Decode: 9.1e-6, Cached: 160, Kept: 330, RPC: 100e-6,
	}
}
