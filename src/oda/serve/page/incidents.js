// Incidents: what is open first, who has seen it, and whether it was one.
import { get, post } from "./api.js";
import { button, fill, h, keyed, link, named, set } from "./dom.js";
import { ago, bounds, count, duration, number, plain, time } from "./format.js";
import { go, href, seriesAround } from "./route.js";
import { empty, failed, loaded } from "./state.js";

const PAGE = 50;
const SHAPES = { critical: "■", warning: "▲", info: "●" };
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
    this.state = h("span", { class: "group", role: "group", "aria-label": "State" });
    this.search = h("input", { type: "search", placeholder: "Search (/)", "aria-label": "Search incidents", oninput: () => this.later("q", this.search) });
    this.label = h("input", { type: "search", placeholder: "label=value", "aria-label": "Label, as key=value", oninput: () => this.later("label", this.label) });
    this.severity = h("select", { "aria-label": "Severity", onchange: () => this.go({ severity: this.severity.value }) },
      [["", "any severity"], ...Object.entries(SHAPES).map(([name, shape]) => [name, `${shape} ${name}`])].map(([value, text]) => h("option", { value }, text)));
    fill(place, h("h1", { class: "hidden" }, "Incidents"),
      h("div", { class: "toolbar" }, this.state, this.severity, this.search, this.label, this.said), this.problem, this.list, this.more);
    this.ask = loaded(this.problem, (signal) => get("incidents", { ...this.asked, limit: this.limit }, signal), (answer) => this.show(answer));
    this.onRows = (event) => event.detail.incidents?.length && this.soon();
    live.addEventListener("rows", this.onRows);
    this.timer = setInterval(() => { for (const [key, card] of this.cards) card.tick(this.rows.get(key)); }, 5000);
  }

  update(parameters) {
    this.asked = Object.fromEntries(["state", "q", "severity", "label"].map((name) => [name, parameters.get(name) ?? ""]));
    this.asked.state ||= "all";
    for (const [name, input] of [["q", this.search], ["label", this.label], ["severity", this.severity]]) {
      if (document.activeElement !== input) input.value = this.asked[name];
    }
    fill(this.state, Object.entries(STATES).map(([state, text]) =>
      button(text, () => this.go({ state }), { "aria-pressed": String(state === this.asked.state) })));
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

  show({ total, incidents }) {
    fill(this.problem);
    this.rows = new Map(incidents.map((row) => [row.place, row]));
    const open = incidents.filter((row) => row.resolved === null).length;
    this.said.textContent = `${count(total)} incident${total === 1 ? "" : "s"}${open && this.asked.state === "all" ? `, ${open}${open === incidents.length && total > open ? " or more" : ""} open` : ""}`;
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
    fill(this.more, total > incidents.length ? button(`Show more (${count(total - incidents.length)})`, () => { this.limit += 4 * PAGE; this.ask(); }) : null,
      total ? null : this.blank());
  }

  blank() {
    const isNarrowed = this.asked.q || this.asked.severity || this.asked.label || this.asked.state !== "all";
    if (isNarrowed) {
      return empty(this.asked.state === "open" ? "Nothing is open." : "None is like that.",
        h("p", {}, button("Show all", () => this.go({ state: "all", q: "", severity: "", label: "" }))));
    }
    return empty("No incidents.", h("p", {}, "Rules say what makes one: give a detector an ", h("code", {}, "incident"), " policy, then"),
      h("pre", { tabindex: 0 }, "./oda rules apply FILE"), h("p", {}, "docs/incidents.md says how."));
  }

  keys() {
    return { "/": () => this.search.focus() };
  }

  restyle() {
    this.cards.forEach((card) => card.root.remove());
    this.cards.clear();
    this.show({ total: this.rows.size, incidents: [...this.rows.values()] });
    this.ask();
  }

  close() {
    clearInterval(this.timer);
    clearTimeout(this.waiting);
    clearTimeout(this.typing);
    this.live.removeEventListener("rows", this.onRows);
  }
}

class Card {
  constructor(row, labelled) {
    this.labelled = labelled;
    this.head = h("div", { class: "head" });
    this.since = h("span", {});
    this.body = h("div", {});
    this.form = new Verdict(row);
    this.root = h("article", { class: "card", "aria-label": `${plain(row.severity)} incident of ${plain(row.series)}` }, this.head, this.body, this.form.root);
  }

