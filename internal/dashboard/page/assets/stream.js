// The events of a job. A cut stream goes on behind the last message that arrived.
export class Stream {
  constructor(prefix, { start, view, attempts, ids, link }) {
    Object.assign(this, { prefix, link, on: { start, view, attempts, ids } });
    this.after = "";
    this.wait = 1000;
    addEventListener("pagehide", () => this.stop());
    addEventListener("pageshow", (e) => { if (e.persisted && !this.over) this.open(); });
    this.open();
  }

  open() {
    this.stop();
    const query = new URLSearchParams({ job: this.prefix });
    if (this.after) query.set("after", this.after);
    const source = (this.source = new EventSource("/api/stream?" + query));
    source.onopen = () => { this.wait = 1000; this.link("live"); };
    for (const [name, take] of Object.entries(this.on)) source.addEventListener(name, (e) => { if (e.lastEventId) this.after = e.lastEventId; take(JSON.parse(e.data)); });
    source.addEventListener("end", () => { this.over = true; this.stop(); this.link("over"); });
    source.onerror = () => {
      this.link("lost");
      // The browser tries again by itself, unless the answer was no stream.
      if (source.readyState !== EventSource.CLOSED) return;
      this.timer = setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(this.wait * 2, 15_000);
    };
  }

  stop() {
    clearTimeout(this.timer);
    this.source?.close();
  }
}
