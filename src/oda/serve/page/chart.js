// The chart of one series: uPlot draws axes, line and cursor; bands, incidents and marks are drawn around that.
import { anomalyKey, isOfWindow, search } from "./data.js";
import { h } from "./dom.js";
import { inZone, isOpen, number, plain, time } from "./format.js";
import { color } from "./settings.js";

const DASHES = [[], [6, 3], [2, 3]]; // of the bands' edges: told apart without colours, too
const MOST_SCORES = 12;

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
    const axis = { stroke: colors.soft, font: "11px system-ui, sans-serif", grid: { stroke: colors.line, width: 1 },
      ticks: { stroke: colors.line, size: 4 } };
    const line = { stroke: colors.value, width: 1.4, points: { size: 4, fill: colors.value } };
    const bound = { stroke: colors.value, width: 0, points: { show: false } };
    return {
      ...this.size(), ms: 1, tzDate: inZone, legend: { show: false }, pxAlign: 1, padding: [10, 12, 0, 0],
      series: [{}, line, bound, bound],
      bands: [{ series: [3, 2], fill: colors.value.replace("rgb(", "rgba(").replace(")", ", 0.22)") }],
      scales: { x: { time: true, range: () => this.view() }, y: { range: (_, low, high) => this.extent(low, high) } },
      axes: [{ ...axis, space: 90, size: 40, values: (_, times, __, ___, step) => moments(times, step) }, { ...axis, size: 62, values: (_, ticks) => ticks.map((tick) => number(tick)) }],
      cursor: {
        sync: { key: "oda", scales: ["x", null] }, drag: { x: true, y: false, setScale: false, dist: 5 }, y: false,
        points: { size: 8, show: (_, at) => at === 1 ? undefined : false }, bind: { dblclick: () => null },
      },
      hooks: {
        drawClear: [() => this.below()], draw: [() => this.above()],
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
    let bandLow = low, bandHigh = high;
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
  x(time) { return this.plot.valToPos(time, "x", true); }
  y(value) { return this.plot.valToPos(value, "y", true); }

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
      this.drawIncidents(ctx, box, ratio);
      this.drawBands(ctx, box, ratio);
    });
  }

  above() {
    this.clipped((ctx, box, ratio) => {
      this.drawRules(ctx, box, ratio);
      this.drawLate(ctx, ratio);
      this.drawAnomalies(ctx, box, ratio);
    });
  }

  drawIncidents(ctx, box, ratio) {
    const [from, to] = this.view();
    for (const one of this.data.incidents.values()) {
      const end = one.resolved ?? to;
      if (one.opened > to || end < from) continue;
      const left = this.x(one.opened) - 2 * ratio, width = Math.max(this.x(end) - left + 2 * ratio, 4 * ratio);
      ctx.fillStyle = this.colors.incident;
      ctx.globalAlpha = 0.12;
      ctx.fillRect(left, box.top, width, box.height);
      ctx.globalAlpha = 1;
      ctx.fillRect(left, box.top, width, 3 * ratio);
    }
  }

  drawBands(ctx, box, ratio) {
    const [from, to] = this.view(), bottom = box.top + box.height, edges = [];
    this.eachBand(from, to, (band, since, until, kind) => {
      const left = Math.round(this.x(since)), right = Math.max(Math.round(this.x(until)), left + 1);
      const top = isOpen(band.high) ? box.top : this.y(band.high), low = isOpen(band.low) ? bottom : this.y(band.low);
      ctx.fillStyle = this.colors[`band${kind}`];
      ctx.globalAlpha = 0.16;
      ctx.fillRect(left, top, right - left, Math.max(low - top, ratio));
      (edges[kind] ??= [new Steps(), new Steps(), new Steps()]).forEach((steps, at) => {
        const bound = [band.high, band.low, band.expected][at];
        if (!isOpen(bound)) steps.add(left, right, this.y(bound));
      });
    });
    edges.forEach(([high, low, expected], kind) => {
      ctx.strokeStyle = this.colors[`band${kind}`];
      ctx.lineWidth = ratio;
      ctx.globalAlpha = 0.9;
      ctx.setLineDash(DASHES[kind].map((part) => part * ratio));
      ctx.stroke(high.path);
      ctx.stroke(low.path);
      ctx.globalAlpha = 0.7;
      ctx.setLineDash([ratio, 4 * ratio]);
      ctx.stroke(expected.path);
    });
    ctx.setLineDash([]);
    ctx.globalAlpha = 1;
  }

  drawRules(ctx, box, ratio) {
    ctx.strokeStyle = ctx.fillStyle = this.colors.soft;
    ctx.lineWidth = ratio;
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.textBaseline = "bottom";
    ctx.textAlign = "left";
    for (const { time, version } of this.data.rules) {
      const x = Math.round(this.x(time)) + 0.5;
      ctx.setLineDash([8 * ratio, 3 * ratio, 2 * ratio, 3 * ratio]);
      line(ctx, x, box.top, x, box.top + box.height);
      ctx.setLineDash([]);
      ctx.fillText(`rules ${version}`, x + 4 * ratio, box.top + box.height - 2 * ratio);
    }
  }

  drawLate(ctx, ratio) {
    ctx.strokeStyle = this.colors.ink;
    ctx.lineWidth = 1.5 * ratio;
    const { times, values } = this.data.late;
    times.forEach((time, at) => {
      ctx.beginPath();
      ctx.arc(this.x(time), this.y(values[at]), 4 * ratio, 0, 2 * Math.PI);
      ctx.stroke();
    });
  }

  drawAnomalies(ctx, box, ratio) {
    const shown = this.data.anomaliesBetween(...this.view()), bottom = box.top + box.height;
    ctx.fillStyle = this.colors.bad;
    ctx.strokeStyle = this.colors.panel;
    ctx.lineWidth = ratio;
    ctx.font = `600 ${11 * ratio}px system-ui, sans-serif`;
    ctx.textAlign = "center";
    for (const row of shown) {
      const x = this.x(row.time), isMarked = this.marked === anomalyKey(row);
      let y = bottom - 4 * ratio;
      if (isOfWindow(row)) {
        ctx.fillRect(x, bottom - 6 * ratio, Math.max(this.x(this.data.anomalyEnd(row)) - x, 4 * ratio), 6 * ratio);
      } else {
        y = this.y(row.value);
        diamond(ctx, x, y, (isMarked ? 8 : 5) * ratio);
      }
      if (shown.length > MOST_SCORES && !isMarked) continue;
      const isHigh = y < box.top + 22 * ratio;
      ctx.textBaseline = isHigh ? "top" : "bottom";
      const inside = Math.min(Math.max(x, box.left + 12 * ratio), box.left + box.width - 12 * ratio);
      const text = String(Math.round(row.score));
      ctx.lineWidth = 3 * ratio;
      ctx.strokeText(text, inside, y + (isHigh ? 8 : -8) * ratio);
      ctx.fillText(text, inside, y + (isHigh ? 8 : -8) * ratio);
      ctx.lineWidth = ratio;
    }
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

// A line of steps; what does not touch is not joined.
class Steps {
  constructor() {
    this.path = new Path2D();
    this.end = null;
  }

  add(left, right, y) {
    if (left === this.end) this.path.lineTo(left, y);
    else this.path.moveTo(left, y);
    this.path.lineTo(right, y);
    this.end = right;
  }
}

// Of the axis: the time, and below it the date where that begins.
function moments(times, step) {
  let day = "";
  return times.map((at) => {
    const text = time(at, true), [date, clock] = text.split(" ");
    const isNew = date !== day;
    day = date;
    if (step >= 864e5) return date;
    const hour = step >= 6e4 ? clock.slice(0, 5) : step >= 1000 ? clock.slice(0, 8) : clock;
    return isNew ? `${hour}\n${date}` : hour;
  });
}

function line(ctx, x0, y0, x1, y1) {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}

function diamond(ctx, x, y, size) {
  ctx.beginPath();
  ctx.moveTo(x, y - size);
  ctx.lineTo(x + size, y);
  ctx.lineTo(x, y + size);
  ctx.lineTo(x - size, y);
  ctx.closePath();
  ctx.fill();
  ctx.stroke();
}

// What the marks mean; a band can be hidden.
export function legend(data, chart) {
  const entry = (kind, text) => h("span", { class: "key" }, h("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), text);
  const made = [entry("value", data.step ? "mean, and from lowest to highest" : "readings")];
  [...data.bands.keys()].forEach((detector, at) => {
    const toggle = h("button", { type: "button", class: "key", "aria-pressed": String(!chart.hidden.has(detector)), title: "Show or hide" },
      h("span", { class: `swatch band${at % 3}`, "aria-hidden": "true" }), `no anomaly for ${plain(detector)}`);
    toggle.addEventListener("click", () => {
      if (!chart.hidden.delete(detector)) chart.hidden.add(detector);
      toggle.setAttribute("aria-pressed", String(!chart.hidden.has(detector)));
      chart.draw();
    });
    made.push(toggle);
  });
  if (data.anomalies.size) made.push(entry("bad", "anomaly, with its score"));
  if (data.late.times.length) made.push(entry("late", "late"));
  if (data.incidents.size) made.push(entry("incident", "incident"));
  if (data.rules.length) made.push(entry("rules", "other rules"));
  return made;
}
