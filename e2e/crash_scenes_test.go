//go:build !interop

package e2e

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/failpoint"
)

// scene is a job that comes by a point for certain.
type scene struct {
	point failpoint.Point
	hit   int    // the how-manyeth time counts; 0 is the first
	name  string // tells scenes of one point apart; "" for the only one
	app   string // "wc" if empty
	args  []string
	input string // of inputs; "books" if empty
	r     int    // reduces; 2 if 0

	also    string   // what else is armed in that process
	workers string   // what is armed in the first worker beside an armed coordinator
	flags   []string // of the armed worker

	play  func(*crash) // how it goes; nil is by the role of the point
	early bool         // the worker has not joined the job yet

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

// scenes returns what reaches a point, at least one scene.
func scenes(p failpoint.Point) []scene {
	for _, s := range special() {
		if s.point == p {
			return slices.DeleteFunc(special(), func(s scene) bool { return s.point != p })
		}
	}
	return []scene{{point: p}}
}

// again makes the second attempt at a task meet other bytes.
func again() string { return "worker.put.partition.after=error,worker.stat.partition=error" }

// special lists the scenes of points that three books and wc do not come by,
// and more scenes for those where it matters how often, or in which job.
func special() []scene {
	again := again()
	budget, long := []string{"--max-bad-records", "2000"}, []string{"--app-arg", "stall=1500ms"}
	all := []scene{
		{point: "worker.list.prefixes", early: true, play: (*crash).anyPrefix},
		{point: "worker.get.announcement", early: true},
		{point: "worker.stat.job", also: again},
		{point: "worker.get.success", play: (*crash).orphaned},
		{point: "worker.call.leave.before", app: "fickle", args: long, input: "words", play: (*crash).leaves},
		{point: "worker.call.leave.after", app: "fickle", args: long, input: "words", play: (*crash).leaves},
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
		{point: "worker.get.reduce-record", play: (*crash).superseded},
		{point: "worker.stat.side", app: "fickle", input: "words", args: []string{"--app-arg", "side=true"}, also: "worker.put.side.after=error"},
		{point: "coordinator.get.announcement"},
		{point: "coordinator.get.announcement", name: "own", hit: 2, also: "coordinator.put.announcement.after=error"},
		{point: "coordinator.serve.leave.before", app: "fickle", args: long, input: "words", play: (*crash).isLeft},
		{point: "coordinator.serve.leave.after", app: "fickle", args: long, input: "words", play: (*crash).isLeft},
		{point: "coordinator.get.job", also: "coordinator.put.job.after=error"},
		{point: "coordinator.get.success", also: "coordinator.put.success.after=error"},
		{point: "coordinator.stat.job", app: "fickle", args: long, input: "words", play: (*crash).isInterrupted},
		{point: "coordinator.stat.map-record", app: "fickle", input: "word", play: (*crash).overtaken},
		{point: "coordinator.serve.discover.before"},
		{point: "coordinator.serve.discover.before", name: "addresses", play: (*crash).byAddresses},
		{point: "coordinator.serve.discover.after"},
		{point: "coordinator.serve.discover.after", name: "addresses", play: (*crash).byAddresses},
		{point: "coordinator.copy.partition.before", app: "fickle", input: "words", workers: again},
		{point: "coordinator.copy.partition.after", app: "fickle", input: "words", workers: again},
	}
	patient := []string{"--speculation", "off"}
	all = append(all,
		scene{point: "worker.put.map-record.before", name: "whole", args: patient, adopts: 2},
		scene{point: "worker.put.map-record.after", name: "once", args: patient, once: true},
		scene{point: "worker.commit.output.after", name: "once", args: patient, once: true})
	return slices.Concat(all, families())
}

// families lists scenes of points that belong together.
func families() (all []scene) {
	stall, patient := stall(), []string{"--speculation", "off"}
	budget := []string{"--max-bad-records", "2000"}
	when := []failpoint.Point{".before", ".after"}
	for _, w := range when {
		all = append(all,
			scene{point: "worker.call.discover" + w, early: true},
			scene{point: "worker.call.discover" + w, name: "address", early: true, play: (*crash).byAddress},
			scene{point: "worker.call.register" + w, early: true})
		// k of R partitions, of the second task too, and without a combiner.
		for k := range 4 {
			s := scene{point: "worker.put.partition" + w, name: fmt.Sprintf("hit%d", k+1), hit: k + 1}
			if w == ".after" {
				s.adopts = k%2 + 1 // of two that a task has
			}
			all = append(all, s)
		}
		all = append(all, scene{point: "worker.put.partition" + w, name: "fickle", hit: 2, app: "fickle", input: "words"})
		for _, write := range []failpoint.Point{"put.map-record", "put.reduce-record", "commit.output"} {
			all = append(all,
				scene{point: "worker." + write + w},
				scene{point: "worker." + write + w, name: "indexer", hit: 2, app: "indexer"},
				scene{point: "worker." + write + w, name: "fickle", app: "fickle", input: "words"})
		}
		all = append(all,
			scene{point: "worker.commit.output" + w, name: "parts", app: "fickle", input: "long", r: 1},
			scene{point: "worker.put.side" + w, app: "fickle", input: "words", args: []string{"--app-arg", "side=true"}},
			scene{point: "worker.call.heartbeat" + w, app: "fickle", input: "words", args: stall},
			scene{point: "worker.call.report" + w, args: patient, once: true},
			scene{point: "worker.call.report" + w, name: "reduce", hit: 4},
			scene{point: "coordinator.serve.heartbeat" + w, app: "fickle", input: "words", args: stall},
			scene{point: "coordinator.serve.report" + w},
			scene{point: "coordinator.serve.report" + w, name: "reduce", hit: 4},
			scene{point: "coordinator.serve.poll" + w},
			scene{point: "coordinator.serve.poll" + w, name: "later", hit: 4},
			scene{point: "coordinator.put.announcement" + w},
			scene{point: "coordinator.put.announcement" + w, name: "renewal", hit: 2, app: "fickle", input: "words", args: stall},
			scene{point: "coordinator.copy.bad" + w, app: "fickle", input: "bad", args: budget,
				workers: "worker.put.bad.after=error,worker.stat.bad=error"},
		)
	}
	packed := []string{"--shuffle", "packed"}
	all = append(all,
		scene{point: "worker.put.partition.before", name: "packed", hit: 2, args: packed},
		scene{point: "worker.put.partition.after", name: "packed", hit: 1, args: packed, adopts: 1},
		scene{point: "worker.put.displaced.after", name: "packed", app: "fickle", input: "words", args: packed, also: again()},
		scene{point: "worker.read.partition", name: "packed", hit: 2, args: packed},
		scene{point: "coordinator.copy.partition.before", name: "packed", app: "fickle", input: "words", args: packed, workers: again()},
		scene{point: "coordinator.get.map-record", name: "packed", args: packed})
	for _, op := range []failpoint.Point{".create", ".write", ".read", ".close"} {
		for _, what := range []string{"spill", "merge", "segments"} {
			all = append(all, scene{point: failpoint.Point("worker."+what) + op, app: "fickle", input: what, r: 1, flags: tight()})
		}
		all = append(all,
			scene{point: "worker.merge" + op, name: "reduce", app: "fickle", input: "many", r: 1, flags: tight()},
			scene{point: "worker.shuffle" + op, app: "fickle", input: "segments", r: 1, flags: tight()},
			scene{point: "worker.record" + op, app: "fickle", input: "record", args: budget, flags: tight()},
			scene{point: "worker.bad-list" + op, app: "fickle", input: "manybad", args: budget, flags: tight()})
	}
	for _, p := range []failpoint.Point{"worker.get.side", "worker.list.side"} {
		all = append(all, scene{point: p, app: "fickle", input: "words", args: []string{"--app-arg", "side=true"}})
	}
	for _, p := range []failpoint.Point{"worker.open.input", "worker.read.input", "worker.open.partition", "worker.read.partition", "worker.create.output", "worker.write.output"} {
		all = append(all, scene{point: p}, scene{point: p, name: "indexer", hit: 2, app: "indexer"})
	}
	all = append(all, scene{point: "worker.write.output", name: "parts", hit: 18, app: "fickle", input: "long", r: 1})
	// What a coordinator reads that goes on where another one was.
	for _, p := range []failpoint.Point{"list.map-record", "get.map-record", "list.output", "stat.output", "get.reduce-record"} {
		p = "coordinator." + p
		all = append(all, scene{point: p}, scene{point: p, name: "again", play: (*crash).secondLife})
	}
	all = append(all, scene{point: "coordinator.get.success", name: "standby", play: (*crash).outlived})
	// What a coordinator does that stands by, and when it takes over.
	for _, s := range []scene{
		{point: "get.announcement", hit: 2}, {point: "get.announcement", name: "later", hit: 5},
		{point: "get.job"}, {point: "get.job", name: "takeover", hit: 2}, {point: "list.input"}, {point: "list.map-record"}, {point: "put.announcement.before"}, {point: "put.announcement.after"},
		{point: "stat.announcement"}, {point: "stat.success"}, {point: "serve.register.after"},
	} {
		s.point, s.name = "coordinator."+s.point, strings.Trim("standby-"+s.name, "-")
		s.play = (*crash).standby
		all = append(all, s)
	}
	for _, p := range []failpoint.Point{"list.input", "stat.announcement", "put.job.before", "serve.register.after"} {
		all = append(all, scene{point: "coordinator." + p})
	}
	return all
}
