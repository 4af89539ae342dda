// Where anomalies gather: by series and time, by score, by label; and the request that says so, to copy.
import { get } from "./api.js";
import { bar, button, copy, fill, h, link, named, table } from "./dom.js";
import { count, duration, number, plain, time, zone } from "./format.js";
import { HeatMap } from "./heat.js";
import { go, href, seriesAround } from "./route.js";
import { empty, loaded } from "./state.js";

const SPANS = [36e5, 216e5, 864e5, 6048e5, 2592e6];
const USUAL = 864e5;

export function open(place, parameters) {
  const view = new Insights(place);
  view.update(parameters);
  return view;
}

class Insights {
  constructor(place) {
    document.title = "Insights – ODA";
    this.toolbar = h("div", { class: "toolbar" });
    this.map = new HeatMap((from, to) =>
      go("insights", { since: Math.round(from), until: Math.round(to), label: this.label }),
    );
    this.content = h("div", {});
    fill(place, h("h1", { class: "hidden" }, "Insights"), this.toolbar, this.content);
    this.ask = loaded(
      this.content,
      (signal) => get("insights", { since: this.since, until: this.until, label: this.label }, signal),
      (answer) => this.show(answer),
    );
  }

  update(parameters) {
    const [since, until] = [Number(parameters.get("since")), Number(parameters.get("until"))];
    this.isFixed = until > since && since > 0;
    this.span = this.isFixed ? until - since : Number(parameters.get("last")) || USUAL;
    [this.since, this.until] = this.isFixed ? [since, until] : [Date.now() - this.span, Date.now()];
    [this.since, this.until] = [Math.floor(this.since), Math.ceil(this.until)];
    this.label = parameters.get("label") ?? "";
    this.tools();
    this.ask();
  }

  refresh() {
    if (!this.isFixed) [this.since, this.until] = [Date.now() - this.span, Date.now()];
    return this.ask();
  }

  tools() {
    const spans = h(
      "select",
      {
        "aria-label": "How much time",
        onchange: (event) => go("insights", { last: event.target.value, label: this.label }),
      },
      this.isFixed ? h("option", { selected: true }, duration(this.span)) : null,
      [...new Set([...SPANS, ...(this.isFixed ? [] : [this.span])])]
        .sort((a, b) => a - b)
        .map((ms) => h("option", { value: ms, selected: !this.isFixed && ms === this.span }, `last ${duration(ms)}`)),
    );
    const label = h("input", {
      type: "search",
      placeholder: "label=value",
      "aria-label": "Label",
      value: this.label,
      onchange: () => go("insights", { ...this.times(), label: label.value }),
    });
    const step = (text, title, by) =>
      button(
        text,
        () =>
          go("insights", { since: this.since + by * this.span, until: this.until + by * this.span, label: this.label }),
        { title, "aria-label": title },
      );
    fill(
      this.toolbar,
      spans,
      h("span", { class: "group" }, step("◀", "Earlier", -0.5), step("▶", "Later", 0.5)),
      label,
      h("span", { class: "small range" }, `${time(this.since)} to ${time(this.until)} ${zone()}`),
    );
  }

  times() {
    return this.isFixed ? { since: this.since, until: this.until } : { last: this.span };
  }

  show({ heat, ranked, scores, by_label: labels, request }) {
    if (!heat.series.length && !ranked.length) {
      fill(
        this.content,
        empty(
          "No anomalies in this time.",
          h("p", {}, "Choose more of it above, or look at ", link(href("all"), "all series"), "."),
        ),
      );
      return;
    }
    const most = Math.max(1, ...ranked.map((one) => one.anomalies)),
      highest = Math.max(1, ...scores.map((one) => one.count));
    const widest = Math.max(1, ...labels.map((one) => one.anomalies));
    fill(
      this.content,
      section(
        "Series by time",
        h("p", { class: "small" }, "Drag over a part of the time to look closer; click a cell to open its series."),
        this.map.root,
      ),
      h(
        "div",
        { class: "columns" },
        section(
          "Series with the most anomalies",
          table(
            "Series with the most anomalies",
            [
              ["series", (one) => link(seriesAround(one.series, this.since, this.until), named(one.series))],
              ["share", (one) => bar(one.anomalies / most)],
              ["anomalies", (one) => count(one.anomalies), true],
              ["highest score", (one) => number(one.worst, 3), true],
            ],
            ranked,
          ),
        ),
        section(
          "Scores",
          table(
            "How many anomalies by score",
            [
              ["score", (one) => `${number(one.from)} to ${number(one.to)}`, true],
              ["share", (one) => bar(one.count / highest)],
              ["anomalies", (one) => count(one.count), true],
            ],
            scores,
          ),
        ),
        section(
          "By label",
          table(
            "Anomalies by label",
            [
              [
                "label",
                (one) =>
                  button(h("bdi", {}, plain(one.label)), () => go("insights", { ...this.times(), label: one.label }), {
                    class: "chip",
                  }),
              ],
              ["share", (one) => bar(one.anomalies / widest)],
              ["anomalies", (one) => count(one.anomalies), true],
            ],
            labels,
            "No labels: rules give them to series.",
          ),
        ),
      ),
      this.asked(request),
    );
    this.map.show(heat);
  }

  asked(request) {
    const body = typeof request.body === "string" ? request.body : JSON.stringify(request.body, null, 2);
    const said = h("span", { class: "small", role: "status" });
    const quoted = body.replaceAll("'", "'\\''");
    const curl = `curl -X ${request.method} '${request.url}' -H 'Content-Type: application/json' -d '${quoted}'`;
    return h(
      "details",
      {},
      h("summary", {}, "The request to Elasticsearch"),
      h(
        "p",
        {},
        button("Copy", () => copy(`${request.method} ${request.url}\n${body}`, said)),
        " ",
        button("Copy as curl", () => copy(curl, said)),
        " ",
        said,
      ),
      h("pre", { tabindex: 0 }, `${request.method} ${request.url}\n${body}`),
    );
  }

  keys() {
    return {};
  }

  restyle() {
    this.tools();
    this.map.draw();
    this.ask();
  }

  close() {
    this.map.close();
  }
}

function section(title, ...content) {
  return h("section", { "aria-label": title }, h("h2", {}, title), ...content);
}
