// All series: searched and sorted by the server, shown page by page.
import { get } from "./api.js";
import { button, fill, h, named } from "./dom.js";
import { ago, count, number, plain, rate } from "./format.js";
import { go, href } from "./route.js";
import { noSeries } from "./suggest.js";
import { empty, failed } from "./state.js";
import { VirtualTable } from "./virtual.js";

const FRESH = 5000; // ms
const MOST_TOGETHER = 12;

export function open(place, parameters) {
  const view = new All(place);
  view.update(parameters);
  return view;
}

class All {
  constructor(place) {
    this.chosen = new Set();
    document.title = "All series – ODA";
    this.search = h("input", {
      type: "search",
      placeholder: "Search (/)",
      "aria-label": "Search series",
      oninput: () => this.searched(),
    });
    this.said = h("span", { class: "small", role: "status" });
    this.together = h("span", { class: "group" });
    this.problem = h("div", {});
    this.table = new VirtualTable({
      label: "All series",
      columns: this.columns(),
      ask: (offset, limit) => this.ask(offset, limit),
      sorted: (key) => this.sorted(key),
      opened: (row) => row && this.show([row.name]),
      toggled: (row) => this.toggle(row.name),
      isChosen: (row) => this.chosen.has(row.name),
      shown: (total) => this.tell(total),
    });
    this.blank = h("div", {});
    fill(
      place,
      h("h1", { class: "hidden" }, "All series"),
      h("div", { class: "toolbar" }, this.search, this.said, this.together),
      this.problem,
      this.blank,
      this.table.root,
    );
    this.timer = setInterval(() => document.hidden || this.refresh(), FRESH);
    this.choose();
  }

  columns() {
    return [
      {
        key: "box",
        title: h("span", { class: "hidden" }, "Chosen"),
        cell: (row) =>
          h("input", {
            type: "checkbox",
            tabindex: -1,
            "aria-label": `Choose ${plain(row.name)}`,
            checked: this.chosen.has(row.name),
            onchange: () => this.toggle(row.name),
          }),
      },
      {
        key: "name",
        title: "Series",
        sort: "name",
        cell: (row) =>
          h(
            "a",
            { href: href("series", { name: row.name, live: 300000 }), tabindex: -1, title: plain(row.name) },
            named(row.name),
          ),
      },
      {
        key: "state",
        title: "State",
        cell: (row) =>
          row.state === "judged"
            ? h("span", { class: "good" }, "● judged")
            : h("span", { class: "soft" }, `○ ${row.state}`),
      },
      {
        key: "open",
        title: "Open",
        isNumber: true,
        cell: (row) =>
          row.open_incidents
            ? h("span", { class: "alarm", title: "open incidents" }, `▲ ${count(row.open_incidents)}`)
            : "",
      },
      { key: "value", title: "Last value", isNumber: true, cell: (row) => number(row.last_value) },
      { key: "time", title: "Last reading", isNumber: true, cell: (row) => ago(row.last_time) },
      { key: "rate", title: "Rate", sort: "rate", isNumber: true, cell: (row) => rate(row.rate) },
      { key: "count", title: "Anomalies", isNumber: true, cell: (row) => count(row.anomalies) },
      {
        key: "last",
        title: "Last anomaly",
        sort: "anomaly",
        isNumber: true,
        cell: (row) => (row.last_anomaly ? ago(row.last_anomaly.time) : ""),
      },
      {
        key: "score",
        title: "Score",
        sort: "score",
        isNumber: true,
        cell: (row) => (row.last_anomaly ? number(row.last_anomaly.score, 3) : ""),
      },
    ];
  }

  update(parameters) {
    this.words = parameters.get("q") ?? "";
    this.sort = parameters.get("sort") ?? "name";
    this.order = parameters.get("order") ?? (this.sort === "name" ? "asc" : "desc");
    if (document.activeElement !== this.search) this.search.value = this.words;
    this.table.order(this.sort, this.order === "desc");
    this.table.reset().catch((error) => this.fail(error));
  }

  async ask(offset, limit) {
    const { total, series } = await get("series", { q: this.words, sort: this.sort, order: this.order, offset, limit });
    return { total, rows: series };
  }

  refresh() {
    return this.table.refresh().then(
      () => fill(this.problem),
      (error) => this.fail(error),
    );
  }

  fail(error) {
    fill(
      this.problem,
      failed(error, () => this.refresh()),
    );
  }

  tell(total) {
    fill(this.problem);
    this.said.textContent = this.words ? `${count(total)} found` : `${count(total)} series`;
    this.table.root.hidden = total === 0;
    fill(
      this.blank,
      total
        ? null
        : this.words
          ? empty(
              "No series has that in its name.",
              h(
                "p",
                {},
                button("Show all", () => this.go({ q: "" })),
              ),
            )
          : noSeries(),
    );
  }

  searched() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.go({ q: this.search.value }), 150);
  }

  sorted(key) {
    const usual = key === "name" ? "asc" : "desc";
    const order = this.sort === key ? (this.order === "asc" ? "desc" : "asc") : usual;
    this.go({ sort: key, order });
  }

  go(changed) {
    go("all", { q: this.words, sort: this.sort, order: this.order, ...changed }, { replace: true });
  }

  toggle(name) {
    if (!this.chosen.delete(name) && this.chosen.size < MOST_TOGETHER) this.chosen.add(name);
    this.choose();
    this.table.redraw();
  }

  choose() {
    const names = [...this.chosen];
    fill(
      this.together,
      names.length
        ? [
            button(names.length === 1 ? "Show 1 series" : `Show ${names.length} together`, () => this.show(names), {
              class: "primary",
            }),
            button("None", () => {
              this.chosen.clear();
              this.choose();
              this.table.redraw();
            }),
          ]
        : null,
    );
  }

  show(names) {
    go("series", { name: names, live: 300000 });
  }

  keys() {
    return { "/": () => this.search.focus() };
  }

  restyle() {
    this.table.redraw();
  }

  close() {
    clearInterval(this.timer);
    clearTimeout(this.typing);
    this.table.close();
  }
}
