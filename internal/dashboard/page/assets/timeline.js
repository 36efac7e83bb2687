// The timeline: a row for each slot of each worker, a bar for each attempt. Only the rows in
// sight are drawn, and bars narrower than a pixel share one, which shows the outcome that
// matters most. Above it lies an overview of the whole job.
import { $, el } from "./dom.js";
import { outcomes, rank, unsure } from "./attempts.js";
import { bytes, duration, mark } from "./format.js";
import { colour } from "./charts.js";

const head = 22; // pixels of the time axis
const high = 56; // pixels of the overview

// tile is a pattern of 8 by 8 pixels over the colour of an outcome, so that no outcome is told
// by its colour alone.
function tile(shape, ink) {
  const c = el("canvas", { width: 8, height: 8 }), g = c.getContext("2d");
  g.strokeStyle = g.fillStyle = ink;
  g.lineWidth = 1.5;
  const line = (...p) => { g.beginPath(); for (let i = 0; i < p.length; i += 4) { g.moveTo(p[i], p[i + 1]); g.lineTo(p[i + 2], p[i + 3]); } g.stroke(); };
  if (shape === "up") line(-1, 5, 5, -1, 3, 9, 9, 3);
  if (shape === "cross") line(0, 0, 8, 8, 8, 0, 0, 8);
  if (shape === "dots") { g.beginPath(); g.arc(2, 2, 1.3, 0, 7); g.arc(6, 6, 1.3, 0, 7); g.fill(); }
  if (shape === "across") line(0, 2, 8, 2, 0, 6, 8, 6);
  if (shape === "along") line(2, 0, 2, 8, 6, 0, 6, 8);
  return c;
}

const shapes = { running: "up", failed: "cross", lost: "dots", released: "along", superseded: "across", canceled: "across", left: "along" };

// palette is how bars are filled: by outcome, those of committed attempts by kind.
function palette(g) {
  const p = { ink: colour("--ink"), muted: colour("--muted"), line: colour("--line"), panel: colour("--panel"), stripe: colour("--stripe"), accent: colour("--accent") };
  p.fills = outcomes.map((name) => {
    const shape = shapes[name];
    const fill = (variable) => ({ flat: colour(variable), over: shape ? g.createPattern(tile(shape, colour("--hatch-" + (name === "running" ? "running" : "other"))), "repeat") : null });
    return name === "committed" ? [fill("--map"), fill("--reduce")] : [fill("--" + name), fill("--" + name)];
  });
  return p;
}

export class Timeline {
  // chosen is called with the number of the attempt that was chosen by hand.
  constructor(attempts, chosen) {
    this.attempts = attempts;
    this.onchosen = chosen;
    this.from = 0; // ms
    this.to = 1000;
    this.whole = true; // the window follows the job
    this.now = 0;
    this.marks = []; // ms at which a coordinator took over
    this.selected = -1;
    this.frames = 0;
    this.coarse = matchMedia("(pointer: coarse)").matches;
    this.row = this.coarse ? 24 : 16;
    this.stage = $("stage");
    this.box = $("lanes");
    this.canvas = $("bars");
    this.g = this.canvas.getContext("2d");
    this.over = $("overview");
    this.tip = $("tip");
    this.listen();
    new ResizeObserver(() => this.resize()).observe(this.stage);
  }

