package page

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// shown is true once the page shows a job with its attempts.
func shown(attempts int) string {
	return fmt.Sprintf(`document.querySelector("#stage").dataset.attempts == "%d" && document.querySelector("#job-state").textContent`, attempts)
}

// TestSections: the page shows all that the view says, markup as text; axe-core has no objection
// in light, dark, and on a phone.
func TestSections(t *testing.T) {
	in := browser(t)
	c := serveJob(t, 6, 4, 400, 24, true)
	for name, l := range map[string]look{"light": light, "dark": dark, "phone": onPhone} {
		t.Run(name, func(t *testing.T) {
			p := open(t, in, c.URL+"/job/logs/words", l)
			p.until(shown(len(c.rows)))
			for selector, text := range map[string]string{
				"#job-name": "logs/words", "#job-state": "done", "#link": "complete", "#phases": "400 of 400 tasks", "#totals": "CPU time",
				"#largest-table": markup, "#stragglers-table": "3.1 times as long", "#workers-table": "ip-10-0-0-2", "#counters-table": markup, "#errors-table": markup,
				"#skipped-table": markup, "#cost": "$0.023 of at most $0.50", "#requests-table": "11,294", "#seal-text": "mraws1:9f86d081", "#findings": markup,
				"#rate-legend": "shuffled", "#outcomes": "superseded",
			} {
				p.has(selector, text)
			}
			if n := value[int](p, `document.images.length`); n != 0 {
				t.Errorf("keys with markup made %d images", n)
			}
			if w := value[int](p, `document.documentElement.scrollWidth`); w > int(l.width) {
				t.Errorf("the page is %d pixels wide on a screen of %d", w, l.width)
			}
			p.do(chromedp.Focus(chromedp.CSS("#lanes")), chromedp.KeyEvent(kb.ArrowRight))
			p.until(`document.querySelector("#attempt-more").textContent.includes("<img src=x")`)
			p.accessible()
			p.do(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("details").forEach(d => { d.open = true })`))
			p.until(`document.querySelector("#attempts-table tbody").rows.length == 20`)
			p.accessible()
			p.do(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("details").forEach(d => { d.open = false }); document.querySelector("#attempt-close").click(); scrollTo(0, 0)`))
			p.picture("dashboard-" + name)
		})
	}
}

// TestJobs: the list of jobs, and the way from it to a job and back.
func TestJobs(t *testing.T) {
	in := browser(t)
	c := serveJob(t, 2, 2, 10, 2, true)
	c.set(func() {
		for i, state := range []string{"running", "failed", "cancelled", "stopped", "abandoned", "unreadable"} {
			c.jobs = append(c.jobs, doc{"name": fmt.Sprintf("sorted %d/%s", i, markup), "prefix": fmt.Sprint(i), "id": "", "app": "", "state": state, "created": nil, "seen": nil, "input_bytes": nil, "output_bytes": nil, "failure": markup})
		}
	})
	for name, l := range map[string]look{"light": light, "dark": dark, "phone": onPhone} {
		t.Run(name, func(t *testing.T) {
			p := open(t, in, c.URL, l)
			p.until(`document.querySelectorAll("#jobs-table tbody tr").length == 7`)
			p.has("#jobs-table", "abandoned")
			p.has("#jobs-table", markup)
			p.has("#jobs-note", "7 jobs in s3://data/")
			p.accessible()
			p.do(chromedp.Click(chromedp.CSS(`#jobs-table a[href="/job/logs/words"]`)))
			p.until(shown(len(c.rows)))
			p.do(chromedp.Click(chromedp.CSS(".home")))
			p.until(`document.querySelectorAll("#jobs-table tbody tr").length == 7`)
		})
	}
	p := open(t, in, c.URL+"/job/none", light)
	p.until(`document.querySelector("#jobs-note").textContent.includes("There is no job none")`)
}

