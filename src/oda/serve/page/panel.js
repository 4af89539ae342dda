// One series on the page: its name and state, its chart, and what a chart can't say to those who don't see it.
import { get } from "./api.js";
import { Chart } from "./chart.js";
import { SeriesData } from "./data.js";
import { button, fill, h, named, set, table } from "./dom.js";
import { ago, bounds, count, number, plain, rate, time } from "./format.js";
import { legend } from "./legend.js";
import { Members } from "./members.js";
import { failed } from "./state.js";

const ROWS = 200; // of the table beside a chart

export class Panel {
  // `board`: view(), width of charts, zoomed(from, to), panned(by), remove(panel), changed().
  constructor(name, board) {
    Object.assign(this, { name, board, data: new SeriesData(name), about: null, running: null });
    this.facts = h("p", { class: "facts" });
    this.note = h("div", {});
    this.readout = h("p", { class: "readout" });
    this.place = h("div", {
      class: "chart",
      tabindex: 0,
      role: "group",
      "aria-roledescription": "chart",
      "aria-busy": "true",
    });
    this.legend = h("div", { class: "legend" });
    this.rows = h("div", {});
    this.members = new Members(name);
    this.table = h("details", { ontoggle: () => this.tabulate() }, h("summary", {}, "As a table"), this.rows);
    this.root = h(
      "section",
      { class: "panel" },
      h(
        "div",
        { class: "head" },
        h("h2", {}, named(name)),
        this.facts,
        button("×", () => board.remove(this), {
          class: "quiet",
          "aria-label": `Remove ${plain(name)}`,
          title: "Remove",
        }),
      ),
      this.note,
      this.place,
      this.readout,
      this.legend,
      this.members.root,
      this.table,
    );
    this.chart = null;
  }

  // Once it is in the page.
  begin() {
    this.chart = new Chart(this.data, this.place, () => this.board.view(), {
      zoomed: (from, to) => this.board.zoomed(from, to),
      moved: (at) => this.read(at),
    });
    this.place.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.place.addEventListener("pointerdown", (event) => this.drag(event));
    this.describe();
  }

  async ask() {
    const found = await get("series", { q: this.name, limit: 100 });
    this.about = found.series.find((one) => one.name === this.name) ?? null;
    this.tellFacts();
    return this.about;
  }

  async load(since, until, pixels) {
    this.running?.abort();
    const mine = (this.running = new AbortController());
    this.place.setAttribute("aria-busy", "true");
    try {
      const asked = { name: this.name, since: Math.floor(since), until: Math.ceil(until), pixels };
      const answer = await get("series/data", asked, mine.signal);
      if (mine.signal.aborted) return;
      this.data.load(answer);
      this.noteOf = null;
      this.changed();
    } catch (error) {
      if (error.name === "AbortError") return;
      this.noteOf = "failed";
      fill(
        this.note,
        failed(error, () => this.load(since, until, pixels)),
      );
    }
    this.place.removeAttribute("aria-busy");
  }

  push(rows) {
    this.data.push(rows);
    if (this.about && rows.readings?.length) {
      [this.about.last_time, this.about.last_value] = rows.readings[rows.readings.length - 1];
    }
  }

  changed() {
    this.chart.draw();
    const now =
      `${[...this.data.bands.keys()]}|${this.data.step > 0}|${this.data.anomalies.size > 0}|` +
      `${this.data.late.times.length > 0}|${this.data.incidents.size > 0}|${this.data.rules.length > 0}`;
    if (now !== this.legendOf) fill(this.legend, legend(this.data, this.chart));
    this.legendOf = now;
    this.tellNote();
    this.describe();
    this.tabulate();
  }

  tellFacts() {
    if (!this.about) {
      fill(this.facts, "ODA knows no series of this name yet.");
      return;
    }
    const { state, last_time: last, last_value: value, rate: speed, anomalies, open_incidents: open } = this.about;
    fill(
      this.facts,
      h("strong", {}, number(value)),
      h("span", {}, ago(last)),
      h("span", {}, rate(speed)),
      h("span", {}, `${count(anomalies)} anomal${anomalies === 1 ? "y" : "ies"}`),
      open ? h("span", { class: "alarm" }, `▲ ${count(open)} open`) : null,
      h("span", { class: state === "judged" ? "good" : "soft" }, state === "judged" ? "● judged" : `○ ${state}`),
    );
  }

  tellNote() {
    const now = `${this.data.noBand}|${this.data.times.length > 0}`;
    if (!this.data.isLoaded || now === this.noteOf) return;
    this.noteOf = now;
    fill(
      this.note,
      this.data.noBand ? h("p", { class: "note" }, `No band here: ${this.data.noBand}`) : null,
      this.data.times.length ? null : this.nothing(),
    );
  }

