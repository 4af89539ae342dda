// The view of one series or several: charts one below the other with one time axis, and what was found in that time.
import { AnomalyList } from "./anomalies.js";
import { anomalyKey } from "./data.js";
import { button, copy, fill, h, link, named } from "./dom.js";
import { count, duration, plain, several, time, zone } from "./format.js";
import { Panel } from "./panel.js";
import { go, href } from "./route.js";
import { seriesPicker } from "./picker.js";
import { suggest } from "./suggest.js";

const SPANS = [6e4, 3e5, 9e5, 36e5, 216e5, 864e5, 6048e5];
const USUAL = 3e5;
const LONGEST = 50 * 864e5; // twice that is asked for, and 100 days are answered
const SETTLE = 3000; // ms after which the stores have what was pushed while a view was opened
const AGAIN = 30_000; // ms: late readings and rules' changes are not pushed

export function open(place, parameters, { live }) {
  const board = new Board(place, live);
  board.update(parameters);
  return board;
}

class Board {
  constructor(place, live) {
    Object.assign(this, { place, live, panels: [], range: null, span: USUAL, timers: [] });
    this.toolbar = h("div", { class: "toolbar", role: "toolbar", "aria-label": "Time" });
    this.charts = h("div", { class: "charts" });
    this.anomalies = new AnomalyList((panel, row) => this.point(panel, row));
    this.incidents = h("div", {});
    this.onRows = (event) => this.pushed(event.detail);
    live.addEventListener("rows", this.onRows);
  }

  get isLive() {
    return this.range === null;
  }

  // What time is shown. Live: up to now, or to the newest reading if that is so old that none would be seen.
  view() {
    if (this.range) return this.range;
    const newest = Math.max(...this.panels.map((panel) => panel.data.newest ?? panel.about?.last_time ?? -Infinity));
    const now = Date.now();
    const edge =
      Number.isFinite(newest) && now - newest > this.span
        ? newest
        : Math.max(now, Number.isFinite(newest) ? newest : now);
    return [edge - this.span, edge];
  }

  update(parameters) {
    const names = [...new Set(parameters.getAll("name"))];
    const since = Number(parameters.get("since")),
      until = Number(parameters.get("until"));
    this.range = until > since && since > 0 ? [Math.max(since, until - LONGEST), until] : null;
    this.span = this.range ? this.range[1] - this.range[0] : Math.min(Number(parameters.get("live")) || USUAL, LONGEST);
    if (!names.length) {
      this.suggest();
      return;
    }
    if (!this.charts.isConnected) {
      fill(
        this.place,
        h("h1", { class: "hidden" }, "Series"),
        this.toolbar,
        this.charts,
        h("div", { class: "below" }, this.anomalies.root, this.incidents),
      );
    }
    document.title = `${names.map(plain).join(", ")} – ODA`;
    this.arrange(names);
    this.tools();
    this.stop();
    this.start();
  }

  arrange(names) {
    for (const panel of this.panels.filter((one) => !names.includes(one.name))) panel.close();
    const known = new Map(this.panels.map((panel) => [panel.name, panel]));
    const made = [];
    this.panels = names.map((name) => {
      if (!known.has(name)) made.push(known.set(name, new Panel(name, this)).get(name));
      return known.get(name);
    });
    this.charts.className = `charts of-${Math.min(names.length, 4)}`;
    this.panels.forEach((panel, at) => {
      const there = this.charts.children[at]; // what stands right stays: moved, it would lose the focus
      if (there !== panel.root) this.charts.insertBefore(panel.root, there ?? null);
    });
    for (const panel of made) panel.begin();
    this.live.watch(this.isLive ? names : []); // what is past is not pushed
  }

  async start() {
    const panels = this.panels;
    await Promise.allSettled(panels.map((panel) => panel.ask()));
    if (panels !== this.panels) return;
    this.load();
    this.every(5000, () => Promise.allSettled(this.panels.map((panel) => panel.ask())));
    if (!this.isLive) return;
    this.timers.push(setTimeout(() => this.load(), SETTLE));
    this.every(AGAIN, () => this.load());
    const width = this.charts.clientWidth || 800;
    this.every(Math.min(Math.max(this.span / width, 100), 1000), () => this.schedule());
    this.every(1000, () => this.panels.forEach((panel) => panel.tellFacts()));
  }

