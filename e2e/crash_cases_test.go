//go:build !interop

package e2e

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/failpoint"
)

// crashCase is a job that reaches one failpoint for certain.
type crashCase struct {
	point failpoint.Point
	hit   int    // the action happens at this pass, counted from 1; 0 is 1
	name  string // tells cases of one point apart; "" for the only one
	app   string // "wc" if empty
	args  []string
	input string // of inputs; "books" if empty
	r     int    // reduces; 2 if 0
	// mapOnly: there are no reduces, and each object is a task with an output.
	mapOnly bool
	// elsewhere: the output has a place of its own, in the same bucket.
	elsewhere bool

	also    string   // what else is armed in that process
	workers string   // what is armed in the first worker beside an armed coordinator
	flags   []string // of the armed worker

	script func(*crash) // what happens; nil is crashWorker or crashCoordinator, by the role of the point
	early  bool         // the worker has not joined the job yet

	adopts int  // at least so many partitions of one that is killed are taken over
	once   bool // no task is granted twice
}

// inputs are the objects of a job by the name of the input.
func inputs() map[string][]string {
	const words = "alpha beta gamma delta\nalpha epsilon"
	each := func(text string, n int) []string { return slices.Repeat([]string{text}, n) }
	return map[string][]string{
		"books":    {book(0), book(1), book(2)},
		"streamed": each(strings.Repeat(words+"\n", 100_000), 1), // so much comes as its reader wants it
		"words":    each(words, 3),
		"word":     each(words, 1),
		"bad":      each("!this line\n"+words, 3),
		"manybad":  each(strings.Repeat("!"+strings.Repeat("z", 900)+"\n", 350)+words, 2),
		"record":   each("zeros 20\n"+words, 2),
		"spill":    each("zeros 70\n"+words, 2),
		"merge":    each(strings.Repeat("zeros 70\n", 9)+words, 1),
		"segments": each("noise 20\n"+words, 3),
		"many":     each("zeros 4\n"+words, 20),
		"long":     each("long 10\n"+words, 2),
	}
}

// tight makes the buffers of a worker as small as they get: 8 MiB for a slot.
func tight() []string { return []string{"--memory", "32MiB", "--slots", "3"} }

// stall makes map attempts last for some heartbeats.
func stall() []string { return []string{"--app-arg", "stall=600ms"} }

// casesOf returns the cases of a point, at least one.
func casesOf(p failpoint.Point) []crashCase {
	for _, s := range specialCases() {
		if s.point == p {
			return slices.DeleteFunc(specialCases(), func(s crashCase) bool { return s.point != p })
		}
	}
	return []crashCase{{point: p}}
}

// again makes the second attempt at a task meet other bytes.
func again() string { return "worker.put.partition.after=error,worker.stat.partition=error" }