  nothing() {
    const last = this.about?.last_time;
    return h(
      "p",
      { class: "note" },
      "No reading in this time. ",
      last ? button(`Go to the newest, of ${time(last)}`, () => this.board.zoomed(last - 15e4, last + 15e4)) : null,
    );
  }

  read(at) {
    fill(this.readout, at === null || at === undefined || this.data.times[at] === undefined ? null : this.said(at));
  }

  said(at) {
    const { data } = this,
      when = data.times[at];
    const parts = [h("span", {}, time(when, true)), h("strong", {}, number(data.values[at]))];
    if (data.step) {
      parts.push(`mean of ${count(data.counts[at])}, ${number(data.lows[at])} to ${number(data.highs[at])}`);
    }
    for (const band of data.bandsAt(when)) {
      parts.push(
        `${plain(band.detector)}: no anomaly is ${bounds(band.low, band.high)}` +
          (band.expected === null || band.expected === undefined ? "" : `, expected ${number(band.expected)}`),
      );
    }
    for (const row of data.anomaliesBetween(when, when + data.step)) {
      parts.push(h("span", { class: "alarm" }, `◆ anomaly, score ${number(row.score, 3)} by ${plain(row.detector)}`));
    }
    return parts.map((part) => h("span", { class: "part" }, part));
  }

  // What the chart shows, in words.
  describe() {
    const { data } = this,
      [from, to] = this.board.view();
    const inside = data.values.filter((_, at) => data.times[at] >= from && data.times[at] <= to);
    const least = inside.reduce((a, b) => Math.min(a, b), Infinity),
      most = inside.reduce((a, b) => Math.max(a, b), -Infinity);
    const found = data.anomaliesBetween(from, to).length;
    const text = !data.isLoaded
      ? "loading"
      : !inside.length
        ? "no reading in this time"
        : `${count(inside.length)} ${data.step ? "means" : "readings"} from ${number(least)} to ${number(most)}, ` +
          `the newest ${number(data.values[data.values.length - 1])}; ${count(found)} anomalies`;
    set(
      this.place,
      "aria-label",
      `${plain(this.name)}, ${time(from)} to ${time(to)}: ${text}. Arrow keys pan, plus and minus zoom.`,
    );
  }

  tabulate() {
    if (!this.table.open) return;
    const { data } = this,
      [from, to] = this.board.view();
    const shown = data.times.map((_, at) => at).filter((at) => data.times[at] >= from && data.times[at] <= to);
    const rows = shown.slice(-ROWS).reverse();
    const reduced = data.step
      ? [
          ["lowest", (at) => number(data.lows[at]), true],
          ["highest", (at) => number(data.highs[at]), true],
          ["readings", (at) => count(data.counts[at]), true],
        ]
      : [];
    fill(
      this.rows,
      shown.length > ROWS ? h("p", { class: "small" }, `The newest ${ROWS} of ${count(shown.length)}.`) : null,
      table(
        `Readings of ${plain(this.name)}`,
        [
          ["time", (at) => time(data.times[at], true)],
          [data.step ? "mean" : "value", (at) => number(data.values[at]), true],
          ...reduced,
          [
            "no anomaly",
            (at) =>
              data
                .bandsAt(data.times[at])
                .map((band) => `${plain(band.detector)}: ${bounds(band.low, band.high)}`)
                .join("; ") || "–",
          ],
        ],
        rows,
      ),
    );
  }

  // Sideways: pan. With Ctrl, as pinching on a touch pad: zoom around the pointer.
  wheel(event) {
    const [from, to] = this.board.view(),
      span = to - from;
    if (event.ctrlKey) {
      event.preventDefault();
      this.board.zoom(Math.exp(event.deltaY / 200), this.chart.plot.posToVal(this.chart.plot.cursor.left, "x"));
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      this.board.pan((event.deltaX / this.place.clientWidth) * span);
    }
  }

  // A finger pans, and so does the mouse with Shift; the mouse alone selects what to zoom to.
  drag(event) {
    if (event.pointerType === "mouse" && !event.shiftKey) return;
    let last = event.clientX;
    const move = (moved) => {
      const [from, to] = this.board.view();
      this.board.pan(((last - moved.clientX) / this.place.clientWidth) * (to - from));
      last = moved.clientX;
    };
    const end = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  }

  restyle() {
    this.chart.make();
    fill(this.legend, legend(this.data, this.chart));
  }

  close() {
    this.running?.abort();
    this.chart?.close();
    this.root.remove();
  }
}
