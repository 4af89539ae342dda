// How many anomalies each series had in each step of time, on a canvas beside the series' names.
import { fill, h, link, named, set } from "./dom.js";
import { count, plain, several, time } from "./format.js";
import { follow, seriesAround } from "./route.js";
import { color } from "./settings.js";

const AXIS = 22;

export class HeatMap {
  // `brushed(from, to)`: a part of the time was chosen.
  constructor(brushed) {
    this.brushed = brushed;
    this.names = h("ul", { class: "heat-names" });
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.box = h(
      "div",
      {
        class: "heat-box",
        tabindex: 0,
        role: "group",
        "aria-roledescription": "heat map",
        onkeydown: (event) => this.key(event),
        onpointerdown: (event) => this.down(event),
        onpointermove: (event) => this.over(event),
        onpointerleave: () => this.drag ?? this.at(null),
      },
      this.canvas,
    );
    this.readout = h("p", { class: "readout", role: "status" });
    this.scale = h("p", { class: "legend" });
    this.root = h("div", {}, h("div", { class: "heat" }, this.names, this.box), this.readout, this.scale);
    this.cell = null;
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.box);
  }

  show(heat) {
    this.heat = heat;
    this.most = Math.max(1, ...heat.counts.map((row) => Math.max(0, ...row)));
    fill(
      this.names,
      heat.series.map((name) => h("li", {}, link(seriesAround(name, heat.times[0], this.end()), named(name)))),
    );
    const all = heat.counts.flat().reduce((a, b) => a + b, 0);
    set(
      this.box,
      "aria-label",
      `Anomalies of ${heat.series.length} series from ${time(heat.times[0])} to ${time(this.end())}: ${count(all)}. ` +
        "Arrow keys move, Enter opens the series at that time; with Shift, left and right choose a part of the time.",
    );
    fill(
      this.scale,
      "anomalies in a step of time: ",
      [0, 0.25, 0.5, 1].map((share) => {
        const swatch = h("span", { class: "swatch heat-cell", "aria-hidden": "true" });
        swatch.style.opacity = this.strength(share * this.most);
        return h("span", { class: "key" }, swatch, count(share * this.most));
      }),
    );
    this.draw();
  }

  end() {
    return this.heat.times[this.heat.times.length - 1] + this.heat.step;
  }

  // By the logarithm: one is seen beside a thousand.
  strength(number) {
    return number <= 0 ? 0.06 : 0.25 + (0.75 * Math.log1p(number)) / Math.log1p(this.most);
  }

  get row() {
    return this.box.clientHeight ? (this.box.clientHeight - AXIS) / Math.max(this.heat.series.length, 1) : 20;
  }

  draw() {
    if (!this.heat?.times.length) return;
    const { heat, canvas, box } = this,
      ratio = devicePixelRatio || 1;
    const width = box.clientWidth,
      height = box.clientHeight,
      ctx = canvas.getContext("2d");
    [canvas.width, canvas.height] = [width * ratio, height * ratio];
    ctx.scale(ratio, ratio);
    const cell = width / heat.times.length,
      row = this.row,
      colors = { heat: color("heat"), ink: color("ink"), soft: color("soft") };
    ctx.fillStyle = colors.heat;
    heat.counts.forEach((counts, y) =>
      counts.forEach((number, x) => {
        ctx.globalAlpha = this.strength(number);
        ctx.fillRect(x * cell + 0.5, y * row + 0.5, Math.max(cell - 1, 0.5), row - 1);
      }),
    );
    ctx.globalAlpha = 1;
    ctx.fillStyle = colors.soft;
    ctx.font = "11px system-ui, sans-serif";
    ctx.textBaseline = "bottom";
    const every = Math.max(1, Math.ceil(130 / cell));
    for (let x = 0; x < heat.times.length - 100 / cell; x += every)
      ctx.fillText(time(heat.times[x]).slice(5, 16), x * cell, height - 2);
    ctx.strokeStyle = colors.ink;
    ctx.lineWidth = 2;
    if (this.cell) ctx.strokeRect(this.cell[0] * cell + 1, this.cell[1] * row + 1, Math.max(cell - 2, 2), row - 2);
    if (this.chosen) {
      const [first, last] = [...this.chosen].sort((a, b) => a - b);
      ctx.globalAlpha = 0.9;
      ctx.setLineDash([4, 3]);
      ctx.strokeRect(first * cell + 1, 1, (last - first + 1) * cell - 2, height - AXIS - 2);
    }
  }

  of(event) {
    const box = this.box.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * this.heat.times.length),
      y = Math.floor((event.clientY - box.top) / this.row);
    return [
      Math.min(Math.max(x, 0), this.heat.times.length - 1),
      Math.min(Math.max(y, 0), this.heat.series.length - 1),
    ];
  }

  at(cell) {
    this.cell = cell;
    if (cell) {
      const [x, y] = cell;
      const found = several(this.heat.counts[y][x], "anomaly", "anomalies");
      this.readout.textContent = `${plain(this.heat.series[y])}, ${time(this.heat.times[x])}: ${found}`;
    } else {
      this.readout.textContent = "";
    }
    this.draw();
  }

  over(event) {
    if (!this.heat?.times.length) return;
    const cell = this.of(event);
    if (this.drag !== undefined) this.chosen = [this.drag, cell[0]];
    this.at(cell);
  }

  down(event) {
    if (event.pointerType === "touch" || !this.heat?.times.length) return;
    [this.drag] = this.of(event);
    const begun = event.clientX;
    addEventListener(
      "pointerup",
      (up) => {
        const from = this.drag,
          [to] = this.of(up);
        this.drag = undefined;
        this.chosen = null;
        if (Math.abs(up.clientX - begun) > 5) this.brush(from, to);
        else this.enter();
      },
      { once: true },
    );
  }

  brush(a, b) {
    const [first, last] = a < b ? [a, b] : [b, a];
    this.brushed(this.heat.times[first], this.heat.times[last] + this.heat.step);
  }

  enter() {
    if (!this.cell) return;
    const [x, y] = this.cell;
    follow(seriesAround(this.heat.series[y], this.heat.times[x], this.heat.times[x] + this.heat.step));
  }

  key(event) {
    if (!this.heat?.times.length || event.ctrlKey || event.altKey || event.metaKey) return;
    const [x, y] = this.cell ?? [0, 0],
      { times, series } = this.heat;
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in moves) {
      const [dx, dy] = this.cell ? moves[event.key] : [0, 0];
      const next = [Math.min(Math.max(x + dx, 0), times.length - 1), Math.min(Math.max(y + dy, 0), series.length - 1)];
      if (event.shiftKey) this.chosen = [this.chosen?.[0] ?? x, next[0]];
      else this.chosen = null;
      this.at(next);
    } else if (event.key === "Enter") {
      if (this.chosen) this.brush(...this.chosen);
      else this.enter();
      this.chosen = null;
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  close() {
    this.observer.disconnect();
  }
}
