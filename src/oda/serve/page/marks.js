// What is drawn on a chart below its line and above it: `chart` knows data, view, colours, and where a value is.
import { anomalyKey, isOfWindow } from "./data.js";
import { isOpen } from "./format.js";

const DASHES = [[], [6, 3], [2, 3]]; // of the bands' edges: told apart without colours, too
const MOST_SCORES = 12;

export function drawIncidents(chart, ctx, box, ratio) {
  const [from, to] = chart.view();
  for (const one of chart.data.incidents.values()) {
    const end = one.resolved ?? to;
    if (one.opened > to || end < from) continue;
    const left = chart.x(one.opened) - 2 * ratio,
      width = Math.max(chart.x(end) - left + 2 * ratio, 4 * ratio);
    ctx.fillStyle = chart.colors.incident;
    ctx.globalAlpha = 0.12;
    ctx.fillRect(left, box.top, width, box.height);
    ctx.globalAlpha = 1;
    ctx.fillRect(left, box.top, width, 3 * ratio);
  }
}

export function drawBands(chart, ctx, box, ratio) {
  const [from, to] = chart.view(),
    bottom = box.top + box.height,
    edges = [];
  chart.eachBand(from, to, (band, since, until, kind) => {
    const left = Math.round(chart.x(since)),
      right = Math.max(Math.round(chart.x(until)), left + 1);
    const top = isOpen(band.high) ? box.top : chart.y(band.high),
      low = isOpen(band.low) ? bottom : chart.y(band.low);
    ctx.fillStyle = chart.colors[`band${kind}`];
    ctx.globalAlpha = 0.16;
    ctx.fillRect(left, top, right - left, Math.max(low - top, ratio));
    (edges[kind] ??= [new Steps(), new Steps(), new Steps()]).forEach((steps, at) => {
      const bound = [band.high, band.low, band.expected][at];
      if (!isOpen(bound)) steps.add(left, right, chart.y(bound));
    });
  });
  edges.forEach(([high, low, expected], kind) => {
    ctx.strokeStyle = chart.colors[`band${kind}`];
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

export function drawRules(chart, ctx, box, ratio) {
  ctx.strokeStyle = ctx.fillStyle = chart.colors.soft;
  ctx.lineWidth = ratio;
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.textBaseline = "bottom";
  ctx.textAlign = "left";
  for (const { time, version } of chart.data.rules) {
    const x = Math.round(chart.x(time)) + 0.5;
    ctx.setLineDash([8 * ratio, 3 * ratio, 2 * ratio, 3 * ratio]);
    line(ctx, x, box.top, x, box.top + box.height);
    ctx.setLineDash([]);
    ctx.fillText(`rules ${version}`, x + 4 * ratio, box.top + box.height - 2 * ratio);
  }
}

export function drawLate(chart, ctx, ratio) {
  ctx.strokeStyle = chart.colors.ink;
  ctx.lineWidth = 1.5 * ratio;
  const { times, values } = chart.data.late;
  times.forEach((time, at) => {
    ctx.beginPath();
    ctx.arc(chart.x(time), chart.y(values[at]), 4 * ratio, 0, 2 * Math.PI);
    ctx.stroke();
  });
}

export function drawAnomalies(chart, ctx, box, ratio) {
  const shown = chart.data.anomaliesBetween(...chart.view()),
    bottom = box.top + box.height;
  ctx.fillStyle = chart.colors.bad;
  ctx.strokeStyle = chart.colors.panel;
  ctx.lineWidth = ratio;
  ctx.font = `600 ${11 * ratio}px system-ui, sans-serif`;
  ctx.textAlign = "center";
  for (const row of shown) {
    const x = chart.x(row.time),
      isMarked = chart.marked === anomalyKey(row);
    let y = bottom - 4 * ratio;
    if (isOfWindow(row)) {
      ctx.fillRect(x, bottom - 6 * ratio, Math.max(chart.x(chart.data.anomalyEnd(row)) - x, 4 * ratio), 6 * ratio);
    } else {
      y = chart.y(row.value);
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
