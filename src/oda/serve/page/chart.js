// The chart of one series: uPlot draws axes, line and cursor; bands, incidents and marks are drawn around that.
import { anomalyKey, isOfWindow, search } from "./data.js";
import { inZone, isOpen, number, time } from "./format.js";
import { drawAnomalies, drawBands, drawIncidents, drawLate, drawRules } from "./marks.js";
import { color } from "./settings.js";

export class Chart {
  // `view()` gives the shown part of the time as [from, to]; `events`: zoomed(from, to), moved(index or null).
  constructor(data, place, view, events) {
    Object.assign(this, { data, place, view, events });
    this.hidden = new Set(); // detectors
    this.marked = null; // the key of an anomaly that is pointed at
    this.make();
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(place);
  }

  make() {
    this.plot?.destroy();
    const names = ["value", "band0", "band1", "band2", "bad", "incident", "soft", "ink", "line", "panel"];
    this.colors = Object.fromEntries(names.map((name) => [name, color(name)]));
    this.plot = new uPlot(this.options(), this.columns(), this.place);
    const canvas = this.plot.root.querySelector("canvas");
    canvas.setAttribute("aria-hidden", "true"); // the figure around it says what is drawn
  }

  size() {
    return { width: Math.max(this.place.clientWidth, 100), height: Math.max(this.place.clientHeight, 80) };
  }

  resize() {
    const { width, height } = this.size();
    if (width !== this.plot.width || height !== this.plot.height) this.plot.setSize({ width, height });
  }

  options() {
    const { colors } = this;
    const axis = {
      stroke: colors.soft,
      font: "11px system-ui, sans-serif",
      grid: { stroke: colors.line, width: 1 },
      ticks: { stroke: colors.line, size: 4 },
    };
    const line = { stroke: colors.value, width: 1.4, points: { size: 4, fill: colors.value } };
    const bound = { stroke: colors.value, width: 0, points: { show: false } };
    return {
      ...this.size(),
      ms: 1,
      tzDate: inZone,
      legend: { show: false },
      pxAlign: 1,
      padding: [10, 12, 0, 0],
      series: [{}, line, bound, bound],
      bands: [{ series: [3, 2], fill: colors.value.replace("rgb(", "rgba(").replace(")", ", 0.22)") }],
      scales: { x: { time: true, range: () => this.view() }, y: { range: (_, low, high) => this.extent(low, high) } },
      axes: [
        { ...axis, space: 90, size: 40, values: (_, times, __, ___, step) => moments(times, step) },
        { ...axis, size: 62, values: (_, ticks) => ticks.map((tick) => number(tick)) },
      ],
      cursor: {
        sync: { key: "oda", scales: ["x", null] },
        drag: { x: true, y: false, setScale: false, dist: 5 },
        y: false,
        points: { size: 8, show: (_, at) => (at === 1 ? undefined : false) },
        bind: { dblclick: () => null },
      },
      hooks: {
        drawClear: [() => this.below()],
        draw: [() => this.above()],
        setCursor: [(plot) => this.events.moved(plot.cursor.left >= 0 ? plot.cursor.idx : null)],
        setSelect: [(plot) => this.selected(plot)],
      },
    };
  }

  columns() {
    const { times, values, lows, highs } = this.data;
    const none = lows ? null : new Array(times.length).fill(null);
    return [times, values, lows ?? none, highs ?? none];
  }

  // With what was loaded or pushed, and where the view is now.
  draw() {
    this.plot.batch(() => {
      this.plot.setData(this.columns(), false);
      const [min, max] = this.view();
      this.plot.setScale("x", { min, max });
    });
  }

  // A band is shown as far as it does not make the readings too small to be seen.
  extent(low, high) {
    const [from, to] = this.view();
    if (low === null || high === null) [low, high] = this.latest() ?? [0, 1];
    const room = Math.max(high - low, Math.abs(high) * 1e-9, 1e-12);
    let bandLow = low,
      bandHigh = high;
    this.eachBand(from, to, (band) => {
      if (!isOpen(band.low)) bandLow = Math.min(bandLow, band.low);
      if (!isOpen(band.high)) bandHigh = Math.max(bandHigh, band.high);
    });
    for (const row of this.data.anomaliesBetween(from, to)) {
      if (!isOfWindow(row)) [low, high] = [Math.min(low, row.value), Math.max(high, row.value)];
    }
    low = Math.min(low, Math.max(bandLow, low - room));
    high = Math.max(high, Math.min(bandHigh, high + room));
    const margin = (high - low || Math.abs(high) || 1) * 0.07;
    return [low - margin, high + margin];
  }

  // A series without readings here is shown around its last one.
  latest() {
    const value = this.data.values[this.data.values.length - 1];
    return value === undefined ? null : [value, value];
  }

  eachBand(from, to, act) {
    let number = 0;
    for (const [detector, all] of this.data.bands) {
      const kind = number++ % 3;
      if (this.hidden.has(detector)) continue;
      const sinces = all.map((band) => band.since);
      for (let at = Math.max(search(sinces, from) - 1, 0); at < all.length && all[at].since <= to; at++) {
        const until = Math.min(this.data.until(detector, at), to);
        if (until >= from) act(all[at], Math.max(all[at].since, from), until, kind);
      }
    }
  }

  selected(plot) {
    const { left, width } = plot.select;
    if (width < 5) return;
    const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.events.zoomed(from, to);
  }

  // In the canvas' own pixels.
  x(time) {
    return this.plot.valToPos(time, "x", true);
  }
  y(value) {
    return this.plot.valToPos(value, "y", true);
  }

  clipped(act) {
    const { ctx, bbox } = this.plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    act(ctx, bbox, devicePixelRatio || 1);
    ctx.restore();
  }

  below() {
    this.clipped((ctx, box, ratio) => {
      drawIncidents(this, ctx, box, ratio);
      drawBands(this, ctx, box, ratio);
    });
  }

  above() {
    this.clipped((ctx, box, ratio) => {
      drawRules(this, ctx, box, ratio);
      drawLate(this, ctx, ratio);
      drawAnomalies(this, ctx, box, ratio);
    });
  }

  // Put the cursor on a moment, in all charts.
  point(time, anomaly = null) {
    this.marked = anomaly && anomalyKey(anomaly);
    this.plot.setCursor({ left: this.plot.valToPos(time, "x"), top: 10 }, true, true);
    this.plot.redraw(false);
  }

  close() {
    this.observer.disconnect();
    this.plot.destroy();
  }
}

// Of the axis: the time, and below it the date where that begins.
function moments(times, step) {
  let day = "";
  return times.map((at) => {
    const text = time(at, true),
      [date, clock] = text.split(" ");
    const isNew = date !== day;
    day = date;
    if (step >= 864e5) return date;
    const hour = step >= 6e4 ? clock.slice(0, 5) : step >= 1000 ? clock.slice(0, 8) : clock;
    return isNew ? `${hour}\n${date}` : hour;
  });
}