// TestLive: a page follows a job; a stream that is cut goes on where it was; a server that
// refuses for a time is asked again; another coordinator and the end are announced.
func TestLive(t *testing.T) {
	in := browser(t)
	c := serveJob(t, 4, 2, 200, 8, false)
	p := open(t, in, c.URL, light, "ERR_INCOMPLETE_CHUNKED_ENCODING", "503 (Service Unavailable)")
	n := len(c.rows)
	p.until(shown(n))
	p.has("#link", "live")
	p.has("#announce", "Job running.")
	c.set(func() {
		c.put(n, row{worker: 4, slot: 0, task: 199, start: 1000, end: -1})
		c.workers = append(c.workers, doc{"id": "late", "host": "h", "slots": 1})
	})
	p.until(shown(n + 1))

	c.set(func() { c.down = true; close(c.cut); c.cut = make(chan struct{}) })
	p.until(`document.querySelector("#link").textContent.includes("reconnecting")`)
	p.until(`document.querySelector("#announce").textContent.includes("Connection lost")`)
	c.set(func() {
		c.down = false
		c.put(n, row{worker: 4, slot: 0, task: 199, start: 1000, end: 4000, outcome: committed})
		c.put(n+1, row{worker: 0, slot: 0, kind: 1, task: 0, start: 4100, end: -1})
		c.view["coordinators"] = []doc{{"epoch": "e1", "from": 0, "to": 3000, "ended": "lost"}, {"epoch": "e2", "from": 5000, "to": nil, "ended": ""}}
	})
	p.until(shown(n + 2))
	p.until(`document.querySelector("#link").textContent.includes("live")`)
	p.until(`document.querySelector("#announce").textContent.includes("Another coordinator leads")`)
	p.has("#coordinators-table", "e2")
	c.mu.Lock()
	for i, after := range c.resumed {
		if (after == "") != (i == 0) {
			t.Errorf("streams were asked to go on behind %q", c.resumed)
		}
	}
	c.mu.Unlock()

	c.set(func() {
		c.over = true
		c.view["job"].(doc)["state"] = "done"
		c.view["seal"] = "sealed"
	})
	p.until(`document.querySelector("#link").textContent.includes("complete")`)
	p.until(`document.querySelector("#announce").textContent.includes("Job done.")`)
	p.has("#seal-text", "sealed")
}

// TestAnother: a server that begins at the start, since the job is another one, makes the page
// drop what it knew.
func TestAnother(t *testing.T) {
	in := browser(t)
	c := serveJob(t, 2, 2, 50, 2, false)
	p := open(t, in, c.URL, light, "ERR_INCOMPLETE_CHUNKED_ENCODING")
	p.until(shown(len(c.rows)))
	c.set(func() {
		c.workers, c.rows, c.ids, c.changes = []doc{{"id": "w", "host": "h", "slots": 1}}, nil, nil, nil
		c.put(0, row{end: -1})
		c.forget = true
		close(c.cut)
		c.cut = make(chan struct{})
	})
	p.until(shown(1))
}

// TestKeys: everything is reached by keys, and the timeline says which attempt is chosen.
func TestKeys(t *testing.T) {
	in := browser(t)
	c := serveJob(t, 3, 2, 60, 4, true)
	p := open(t, in, c.URL, light)
	p.until(shown(len(c.rows)))
	p.do(chromedp.KeyEvent(kb.Tab))
	if is := value[string](p, `document.activeElement.textContent`); is != "Skip to content" {
		t.Errorf("the first stop of Tab is %q", is)
	}
	seen := map[string]bool{}
	for range 120 {
		p.do(chromedp.KeyEvent(kb.Tab))
		seen[value[string](p, `document.activeElement.id || document.activeElement.dataset.zoom || document.activeElement.closest("[id]")?.id || ""`)] = true
	}
	for _, stop := range []string{"theme", "nav", "lanes", "in", "out", "all", "workers-table", "errors-table", "attempts-list", "rate-figures"} {
		if !seen[stop] {
			t.Errorf("Tab does not stop at %s but at %v", stop, seen)
		}
	}
	p.do(chromedp.Focus(chromedp.CSS("#lanes")), chromedp.KeyEvent(kb.ArrowDown))
	p.until(`document.querySelector("#chosen").textContent.includes("on w1, slot 0")`)
	first := p.text("#h-attempt")
	p.do(chromedp.KeyEvent(kb.ArrowRight))
	p.until(`document.querySelector("#h-attempt").innerText != "` + first + `"`)
	p.do(chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown))
	p.until(`document.querySelector("#chosen").textContent.includes("on w2, slot 0")`)
	p.do(chromedp.KeyEvent(kb.End), chromedp.KeyEvent("+"), chromedp.KeyEvent("+"))
	p.until(`document.querySelector("#attempt-facts").innerText.includes("Coordinator")`)
	p.do(chromedp.KeyEvent(kb.Escape))
	p.until(`document.querySelector("#attempt").hidden && document.activeElement.id == "lanes"`)
}