// specialCases lists the cases of points that three books and wc do not reach,
// and more cases for those where it matters how often, or in which job.
func specialCases() []crashCase {
	again := again()
	budget, long := []string{"--max-bad-records", "2000"}, []string{"--app-arg", "stall=1500ms"}
	all := []crashCase{
		{point: "worker.list.prefixes", early: true, script: (*crash).workerSearchesPrefixes},
		{point: "worker.get.announcement", early: true},
		{point: "worker.stat.job", also: again},
		{point: "worker.get.success", script: (*crash).workerFindsNoCoordinator},
		{point: "worker.call.leave.before", app: "fickle", args: long, input: "words", script: (*crash).workerLeaves},
		{point: "worker.call.leave.after", app: "fickle", args: long, input: "words", script: (*crash).workerLeaves},
		{point: "worker.stat.partition", also: "worker.put.partition.after=error"},
		{point: "worker.put.displaced.before", app: "fickle", input: "words", also: again},
		{point: "worker.put.displaced.after", app: "fickle", input: "words", also: again},
		{point: "worker.stat.displaced", app: "fickle", input: "words", also: again + ",worker.put.displaced.after=error"},
		{point: "worker.read.input", name: "streamed", input: "streamed"},
		{point: "worker.open.displaced", app: "fickle", input: "words", also: again},
		{point: "worker.read.displaced", app: "fickle", input: "words", also: again},
		{point: "worker.put.bad.before", app: "fickle", input: "bad", args: budget},
		{point: "worker.put.bad.after", app: "fickle", input: "bad", args: budget},
		{point: "worker.stat.bad", app: "fickle", input: "bad", args: budget, also: "worker.put.bad.after=error"},
		{point: "worker.abort.output", also: "worker.write.output=error"},
		{point: "worker.abort.output", name: "parts", hit: 1, app: "fickle", input: "long", r: 1, also: "worker.write.output=error@18"},
		{point: "worker.stat.output", also: "worker.commit.output.after=error"},
		{point: "worker.get.reduce-record", script: (*crash).outputAppears},
		{point: "worker.stat.side", app: "fickle", input: "words", args: []string{"--app-arg", "side=true"}, also: "worker.put.side.after=error"},
		{point: "worker.get.control", app: "sort"}, // the key ranges, which only an ordered job has
		{point: "worker.put.control.before", app: "sort"},
		{point: "worker.put.control.after", app: "sort"},
		{point: "coordinator.get.announcement"},
		{point: "coordinator.get.announcement", name: "own", hit: 2, also: "coordinator.put.announcement.after=error"},
		{point: "coordinator.serve.leave.before", app: "fickle", args: long, input: "words", script: (*crash).coordinatorLosesWorker},
		{point: "coordinator.serve.leave.after", app: "fickle", args: long, input: "words", script: (*crash).coordinatorLosesWorker},
		{point: "coordinator.get.job", also: "coordinator.put.job.after=error"},
		{point: "coordinator.get.success", also: "coordinator.put.success.after=error"},
		{point: "coordinator.get.control", app: "sort"},
		{point: "coordinator.get.events", script: (*crash).coordinatorFindsOutputs},
		{point: "coordinator.get.events", name: "own", also: "coordinator.put.events.after=error"},
		{point: "coordinator.list.events", script: (*crash).coordinatorFindsOutputs},
		{point: "coordinator.stat.job", app: "fickle", args: long, input: "words", script: (*crash).coordinatorInterrupted},
		{point: "coordinator.stat.map-record", app: "fickle", input: "word", script: (*crash).foreignCommit},
		{point: "coordinator.serve.discover.before"},
		{point: "coordinator.serve.discover.before", name: "addresses", script: (*crash).workersByAddresses},
		{point: "coordinator.serve.discover.after"},
		{point: "coordinator.serve.discover.after", name: "addresses", script: (*crash).workersByAddresses},
		{point: "worker.get.owner", elsewhere: true},
		{point: "coordinator.get.owner", elsewhere: true},
		{point: "coordinator.put.owner.before", elsewhere: true},
		{point: "coordinator.put.owner.after", elsewhere: true},
		{point: "coordinator.open.input", args: []string{"--lines-per-task", "20"}},
		{point: "coordinator.read.input", args: []string{"--lines-per-task", "20"}},
		{point: "coordinator.copy.partition.before", app: "fickle", input: "words", workers: again},
		{point: "coordinator.copy.partition.after", app: "fickle", input: "words", workers: again},
	}
	patient := []string{"--speculation", "off"}
	all = append(all,
		crashCase{point: "worker.commit.output.after", name: "elsewhere", elsewhere: true},
		crashCase{point: "coordinator.put.success.after", name: "elsewhere", elsewhere: true},
		crashCase{point: "worker.put.map-record.before", name: "whole", args: patient, adopts: 2},
		crashCase{point: "worker.put.map-record.after", name: "once", args: patient, once: true},
		crashCase{point: "worker.commit.output.after", name: "once", args: patient, once: true})
	return slices.Concat(all, caseFamilies(), mapOnlyCases(), namedCases(), partitionCases())
}

// namedCases lists the steps of named outputs: an attempt writes them to objects of its
// own, and the coordinator copies them at the end.
func namedCases() (all []crashCase) {
	add := func(s crashCase) {
		s.app, s.args = "fickle", append(s.args, "--app-arg", "named=true")
		all = append(all, s)
	}
	for _, op := range []failpoint.Point{".create", ".write", ".read", ".close"} {
		add(crashCase{point: "worker.named" + op, input: "long", r: 1, flags: tight()})
	}
	for _, w := range []failpoint.Point{".before", ".after"} {
		add(crashCase{point: "worker.put.named" + w, input: "words"})
		add(crashCase{point: "worker.put.named" + w, name: "map-only", hit: 2, input: "words", mapOnly: true})
		add(crashCase{point: "worker.commit.output" + w, name: "named", input: "words"})
		add(crashCase{point: "coordinator.copy.named" + w, input: "words"})
		add(crashCase{point: "coordinator.copy.named" + w, name: "second", hit: 2, input: "words"})
		add(crashCase{point: "coordinator.copy.named" + w, name: "elsewhere", input: "words", elsewhere: true})
		add(crashCase{point: "coordinator.put.success" + w, name: "named", input: "words"})
	}
	add(crashCase{point: "worker.put.named.after", name: "bad", input: "bad", mapOnly: true, args: []string{"--max-bad-records", "2000"}})
	add(crashCase{point: "coordinator.list.named", input: "words"})
	add(crashCase{point: "coordinator.stat.named", input: "words", also: "coordinator.copy.named.after=error"})
	return all
}

