// The anomalies that are in view, newest first, and why each is one.
import { get } from "./api.js";
import { button, fill, h, keyed, named } from "./dom.js";
import { bounds, count, number, plain, time } from "./format.js";
import { anomalyKey, isOfWindow } from "./data.js";
import { failed } from "./state.js";

const MOST = 100;

export class AnomalyList {
  // `point(panel, row)` shows one in its chart.
  constructor(point) {
    this.point = point;
    this.known = new Map();
    this.title = h("h2", {}, "Anomalies in view");
    this.note = h("p", { class: "small" });
    const columns = ["time", "series", "value", "no anomaly", "expected", "score", "detector", "why"];
    this.table = h(
      "table",
      { class: "anomalies" },
      h("caption", { class: "hidden" }, "Anomalies in view"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          columns.map((column) =>
            h("th", { scope: "col", class: /value|score|expected/.test(column) ? "number" : null }, column),
          ),
        ),
      ),
    );
    this.root = h(
      "section",
      { "aria-label": "Anomalies in view" },
      this.title,
      this.note,
      h("div", { class: "scroll tall", tabindex: 0, role: "group", "aria-label": "Anomalies in view" }, this.table),
    );
    this.head = this.table.querySelector("thead");
    this.bodies = new Map();
  }

  show(panels, [from, to]) {
    const found = panels.flatMap((panel) => panel.data.anomaliesBetween(from, to).map((row) => [panel, row]));
    found.sort((a, b) => b[1].time - a[1].time);
    const rows = new Map(
      found.slice(0, MOST).map(([panel, row]) => [`${panel.name} ${anomalyKey(row)}`, [panel, row]]),
    );
    fill(this.title, `Anomalies in view: ${count(found.length)}`);
    const hasMore = found.length > MOST || panels.some((panel) => panel.data.hasMore);
    fill(
      this.note,
      hasMore
        ? `These are not all that are in this time: zoom in for the others.`
        : found.length
          ? null
          : "None in this time. Zoom out, or wait: what is found appears at once.",
    );
    this.table.hidden = !found.length;
    this.table.classList.toggle("of-one", panels.length === 1);
    this.order = [...rows.values()];
    this.head.remove(); // so that keyed() sees bodies alone
    keyed(this.table, this.bodies, [...rows.keys()], (key) => this.body(...rows.get(key)));
    this.table.prepend(this.table.caption, this.head);
  }

  body(panel, row) {
    const answer = h("td", { colspan: 8 });
    const below = h("tr", { hidden: true, class: "why" }, answer);
    const why = button(
      "why",
      async () => {
        below.hidden = !below.hidden;
        why.setAttribute("aria-expanded", String(!below.hidden));
        if (!below.hidden) await explain(answer, panel.name, row);
      },
      { class: "quiet", "aria-expanded": "false", "aria-label": `Why the anomaly of ${time(row.time, true)}` },
    );
    return h(
      "tbody",
      {},
      h(
        "tr",
        {},
        h(
          "td",
          {},
          button(time(row.time, true), () => this.point(panel, row), { class: "quiet", title: "Show in the chart" }),
        ),
        h("td", {}, named(panel.name)),
        cell("value", number(row.value), "number"),
        cell("no anomaly", bounds(row.low, row.high)),
        cell("expected", number(row.expected), "number"),
        cell("score", number(row.score, 3), "number"),
        h("td", {}, plain(row.detector), isOfWindow(row) ? " (of a window)" : ""),
        h("td", {}, why),
      ),
      below,
    );
  }
}

// Narrow screens have no head above it.
function cell(title, text, kind = null) {
  return h("td", { class: kind, "data-title": title }, text);
}

async function explain(place, name, row) {
  fill(place, h("p", { class: "loading" }, "Asking the archive…"));
  try {
    const found = await get("why", {
      name,
      time: row.time,
      partition: row.partition,
      offset: row.offset,
      detector: row.detector,
    });
    fill(
      place,
      h(
        "pre",
        { tabindex: 0 },
        found.text.map(({ text, what }) => h("span", { class: `said-${what}` }, `${plain(text)}\n`)),
      ),
      found.differs?.length
        ? h("p", { class: "note" }, `Recomputed, this differs: ${found.differs.map(plain).join("; ")}`)
        : null,
    );
  } catch (error) {
    fill(
      place,
      failed(error, () => explain(place, name, row)),
    );
  }
}