// TestPointer: a pointer above a bar shows what it is, a click opens the attempt with its error
// and its log, and the button of an error goes to the attempt.
func TestPointer(t *testing.T) {
	in := browser(t)
	c := serveJob(t, 3, 2, 300, 4, true)
	p := open(t, in, c.URL, light)
	p.until(shown(len(c.rows)))
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#stage").scrollIntoView({block: "center"})`))
	at := value[[]float64](p, `(() => { const r = document.querySelector("#lanes").getBoundingClientRect(); return [r.left + 300, r.top + 8] })()`)
	p.do(chromedp.MouseEvent(chromedp.MouseMoved, at[0], at[1]))
	p.until(`document.querySelector("#tip").textContent.includes("map-")`)
	p.do(chromedp.MouseClickXY(at[0], at[1]))
	p.until(`document.querySelector("#attempt-more").innerText.includes("s3://data/input/")`)
	p.do(chromedp.Click(chromedp.CSS("#errors-table tbody button")))
	p.until(`document.querySelector("#attempt-more pre")?.innerText.includes("at line 3")`)
	p.has("#attempt-more", markup)
	p.has("#attempt-facts", "failed")
}

// TestTheme: the button changes the colours, and the choice outlives the page.
func TestTheme(t *testing.T) {
	in := browser(t)
	c := serveJob(t, 2, 2, 20, 2, true)
	p := open(t, in, c.URL, light)
	p.until(shown(len(c.rows)))
	background := `getComputedStyle(document.body).backgroundColor`
	before := value[string](p, background)
	p.do(chromedp.Click(chromedp.CSS("#theme")), chromedp.Click(chromedp.CSS("#theme")))
	p.has("#theme", "dark")
	if after := value[string](p, background); after == before {
		t.Errorf("the background stays %s", after)
	}
	p.do(chromedp.Reload())
	p.until(shown(len(c.rows)))
	p.has("#theme", "dark")
	if after := value[string](p, background); after == before {
		t.Errorf("the background is %s again after the page was read again", after)
	}
}

// TestScale: 100,000 tasks on 1,000 workers. The document stays small and answers; the figures
// of time are for people.
func TestScale(t *testing.T) {
	in := browser(t)
	c := serveJob(t, 1000, 4, 100_000, 400, true)
	p := open(t, in, c.URL, light)
	p.until(shown(len(c.rows)))
	first := value[float64](p, `performance.getEntriesByName("mraws-first-picture")[0].startTime`)
	if n := value[int](p, `document.querySelectorAll("*").length`); n > 3000 {
		t.Errorf("the document has %d elements", n)
	}
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#timeline").scrollIntoView()`))
	frames := value[[]float64](p, `new Promise(done => {
		const lanes = document.querySelector("#lanes"), times = [];
		let last = performance.now(), n = 0;
		const step = now => {
			times.push(now - last); last = now;
			lanes.scrollTop += 97;
			if (n % 4 == 0) lanes.dispatchEvent(new WheelEvent("wheel", {deltaY: n < 60 ? -40 : 40, ctrlKey: true, clientX: 700, bubbles: true, cancelable: true}));
			if (++n < 120) requestAnimationFrame(step); else done(times.slice(1).sort((a, b) => a - b));
		};
		requestAnimationFrame(step);
	})`)
	t.Logf("%d attempts: first picture after %.0f ms; %d frames while scrolling and zooming: median %.1f ms, 95%% %.1f ms, longest %.1f ms", len(c.rows), first, len(frames), frames[len(frames)/2], frames[len(frames)*95/100], frames[len(frames)-1])
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("[data-zoom=all]").click()`), chromedp.Focus(chromedp.CSS("#lanes")), chromedp.KeyEvent(kb.PageDown), chromedp.KeyEvent(kb.PageDown))
	p.until(`document.querySelector("#chosen").textContent.includes("slot")`)
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#lanes").scrollTop = 31000; document.querySelector("#attempt-close").click(); document.querySelector("#timeline").scrollIntoView()`))
	p.until(`document.querySelector("#attempt").hidden`)
	p.picture("dashboard-100000")
	p.do(chromedp.Click(chromedp.CSS("#attempts-list summary")))
	p.until(`document.querySelector("#attempts-table .pages").innerText.includes("of ` + strings.TrimSuffix(fmt.Sprint(len(c.rows)/1000), "") + `,")`)
	if n := value[int](p, `document.querySelectorAll("*").length`); n > 3000 {
		t.Errorf("the document has %d elements with the table open", n)
	}
}