  listen() {
    const box = this.box;
    box.addEventListener("scroll", () => this.ask(), { passive: true });
    box.addEventListener("keydown", (e) => this.key(e));
    box.addEventListener("pointermove", (e) => this.move(e));
    box.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    box.addEventListener("wheel", (e) => {
      if (!e.ctrlKey && !e.metaKey && !e.shiftKey) return; // the rows scroll
      e.preventDefault();
      if (e.shiftKey) this.pan((e.deltaX || e.deltaY) / this.width);
      else this.zoom(Math.exp(e.deltaY * 0.004), this.timeAt(e.clientX - box.getBoundingClientRect().left - this.gutter));
    }, { passive: false });
    this.fingers = new Map();
    box.addEventListener("pointerdown", (e) => { this.fingers.set(e.pointerId, e); this.pressed = { x: e.clientX, y: e.clientY, moved: false }; });
    for (const end of ["pointerup", "pointercancel", "pointerout"]) box.addEventListener(end, (e) => this.fingers.delete(e.pointerId));
    box.addEventListener("click", (e) => {
      if (this.pressed?.moved) return;
      const n = this.at(e);
      if (n >= 0) this.choose(n, true);
    });
    for (const b of document.querySelectorAll("[data-zoom]")) b.addEventListener("click", () => this.button(b.dataset.zoom));
    const jump = (e) => {
      if (e.type === "pointermove" && !e.buttons) return;
      this.box.scrollTop = (e.offsetY / high) * this.attempts.lanes.length * this.row - this.box.clientHeight / 2;
      if (!this.whole) { const t = ((e.offsetX - this.gutter) / this.width) * this.end(); this.shift(t - (this.from + this.to) / 2); }
      this.ask();
    };
    this.over.addEventListener("pointerdown", jump);
    this.over.addEventListener("pointermove", jump);
  }

  button(what) {
    if (what === "in") this.zoom(0.5);
    if (what === "out") this.zoom(2);
    if (what === "left") this.pan(-0.5);
    if (what === "right") this.pan(0.5);
    if (what === "all") { this.whole = true; this.ask(); }
  }

  // end is the time to which the whole job is drawn.
  end() { return Math.max(this.attempts.last, this.now, 1000) * 1.01; }

  window(from, to) {
    const end = this.end(), span = Math.min(Math.max(to - from, 20), end);
    this.from = Math.max(0, Math.min(from, end - span));
    this.to = this.from + span;
    this.whole = span >= end * 0.999;
    this.ask();
  }

  zoom(by, around = (this.from + this.to) / 2) { this.window(around - (around - this.from) * by, around + (this.to - around) * by); }
  shift(ms) { this.window(this.from + ms, this.to + ms); }
  pan(share) { this.shift((this.to - this.from) * share); }

  timeAt(x) { return this.from + (x / this.width) * (this.to - this.from); }

  // changed is called after attempts have changed.
  changed(now) {
    this.now = now ?? this.now;
    this.stale = true;
    this.ask();
  }

  restyle() {
    this.colours = null;
    this.stale = true;
    this.ask();
  }

  resize() {
    const rows = this.attempts.lanes.length;
    const most = this.coarse ? 360 : 400;
    const height = Math.max(this.row * 2, Math.min(rows * this.row, most));
    this.box.style.height = height + "px";
    $("spacer").style.height = rows * this.row + "px";
    const width = this.stage.clientWidth, ratio = devicePixelRatio || 1;
    this.gutter = Math.max(64, Math.min(150, Math.round(width * 0.14)));
    this.width = Math.max(10, this.box.clientWidth - this.gutter);
    this.laid = rows;
    this.over.hidden = rows * this.row <= most;
    for (const [c, h] of [[this.canvas, height + head], [this.over, high]]) {
      c.style.width = this.box.clientWidth + "px";
      c.style.height = h + "px";
      c.width = Math.round(this.box.clientWidth * ratio);
      c.height = Math.round(h * ratio);
    }
    this.stale = true;
    this.ask();
  }

