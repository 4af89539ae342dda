"use strict";
// Draws one chart a series from the JSON in the page. Every name is set as text, never as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const LEFT = 64, RIGHT = 10, TOP = 8, BOTTOM = 24;
const charts = [];
let span = null; // what part of the time is shown; null: all

function color(name) { // as a canvas takes it
  const probe = document.documentElement;
  probe.style.setProperty("outline-color", "var(--" + name + ")");
  return getComputedStyle(probe).outlineColor;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function timeText(ms) {
  return new Date(ms).toISOString().replace("T", " ").replace("Z", "").replace(".000", "");
}

function numberText(value) {
  return Number(value.toPrecision(6)).toString();
}

// Round numbers between two values, `count` or so.
function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high && found.length < 20; at += step) found.push(at);
  return found;
}

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, 72e5, 108e5,
  216e5, 432e5, 864e5, 1728e5, 6048e5, 12096e5, 26298e5, 78894e5, 315576e5, 631152e5, 157788e6, 315576e6];

function timeTicks(low, high, count) {
  const step = STEPS.find((n) => n >= (high - low) / count) || STEPS[STEPS.length - 1];
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) found.push(at);
  return [found, step];
}

function tickText(ms, step) {
  const text = new Date(ms).toISOString();
  if (step >= 864e5) return text.slice(0, 10);
  if (step >= 6e4) return text.slice(5, 16).replace("T", " ");
  return step >= 1e3 ? text.slice(11, 19) : text.slice(11, 23);
}

// The index of the first number that is not less.
function search(sorted, value) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1; else high = middle;
  }
  return low;
}

class Chart {
  constructor(series, parent) {
    this.series = series;
    let time = series.start;
    this.times = series.times.map((step) => (time += step)); // they are written as differences
    const figure = element("figure"), head = element("div", "head");
    this.readout = element("div", "readout");
    head.append(element("h3", "", series.name), element("div", "small", series.note), this.readout);
    this.canvas = element("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", series.name + ": " + series.note);
    figure.append(head, this.canvas, this.legend());
    parent.append(figure);
    this.drag = null;
    this.canvas.addEventListener("pointerdown", (event) => {
      this.drag = event.offsetX;
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => this.move(event.offsetX));
    this.canvas.addEventListener("pointerup", (event) => this.zoom(event.offsetX));
    this.canvas.addEventListener("pointerleave", () => { this.readout.textContent = ""; this.draw(); });
    this.canvas.addEventListener("dblclick", () => { span = null; drawAll(); });
  }

  legend() {
    const made = element("div", "legend");
    const entry = (name, text) => {
      const key = element("span", "key");
      key.style.background = "var(--" + name + ")";
      made.append(key, document.createTextNode(text));
    };
    entry("value", "readings");
    this.series.bands.forEach((band, number) => entry("band" + (number % 3), (band.is_band ? "no anomaly for " : "usual for ") + band.name));
    if (this.series.anomalies.length) entry("bad", "anomalies; a tick below: of a window");
    if (this.series.incidents.length) entry("incident", "incidents, shaded");
    return made;
  }

  // What is seen: times, and the values within them.
  measure() {
    const [from, to] = span || data.span;
    this.from = from;
    this.to = to > from ? to : from + 1;
    const first = Math.max(0, search(this.times, this.from) - 1);
    const last = Math.min(this.times.length, search(this.times, this.to) + 1);
    let low = Infinity, high = -Infinity;
    for (let i = first; i < last; i++) {
      low = Math.min(low, this.series.values[i]);
      high = Math.max(high, this.series.values[i]);
    }
    if (low > high) [low, high] = [0, 1];
    // A band is shown as far as it does not make the readings too small to be seen.
    const room = Math.max(high - low, Math.abs(high) * 1e-9, 1e-12);
    let bandLow = low, bandHigh = high;
    for (const band of this.series.bands) {
      for (let i = first; i < last; i++) {
        if (band.low[i] !== null) bandLow = Math.min(bandLow, band.low[i]);
        if (band.high[i] !== null) bandHigh = Math.max(bandHigh, band.high[i]);
      }
    }
    low = Math.max(bandLow, low - room / 2);
    high = Math.min(bandHigh, high + room / 2);
    const margin = (high - low || 1) * 0.05;
    Object.assign(this, { first, last, low: low - margin, high: high + margin });
  }

  x(time) { return LEFT + (time - this.from) / (this.to - this.from) * (this.width - LEFT - RIGHT); }
  y(value) { return TOP + (this.high - value) / (this.high - this.low) * (this.height - TOP - BOTTOM); }
  time(x) { return this.from + (x - LEFT) / (this.width - LEFT - RIGHT) * (this.to - this.from); }

  draw() {
    const ratio = window.devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = this.width * ratio;
    this.canvas.height = this.height * ratio;
    const context = this.context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.font = "11px system-ui, sans-serif";
    this.measure();
    this.axes();
    context.save();
    context.beginPath();
    context.rect(LEFT, TOP, this.width - LEFT - RIGHT, this.height - TOP - BOTTOM + 6);
    context.clip();
    this.incidents();
    this.series.bands.forEach((band, number) => this.band(band, color("band" + (number % 3))));
    this.values();
    this.anomalies();
    context.restore();
  }

  axes() {
    const context = this.context;
    context.strokeStyle = color("line");
    context.fillStyle = color("soft");
    context.lineWidth = 1;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const value of ticks(this.low, this.high, 5)) {
      const y = Math.round(this.y(value)) + 0.5;
      this.line(LEFT, y, this.width - RIGHT, y);
      context.fillText(numberText(value), LEFT - 6, y);
    }
    context.textBaseline = "top";
    context.textAlign = "center";
    const [times, step] = timeTicks(this.from, this.to, this.width / 110);
    for (const time of times) {
      const x = Math.round(this.x(time)) + 0.5;
      this.line(x, this.height - BOTTOM, x, this.height - BOTTOM + 4);
      context.fillText(tickText(time, step), Math.min(Math.max(x, LEFT + 20), this.width - 40), this.height - BOTTOM + 8);
    }
  }

