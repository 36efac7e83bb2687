//go:build linux

package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/s3fault"
)

// TestDraw: the same seed makes the same plan, faults happen within its
// length to hosts that are there, and the store understands its rules.
func TestDraw(t *testing.T) {
	for seed := range uint64(100) {
		p := draw(seed, true)
		if d := cmp.Diff(p, draw(seed, true)); d != "" {
			t.Fatalf("seed %d makes two plans:\n%s", seed, d)
		}
		if _, err := s3fault.Parse(strings.NewReader(strings.Join(p.Store, "\n"))); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		for _, e := range p.Events {
			if e.At < 0 || e.For <= 0 || e.At+e.For > p.Length {
				t.Errorf("seed %d: %s is not within %s", seed, e, p.Length)
			}
			if e.Peer == e.Host {
				t.Errorf("seed %d: %s", seed, e)
			}
			for _, name := range []string{e.Host, e.Peer} {
				worker := strings.HasPrefix(name, "worker") && int(name[6]-'0') < len(p.Slots)
				if !worker && !slices.Contains([]string{"", store, coordinator, rivalHost}, name) {
					t.Errorf("seed %d: %s is of no host", seed, e)
				}
			}
		}
	}
}

// TestDrawsAll: each kind of fault, each app and each fault of the store
// comes up, and without a network of its own none that needs one.
func TestDrawsAll(t *testing.T) {
	seen, loopback := map[string]bool{}, map[string]bool{}
	for seed := range uint64(300) {
		p := draw(seed, true)
		seen[p.App] = true
		for _, e := range p.Events {
			seen[string(e.Kind)] = true
		}
		for _, rule := range p.Store {
			words := strings.Fields(rule)
			seen[words[3-strings.Count(rule, "* * delay")]] = true
		}
		for _, e := range draw(seed, false).Events {
			loopback[string(e.Kind)] = true
		}
	}
	for _, want := range []string{
		"wc", "indexer", "grep", "nocrash", crash, "kill", "term", "stop", "cut", "drop-egress", "drop-ingress", "slow", "rival", "takeover",
		"503", "500", "502", "504", "drop", "lost-reply", "409", "reset", "short", "flip", "delay", "no-headers", "stall",
	} {
		if !seen[want] {
			t.Errorf("never drawn: %s; drawn are %v", want, slices.Sorted(maps.Keys(seen)))
		}
	}
	if d := cmp.Diff([]string{"kill", "rival", "stop", "takeover", "term"}, slices.Sorted(maps.Keys(loopback))); d != "" {
		t.Error(d)
	}
}
