// Elements and tables. Data becomes text nodes only, never markup.
import { count } from "./format.js";

export const $ = (id) => document.getElementById(id);

// el makes an element. Children are elements or text.
export function el(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") e.addEventListener(name, value);
    else if (value === true) e.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) e.setAttribute(name, value);
  }
  e.append(...children);
  return e;
}

// say sets a text, if it is another, so that a selection and a screen reader's place stay.
export function say(e, text) {
  text = String(text);
  if (e.textContent !== text) e.textContent = text;
}

// list makes pairs of a name and a text the content of a dl.
export function list(dl, pairs) {
  while (dl.children.length > pairs.length) dl.lastElementChild.remove();
  pairs.forEach(([name, text], i) => {
    const div = dl.children[i] ?? dl.appendChild(el("div", {}, el("dt"), el("dd")));
    say(div.children[0], name);
    say(div.children[1], text);
  });
}

// Table is a table of pages. A column is {title, text(row), number, sort(row), href(row), click(row)}:
// with href its cells are links, with click they are buttons; the first is the header of a row.
// One that is optional is left out while its sort is unknown for all rows.
// The document holds the rows of one page, however many there are.
export class Table {
  constructor(host, { caption, columns, size = 20, empty = "None so far.", filter = null, order = null }) {
    Object.assign(this, { columns, size, page: 0, rows: [], filter, order, words: "" });
    this.body = el("tbody");
    this.heads = columns.map((c, i) => {
      const th = el("th", { scope: "col", class: c.number ? "number" : null });
      if (c.sort) th.append(el("button", { type: "button", click: () => this.sortBy(i) }, c.title));
      else th.append(c.title);
      return th;
    });
    this.table = el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, ...this.heads)), this.body);
    this.frame = el("div", { class: "scroll", role: "group", "aria-label": "Table: " + caption, tabindex: "0" }, this.table);
    this.none = el("p", { class: "note" }, empty);
    this.range = el("span", {});
    this.before = el("button", { type: "button", click: () => this.turn(-1) }, "Previous");
    this.after = el("button", { type: "button", click: () => this.turn(1) }, "Next");
    this.pages = el("div", { class: "pages", role: "group", "aria-label": "Pages: " + caption }, this.before, this.range, this.after);
    if (filter) {
      this.search = el("input", { type: "search", placeholder: "Filter", "aria-label": "Filter: " + caption, input: () => { this.words = this.search.value.trim().toLowerCase(); this.page = 0; this.show(this.rows); } });
      host.append(el("div", { class: "tools" }, this.search));
    }
    host.append(this.frame, this.none, this.pages);
    this.show([]);
  }

  sortBy(i) {
    this.order = this.order && this.order.column === i ? { column: i, down: !this.order.down } : { column: i, down: !!this.columns[i].number };
    this.page = 0;
    this.show(this.rows);
  }

  turn(by) {
    this.page += by;
    this.show(this.rows);
  }

  // arranged are the rows that fit the filter, in the order that was chosen.
  arranged() {
    let rows = this.rows;
    if (this.words) rows = rows.filter((r) => this.filter(r).toLowerCase().includes(this.words));
    if (!this.order) return rows;
    const { column, down } = this.order, key = this.columns[column].sort;
    const keyed = Array.from(rows, (r) => [key(r), r]);
    // What is not known comes last in both directions.
    keyed.sort(([a], [b]) => {
      if (a === b) return 0;
      if (a === null || a === undefined) return 1;
      if (b === null || b === undefined) return -1;
      return (a < b ? -1 : 1) * (down ? -1 : 1);
    });
    return keyed.map(([, r]) => r);
  }

  show(rows) {
    this.rows = rows;
    const shown = this.arranged();
    const last = Math.max(0, Math.ceil(shown.length / this.size) - 1);
    this.page = Math.max(0, Math.min(this.page, last));
    const from = this.page * this.size, page = shown.slice(from, from + this.size);
    while (this.body.rows.length > page.length) this.body.lastElementChild.remove();
    const left = this.columns.map((c) => !!c.optional && rows.every((r) => (c.sort(r) ?? null) === null));
    page.forEach((row, i) => this.fill(this.body.rows[i] ?? this.body.appendChild(this.line()), row, left));
    this.heads.forEach((th, i) => { th.hidden = left[i]; });
    this.heads.forEach((th, i) => {
      if (this.order && this.order.column === i) th.setAttribute("aria-sort", this.order.down ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
    });
    this.frame.hidden = page.length === 0;
    this.none.hidden = page.length > 0;
    this.pages.hidden = shown.length <= this.size;
    this.before.disabled = this.page === 0;
    this.after.disabled = this.page === last;
    say(this.range, `${count(from + 1)}–${count(from + page.length)} of ${count(shown.length)}`);
  }

  line() {
    const tr = el("tr");
    this.columns.forEach((c, i) => {
      const cell = i === 0 ? el("th", { scope: "row" }) : el("td", { class: c.number ? "number" : null });
      if (c.href) cell.append(el("a"));
      else if (c.click) cell.append(el("button", { type: "button", class: "plain", click: () => c.click(tr.row) }));
      tr.append(cell);
    });
    return tr;
  }

  fill(tr, row, left) {
    tr.row = row;
    this.columns.forEach((c, i) => {
      const cell = tr.cells[i], inner = cell.firstElementChild ?? cell;
      cell.hidden = left[i];
      say(inner, c.text(row));
      if (c.href) inner.setAttribute("href", c.href(row));
      if (c.mark) cell.dataset.mark = c.mark(row);
    });
  }
}