  line(x0, y0, x1, y1) {
    this.context.beginPath();
    this.context.moveTo(x0, y0);
    this.context.lineTo(x1, y1);
    this.context.stroke();
  }

  // From each point to the next the bounds that applied at the first; one that is null is without bounds.
  band(band, fill) {
    const context = this.context;
    context.fillStyle = fill;
    context.globalAlpha = 0.22;
    context.beginPath();
    for (let i = this.first; i < this.last; i++) {
      if (band.low[i] === null && band.high[i] === null) continue;
      const left = this.x(this.times[i]), right = this.x(i + 1 < this.last ? this.times[i + 1] : this.to);
      const top = band.high[i] === null ? TOP : Math.max(this.y(band.high[i]), TOP);
      const bottom = band.low[i] === null ? this.height - BOTTOM : Math.min(this.y(band.low[i]), this.height - BOTTOM);
      if (bottom >= top) context.rect(left, top, Math.max(right - left, 0.5), Math.max(bottom - top, 1));
    }
    context.fill();
    context.globalAlpha = 1;
  }

  values() {
    const context = this.context;
    context.strokeStyle = context.fillStyle = color("value");
    context.lineWidth = 1.2;
    context.beginPath();
    for (let i = this.first; i < this.last; i++) context.lineTo(this.x(this.times[i]), this.y(this.series.values[i]));
    context.stroke();
    if (this.last - this.first < 120) {
      for (let i = this.first; i < this.last; i++) this.dot(this.times[i], this.series.values[i], 2);
    }
  }

  dot(time, value, radius) {
    this.context.beginPath();
    this.context.arc(this.x(time), this.y(value), radius, 0, 2 * Math.PI);
    this.context.fill();
  }

  incidents() {
    this.context.fillStyle = color("incident");
    this.context.globalAlpha = 0.12;
    for (const one of this.series.incidents) {
      const left = this.x(one.from) - 2;
      this.context.fillRect(left, TOP, Math.max(this.x(one.to) + 2 - left, 4), this.height - TOP - BOTTOM);
    }
    this.context.globalAlpha = 1;
  }

  anomalies() {
    this.context.fillStyle = color("bad");
    for (const one of this.series.anomalies) {
      if (one.until === undefined) this.dot(one.time, one.value, 3.2);
      else this.context.fillRect(this.x(one.time), this.height - BOTTOM, Math.max(this.x(one.until) - this.x(one.time), 3), 6);
    }
  }

  move(x) {
    this.draw();
    const context = this.context, time = this.time(x);
    context.strokeStyle = context.fillStyle = color("soft");
    if (this.drag !== null && Math.abs(x - this.drag) > 4) {
      context.globalAlpha = 0.15;
      context.fillRect(Math.min(x, this.drag), TOP, Math.abs(x - this.drag), this.height - TOP - BOTTOM);
      context.globalAlpha = 1;
      return;
    }
    const after = search(this.times, time);
    const nearest = after > 0 && (after === this.times.length || time - this.times[after - 1] < this.times[after] - time)
      ? after - 1 : after;
    const shown = Math.round(this.x(this.times[nearest])) + 0.5;
    this.line(shown, TOP, shown, this.height - BOTTOM);
    this.readout.textContent = this.about(nearest);
  }

  about(at) {
    const parts = [timeText(this.times[at]), numberText(this.series.values[at])];
    for (const band of this.series.bands) {
      if (band.low[at] === null && band.high[at] === null) continue;
      const low = band.low[at] === null ? "…" : numberText(band.low[at]);
      const high = band.high[at] === null ? "…" : numberText(band.high[at]);
      parts.push(band.name + ": " + low + " to " + high);
    }
    for (const one of this.series.anomalies) {
      if (one.until === undefined ? one.time === this.times[at] : one.time <= this.times[at] && this.times[at] < one.until) {
        parts.push("ANOMALY, score " + one.score + " by " + one.detector);
      }
    }
    return parts.join("   ");
  }

  zoom(x) {
    const begun = this.drag;
    this.drag = null;
    if (begun === null || Math.abs(x - begun) <= 4) return;
    const [from, to] = [this.time(Math.min(x, begun)), this.time(Math.max(x, begun))];
    if (to - from >= 2) span = [Math.max(from, data.span[0]), Math.min(to, data.span[1])];
    drawAll();
  }
}

function drawAll() {
  for (const chart of charts) chart.draw();
}

for (const series of data.series) charts.push(new Chart(series, document.getElementById("charts")));
drawAll();
window.addEventListener("resize", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
