// The page of one job: what its view says, as text, tables and charts.
import { $, el, list, say, Table } from "./dom.js";
import { bytes, count, dollars, duration, mark, percent, plural, unknown, when } from "./format.js";
import { Attempts, kinds, outcomes, unsure } from "./attempts.js";
import { Timeline, legend } from "./timeline.js";
import { Chart } from "./charts.js";
import { Stream } from "./stream.js";

const symbols = { running: "▶", done: "✓", failed: "✕", cancelled: "⊘", stopped: "■", abandoned: "?", unreadable: "!" };

// state is a state with its symbol.
export const state = (s) => `${symbols[s] ?? ""} ${s}`.trim();

const seconds = (s) => duration(s === null || s === undefined ? null : s * 1000);
const number = (get, text = count) => ({ number: true, text: (r) => text(get(r)), sort: get });
const words = (get) => ({ text: (r) => get(r) || unknown, sort: (r) => get(r) || null });
const share = (part, of) => (of > 0 ? part / of : null);

export class Job {
  constructor(prefix, announce) {
    Object.assign(this, { prefix, announce, attempts: new Attempts(), view: null, said: {} });
    $("job").hidden = false;
    this.timeline = new Timeline(this.attempts, (n, text) => { say($("chosen"), text); this.open(n); });
    this.repaint = legend($("outcomes"));
    this.repaint();
    $("attempt-close").addEventListener("click", () => this.close());
    this.charts();
    this.tables();
    for (const section of document.querySelectorAll("#job section")) $("nav").append(el("li", {}, el("a", { href: "#" + section.id }, section.querySelector("h2").textContent)));
    $("attempts-list").addEventListener("toggle", () => this.fillAttempts());
    this.stream = new Stream(prefix, {
      start: (s) => this.start(s),
      view: (v) => { this.view = v; this.got = performance.now(); this.ask(); },
      attempts: (m) => { this.attempts.addWorkers(m.first, m.workers); this.attempts.put(m.rows); this.moved = true; this.ask(); },
      ids: (m) => m.ids.forEach((id, i) => { this.attempts.ids[m.first + i] = id; }),
      link: (is) => this.linked(is),
    });
  }

  // start drops what is known, unless the server goes on where this page is.
  start({ after }) {
    if (after) return;
    const old = this.attempts;
    this.attempts = this.timeline.attempts = new Attempts();
    if (old.length) { this.said = {}; this.timeline.selected = -1; this.close(); this.moved = true; this.ask(); }
  }

  linked(is) {
    const link = $("link");
    link.dataset.link = is;
    say(link, { live: "● live", lost: "○ reconnecting…", over: "✓ complete" }[is]);
    if (is === "lost") this.lost ??= setTimeout(() => { this.told = true; this.announce("Connection lost. Trying again."); }, 3000);
    else { clearTimeout(this.lost); this.lost = undefined; if (this.told) this.announce("Connected again."); this.told = false; }
  }

