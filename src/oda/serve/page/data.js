// What is known of one series in a part of the time: asked for, then kept up by what is pushed. It draws nothing.

const RECENT = 10_000; // ms: so long a store may be behind what was pushed already

// The index of the first number that is not less.
export function search(sorted, value) {
  let low = 0,
    high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class SeriesData {
  constructor(name) {
    this.name = name;
    this.recent = []; // what was pushed, and when
    this.load({});
    this.isLoaded = false;
  }

  // An answer of /api/series/data, and on top of it what was pushed while it was made.
  load(answer) {
    const { readings, reduced } = answer;
    this.isLoaded = true;
    this.step = reduced ? (reduced.step ?? answer.step) : 0;
    this.times = [...((reduced ?? readings)?.times ?? [])];
    this.values = [...((reduced ? reduced.means : readings?.values) ?? [])];
    this.lows = reduced ? [...reduced.lows] : null;
    this.highs = reduced ? [...reduced.highs] : null;
    this.counts = reduced ? [...reduced.counts] : null;
    this.late = answer.late ?? { times: [], values: [] };
    this.windows = answer.windows ?? [];
    this.bands = new Map();
    for (const band of answer.bands ?? []) this.addBand({ ...band });
    this.anomalies = new Map((answer.anomalies ?? []).map((row) => [anomalyKey(row), row]));
    this.incidents = new Map((answer.incidents ?? []).map((row) => [row.place, row]));
    this.rules = answer.rules ?? [];
    this.noBand = answer.no_band ?? null;
    this.hasMore = answer.has_more_anomalies ?? false;
    this.loadedUntil = this.newest ?? -Infinity;
    const now = performance.now();
    this.recent = this.recent.filter(([at]) => now - at < RECENT);
    for (const [, rows] of this.recent) this.add(rows);
  }

  push(rows) {
    this.recent.push([performance.now(), rows]);
    while (performance.now() - this.recent[0][0] > RECENT) this.recent.shift();
    this.add(rows);
  }

  // Rows of this series alone: {readings, bands, anomalies, incidents}. Those that are there already change nothing.
  add({ readings = [], bands = [], anomalies = [], incidents = [] }) {
    for (const [time, value] of readings) this.step ? this.fold(time, value) : this.insert(time, value);
    for (const band of bands) this.addBand({ ...band });
    for (const row of anomalies) this.anomalies.set(anomalyKey(row), row);
    for (const row of incidents) this.incidents.set(row.place, { ...this.incidents.get(row.place), ...row });
    if (bands.length) this.noBand = null;
  }

  insert(time, value) {
    const { times, values } = this;
    let at = times.length;
    if (at && times[at - 1] >= time) {
      for (at = search(times, time); times[at] === time; at++) if (values[at] === value) return;
    }
    times.splice(at, 0, time);
    values.splice(at, 0, value);
  }

  fold(time, value) {
    if (time <= this.loadedUntil) return; // counted already, or so old that it does not show
    const start = Math.floor(time / this.step) * this.step,
      last = this.times.length - 1;
    if (this.times[last] >= start) {
      this.counts[last] += 1;
      this.values[last] += (value - this.values[last]) / this.counts[last];
      this.lows[last] = Math.min(this.lows[last], value);
      this.highs[last] = Math.max(this.highs[last], value);
    } else {
      for (const [column, entry] of [
        ["times", start],
        ["values", value],
        ["lows", value],
        ["highs", value],
        ["counts", 1],
      ]) {
        this[column].push(entry);
      }
    }
  }

  // In the order of their beginning; one that begins ends the one before.
  addBand(band) {
    const all = this.bands.get(band.detector) ?? [];
    this.bands.set(band.detector, all);
    let at = all.length;
    while (at && all[at - 1].since > band.since) at--;
    if (at && all[at - 1].since === band.since) all[at - 1] = band;
    else all.splice(at, 0, band);
  }

  // Forget what is before.
  trim(since) {
    const gone = search(this.times, since);
    if (gone < 1000) return;
    for (const column of ["times", "values", "lows", "highs", "counts"]) this[column]?.splice(0, gone);
    for (const [detector, all] of this.bands) {
      const first = all.findIndex((band, at) => (all[at + 1]?.since ?? Infinity) > since);
      this.bands.set(detector, all.slice(Math.max(first, 0)));
    }
  }

  get newest() {
    return this.times.length ? this.times[this.times.length - 1] : undefined;
  }

  // Until when a band holds: it is drawn on to the reading where the next one begins.
  until(detector, at) {
    const all = this.bands.get(detector);
    return all[at + 1]?.since ?? all[at].until ?? Infinity;
  }

  // By detector, the band that applied to a reading of that time.
  bandsAt(time) {
    const found = [];
    for (const [detector, all] of this.bands) {
      const at = all.findLastIndex((band) => band.since <= time);
      if (at >= 0 && time <= this.until(detector, at)) found.push(all[at]);
    }
    return found;
  }

  // The index of the reading that is nearest to a time.
  nearest(time) {
    const { times } = this,
      after = search(times, time);
    if (after === 0) return times.length ? 0 : null;
    return after === times.length || time - times[after - 1] < times[after] - time ? after - 1 : after;
  }

  anomaliesBetween(from, to) {
    return [...this.anomalies.values()].filter((row) => row.time <= to && this.anomalyEnd(row) >= from);
  }

  // Of what is wrong about a window, the window's end; of a reading its time.
  anomalyEnd(row) {
    return isOfWindow(row) ? (this.windows.find(([start]) => start === row.time)?.[1] ?? row.time) : row.time;
  }
}

export function isOfWindow(anomaly) {
  return anomaly.found_at !== anomaly.offset;
}

export function anomalyKey(row) {
  return `${row.partition}:${row.offset}:${row.detector}`;
}