// partitionCases lists the steps of a partitioned output, whose objects go the way of
// named outputs.
func partitionCases() (all []crashCase) {
	add := func(s crashCase) {
		s.app, s.name, s.input = "fickle", strings.Trim("partitions-"+s.name, "-"), "words"
		s.args = []string{"--output-format", "csv", "--output-partition", "value"}
		all = append(all, s)
	}
	for _, w := range []failpoint.Point{".before", ".after"} {
		add(crashCase{point: "worker.put.named" + w})
		add(crashCase{point: "worker.put.named" + w, name: "map-only", hit: 2, mapOnly: true})
		add(crashCase{point: "worker.commit.output" + w})
		add(crashCase{point: "coordinator.copy.named" + w})
		add(crashCase{point: "coordinator.copy.named" + w, name: "second", hit: 2})
		add(crashCase{point: "coordinator.copy.named" + w, name: "elsewhere", elsewhere: true})
		add(crashCase{point: "coordinator.put.success" + w})
	}
	add(crashCase{point: "coordinator.list.output"})
	add(crashCase{point: "coordinator.stat.named", also: "coordinator.copy.named.after=error"})
	return all
}

// mapOnlyCases lists the steps of a map-only job: its tasks read as map tasks do and
// commit as reduce tasks do.
func mapOnlyCases() (all []crashCase) {
	add := func(s crashCase) {
		s.name, s.mapOnly, s.app = strings.Trim("map-only-"+s.name, "-"), true, cmp.Or(s.app, "grep")
		if s.app == "grep" {
			s.args = append(s.args, "--app-arg", "pattern=e")
		}
		all = append(all, s)
	}
	for _, p := range []failpoint.Point{
		"worker.open.input", "worker.read.input", "worker.create.output", "worker.write.output", "worker.get.reduce-record",
		"coordinator.list.output", "coordinator.stat.output", "coordinator.get.reduce-record", "coordinator.put.success.before", "coordinator.put.success.after",
	} {
		s := crashCase{point: p}
		if p == "worker.get.reduce-record" {
			s.script = (*crash).outputAppears
		}
		add(s)
	}
	for _, p := range []failpoint.Point{"worker.open.output", "worker.read.output"} {
		add(crashCase{point: p, name: "taken-over", script: (*crash).takesOver})
	}
	budget := []string{"--max-bad-records", "2000"}
	for _, w := range []failpoint.Point{".before", ".after"} {
		for _, write := range []failpoint.Point{"put.reduce-record", "commit.output"} {
			add(crashCase{point: "worker." + write + w})
			add(crashCase{point: "worker." + write + w, name: "second", hit: 2})
			add(crashCase{point: "worker." + write + w, name: "bad", app: "fickle", input: "bad", args: budget})
		}
		add(crashCase{point: "worker.call.report" + w, args: []string{"--speculation", "off"}, once: true})
		add(crashCase{point: "worker.put.bad" + w, app: "fickle", input: "bad", args: budget})
		add(crashCase{point: "coordinator.copy.bad" + w, app: "fickle", input: "bad", args: budget,
			workers: "worker.put.bad.after=error,worker.stat.bad=error"})
	}
	return all
}

// reduces is what the flag for the number of reduce tasks says.
func (s *crashCase) reduces() string {
	if s.mapOnly {
		return "0"
	}
	return fmt.Sprint(s.r)
}

// parts is how many outputs the job has.
func (s *crashCase) parts() int {
	if s.mapOnly {
		return len(inputs()[s.input])
	}
	return s.r
}