  // ask renders with the next picture of the screen, once for all that has changed.
  ask() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => { this.asked = false; this.render(); });
  }

  restyle() {
    this.repaint();
    this.timeline.restyle();
    for (const c of [this.rates, this.cpu, this.sizes]) c.restyle();
  }

  charts() {
    const rate = (v) => (v === null ? unknown : bytes(v) + "/s"), at = (s) => mark(s * 1000, 1000);
    const binary = Array.from({ length: 45 }, (_, i) => 2 ** i);
    this.rates = new Chart($("rate-chart"), { x: at, y: rate, legend: $("rate-legend"), sync: "time", steps: binary,
      series: [{ title: "read", variable: "--read" }, { title: "shuffled", variable: "--shuffled" }, { title: "written", variable: "--written" }] });
    this.cpu = new Chart($("cpu-chart"), { x: at, y: (v) => (v === null ? unknown : String(+v.toFixed(v < 10 ? 2 : 0))), legend: $("cpu-legend"), sync: "time", series: [{ title: "cores", variable: "--cpu" }] });
    this.sizes = new Chart($("sizes-chart"), { x: (i) => bytes(this.view?.partitions?.edges?.[i] ?? null), y: count, bars: true, height: 150, steps: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000], series: [{ title: "tasks", variable: "--size" }] });
  }

  tables() {
    const go = (id) => { const n = this.attempts.find(id); if (n >= 0) { this.timeline.choose(n, true); $("timeline").scrollIntoView({ block: "start" }); } };
    const attempt = { title: "Attempt", text: (r) => r.attempt || unknown, click: (r) => go(r.attempt) };
    const task = { title: "Task", text: (r) => r.task || unknown }, worker = { title: "Worker", ...words((r) => r.worker) };
    const ms = (title, get) => ({ title, number: true, text: (r) => duration(get(r)), sort: get });
    const make = (id, caption, columns, more = {}) => new Table($(id), { caption, columns, ...more });
    this.list = {
      coordinators: make("coordinators-table", "Coordinators, which took over from each other", [{ title: "Coordinator", text: (r) => r.epoch }, ms("From", (r) => r.from), ms("To", (r) => r.to), { title: "Ended", text: (r) => (r.to === null || r.to === undefined ? "leads" : r.ended || unknown) }]),
      rates: make("rate-table", "Throughput over time", [{ title: "From", text: (r) => mark(r.at, 1000) }, { title: "Read", ...number((r) => r.read, bytes) }, { title: "Shuffled", ...number((r) => r.shuffled, bytes) }, { title: "Written", ...number((r) => r.written, bytes) }, { title: "CPU time", optional: true, ...number((r) => r.cpu, seconds) }]),
      largest: make("largest-table", "The largest partitions, with their heaviest keys", [task, { title: "Reads", ...number((r) => r.bytes, bytes) }, { title: "Heaviest keys", text: (r) => (r.keys?.length ? r.keys.map((k) => `${k.key}  ${bytes(k.bytes)}`).join("\n") : unknown) }], { empty: "Not known yet.", size: 10 }),
      sizes: make("sizes-table", "Partitions by size", [{ title: "From", text: (r) => bytes(r.from) }, { title: "To", text: (r) => bytes(r.to) }, { title: "Tasks", ...number((r) => r.tasks) }]),
      stragglers: make("stragglers-table", "Attempts that take longer than others", [task, attempt, worker, { title: "Runs", ...number((r) => r.seconds, seconds) }, { title: "Usual", ...number((r) => r.usual_seconds, seconds) }, { title: "Reason", text: (r) => r.reason || unknown }]),
      requests: make("requests-table", "Requests to S3", [{ title: "Request", text: (r) => r[0] }, { title: "Number", ...number((r) => r[1]) }], { empty: "No requests known yet." }),
      workers: make("workers-table", "Workers", [
        { title: "Worker", text: (r) => r.id, sort: (r) => r.id }, { title: "Host", ...words((r) => r.host) }, { title: "State", ...words((r) => r.state), mark: (r) => r.state },
        { title: "Running", number: true, text: (r) => `${count(r.running)} of ${count(r.slots)}`, sort: (r) => r.running }, { title: "CPU", optional: true, ...number((r) => r.cpu_percent, (v) => percent(v === null || v === undefined ? null : v / 100)) },
        { title: "CPU time", optional: true, ...number((r) => r.cpu_seconds, seconds) }, { title: "Memory", optional: true, ...number((r) => r.memory_bytes, bytes) }, { title: "Free disk", optional: true, ...number((r) => r.scratch_free_bytes, bytes) },
        { title: "S3 requests", optional: true, ...number((r) => r.s3_requests) }, { title: "S3 median", optional: true, ...number((r) => r.s3_ms_p50, duration) }, { title: "S3 95%", optional: true, ...number((r) => r.s3_ms_p95, duration) }, { title: "503s", optional: true, ...number((r) => r.s3_throttled) },
        { optional: true, ...ms("Seen", (r) => r.seen) }, { title: "Version", optional: true, ...words((r) => r.version) },
      ], { filter: (r) => `${r.id} ${r.host} ${r.state} ${r.version}`, empty: "No workers." }),
      errors: make("errors-table", "The newest errors of attempts", [task, attempt, worker, ms("At", (r) => r.at), { title: "Error", text: (r) => r.cause || unknown }, { title: "Object", optional: true, ...words((r) => r.object) }, { title: "Record", optional: true, text: (r) => r.record ?? unknown, sort: (r) => r.record ?? null }], { size: 10, empty: "No attempt has failed." }),
      skipped: make("skipped-table", "Bad records that were skipped", [{ title: "Object", text: (r) => r.object || unknown }, { title: "Record", text: (r) => (r.record !== undefined && r.record !== null ? String(r.record) : r.offset !== undefined && r.offset !== null ? "at byte " + count(r.offset) : unknown) }, { title: "Cause", text: (r) => r.cause || unknown }, { title: "Text", text: (r) => r.text || unknown }], { size: 10, empty: "No record was skipped." }),
      counters: make("counters-table", "Counters of the application", [{ title: "Counter", text: (r) => r.name, sort: (r) => r.name }, { title: "Value", ...number((r) => r.value) }], { empty: "The application counts nothing." }),
      attempts: make("attempts-table", "Attempts", [
        { title: "Attempt", text: (n) => this.attempts.name(n), sort: (n) => n, click: (n) => this.timeline.choose(n, true) }, { title: "Outcome", text: (n) => outcomes[this.attempts.outcome[n]], sort: (n) => outcomes[this.attempts.outcome[n]], mark: (n) => outcomes[this.attempts.outcome[n]] },
        { title: "Worker", text: (n) => this.attempts.workers[this.attempts.worker[n]]?.id ?? unknown }, { title: "Slot", ...number((n) => this.attempts.slot[n]) },
        ms("Start", (n) => (this.attempts.known[n] === unsure ? null : this.attempts.start[n])), ms("Took", (n) => (this.attempts.known[n] === unsure ? null : this.timeline.until(n) - this.attempts.start[n])),
        { title: "Bytes", ...number((n) => this.attempts.bytes[n], bytes) }, { title: "Speculative", text: (n) => (this.attempts.speculative[n] ? "yes" : "no") },
      ], { filter: (n) => `${this.attempts.name(n)} ${outcomes[this.attempts.outcome[n]]} ${this.attempts.workers[this.attempts.worker[n]]?.id ?? ""}`, empty: "No attempts yet." }),
    };
  }

  render() {
    const v = this.view;
    if (v) {
      this.header(v);
      this.progress(v);
      this.throughput(v.throughput);
      this.partitions(v.partitions);
      const show = (name, rows) => this.list[name].show(rows ?? []);
      $("coordinators-table").hidden = !(v.coordinators?.length > 1);
      show("coordinators", v.coordinators);
      show("stragglers", v.stragglers);
      show("workers", v.workers);
      show("counters", v.counters);
      show("errors", v.errors);
      $("skipped-table").hidden = !v.skipped?.list && v.skipped?.records > 0; // how many there are, Progress says
      show("skipped", v.skipped?.list);
      this.cost(v.receipt);
      this.findings(v.explain ?? []);
      this.seal(v);
      this.timeline.marks = (v.coordinators ?? []).slice(1).map((c) => c.from);
      this.tell(v);
    }
    if (v || this.moved) this.timeline.changed(v ? v.now : null);
    this.moved = false;
    this.fillAttempts();
    if (this.opened >= 0 && this.shown !== this.attempts.outcome[this.opened]) this.open(this.opened);
  }

  header({ job, began, seconds: took, now, lacks: lacking, problem }) {
    say($("job-name"), job.name || job.id || "Job");
    document.title = `${job.name || job.id || "job"} ${job.state} – mraws`;
    say($("where"), job.name || job.id || "");
    const s = $("job-state");
    say(s, state(job.state));
    s.dataset.mark = job.state;
    const facts = [job.app && "application " + job.app, job.id, began && "began " + when(began), took !== null && took !== undefined ? "took " + seconds(took) : now ? "for " + duration(now) : "", job.version && "version " + job.version];
    say($("job-facts"), facts.filter(Boolean).join("  ·  "));
    $("job-failure").hidden = !job.failure;
    say($("job-failure"), job.failure ?? "");
    const lacks = [...(lacking ?? []), problem].filter(Boolean);
    $("job-lacks").hidden = !lacks.length;
    say($("job-lacks"), lacks.join("\n"));
  }

  progress(v) {
    const host = $("phases");
    for (const p of v.phases ?? []) {
      let div = host.querySelector(`[data-phase="${CSS.escape(p.name)}"]`);
      if (!p.total && !p.done) { div?.remove(); continue; }
      if (!div) host.append((div = el("div", { class: "phase", "data-phase": p.name }, el("b", {}, p.name), el("progress", { max: "1", "aria-label": p.name }), el("b", {}), el("p", { class: "note" }))));
      const inBytes = p.bytes_total > 0 && p.done < p.total, done = inBytes ? share(p.bytes, p.bytes_total) : share(p.done, p.total);
      div.children[1].value = Math.min(1, done ?? 0);
      say(div.children[2], percent(done));
      const extra = [["running", "running"], ["retried", "retried"], ["speculative", "speculative"], ["failed", "failed"], ["lost", "lost"]].filter(([k]) => p[k] > 0).map(([k, text]) => `${count(p[k])} ${text}`);
      const time = p.started === null || p.started === undefined ? "waiting" : p.ended !== null && p.ended !== undefined ? "took " + duration(p.ended - p.started) : "for " + duration(v.now - p.started);
      say(div.children[3], [`${count(p.done)} of ${plural(p.total, "task")}`, p.bytes_total > 0 ? `${bytes(p.bytes)} of ${bytes(p.bytes_total)}` : p.bytes > 0 ? bytes(p.bytes) : "", ...extra, time].filter(Boolean).join("  ·  "));
    }
    const sum = (a) => (a ? a.reduce((x, y) => x + (y ?? 0), 0) : null), t = v.throughput ?? {};
    const workers = v.workers ?? [], ready = workers.filter((w) => !["lost", "gone"].includes(w.state)).length;
    list($("totals"), [
      ["Read", bytes(sum(t.read))], ["Shuffled", bytes(sum(t.shuffled))], ["Written", bytes(sum(t.written))], ...(t.cpu ? [["CPU time", seconds(sum(t.cpu))]] : []),
      ["Workers", workers.length ? `${count(ready)} of ${count(workers.length)}` : unknown], ["Attempts", count(this.attempts.length)], ["Skipped records", count(v.skipped?.records)], ["Dollars", dollars(v.receipt?.usd)],
    ]);
  }

  throughput(t) {
    if (!t?.step) return;
    $("cpu-chart").parentElement.hidden = !t.cpu;
    const names = ["read", "shuffled", "written", "cpu"], n = Math.max(...names.map((k) => t[k]?.length ?? 0)), s = t.step / 1000;
    const x = Array.from({ length: n }, (_, i) => i * s), per = (k) => x.map((_, i) => { const v = t[k]?.[i]; return v === null || v === undefined ? null : v / s; });
    const [read, shuffled, written, cpu] = names.map(per);
    this.rates.show([x, read, shuffled, written]);
    this.cpu.show([x, cpu]);
    const most = (a) => a.reduce((p, q) => Math.max(p, q ?? 0), 0);
    $("rate-chart").setAttribute("aria-label", `Bytes a second over ${duration(n * t.step)}. At most: read ${bytes(most(read))}, shuffled ${bytes(most(shuffled))}, written ${bytes(most(written))}.`);
    $("cpu-chart").setAttribute("aria-label", `Processor cores in use over ${duration(n * t.step)}. At most ${most(cpu).toFixed(1)}.`);
    if ($("rate-figures").open) this.list.rates.show(x.map((at, i) => ({ at: at * 1000, read: t.read?.[i], shuffled: t.shuffled?.[i], written: t.written?.[i], cpu: t.cpu?.[i] })));
  }

  partitions(p) {
    $("sizes").hidden = $("sizes-figures").hidden = !p?.counts?.length;
    this.list.largest.show(p?.largest ?? []);
    if (!p?.counts?.length) return;
    const bins = p.counts.map((tasks, i) => ({ from: p.edges[i] ?? null, to: p.edges[i + 1] ?? null, tasks }));
    say($("sizes-of"), p.total > p.known ? `, ${count(p.known)} of ${count(p.total)} so far` : "");
    this.sizes.show([bins.map((_, i) => i), p.counts]);
    $("sizes-chart").setAttribute("aria-label", "Reduce tasks by size. " + bins.filter((b) => b.tasks).slice(0, 12).map((b) => `From ${bytes(b.from)}: ${count(b.tasks)}.`).join(" "));
    this.list.sizes.show(bins);
  }

  cost(r) {
    const usd = r?.usd, cap = r?.max_usd, has = (x) => x !== null && x !== undefined;
    say($("dollars"), has(usd) ? dollars(usd) + (has(cap) ? ` of at most ${dollars(cap)}` : "") : has(cap) ? `at most ${dollars(cap)}` : "Dollars are not known.");
    const host = $("cap");
    if (has(usd) && has(cap) && cap > 0) {
      if (!host.firstChild) host.append(el("meter", { min: "0", "aria-label": "Dollars spent of the cap" }));
      Object.assign(host.firstChild, { max: cap, high: cap * 0.8, value: usd });
    } else host.replaceChildren();
    const rows = Object.entries(r?.requests ?? {}).sort((a, b) => b[1] - a[1]);
    this.list.requests.show(rows);
    const sent = [has(r?.bytes_in) && bytes(r.bytes_in) + " from S3", has(r?.bytes_out) && bytes(r.bytes_out) + " to S3"].filter(Boolean).join(", ");
    if (sent) say($("dollars"), $("dollars").textContent + "  ·  " + sent);
  }

  findings(all) {
    const host = $("findings");
    $("findings-none").hidden = all.length > 0;
    while (host.children.length > all.length) host.lastElementChild.remove();
    all.forEach((f, i) => {
      const li = host.children[i] ?? host.appendChild(el("li", {}, el("b", {}), el("p", {}), el("p", { class: "note" })));
      say(li.children[0], `${f.title || String(f.cause).replaceAll("_", " ")}: ${seconds(f.seconds)}${f.share ? ", " + percent(f.share) + " of the job" : ""}`);
      say(li.children[1], f.text ?? "");
      say(li.children[2], f.setting ? "What would help: " + f.setting : "");
      li.children[2].hidden = !f.setting;
    });
  }

  seal(v) {
    say($("seal-text"), v.seal ?? "");
    $("seal-text").hidden = !v.seal;
    say($("seal-note"), v.seal ? "The seal of the job, which verify compares with the objects." : v.job.state === "done" ? "This job has no seal." : "A job is sealed when it is done.");
  }

  // tell announces what has changed: the state, the phases, the coordinator.
  tell(v) {
    const now = { state: `Job ${v.job.state}.`, leader: (v.coordinators ?? []).length };
    for (const p of v.phases ?? []) now[p.name] = p.ended !== null && p.ended !== undefined ? `All ${p.name} tasks are done.` : "";
    const first = !this.said.state, news = [];
    if (!first && now.leader > this.said.leader) news.push("Another coordinator leads the job.");
    for (const p of v.phases ?? []) if (!first && now[p.name] && now[p.name] !== this.said[p.name]) news.push(now[p.name]);
    if (now.state !== this.said.state) news.push(now.state);
    if (news.length) this.announce(news.join(" "));
    this.said = now;
  }

  fillAttempts() {
    if (!$("attempts-list").open) return;
    const a = this.attempts;
    if (this.filled === a.version && !a.running) return;
    this.filled = a.version;
    this.list.attempts.show(Array.from({ length: a.length }, (_, n) => n).filter((n) => a.known[n]));
  }

  // open shows an attempt in the panel: what the page knows at once, the rest when it has come.
  open(n) {
    const a = this.attempts, w = a.workers[a.worker[n]] ?? {}, id = a.ids[n];
    const other = this.opened !== n;
    this.opened = n;
    this.shown = a.outcome[n];
    $("attempt").hidden = false;
    say($("h-attempt"), `${a.name(n)}  ${id ?? ""}`);
    const running = a.outcome[n] === 0, sure = a.known[n] !== unsure;
    this.facts = [["Outcome", outcomes[a.outcome[n]] + (a.speculative[n] ? ", speculative" : "")], ["Kind", kinds[a.kind[n]]], ["Worker", w.id ?? unknown], ["Host", w.host || unknown], ["Slot", count(a.slot[n])],
      ["Start", sure ? duration(a.start[n]) : unknown], [running ? "Runs for" : "Took", sure ? duration(this.timeline.until(n) - a.start[n]) : unknown], ["Bytes", bytes(a.bytes[n])]];
    if (other) { list($("attempt-facts"), this.facts); $("attempt-more").replaceChildren(); }
    clearTimeout(this.asking);
    if (id) this.asking = setTimeout(() => this.fetch(n, id), 120);
  }

  async fetch(n, id) {
    let doc;
    try {
      const answer = await fetch("/api/attempt?" + new URLSearchParams({ job: this.prefix, attempt: id }));
      if (!answer.ok) throw new Error("the server answers " + answer.status);
      doc = await answer.json();
    } catch (err) {
      doc = { log: ["Its log cannot be read: " + err.message] };
    }
    if (this.opened !== n) return;
    const work = Object.entries(doc.work ?? {}).filter(([k, x]) => typeof x !== "object" && k !== "bytes").map(([k, x]) => [k.replaceAll("_", " "), k.includes("bytes") ? bytes(x) : typeof x === "number" ? (k === "seconds" ? seconds(x) : count(x)) : String(x)]);
    const counters = Object.entries(doc.work?.counters ?? {}).map(([k, x]) => [k, count(x)]);
    list($("attempt-facts"), [...this.facts, ...(doc.coordinator ? [["Coordinator", doc.coordinator]] : []), ...work, ...counters]);
    const more = [];
    if (doc.cause) more.push(el("h4", {}, "Error"), el("p", { class: "failure" }, doc.cause));
    if (doc.objects?.length) more.push(el("h4", {}, "Objects"), el("ul", {}, ...doc.objects.slice(0, 100).map((o) => el("li", {}, o))));
    if (doc.more_objects) more.push(el("p", { class: "note" }, `and ${plural(doc.more_objects, "more", "more")}`));
    if (doc.log?.length) more.push(el("h4", {}, "Log"), el("pre", { tabindex: "0", role: "region", "aria-label": "Log of the attempt" }, doc.log.join("\n")));
    $("attempt-more").replaceChildren(...more);
  }

  close() {
    this.opened = -1;
    clearTimeout(this.asking);
    const inside = $("attempt").contains(document.activeElement);
    $("attempt").hidden = true;
    if (inside) $("lanes").focus();
  }
}
