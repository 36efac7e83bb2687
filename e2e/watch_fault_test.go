//go:build !interop

package e2e

import (
	"regexp"
	"testing"
)

// TestStatusDenied: who may not join is told what the rest of the bucket
// says; who may not read the job is told which right is missing.
func TestStatusDenied(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	b.run(0, "run", "--app", "wc", "--nreduce", "2", "--workers", "1")
	stranger, _ := b.through("GetObject *_coordinator.json 403")
	out, _ := stranger.run(0, "status")
	wants(t, out, "done at", "note: no right to read", "_coordinator.json")
	nobody, _ := b.through("GetObject *_job.json 403")
	_, errout := nobody.run(6, "status")
	wants(t, errout, "s3:GetObject", "_job.json")
	blind, _ := b.through("ListObjectsV2 *_commit/ 403")
	_, errout = blind.run(6, "status")
	wants(t, errout, "s3:ListBucket")
	down, proxy := b.through()
	proxy.Close()
	down.env = append(down.env, "MRAWS_ENDPOINT=http://127.0.0.1:1")
	_, errout = down.run(5, "status")
	wants(t, errout, "hint:")
}

// TestThrottledMetrics: what a storm does to a process can be seen on its
// page: what was throttled and tried again, and with how many requests at
// once it goes on.
func TestThrottledMetrics(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	f, _ := b.through("* * p=0.3 503")
	c, _ := f.coordinator("--app", "wc", "--metrics", "0")
	at := f.page(c)
	var page string
	b.until("the page shows the storm", func() bool {
		page = b.scrape(at)
		return regexp.MustCompile(`mraws_s3_requests_total\{operation="\w+",outcome="throttled"\} [1-9]`).MatchString(page) &&
			regexp.MustCompile(`mraws_s3_retries_total\{operation="\w+"\} [1-9]`).MatchString(page) &&
			regexp.MustCompile(`(?m)^mraws_s3_concurrency_halvings_total [1-9]`).MatchString(page) &&
			regexp.MustCompile(`(?m)^mraws_s3_concurrency_limit [1-5]?[0-9]$`).MatchString(page)
	})
	wants(t, page, "mraws_s3_retry_budget_max 512")
}