  show(row) {
    this.form.show(row.verdict);
    const now = JSON.stringify(row);
    if (now === this.shown) return;
    this.shown = now;
    this.top(row);
    const end = row.resolved ?? row.last_time;
    fill(this.body, h("dl", { class: "facts" },
      fact("worst", number(row.worst_value)), fact("no anomaly", bounds(row.low, row.high)), fact("expected", number(row.expected)),
      fact("score", number(row.worst_score, 3)), fact("anomalies", count(row.count)), fact("last", time(row.last_time)),
      fact("detector", plain(row.detector)), fact("rules", count(row.rules))),
    h("p", { class: "chips" }, Object.entries(row.labels ?? {}).map(([key, value]) =>
      button(h("bdi", {}, `${plain(key)}=${plain(value)}`), () => this.labelled(`${key}=${value}`), { class: "chip", title: "Only with this label" })),
    link(seriesAround(row.series, row.opened, end), "Chart"), " "));
  }

  // What becomes other as time goes.
  tick(row) {
    this.since.textContent = row.resolved === null ? `open since ${time(row.opened)}, ${duration(Math.max(0, Date.now() - row.opened))}`
      : `${time(row.opened)}, lasted ${duration(row.resolved - row.opened)}`;
  }

  top(row) {
    const isOpen = row.resolved === null;
    this.root.classList.toggle("is-open", isOpen);
    this.root.dataset.severity = row.severity;
    this.since.className = isOpen ? "alarm" : "soft";
    this.tick(row);
    fill(this.head, h("span", { class: "severity" }, `${SHAPES[row.severity] ?? "◆"} ${plain(row.severity)}`),
      h("h2", {}, link(href("series", { name: row.series, live: 300000 }), named(row.series))),
      this.since,
      row.verdict?.acknowledged ? h("span", { class: "good" }, "✓ acknowledged") : null,
      row.verdict?.verdict ? h("span", { class: "soft" }, row.verdict.verdict === "true" ? "✓ true" : "✗ false alarm") : null);
  }
}

// What people say of an incident; kept in the log, so that other rules can be scored against it.
class Verdict {
  constructor(row) {
    this.place = row.place;
    this.said = { acknowledged: false, verdict: null, comment: "" };
    const toggle = (text, change) => button(text, () => this.send(change()));
    this.acknowledged = toggle("✓ Acknowledge", () => ({ acknowledged: !this.said.acknowledged }));
    this.verdicts = { true: toggle("True", () => this.or("true")), "false alarm": toggle("False alarm", () => this.or("false alarm")) };
    this.comment = h("input", { type: "text", maxlength: 1000, placeholder: "Comment", "aria-label": "Comment", oninput: () => { this.save.hidden = false; } });
    this.save = h("button", { type: "submit", class: "primary", hidden: true }, "Save");
    this.note = h("span", { class: "small", role: "status" });
    this.root = h("form", { class: "verdict", onsubmit: (event) => { event.preventDefault(); this.send({}); } },
      this.acknowledged, ...Object.values(this.verdicts), this.comment, this.save, this.note);
  }

  // The same once more takes it back.
  or(verdict) {
    return { verdict: this.said.verdict === verdict ? null : verdict };
  }

  show(said) {
    if (said) this.said = { acknowledged: said.acknowledged, verdict: said.verdict, comment: said.comment ?? "" };
    set(this.acknowledged, "aria-pressed", String(this.said.acknowledged));
    for (const [verdict, pressed] of Object.entries(this.verdicts)) set(pressed, "aria-pressed", String(this.said.verdict === verdict));
    if (this.save.hidden) this.comment.value = this.said.comment; // what is being written stays
    if (said?.at) this.note.textContent = `${said.by ? `by ${plain(said.by)}, ` : ""}${ago(said.at)}`;
  }

  async send(change) {
    const said = { ...this.said, ...change, comment: this.comment.value };
    try {
      await post("incidents/verdict", { place: this.place, ...said });
      this.save.hidden = true;
      this.show(said);
      this.note.textContent = "Saved.";
    } catch (error) {
      fill(this.note, failed(error, () => this.send(change)));
    }
  }
}

function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}
