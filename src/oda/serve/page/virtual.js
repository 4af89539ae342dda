// A table of any length: only the rows in sight exist, and only the pages in sight are asked for.
import { fill, h, set } from "./dom.js";

const PAGE = 100;
const KEPT = 40; // pages
const MARGIN = 8; // rows beyond what is in sight
let made = 0;

export class VirtualTable {
  // `columns`: [{key, title, cell(row), isNumber, sort}]; `ask(offset, limit)` gives {total, rows}; `sorted(key)`,
  // `opened(row)`, `toggled(row)` are told what the user does, `shown(total)` what there is.
  constructor({ label, columns, ask, sorted, opened, toggled, isChosen, shown }) {
    Object.assign(this, { columns, ask, opened, toggled, isChosen, shown, id: `virtual-${++made}` });
    this.total = 0;
    this.at = 0; // of the row that the keyboard is on
    this.pages = new Map();
    this.lines = new Map(); // what is in sight, by index
    this.heads = columns.map((column) =>
      h(
        "div",
        { role: "columnheader", class: kind(column) },
        column.sort
          ? h("button", { type: "button", class: "quiet", onclick: () => sorted(column.sort) }, column.title)
          : column.title,
      ),
    );
    this.body = h("div", { role: "rowgroup", class: "v-body" });
    this.root = h(
      "div",
      {
        role: "grid",
        class: "virtual",
        tabindex: 0,
        "aria-label": label,
        "aria-colcount": columns.length,
        onscroll: () => this.draw(),
        onkeydown: (event) => this.key(event),
      },
      h(
        "div",
        { role: "rowgroup", class: "v-head" },
        h("div", { role: "row", class: "v-row", "aria-rowindex": 1 }, this.heads),
      ),
      this.body,
    );
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.root);
  }

  get height() {
    return (this.measured ??= parseFloat(getComputedStyle(this.root).getPropertyValue("--row")) || 28);
  }

  // Everything anew: other words were searched for, or another order.
  reset() {
    this.generation = (this.generation ?? 0) + 1;
    this.pages.clear();
    this.at = 0;
    this.root.scrollTop = 0;
    return this.fetch(0);
  }

  // What is in sight anew, where it is.
  refresh() {
    const [first, last] = this.sight();
    const pages = new Set([Math.floor(first / PAGE), Math.floor(last / PAGE)]);
    return Promise.all([...pages].map((page) => this.fetch(page)));
  }

  async fetch(page) {
    const generation = this.generation;
    const old = this.pages.get(page);
    this.pages.set(page, old ?? null); // asked for
    try {
      const { total, rows } = await this.ask(page * PAGE, PAGE);
      if (generation !== this.generation) return;
      this.total = total;
      this.pages.delete(page);
      this.pages.set(page, rows);
      if (this.pages.size > KEPT) this.pages.delete(this.pages.keys().next().value);
      this.body.style.height = `${total * this.height}px`;
      set(this.root, "aria-rowcount", total + 1);
      this.lines.forEach((line) => {
        line.dirty = true;
      });
      this.draw();
      this.shown(total);
    } catch (error) {
      if (generation !== this.generation) return;
      if (!old) this.pages.delete(page);
      throw error;
    }
  }

  sight() {
    const first = Math.floor(this.root.scrollTop / this.height);
    const last = first + Math.ceil(this.root.clientHeight / this.height);
    return [Math.max(first, 0), Math.max(Math.min(last, this.total - 1), 0)];
  }

  draw() {
    const [first, last] = this.sight();
    const from = Math.max(first - MARGIN, 0),
      to = Math.min(last + MARGIN, this.total - 1);
    for (const [index, line] of this.lines) {
      if (index < from || index > to) {
        line.remove();
        this.lines.delete(index);
      }
    }
    for (let index = from; index <= to; index++) this.line(index);
    for (let page = Math.floor(from / PAGE); page <= Math.floor(to / PAGE) && to >= from; page++) this.wanted(page);
    set(this.root, "aria-activedescendant", this.lines.has(this.at) ? `${this.id}-${this.at}` : null);
  }

  // Asked for when the scrolling rests: nobody reads what flies past.
  wanted(page) {
    if (this.pages.has(page)) return;
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      const [first, last] = this.sight();
      for (let one = Math.floor(Math.max(first - MARGIN, 0) / PAGE); one <= Math.floor((last + MARGIN) / PAGE); one++) {
        if (!this.pages.has(one) && one * PAGE < this.total) this.fetch(one).catch(() => {});
      }
    }, 40);
  }

  row(index) {
    return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  line(index) {
    let line = this.lines.get(index);
    if (line && !line.dirty) return;
    if (!line) {
      line = h("div", { role: "row", class: "v-row", id: `${this.id}-${index}`, "aria-rowindex": index + 2 });
      line.style.transform = `translateY(${index * this.height}px)`;
      line.addEventListener("click", (event) => this.clicked(index, event));
      this.lines.set(index, line);
      this.body.append(line);
    }
    const row = this.row(index);
    line.dirty = !row;
    line.classList.toggle("at", index === this.at);
    if (this.isChosen && row) set(line, "aria-selected", String(this.isChosen(row)));
    fill(
      line,
      this.columns.map((column) => h("div", { role: "gridcell", class: kind(column) }, row ? column.cell(row) : "…")),
    );
  }

  clicked(index, event) {
    if (event.target.closest("a, button, input")) return;
    this.move(index, false);
    this.opened(this.row(index));
  }

  move(index, isScrolled = true) {
    const before = this.at;
    this.at = Math.min(Math.max(index, 0), this.total - 1);
    for (const one of [before, this.at])
      if (this.lines.has(one)) this.lines.get(one).classList.toggle("at", one === this.at);
    if (isScrolled) {
      const top = this.at * this.height,
        room = this.root.clientHeight - 2 * this.height;
      if (top < this.root.scrollTop) this.root.scrollTop = top;
      else if (top > this.root.scrollTop + room) this.root.scrollTop = top - room;
    }
    this.draw();
  }

  key(event) {
    if (event.target !== this.root || event.altKey || event.metaKey || event.ctrlKey) return;
    const page = Math.max(Math.floor(this.root.clientHeight / this.height) - 2, 1);
    const steps = {
      ArrowDown: this.at + 1,
      ArrowUp: this.at - 1,
      PageDown: this.at + page,
      PageUp: this.at - page,
      Home: 0,
      End: this.total - 1,
    };
    const row = this.row(this.at);
    if (event.key in steps) this.move(steps[event.key]);
    else if (event.key === "Enter" && row) this.opened(row);
    else if (event.key === " " && row && this.toggled) this.toggled(row);
    else return;
    event.preventDefault();
  }

  // The rows in sight once more, as something about them changed here.
  redraw() {
    this.lines.forEach((line) => {
      line.dirty = true;
    });
    this.draw();
  }

  order(key, isDescending) {
    this.columns.forEach((column, at) => {
      set(this.heads[at], "aria-sort", column.sort === key && key ? (isDescending ? "descending" : "ascending") : null);
    });
  }

  close() {
    clearTimeout(this.resting);
    this.observer.disconnect();
  }
}

function kind(column) {
  return `v-${column.key}${column.isNumber ? " number" : ""}`;
}
