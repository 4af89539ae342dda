// Where to begin: series in which something was found, or how to get some.
import { get } from "./api.js";
import { fill, h, link, named } from "./dom.js";
import { ago, number } from "./format.js";
import { seriesPicker } from "./picker.js";
import { href } from "./route.js";
import { empty, loaded } from "./state.js";

const MOST = 15;

export function suggest(place, span, chosen) {
  const list = h("div", {});
  const title = h("h2", {}, "Where something was found last");
  fill(place, h("h1", {}, "Series"), seriesPicker("Show a series", chosen), title, list);
  const item = (one) => {
    const last = one.last_anomaly;
    const found = last ? `anomaly ${ago(last.time)}, score ${number(last.score, 3)}` : "no anomaly";
    const to = link(href("series", { name: one.name, live: span }), named(one.name));
    return h("li", {}, to, " ", h("span", { class: "small" }, found));
  };
  const ask = (signal) => get("series", { sort: "anomaly", order: "desc", limit: MOST }, signal);
  loaded(list, ask, ({ series }) => {
    fill(list, series.length ? h("ul", { class: "plain" }, series.map(item)) : noSeries());
  })();
}

export function noSeries() {
  return empty(
    "No series yet.",
    h("p", {}, "Readings come from a collector. Try, in a terminal:"),
    h("pre", { tabindex: 0 }, "./oda collect walk\n./oda collect csv FILE"),
  );
}
