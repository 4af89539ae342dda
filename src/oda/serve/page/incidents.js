// Incidents: what is open first, who has seen it, and whether it was one.
import { get } from "./api.js";
import { Card, SHAPES } from "./card.js";
import { button, fill, h, keyed } from "./dom.js";
import { count } from "./format.js";
import { go } from "./route.js";
import { empty, loaded } from "./state.js";

const PAGE = 50;
const STATES = { open: "Open", resolved: "Resolved", all: "All" };

export function open(place, parameters, { live }) {
  const view = new Incidents(place, live);
  view.update(parameters);
  return view;
}

class Incidents {
  constructor(place, live) {
    document.title = "Incidents – ODA";
    Object.assign(this, { live, limit: PAGE, cards: new Map(), rows: new Map() });
    this.list = h("div", { class: "cards" });
    this.more = h("p", {});
    this.problem = h("div", {});
    this.said = h("span", { class: "small", role: "status" });
    this.suppressed = h("span", {});
    this.state = h("span", { class: "group", role: "group", "aria-label": "State" });
    this.search = h("input", {
      type: "search",
      placeholder: "Search (/)",
      "aria-label": "Search incidents",
      oninput: () => this.later("q", this.search),
    });
    this.label = h("input", {
      type: "search",
      placeholder: "label=value",
      "aria-label": "Label, as key=value",
      oninput: () => this.later("label", this.label),
    });
    this.severity = h(
      "select",
      { "aria-label": "Severity", onchange: () => this.go({ severity: this.severity.value }) },
      [["", "any severity"], ...Object.entries(SHAPES).map(([name, shape]) => [name, `${shape} ${name}`])].map(
        ([value, text]) => h("option", { value }, text),
      ),
    );
    fill(
      place,
      h("h1", { class: "hidden" }, "Incidents"),
      h("div", { class: "toolbar" }, this.state, this.severity, this.search, this.label, this.suppressed, this.said),
      this.problem,
      this.list,
      this.more,
    );
    this.ask = loaded(
      this.problem,
      (signal) => get("incidents", { ...this.asked, limit: this.limit }, signal),
      (answer) => this.show(answer),
    );
    this.onRows = (event) => event.detail.incidents?.length && this.soon();
    live.addEventListener("rows", this.onRows);
    this.timer = setInterval(() => {
      for (const [key, card] of this.cards) card.tick(this.rows.get(key));
    }, 5000);
  }

  update(parameters) {
    this.asked = Object.fromEntries(
      ["state", "q", "severity", "label", "suppressed"].map((name) => [name, parameters.get(name) ?? ""]),
    );
    this.asked.state ||= "all";
    this.asked.suppressed ||= "hidden";
    for (const [name, input] of [
      ["q", this.search],
      ["label", this.label],
      ["severity", this.severity],
    ]) {
      if (document.activeElement !== input) input.value = this.asked[name];
    }
    fill(
      this.state,
      Object.entries(STATES).map(([state, text]) =>
        button(text, () => this.go({ state }), { "aria-pressed": String(state === this.asked.state) }),
      ),
    );
    this.ask();
  }

  refresh() {
    return this.ask();
  }

  soon() {
    this.waiting ??= setTimeout(() => {
      this.waiting = null;
      this.ask();
    }, 1000);
  }

  later(name, input) {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.go({ [name]: input.value }), 200);
  }

  go(changed) {
    this.limit = PAGE;
    go("incidents", { ...this.asked, ...changed }, { replace: true });
  }

  show({ total, suppressed, incidents }) {
    fill(this.problem);
    this.offer(suppressed);
    this.rows = new Map(incidents.map((row) => [row.place, row]));
    const open = incidents.filter((row) => row.resolved === null).length;
    const orMore = open === incidents.length && total > open ? " or more" : "";
    const ofThem = open && this.asked.state === "all" ? `, ${open}${orMore} open` : "";
    this.said.textContent = `${count(total)} incident${total === 1 ? "" : "s"}${ofThem}`;
    const nodes = new Map([...this.cards].map(([key, card]) => [key, card.root]));
    keyed(this.list, nodes, [...this.rows.keys()], (key) => {
      const card = new Card(this.rows.get(key), (label) => this.go({ label }));
      this.cards.set(key, card);
      return card.root;
    });
    for (const [key, card] of this.cards) {
      if (!this.rows.has(key)) this.cards.delete(key);
      else card.show(this.rows.get(key));
    }
    fill(
      this.more,
      total > incidents.length
        ? button(`Show more (${count(total - incidents.length)})`, () => {
            this.limit += 4 * PAGE;
            this.ask();
          })
        : null,
      total ? null : this.blank(),
    );
  }

  // What incidents of groups suppress is shown if somebody wants it.
  offer(suppressed) {
    this.hidden = suppressed;
    const isShown = this.asked.suppressed === "shown";
    fill(
      this.suppressed,
      suppressed || isShown
        ? button(
            `Suppressed (${count(suppressed)})`,
            () => this.go({ suppressed: isShown ? "hidden" : "shown" }),
            { "aria-pressed": String(isShown), title: "Also those that an incident of a group suppresses" },
          )
        : null,
    );
  }

  blank() {
    const isNarrowed = this.asked.q || this.asked.severity || this.asked.label || this.asked.state !== "all";
    if (isNarrowed) {
      return empty(
        this.asked.state === "open" ? "Nothing is open." : "None is like that.",
        h(
          "p",
          {},
          button("Show all", () => this.go({ state: "all", q: "", severity: "", label: "" })),
        ),
      );
    }
    return empty(
      "No incidents.",
      h("p", {}, "Rules say what makes one: give a detector an ", h("code", {}, "incident"), " policy, then"),
      h("pre", { tabindex: 0 }, "./oda rules apply FILE"),
      h("p", {}, "docs/incidents.md says how."),
    );
  }

  keys() {
    return { "/": () => this.search.focus() };
  }

  restyle() {
    this.cards.forEach((card) => card.root.remove());
    this.cards.clear();
    this.show({ total: this.rows.size, suppressed: this.hidden ?? 0, incidents: [...this.rows.values()] });
    this.ask();
  }

  close() {
    clearInterval(this.timer);
    clearTimeout(this.waiting);
    clearTimeout(this.typing);
    this.live.removeEventListener("rows", this.onRows);
  }
}
