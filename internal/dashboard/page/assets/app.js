// The page: the list of jobs, or one job. Which, the address says.
import { $, say, Table } from "./dom.js";
import { bytes, plural, unknown, when } from "./format.js";
import { Job, state } from "./job.js";

const announce = (text) => say($("announce"), text);
// place is the address of the job below a prefix; "" is the root of the bucket.
const place = (prefix) => "/job/" + prefix.split("/").map(encodeURIComponent).join("/");
let job = null;

// Colours: those of the system, or those that were chosen.
const themes = ["auto", "light", "dark"];
const button = $("theme");
function theme(is) {
  if (is === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = is;
  say(button, "Theme: " + is);
  button.dataset.theme = is;
  job?.restyle();
}
button.addEventListener("click", () => {
  const next = themes[(themes.indexOf(button.dataset.theme) + 1) % themes.length];
  try { localStorage.setItem("mraws.theme", next); } catch { /* storage is off: the choice ends with the page */ }
  theme(next);
});
theme(document.documentElement.dataset.theme ?? "auto");
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => job?.restyle());

async function jobs() {
  const answer = await fetch("/api/jobs");
  if (!answer.ok) throw new Error("the server answers " + answer.status);
  return answer.json();
}

let table = null;
function list(found) {
  $("jobs").hidden = false;
  table ??= new Table($("jobs-table"), {
    caption: "Jobs, the newest first", size: 50, empty: "There are no jobs yet.", filter: (j) => `${j.name} ${j.app} ${j.state} ${j.id}`,
    columns: [
      { title: "Job", text: (j) => j.name || j.id || "/", sort: (j) => j.name, href: (j) => place(j.prefix) }, { title: "State", text: (j) => state(j.state), sort: (j) => j.state, mark: (j) => j.state },
      { title: "Application", text: (j) => j.app || unknown, sort: (j) => j.app }, { title: "Created", text: (j) => when(j.created), sort: (j) => j.created || null }, { title: "Last seen", text: (j) => when(j.seen), sort: (j) => j.seen || null },
      { title: "Input", number: true, text: (j) => bytes(j.input_bytes), sort: (j) => j.input_bytes }, { title: "Output", number: true, text: (j) => bytes(j.output_bytes), sort: (j) => j.output_bytes }, { title: "Failure", text: (j) => j.failure || "" },
    ],
    order: { column: 3, down: true },
  });
  table.show(found.jobs);
  say($("jobs-note"), `${plural(found.jobs.length, "job")} in ${found.where}${found.partial ? ". The list is not complete: " + found.partial : ""}`);
}

// watch shows the list, and reads it again every five seconds while it is in sight.
async function watch(found) {
  for (;;) {
    if (found) list(found);
    await new Promise((done) => setTimeout(done, 5000));
    if (document.hidden) continue;
    try { found = await jobs(); say($("link"), ""); } catch { found = null; say($("link"), "○ reconnecting…"); }
  }
}

async function open() {
  let found = null;
  for (let wait = 500; !found; wait = Math.min(wait * 2, 8000)) {
    try { found = await jobs(); } catch (err) {
      say($("link"), "○ reconnecting…");
      $("jobs").hidden = false;
      say($("jobs-note"), "The jobs cannot be read: " + err.message + ".");
      await new Promise((done) => setTimeout(done, wait));
    }
  }
  $("jobs").hidden = true;
  say($("link"), "");
  const path = location.pathname;
  let one = null;
  if (path.startsWith("/job/")) {
    const name = path.slice(5).split("/").map(decodeURIComponent).join("/");
    const meant = () => found.jobs.find((j) => j.prefix === name) ?? found.jobs.find((j) => j.name === name || (name && j.id === name));
    for (one = meant(); !one; one = meant()) { // it may be planned just now
      list(found);
      say($("jobs-note"), `There is no job ${name} in ${found.where}`);
      await new Promise((done) => setTimeout(done, 2000));
      try { found = await jobs(); } catch { /* the next try tells */ }
    }
    $("jobs").hidden = true;
  } else if (found.jobs.length === 1 && location.search !== "?all") one = found.jobs[0];
  if (one) job = new Job(one.prefix, announce);
  else await watch(found);
}

open();
