// Numbers as text. What is not known is a dash.
const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
export const unknown = "–";
const known = (v) => v !== null && v !== undefined && Number.isFinite(v);

export const count = (v) => (known(v) ? whole.format(v) : unknown);

// bytes of a number of bytes, in units of 1,024.
export function bytes(v) {
  if (!known(v)) return unknown;
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let i = 0;
  while (Math.abs(v) >= 1024 && i < units.length - 1) { v /= 1024; i++; }
  return (i === 0 || v >= 100 ? v.toFixed(0) : v.toFixed(1).replace(/\.0$/, "")) + " " + units[i];
}

// duration of milliseconds.
export function duration(ms) {
  if (!known(ms)) return unknown;
  if (ms < 0) return "−" + duration(-ms);
  if (ms < 1000) return ms.toFixed(0) + " ms";
  if (ms < 60_000) return (ms / 1000).toFixed(ms < 9950 ? 1 : 0).replace(/\.0$/, "") + " s";
  const s = Math.round(ms / 1000), pad = (n) => String(n).padStart(2, "0");
  if (s < 3600) return `${Math.floor(s / 60)} min ${pad(s % 60)} s`;
  return `${Math.floor(s / 3600)} h ${pad(Math.floor(s / 60) % 60)} min`;
}

// mark of a time axis, whose steps are so many milliseconds.
export function mark(ms, step) {
  const s = ms / 1000, pad = (n) => String(n).padStart(2, "0");
  if (step < 1000) return s.toFixed(step < 100 ? 2 : 1) + " s";
  if (s < 3600) return `${Math.floor(s / 60)}:${pad(Math.round(s) % 60)}`;
  return `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(Math.round(s) % 60)}`;
}

export function percent(share) {
  if (!known(share)) return unknown;
  const p = share * 100;
  return (p > 0 && p < 10 ? p.toFixed(1).replace(/\.0$/, "") : p.toFixed(0)) + "%";
}

export function dollars(v) {
  if (!known(v)) return unknown;
  return "$" + (v === 0 || v >= 0.1 ? v.toFixed(2) : v >= 0.01 ? v.toFixed(3) : v.toPrecision(2));
}

// when is a time of RFC 3339 in the time zone of the reader.
export function when(text) {
  const d = text ? new Date(text) : null;
  if (!d || Number.isNaN(d.getTime()) || d.getUTCFullYear() < 1980) return unknown;
  const pad = (n) => String(n).padStart(2, "0");
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}

export const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;