  every(ms, act) {
    const timer = setInterval(act, ms);
    this.timers.push(timer);
  }

  stop() {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers = [];
  }

  // As much again on both sides, so that panning shows something at once.
  load() {
    const [from, to] = this.view(),
      room = this.isLive ? 0 : (to - from) / 2;
    const pixels = Math.round((this.charts.clientWidth || 800) * (this.isLive ? 1 : 2));
    const newest = this.isLive ? to + 6e4 : to + room; // clocks differ
    return Promise.all(this.panels.map((panel) => panel.load(from - room, newest, pixels))).then(() => this.listed());
  }

  refresh() {
    return this.load();
  }

  pushed(rows) {
    const bySeries = (all) => Map.groupBy(all ?? [], (row) => row.series);
    const [bands, anomalies, incidents] = [bySeries(rows.bands), bySeries(rows.anomalies), bySeries(rows.incidents)];
    let changed = false;
    for (const panel of this.panels) {
      const own = {
        readings: rows.readings?.[panel.name],
        bands: bands.get(panel.name),
        anomalies: anomalies.get(panel.name),
        incidents: incidents.get(panel.name),
      };
      if (!Object.values(own).some((some) => some?.length)) continue;
      panel.push(own);
      changed = true;
    }
    if (!changed) return;
    this.schedule();
    const most = 4 * (this.charts.clientWidth || 800); // from there on means are asked for
    if (this.reducing || !this.panels.some((panel) => !panel.data.step && panel.data.times.length > most)) return;
    this.reducing = this.load().finally(() => {
      this.reducing = null;
    });
  }

