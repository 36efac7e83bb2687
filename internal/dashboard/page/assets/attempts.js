// All attempts of a job in typed arrays, and which of them lie in which lane. A lane is a slot
// of a worker.
export const outcomes = ["running", "committed", "failed", "lost", "released", "superseded", "canceled", "left"];
export const kinds = ["map", "reduce"];

// rank says which outcome a pixel shows that has several attempts: the one that matters most.
export const rank = [5, 1, 7, 6, 3, 2, 2, 3];

// unsure marks an attempt whose start is not known.
export const unsure = 2;

export class Attempts {
  constructor() {
    this.length = 0;
    this.room(1024);
    this.ids = [];
    this.workers = []; // {id, host, slots}
    this.first = []; // the first lane of each worker
    this.lanes = []; // the attempts of each lane, by their start
    this.workerOf = []; // the worker of each lane
    this.last = 0; // the latest time that is known, ms
    this.running = 0;
    this.version = 0; // changes with every change
  }

  room(n) {
    const grow = (old, type) => { const a = new type(n); if (old) a.set(old); return a; };
    this.worker = grow(this.worker, Int32Array);
    this.slot = grow(this.slot, Uint16Array);
    this.kind = grow(this.kind, Uint8Array);
    this.task = grow(this.task, Int32Array);
    this.start = grow(this.start, Float64Array);
    this.end = grow(this.end, Float64Array);
    this.outcome = grow(this.outcome, Uint8Array);
    this.speculative = grow(this.speculative, Uint8Array);
    this.bytes = grow(this.bytes, Float64Array);
    this.known = grow(this.known, Uint8Array);
    this.size = n;
  }

  addWorkers(first, list) {
    list.forEach((w, i) => {
      const k = first + i;
      this.workers[k] = { id: w.id, host: w.host ?? "", slots: Math.max(1, w.slots || 1, this.workers[k]?.slots ?? 1) };
    });
    this.lay();
  }

  // lay gives each worker its lanes, and puts all attempts into these.
  lay() {
    this.first = [];
    this.lanes = [];
    this.workerOf = [];
    for (let w = 0; w < this.workers.length; w++) {
      this.first[w] = this.lanes.length;
      const slots = this.workers[w]?.slots ?? 1;
      for (let s = 0; s < slots; s++) { this.lanes.push([]); this.workerOf.push(w); }
    }
    for (let n = 0; n < this.length; n++) if (this.known[n]) this.insert(n);
    this.version++;
  }

  // laneOf is the lane of an attempt, -1 while its worker is not known.
  laneOf(n) { return this.worker[n] < 0 ? -1 : this.first[this.worker[n]] + this.slot[n]; }

  insert(n) {
    const lane = this.lanes[this.laneOf(n)];
    if (!lane) return;
    let i = lane.length;
    while (i > 0 && this.start[lane[i - 1]] > this.start[n]) i--;
    if (i === lane.length) lane.push(n);
    else lane.splice(i, 0, n);
  }

  // put takes rows of the stream: [n, worker, slot, kind, task, start, end, outcome, speculative, bytes].
  put(rows) {
    let again = false;
    for (const [n, worker, slot, kind, task, began, end, outcome, speculative, bytes] of rows) {
      if (n >= this.size) this.room(Math.max(n + 1, this.size * 2));
      // A start that is not known is far below 0: the bar is where the attempt ended.
      const start = began < -1e8 ? Math.max(0, end) : began;
      const old = this.known[n], place = Math.max(0, slot);
      const moved = old && (this.worker[n] !== worker || this.slot[n] !== place || this.start[n] !== start);
      if (old && this.outcome[n] === 0) this.running--;
      if (outcome === 0) this.running++;
      this.worker[n] = worker; this.slot[n] = place; this.kind[n] = kind; this.task[n] = task;
      this.start[n] = start; this.end[n] = end; this.outcome[n] = outcome; this.speculative[n] = speculative; this.bytes[n] = bytes;
      this.known[n] = began < -1e8 ? unsure : 1;
      this.length = Math.max(this.length, n + 1);
      this.last = Math.max(this.last, start, end);
      if (worker < 0) continue;
      const w = (this.workers[worker] ??= { id: "worker " + worker, host: "", slots: 1 });
      if (place >= w.slots) { w.slots = place + 1; again = true; }
      if (moved || this.first[worker] === undefined) again = true;
      else if (!old && !again) this.insert(n);
    }
    if (again) this.lay();
    this.version++;
  }

  name(n) { return `${kinds[this.kind[n]]}-${this.task[n]}`; }

  // find is the number of an attempt by its id, -1 for none.
  find(id) { return this.ids.indexOf(id); }

  // tell is an attempt in a sentence.
  tell(n, text) {
    const where = this.worker[n] < 0 ? "" : ` on ${this.workers[this.worker[n]].id}, slot ${this.slot[n]}`;
    return `${this.name(n)}${this.speculative[n] ? " (speculative)" : ""} ${outcomes[this.outcome[n]]}${where}: ${text}`;
  }
}