// caseFamilies lists the cases of points that belong together.
func caseFamilies() (all []crashCase) {
	stall, patient := stall(), []string{"--speculation", "off"}
	budget := []string{"--max-bad-records", "2000"}
	when := []failpoint.Point{".before", ".after"}
	for _, w := range when {
		all = append(all,
			crashCase{point: "worker.call.discover" + w, early: true},
			crashCase{point: "worker.call.discover" + w, name: "address", early: true, script: (*crash).workerByAddress},
			crashCase{point: "worker.call.register" + w, early: true})
		// k of R partitions, of the second task too, and without a combiner.
		for k := range 4 {
			s := crashCase{point: "worker.put.partition" + w, name: fmt.Sprintf("hit%d", k+1), hit: k + 1}
			if w == ".after" {
				s.adopts = k%2 + 1 // of two that a task has
			}
			all = append(all, s)
		}
		all = append(all, crashCase{point: "worker.put.partition" + w, name: "fickle", hit: 2, app: "fickle", input: "words"})
		for _, write := range []failpoint.Point{"put.map-record", "put.reduce-record", "commit.output"} {
			all = append(all,
				crashCase{point: "worker." + write + w},
				crashCase{point: "worker." + write + w, name: "indexer", hit: 2, app: "indexer"},
				crashCase{point: "worker." + write + w, name: "fickle", app: "fickle", input: "words"})
		}
		all = append(all,
			crashCase{point: "worker.commit.output" + w, name: "parts", app: "fickle", input: "long", r: 1},
			crashCase{point: "worker.put.side" + w, app: "fickle", input: "words", args: []string{"--app-arg", "side=true"}},
			crashCase{point: "worker.call.heartbeat" + w, app: "fickle", input: "words", args: stall},
			crashCase{point: "worker.call.report" + w, args: patient, once: true},
			crashCase{point: "worker.call.report" + w, name: "reduce", hit: 4},
			crashCase{point: "coordinator.serve.heartbeat" + w, app: "fickle", input: "words", args: stall},
			crashCase{point: "coordinator.serve.report" + w},
			crashCase{point: "coordinator.serve.report" + w, name: "reduce", hit: 4},
			crashCase{point: "coordinator.serve.poll" + w},
			crashCase{point: "coordinator.serve.poll" + w, name: "later", hit: 4},
			crashCase{point: "coordinator.put.announcement" + w},
			crashCase{point: "coordinator.put.announcement" + w, name: "renewal", hit: 2, app: "fickle", input: "words", args: stall},
			crashCase{point: "coordinator.copy.bad" + w, app: "fickle", input: "bad", args: budget,
				workers: "worker.put.bad.after=error,worker.stat.bad=error"},
		)
	}
	packed := []string{"--shuffle", "packed"}
	all = append(all,
		crashCase{point: "worker.put.partition.before", name: "packed", hit: 2, args: packed},
		crashCase{point: "worker.put.partition.after", name: "packed", hit: 1, args: packed, adopts: 1},
		crashCase{point: "worker.put.displaced.after", name: "packed", app: "fickle", input: "words", args: packed, also: again()},
		crashCase{point: "worker.read.partition", name: "packed", hit: 2, args: packed},
		crashCase{point: "coordinator.copy.partition.before", name: "packed", app: "fickle", input: "words", args: packed, workers: again()},
		crashCase{point: "coordinator.get.map-record", name: "packed", args: packed})
	for _, op := range []failpoint.Point{".create", ".write", ".read", ".close"} {
		for _, what := range []string{"spill", "merge", "segments"} {
			all = append(all, crashCase{point: failpoint.Point("worker."+what) + op, app: "fickle", input: what, r: 1, flags: tight()})
		}
		all = append(all,
			crashCase{point: "worker.merge" + op, name: "reduce", app: "fickle", input: "many", r: 1, flags: tight()},
			crashCase{point: "worker.shuffle" + op, app: "fickle", input: "segments", r: 1, flags: tight()},
			crashCase{point: "worker.record" + op, app: "fickle", input: "record", args: budget, flags: tight()},
			crashCase{point: "worker.bad-list" + op, app: "fickle", input: "manybad", args: budget, flags: tight()})
	}
	for _, p := range []failpoint.Point{"worker.get.side", "worker.list.side"} {
		all = append(all, crashCase{point: p, app: "fickle", input: "words", args: []string{"--app-arg", "side=true"}})
	}
	for _, p := range []failpoint.Point{"worker.open.input", "worker.read.input", "worker.open.partition", "worker.read.partition", "worker.create.output", "worker.write.output"} {
		all = append(all, crashCase{point: p}, crashCase{point: p, name: "indexer", hit: 2, app: "indexer"})
	}
	all = append(all, crashCase{point: "worker.write.output", name: "parts", hit: 18, app: "fickle", input: "long", r: 1})
	// What a coordinator reads that goes on where another one was.
	for _, p := range []failpoint.Point{"list.map-record", "get.map-record", "list.output", "stat.output", "get.reduce-record"} {
		p = "coordinator." + p
		all = append(all, crashCase{point: p}, crashCase{point: p, name: "again", script: (*crash).coordinatorFindsOutputs})
	}
	all = append(all, crashCase{point: "coordinator.get.success", name: "standby", script: (*crash).standbyFindsJobDone})
	// What a coordinator does that stands by, and when it takes over.
	for _, s := range []crashCase{
		{point: "get.announcement", hit: 2}, {point: "get.announcement", name: "later", hit: 5},
		{point: "get.job"}, {point: "get.job", name: "takeover", hit: 2}, {point: "list.input"}, {point: "list.map-record"}, {point: "put.announcement.before"}, {point: "put.announcement.after"},
		{point: "stat.announcement"}, {point: "stat.success"}, {point: "serve.register.after"},
	} {
		s.point, s.name = "coordinator."+s.point, strings.Trim("standby-"+s.name, "-")
		s.script = (*crash).standbyTakesOver
		all = append(all, s)
	}
	for _, p := range []failpoint.Point{"list.input", "stat.announcement", "put.job.before", "serve.register.after"} {
		all = append(all, crashCase{point: "coordinator." + p})
	}
	return all
}