  // ask draws with the next picture of the screen, once for all that has changed.
  ask() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => { this.asked = false; this.draw(); });
  }

  draw() {
    const a = this.attempts;
    if (!this.stage.clientWidth) return;
    if (this.laid !== a.lanes.length) this.resize();
    if (this.whole) { this.from = 0; this.to = this.end(); }
    this.colours ??= palette(this.g);
    const { g, colours } = this, ratio = devicePixelRatio || 1, height = this.box.clientHeight, top = this.box.scrollTop;
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, this.gutter + this.width, height + head);
    this.axis();
    g.save();
    g.beginPath();
    g.rect(0, head, this.gutter + this.width, height);
    g.clip();
    const first = Math.floor(top / this.row), last = Math.min(a.lanes.length - 1, Math.floor((top + height) / this.row));
    for (let lane = first; lane <= last; lane++) this.lane(lane, head + lane * this.row - top);
    g.strokeStyle = colours.ink;
    g.setLineDash([4, 3]);
    for (const at of this.marks) {
      const x = Math.round(this.x(at)) + 0.5;
      if (x > this.gutter) { g.beginPath(); g.moveTo(x, head); g.lineTo(x, head + height); g.stroke(); }
    }
    g.restore();
    if (!this.over.hidden) this.overview();
    this.frames++;
    this.stage.dataset.attempts = a.length;
    this.stage.dataset.selected = this.selected;
    if (a.length && !this.drawn) { this.drawn = true; performance.mark("mraws-first-picture"); }
  }

  x(ms) { return this.gutter + ((ms - this.from) / (this.to - this.from)) * this.width; }

  axis() {
    const { g, colours } = this, span = this.to - this.from;
    const steps = [10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 144e5, 432e5, 864e5];
    const step = steps.find((s) => (s / span) * this.width >= 70) ?? Math.ceil(span / 864e5 / 8) * 864e5;
    g.font = "11px system-ui, sans-serif";
    g.textBaseline = "middle";
    g.textAlign = "center";
    for (let t = Math.ceil(this.from / step) * step; t <= this.to; t += step) {
      const x = this.x(t);
      g.fillStyle = colours.line;
      g.fillRect(Math.round(x), head - 5, 1, this.canvas.height);
      g.fillStyle = colours.muted;
      const text = mark(t, step);
      if (x + 20 < this.gutter + this.width) g.fillText(text, Math.max(x, this.gutter + 8), 9);
    }
  }

  lane(lane, y) {
    const { g, colours, attempts: a } = this, w = a.workerOf[lane], worker = a.workers[w], row = this.row;
    if (w % 2) { g.fillStyle = colours.stripe; g.fillRect(0, y, this.gutter + this.width, row); }
    if (lane === a.first[w]) {
      g.fillStyle = colours.line;
      g.fillRect(0, Math.round(y), this.gutter + this.width, 1);
      g.fillStyle = colours.ink;
      g.font = "11px system-ui, sans-serif";
      g.textAlign = "left";
      g.textBaseline = "middle";
      g.fillText(this.fit(worker.id), 6, y + row / 2 + 0.5);
    } else if (lane === a.first[w] + 1) {
      g.fillStyle = colours.muted;
      g.font = "10px system-ui, sans-serif";
      g.textAlign = "left";
      g.textBaseline = "middle";
      g.fillText(this.fit(worker.host), 12, y + row / 2 + 0.5);
    }
    this.bars(a.lanes[lane], y);
  }

  fit(text) {
    const room = Math.floor((this.gutter - 14) / 6.2);
    return text.length > room ? text.slice(0, Math.ceil(room / 2)) + "…" + text.slice(text.length - Math.floor(room / 2) + 1) : text;
  }

  // firstIn is the index of the first attempt of a lane that may end after a time.
  firstIn(lane, time) {
    const a = this.attempts;
    let low = 0, above = lane.length;
    while (low < above) { const mid = (low + above) >> 1; if (a.start[lane[mid]] < time) low = mid + 1; else above = mid; }
    return Math.max(0, low - 2); // what overlaps lies beside it
  }

  until(n) { return this.attempts.outcome[n] === 0 || this.attempts.end[n] < 0 ? Math.max(this.now, this.attempts.start[n]) : this.attempts.end[n]; }

  bars(lane, y) {
    const a = this.attempts, scale = this.width / (this.to - this.from), row = this.row, left = this.gutter;
    let pixel = -1, best = -1; // the attempts of one pixel
    const flush = () => { if (best >= 0) this.bar(best, pixel, 1, y); best = -1; };
    for (let i = this.firstIn(lane, this.from); i < lane.length; i++) {
      const n = lane[i];
      if (a.start[n] > this.to) break;
      const end = this.until(n);
      if (end < this.from) continue;
      const x0 = left + Math.max(0, (a.start[n] - this.from) * scale), x1 = left + Math.min(this.width, (end - this.from) * scale);
      if (x1 - x0 >= 1.5) { flush(); this.bar(n, x0, x1 - x0 > 4 ? x1 - x0 - 0.75 : x1 - x0, y); continue; }
      const at = Math.floor(x0);
      if (at !== pixel) { flush(); pixel = at; }
      if (best < 0 || rank[a.outcome[n]] > rank[a.outcome[best]]) best = n;
    }
    flush();
    if (this.selected >= 0 && a.lanes[a.laneOf(this.selected)] === lane) {
      const n = this.selected, x = Math.max(left, this.x(a.start[n])), end = Math.min(left + this.width, this.x(this.until(n)));
      if (end < left || x > left + this.width) return;
      const g = this.g;
      g.strokeStyle = this.colours.ink;
      g.lineWidth = 2;
      g.strokeRect(x - 1, y + 1, Math.max(3, end - x + 1), row - 2);
      g.lineWidth = 1;
    }
  }

  bar(n, x, w, y) {
    const { g, attempts: a } = this, { flat, over } = this.colours.fills[a.outcome[n]][a.kind[n]], row = this.row;
    g.fillStyle = flat;
    g.fillRect(x, y + 2, w, row - 4);
    if (over && w >= 2) { g.fillStyle = over; g.fillRect(x, y + 2, w, row - 4); }
    if (w < 3) return;
    if (a.kind[n] === 1) { g.fillStyle = this.colours.ink; g.fillRect(x, y + row - 4, w, 2); }
    if (a.speculative[n]) { g.fillStyle = this.colours.ink; g.beginPath(); g.moveTo(x, y + 2); g.lineTo(x + 6, y + 2); g.lineTo(x, y + 8); g.fill(); }
  }

  // overview draws all attempts. A pixel has the mean colour of those in it, in which failed and
  // lost ones count four times, and is the fainter the fewer of its slots are busy.
  overview() {
    const c = this.over, g = c.getContext("2d"), ratio = devicePixelRatio || 1;
    const w = Math.floor(this.width * ratio), h = c.height, left = Math.floor(this.gutter * ratio), a = this.attempts;
    const time = performance.now();
    if (this.stale && (!this.map || time - this.mapped > 900 || this.map.width !== w)) {
      this.map = this.paint(w, h);
      this.mapped = time;
      this.stale = false;
    } else if (this.stale) setTimeout(() => this.ask(), 950);
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.clearRect(0, 0, c.width, h);
    g.fillStyle = this.colours.stripe;
    g.fillRect(left, 0, w, h);
    if (this.map) g.drawImage(this.map, left, 0);
    const total = a.lanes.length * this.row, scale = w / this.end();
    g.strokeStyle = this.colours.ink;
    g.lineWidth = 1.5 * ratio;
    g.strokeRect(left + this.from * scale + 1, (this.box.scrollTop / total) * h, Math.max(4, (this.to - this.from) * scale - 2), Math.max(4, (this.box.clientHeight / total) * h));
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.fillStyle = this.colours.muted;
    g.font = "11px system-ui, sans-serif";
    g.textBaseline = "middle";
    g.fillText("all slots", 6, high / 2);
  }

  paint(w, h) {
    const c = el("canvas", { width: w, height: h }), g = c.getContext("2d"), image = g.createImageData(w, h), out = image.data;
    const one = el("canvas", { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
    const colours = this.colours.fills.map((kinds) => kinds.map(({ flat }) => { one.fillStyle = flat; one.fillRect(0, 0, 1, 1); return one.getImageData(0, 0, 1, 1).data; }));
    const a = this.attempts, scale = w / this.end(), lanes = a.lanes.length, each = Math.max(1, lanes / h);
    const weights = new Float32Array(w * h), busy = new Uint16Array(w * h), sums = [0, 1, 2].map(() => new Float32Array(w * h));
    for (let n = 0; n < a.length; n++) {
      const lane = a.known[n] ? a.laneOf(n) : -1;
      if (lane < 0) continue;
      const y0 = Math.floor((lane * h) / lanes), y1 = Math.max(y0 + 1, Math.floor(((lane + 1) * h) / lanes));
      const x0 = Math.floor(a.start[n] * scale), x1 = Math.min(w - 1, Math.floor(this.until(n) * scale));
      const outcome = a.outcome[n], weight = outcome === 2 || outcome === 3 ? 4 : 1, [red, green, blue] = colours[outcome][a.kind[n]];
      for (let y = y0; y < y1; y++) {
        for (let i = y * w + x0; i <= y * w + x1; i++) { busy[i]++; weights[i] += weight; sums[0][i] += red * weight; sums[1][i] += green * weight; sums[2][i] += blue * weight; }
      }
    }
    for (let i = 0; i < busy.length; i++) {
      if (!busy[i]) continue;
      for (let k = 0; k < 3; k++) out[4 * i + k] = sums[k][i] / weights[i];
      out[4 * i + 3] = 255 * Math.min(1, 0.25 + (0.75 * busy[i]) / each);
    }
    g.putImageData(image, 0, 0);
    return c;
  }

  // at is the attempt below the pointer, -1 for none.
  at(e) {
    const a = this.attempts, r = this.box.getBoundingClientRect(), lane = a.lanes[Math.floor((e.clientY - r.top + this.box.scrollTop) / this.row)];
    const x = e.clientX - r.left - this.gutter;
    if (!lane || x < 0) return -1;
    const t = this.timeAt(x), slack = ((this.coarse ? 8 : 3) / this.width) * (this.to - this.from);
    let best = -1, near = slack;
    for (let i = this.firstIn(lane, t - slack); i < lane.length && a.start[lane[i]] <= t + slack; i++) {
      const n = lane[i], away = t < a.start[n] ? a.start[n] - t : Math.max(0, t - this.until(n));
      if (away <= near) { near = away; best = n; }
    }
    return best;
  }

  move(e) {
    if (this.fingers.has(e.pointerId)) {
      const old = this.fingers.get(e.pointerId), dx = e.clientX - old.clientX;
      if (this.fingers.size === 2) {
        const [p, q] = [...this.fingers.values()], before = Math.abs(p.clientX - q.clientX);
        this.fingers.set(e.pointerId, e);
        const [u, v] = [...this.fingers.values()], after = Math.abs(u.clientX - v.clientX);
        if (before > 10 && after > 10) this.zoom(before / after, this.timeAt((u.clientX + v.clientX) / 2 - this.box.getBoundingClientRect().left - this.gutter));
        this.pressed.moved = true;
        return;
      }
      this.fingers.set(e.pointerId, e);
      if (Math.abs(e.clientX - this.pressed.x) > 5) this.pressed.moved = true;
      if (this.pressed.moved && dx && !this.whole) this.pan(-dx / this.width);
      return;
    }
    const n = this.at(e), tip = this.tip;
    tip.hidden = n < 0;
    if (n < 0) return;
    tip.textContent = this.text(n);
    const r = this.stage.getBoundingClientRect();
    tip.style.left = Math.max(0, Math.min(e.clientX - r.left + 12, r.width - tip.offsetWidth - 4)) + "px";
    tip.style.top = e.clientY - r.top + 16 + "px";
  }

  text(n) {
    const a = this.attempts;
    const time = a.known[n] === unsure ? "start not known" : `${duration(this.until(n) - a.start[n])} from ${mark(a.start[n], 1000)}`;
    return a.tell(n, `${time}, ${bytes(a.bytes[n])}`);
  }

  // choose selects an attempt and brings it into sight.
  choose(n, byHand) {
    const a = this.attempts;
    this.selected = n;
    if (n >= 0 && a.known[n] && a.worker[n] < 0) { if (byHand) this.onchosen(n, this.text(n)); } else if (n >= 0 && a.known[n]) {
      const y = a.laneOf(n) * this.row, box = this.box;
      if (y < box.scrollTop) box.scrollTop = y;
      if (y + this.row > box.scrollTop + box.clientHeight) box.scrollTop = y + this.row - box.clientHeight;
      const span = this.to - this.from;
      if (this.until(n) < this.from || a.start[n] > this.to) this.window(a.start[n] - span / 3, a.start[n] + (span * 2) / 3);
      if (byHand) this.onchosen(n, this.text(n));
    }
    this.ask();
  }

  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const page = e.key === "PageDown" ? 10 : e.key === "PageUp" ? -10 : 0;
    const keys = { "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.button("all"),
      ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1), ArrowUp: () => this.climb(-1), ArrowDown: () => this.climb(1),
      PageUp: () => this.climb(page), PageDown: () => this.climb(page), Home: () => this.step(-Infinity), End: () => this.step(Infinity),
      Enter: () => this.selected >= 0 && this.choose(this.selected, true), Escape: () => $("attempt-close").click() };
    if (!keys[e.key]) return;
    e.preventDefault();
    keys[e.key]();
  }

  // step chooses another attempt of the same slot.
  step(by) {
    const a = this.attempts;
    if (this.selected < 0 || a.worker[this.selected] < 0) { this.climb(0); return; }
    const lane = a.lanes[a.laneOf(this.selected)];
    const i = Math.max(0, Math.min(lane.length - 1, lane.indexOf(this.selected) + by));
    this.choose(lane[i], true);
  }

  // climb chooses the attempt nearest in time so many slots below; slots without one are left out.
  climb(by) {
    const a = this.attempts, from = this.selected >= 0 && a.worker[this.selected] >= 0 ? a.laneOf(this.selected) : Math.floor(this.box.scrollTop / this.row);
    const time = this.selected >= 0 ? a.start[this.selected] : this.from, way = by < 0 ? -1 : 1;
    let k = Math.max(0, Math.min(a.lanes.length - 1, this.selected >= 0 ? from + by : from)); // the first key only enters
    while (k >= 0 && k < a.lanes.length && !a.lanes[k].length) k += way;
    const lane = a.lanes[k];
    if (!lane) return;
    this.choose(lane.reduce((best, n) => (Math.abs(a.start[n] - time) < Math.abs(a.start[best] - time) ? n : best), lane[0]), true);
  }
}

// legend lists the outcomes, each with a piece of its bar.
export function legend(host) {
  const paintAll = [];
  const entry = (text, outcome, kind, speculative) => {
    const c = el("canvas", { width: 36, height: 20, "aria-hidden": "true" });
    c.style.width = "18px";
    c.style.height = "10px";
    host.append(el("li", {}, c, text));
    paintAll.push(() => {
      const g = c.getContext("2d"), p = palette(g), fill = p.fills[outcome][kind];
      g.setTransform(2, 0, 0, 2, 0, 0);
      g.fillStyle = fill.flat;
      g.fillRect(0, 0, 18, 10);
      if (fill.over) { g.fillStyle = fill.over; g.fillRect(0, 0, 18, 10); }
      g.fillStyle = p.ink;
      if (kind === 1) g.fillRect(0, 8, 18, 2);
      if (speculative) { g.beginPath(); g.moveTo(0, 0); g.lineTo(6, 0); g.lineTo(0, 6); g.fill(); }
    });
  };
  entry("map", 1, 0);
  entry("reduce", 1, 1);
  outcomes.forEach((name, i) => { if (name !== "committed") entry(name, i, 0); });
  entry("speculative", 1, 0, true);
  return () => paintAll.forEach((paint) => paint());
}
