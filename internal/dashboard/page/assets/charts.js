// The charts, drawn by uPlot. Colours come from the style sheet, so that both schemes have theirs.
import { el, say } from "./dom.js";

const probe = document.createElement("span");
probe.hidden = true;
document.documentElement.append(probe);

// colour is the value that a variable of the style sheet has in the scheme of now.
export function colour(variable) {
  probe.style.color = `var(${variable})`;
  return getComputedStyle(probe).color;
}

const dashes = [[], [7, 3], [2, 3]];

const axis = (more) => ({
  stroke: () => colour("--muted"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { stroke: () => colour("--line"), width: 1, size: 4 },
  font: "11px system-ui, sans-serif", ...more,
});

// Chart is a chart of series over x. Its legend says the last values, or those at the pointer.
// steps are the distances that lines of the y axis may have.
export class Chart {
  constructor(host, { series, x, y, legend = null, steps = undefined, bars = false, height = 170, sync = undefined }) {
    this.host = host;
    this.entries = series.map(({ title, variable }, i) => {
      const value = el("b", {});
      if (legend) legend.append(el("li", {}, el("i", { class: `swatch line-${i % 3} of${variable}`, "aria-hidden": "true" }), title + " ", value));
      return { value, text: y };
    });
    const drawn = series.map(({ title, variable }, i) => ({
      label: title, stroke: () => colour(variable), width: bars ? 0 : 2, dash: dashes[i % 3], points: { show: false },
      ...(bars ? { paths: uPlot.paths.bars({ size: [0.86, 80] }), fill: () => colour(variable) } : {}),
    }));
    const options = {
      width: 300, height, series: [{}, ...drawn], legend: { show: false },
      cursor: { y: false, drag: { setScale: false, x: false, y: false }, sync: sync ? { key: sync } : undefined },
      scales: { x: { time: false, range: bars ? (u, low, above) => [low - 0.6, above + 0.6] : undefined }, y: { range: (u, low, above) => [0, above > 0 ? above * 1.08 : 1] } },
      axes: [axis({ values: (u, at) => at.map(x), size: 26, space: 64, incrs: bars ? [1, 2, 4, 8, 16, 32, 64] : undefined }), axis({ values: (u, at) => at.map(y), size: 76, space: 32, incrs: steps })],
      hooks: { setCursor: [() => this.values()] },
    };
    this.plot = new uPlot(options, [[], ...series.map(() => [])], host);
    new ResizeObserver(() => { const width = host.clientWidth; if (width > 0 && width !== this.plot.width) this.plot.setSize({ width, height }); }).observe(host);
  }

  show(data) {
    this.plot.setData(data);
    this.values();
  }

  values() {
    if (!this.plot) return;
    const { data, cursor } = this.plot, at = cursor.idx ?? data[0].length - 1;
    this.entries.forEach((entry, i) => say(entry.value, entry.text(data[i + 1][at] ?? null)));
  }

  restyle() { this.plot.redraw(false, true); }
}
