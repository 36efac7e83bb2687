// Package status tells where a job stands: from what its bucket holds, for
// which no coordinator is needed, and, if one can be reached, from its word.
// It writes nothing and joins nothing.
package status

import (
	"time"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// Schema names kind and version of a [Report] in JSON.
const Schema = "mraws/status/v1"

// State is how far a job is.
type State string

// The states.
const (
	Preparing State = "preparing" // a coordinator is there, the job's spec is not yet
	Map       State = "map"       // a map task is not committed
	Reduce    State = "reduce"    // an output is missing
	Finishing State = "finishing" // all is there but the summary
	Done      State = "done"
	Failed    State = "failed"    // its coordinator has said so and ended
	Cancelled State = "cancelled" // somebody has, and its coordinator has ended
)

// Report is all that could be learnt. docs/operations.md explains its fields.
type Report struct {
	Schema      string        `json:"schema"`
	Bucket      string        `json:"bucket"`
	Prefix      string        `json:"prefix"`
	State       State         `json:"state"`
	Job         string        `json:"job,omitempty"`
	App         *manifest.App `json:"app,omitempty"`
	Created     *time.Time    `json:"created,omitempty"`
	Map         Phase         `json:"map"`
	Reduce      Phase         `json:"reduce"`
	MapBytes    *Reading      `json:"map_bytes,omitempty"` // by done tasks alone
	OutputBytes int64         `json:"output_bytes"`
	Coordinator *Coordinator  `json:"coordinator,omitempty"`
	Live        *Live         `json:"live,omitempty"`
	// Log is what the event log says, where no coordinator answers.
	Log      *Log      `json:"log,omitempty"`
	Finished *Finished `json:"finished,omitempty"`
	Receipt  *Receipt  `json:"receipt,omitempty"`
	Failure  string    `json:"failure,omitempty"`
	// Cancelled says who has cancelled the job, whose coordinator may not have ended yet.
	Cancelled *manifest.Cancel `json:"cancelled,omitempty"`
	Notes     []string         `json:"notes,omitempty"`
}

// Incomplete says that the job is done, and that records or outputs of it are
// missing.
func (r *Report) Incomplete() bool {
	return r.State == Done && (r.Map.Done < r.Map.Tasks || r.Reduce.Done < r.Reduce.Tasks)
}

// Over says that nothing more is going to happen by itself.
func (r *Report) Over() bool { return r.State == Done || r.State == Failed || r.State == Cancelled }

// Phase counts tasks of a phase, as the bucket shows them.
type Phase struct {
	Tasks int `json:"tasks"` // 0 while it is not known
	Done  int `json:"done"`  // with a commit record, or an output
}

// CoordinatorState is what the announcement makes of a coordinator.
type CoordinatorState string

// The states of a coordinator.
const (
	Active CoordinatorState = "active" // its announcement was renewed within its lease
	Silent CoordinatorState = "silent" // it was not
	Ended  CoordinatorState = "ended"  // it has said so
)

// Coordinator is who has announced to coordinate the job, without what opens
// the door.
type Coordinator struct {
	State     CoordinatorState `json:"state"`
	Addresses []string         `json:"addresses"`
	Version   string           `json:"version"`
	Epoch     string           `json:"epoch"`
	Started   time.Time        `json:"started"` // by its clock
	// AgeSeconds is how long ago the announcement changed, by the clock of
	// the store where that tells it.
	AgeSeconds   float64 `json:"age_seconds"`
	LeaseSeconds float64 `json:"lease_seconds"`
	// Error is why the coordinator did not tell more, if it was asked.
	Error string `json:"error,omitempty"`
}

// Finished is what the summary says of a job that is done.
type Finished struct {
	At      time.Time         `json:"at"`
	Seconds float64           `json:"seconds"`
	Map     manifest.Attempts `json:"map"`
	Reduce  manifest.Attempts `json:"reduce"`
	Input   manifest.Input    `json:"input"`
	Skipped int64             `json:"skipped"`
	Lines   int64             `json:"lines"`
}

// Receipt is what the job has asked of S3 so far, and what that costs.
type Receipt struct {
	Requests map[string]int64 `json:"requests"` // by operation
	Sent     int64            `json:"sent"`     // bytes of request bodies
	Received int64            `json:"received"` // bytes of reply bodies
	USD      float64          `json:"usd"`
	Region   string           `json:"region"` // whose prices these are
	Prices   string           `json:"prices"` // date of the table
}

// Live is the word of a coordinator.
type Live struct {
	Address       string    `json:"address"`
	Epoch         string    `json:"epoch"`
	State         string    `json:"state"`
	UptimeSeconds float64   `json:"uptime_seconds"`
	Map           LivePhase `json:"map"`
	Reduce        LivePhase `json:"reduce"`
	// MapBytes and ReduceBytes count running attempts too; nil from an earlier version, and
	// before the job is planned.
	MapBytes    *Reading `json:"map_bytes,omitempty"`
	ReduceBytes *Reading `json:"reduce_bytes,omitempty"`
	Workers     int      `json:"workers"`
	// Members and Attempts are at most 1,000 each.
	Members  []Member  `json:"members"`
	Attempts []Attempt `json:"attempts"`

	Receipt *Receipt `json:"-"` // that of the [Report]
}

// LivePhase counts tasks and attempts of a phase under this coordinator.
type LivePhase struct {
	Tasks       int `json:"tasks"`
	Done        int `json:"done"`
	Active      int `json:"active"` // tasks that run
	Reused      int `json:"reused"` // of done
	Granted     int `json:"granted"`
	Adopted     int `json:"adopted"`
	Running     int `json:"running"`
	Committed   int `json:"committed"`
	Failed      int `json:"failed"`
	Lost        int `json:"lost"`
	Released    int `json:"released"`
	Superseded  int `json:"superseded"`
	Canceled    int `json:"canceled"`
	Retried     int `json:"retried"`     // of granted
	Speculative int `json:"speculative"` // of granted
	// SpeculativeCommitted is a part of committed.
	SpeculativeCommitted int `json:"speculative_committed"`
}

// Reading is what the tasks of a phase read, in bytes: of maps that of input objects as
// they are stored, of reduces that of the keys and values of the maps that are committed.
type Reading struct {
	Total int64 `json:"total"`
	Done  int64 `json:"done"`
}

// Member is a worker.
type Member struct {
	Name          string  `json:"name"`
	Host          string  `json:"host"`
	Version       string  `json:"version"`
	Slots         int     `json:"slots"`
	Running       int     `json:"running"`
	State         string  `json:"state"` // of wire.WorkerStates
	SilentSeconds float64 `json:"silent_seconds"`
	// Sample is what its process takes; nil if it does not tell.
	Sample *object.Sample `json:"sample,omitempty"`
}

// Attempt is a running attempt.
type Attempt struct {
	Task     string  `json:"task"` // "map-3"
	ID       string  `json:"id"`
	Worker   string  `json:"worker"`
	Seconds  float64 `json:"seconds"`  // since it began
	Progress float64 `json:"progress"` // 0 to 1; 0 if that is unknown
	// LeftSeconds is estimated; 0 if that is unknown.
	LeftSeconds float64 `json:"left_seconds"`
	Lags        bool    `json:"lags"`        // another attempt would overtake it
	Speculative bool    `json:"speculative"` // began beside another
}