  // Drawn with the next frame.
  schedule() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      const [from] = this.view();
      for (const panel of this.panels) {
        if (this.isLive) panel.data.trim(from - this.span / 2);
        panel.chart?.draw();
      }
      this.listSoon();
    });
  }

  listSoon() {
    this.listing ??= setTimeout(() => {
      this.listing = null;
      for (const panel of this.panels) panel.changed();
      this.listed();
    }, 500);
  }

  listed() {
    this.anomalies.show(this.panels, this.view());
    const [from, to] = this.view();
    const found = this.panels.flatMap((panel) =>
      [...panel.data.incidents.values()]
        .filter((one) => one.opened <= to && (one.resolved ?? to) >= from)
        .map((one) => [panel, one]),
    );
    const key = JSON.stringify(found.map(([, one]) => [one.place, one.count, one.resolved, one.severity]));
    if (key === this.incidentsOf) return;
    this.incidentsOf = key;
    fill(
      this.incidents,
      found.length ? h("h2", {}, `Incidents in view: ${count(found.length)}`) : null,
      found.length
        ? h(
            "ul",
            { class: "plain" },
            found
              .slice(0, 20)
              .map(([panel, one]) =>
                h(
                  "li",
                  {},
                  link(href("incidents", { q: panel.name, state: "all" }), plain(one.detector)),
                  " ",
                  named(panel.name),
                  " ",
                  h("span", { class: one.resolved ? "" : "alarm" }, one.resolved ? "resolved" : "▲ open"),
                  ` since ${time(one.opened)}, ${several(one.count, "anomaly", "anomalies")}, ${plain(one.severity)}`,
                ),
              ),
          )
        : null,
    );
  }

  tools() {
    const names = this.panels.map((panel) => panel.name),
      [from, to] = this.view();
    const said = h("span", { class: "small", role: "status" });
    const spans = h(
      "select",
      { "aria-label": "How much time", onchange: (event) => this.spanned(Number(event.target.value)) },
      [...new Set([...SPANS, this.span])]
        .sort((a, b) => a - b)
        .map((ms) => h("option", { value: ms, selected: ms === this.span }, duration(ms))),
    );
    const toggle = button(this.isLive ? "● Live" : "○ Live", () => this.setLive(!this.isLive), {
      "aria-pressed": String(this.isLive),
      title: this.isLive ? "Stop here (L)" : "Follow (L)",
      class: "live",
    });
    const step = (label, title, act) => button(label, act, { "aria-label": title, title });
    fill(
      this.toolbar,
      toggle,
      spans,
      h(
        "span",
        { class: "group" },
        step("◀", "Earlier (←)", () => this.pan(-this.span / 2)),
        step("▶", "Later (→)", () => this.pan(this.span / 2)),
        step("−", "Zoom out (−)", () => this.zoom(2)),
        step("+", "Zoom in (+)", () => this.zoom(0.5)),
      ),
      h(
        "span",
        { class: "small range" },
        this.isLive ? `the last ${duration(this.span)}, ${zone()}` : `${time(from)} to ${time(to)} ${zone()}`,
      ),
      button("Copy link", () => copy(location.href, said)),
      said,
      seriesPicker("Add a series", (name) => this.show([...names, name])),
    );
  }

  parameters(names = this.panels.map((panel) => panel.name)) {
    return this.range
      ? { name: names, since: Math.round(this.range[0]), until: Math.round(this.range[1]) }
      : { name: names, live: this.span };
  }

  show(names) {
    go("series", this.parameters(names));
  }

  remove(panel) {
    this.show(this.panels.filter((one) => one !== panel).map((one) => one.name));
  }

  setLive(isLive) {
    this.range = isLive ? null : this.view();
    this.show(this.panels.map((panel) => panel.name));
  }

  spanned(span) {
    const [from, to] = this.view();
    if (this.range) this.range = [(from + to - span) / 2, (from + to + span) / 2];
    this.span = span;
    this.show(this.panels.map((panel) => panel.name));
  }

  zoomed(from, to) {
    if (to - from < 2 || to - from > LONGEST) return;
    this.range = [from, to];
    this.show(this.panels.map((panel) => panel.name));
  }

  zoom(factor, around = null) {
    const [from, to] = this.view();
    if (this.isLive) {
      this.spanned(Math.min(Math.max(Math.round(this.span * factor), 1000), LONGEST));
      return;
    }
    const middle = around ?? (from + to) / 2;
    this.moved([middle - (middle - from) * factor, middle + (to - middle) * factor]);
  }

  pan(by) {
    const [from, to] = this.view();
    this.moved([from + by, to + by]);
  }

  // Drawn at once from what is there; asked for, and put into the address, when the hand rests.
  moved(range) {
    if (range[1] - range[0] < 2 || range[1] - range[0] > LONGEST) return;
    this.stop();
    this.range = range;
    this.span = Math.round(range[1] - range[0]);
    this.schedule();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => go("series", this.parameters(), { replace: true }), 250);
  }

  point(panel, row) {
    const [from, to] = this.view();
    if (row.time < from || row.time > to) return;
    if (this.isLive) this.range = [from, to];
    this.pointed = anomalyKey(row);
    panel.chart.point(row.time, row);
    panel.root.scrollIntoView({ block: "nearest" });
    if (this.range) go("series", this.parameters(), { replace: true });
  }

  // The next anomaly, or the one before, from where the cursor was put.
  step(by) {
    const all = this.anomalies.order ?? [];
    if (!all.length) return;
    const at = all.findIndex(([, row]) => anomalyKey(row) === this.pointed);
    const next = at < 0 ? (by > 0 ? all.length - 1 : 0) : Math.min(Math.max(at - by, 0), all.length - 1);
    this.point(...all[next]);
  }

  keys() {
    return {
      l: () => this.setLive(!this.isLive),
      "+": () => this.zoom(0.5),
      "-": () => this.zoom(2),
      ArrowLeft: () => this.pan(-this.span / 5),
      ArrowRight: () => this.pan(this.span / 5),
      n: () => this.step(1),
      p: () => this.step(-1),
    };
  }

  restyle() {
    for (const panel of this.panels) panel.restyle();
    this.tools();
    this.anomalies.bodies.forEach((body) => body.remove());
    this.anomalies.bodies.clear();
    this.listed();
  }

  suggest() {
    this.stop();
    for (const panel of this.panels) panel.close();
    this.panels = [];
    this.live.watch([]);
    document.title = "Series – ODA";
    suggest(this.place, this.span, (name) => this.show([name]));
  }

  close() {
    this.stop();
    clearTimeout(this.resting);
    clearTimeout(this.listing);
    cancelAnimationFrame(this.frame);
    this.live.removeEventListener("rows", this.onRows);
    this.live.watch([]);
    for (const panel of this.panels) panel.close();
  }
}
