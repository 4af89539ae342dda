// One incident, as a card: what is wrong, since when, and what people say of it.
import { post } from "./api.js";
import { button, fill, h, link, named, set } from "./dom.js";
import { ago, bounds, count, duration, number, plain, time } from "./format.js";
import { href, seriesAround } from "./route.js";
import { failed } from "./state.js";

// Told apart by shape, too.
export const SHAPES = { critical: "■", warning: "▲", info: "●" };

export class Card {
  constructor(row, labelled) {
    this.labelled = labelled;
    this.head = h("div", { class: "head" });
    this.since = h("span", {});
    this.body = h("div", {});
    this.form = new Verdict(row);
    this.root = h(
      "article",
      { class: "card", "aria-label": `${plain(row.severity)} incident of ${plain(row.series)}` },
      this.head,
      this.body,
      this.form.root,
    );
  }

  show(row) {
    this.form.show(row.verdict);
    const now = JSON.stringify(row);
    if (now === this.shown) return;
    this.shown = now;
    this.top(row);
    const end = row.resolved ?? row.last_time;
    fill(
      this.body,
      h(
        "dl",
        { class: "facts" },
        fact("worst", number(row.worst_value)),
        fact("no anomaly", bounds(row.low, row.high)),
        fact("expected", number(row.expected)),
        fact("score", number(row.worst_score, 3)),
        fact("anomalies", count(row.count)),
        fact("last", time(row.last_time)),
        fact("detector", plain(row.detector)),
        fact("rules", count(row.rules)),
      ),
      h(
        "p",
        { class: "chips" },
        Object.entries(row.labels ?? {}).map(([key, value]) =>
          button(h("bdi", {}, `${plain(key)}=${plain(value)}`), () => this.labelled(`${key}=${value}`), {
            class: "chip",
            title: "Only with this label",
          }),
        ),
        link(seriesAround(row.series, row.opened, end), "Chart"),
        " ",
      ),
    );
  }

  // What becomes other as time goes.
  tick(row) {
    this.since.textContent =
      row.resolved === null
        ? `open since ${time(row.opened)}, ${duration(Math.max(0, Date.now() - row.opened))}`
        : `${time(row.opened)}, lasted ${duration(row.resolved - row.opened)}`;
  }

  top(row) {
    const isOpen = row.resolved === null;
    this.root.classList.toggle("is-open", isOpen);
    this.root.dataset.severity = row.severity;
    this.since.className = isOpen ? "alarm" : "soft";
    this.tick(row);
    fill(
      this.head,
      h("span", { class: "severity" }, `${SHAPES[row.severity] ?? "◆"} ${plain(row.severity)}`),
      h("h2", {}, link(href("series", { name: row.series, live: 300000 }), named(row.series))),
      this.since,
      row.suppressed_by
        ? h(
            "span",
            { class: "soft" },
            "suppressed by ",
            link(href("incidents", { q: row.suppressed_by, state: "all" }), named(row.suppressed_by)),
          )
        : null,
      row.verdict?.acknowledged ? h("span", { class: "good" }, "✓ acknowledged") : null,
      row.verdict?.verdict
        ? h("span", { class: "soft" }, row.verdict.verdict === "true" ? "✓ true" : "✗ false alarm")
        : null,
    );
  }
}

// What people say of an incident; kept in the log, so that other rules can be scored against it.
class Verdict {
  constructor(row) {
    this.place = row.place;
    this.said = { acknowledged: false, verdict: null, comment: "" };
    const toggle = (text, change) => button(text, () => this.send(change()));
    this.acknowledged = toggle("✓ Acknowledge", () => ({ acknowledged: !this.said.acknowledged }));
    this.verdicts = {
      true: toggle("True", () => this.or("true")),
      "false alarm": toggle("False alarm", () => this.or("false alarm")),
    };
    this.comment = h("input", {
      type: "text",
      maxlength: 1000,
      placeholder: "Comment",
      "aria-label": "Comment",
      oninput: () => {
        this.save.hidden = false;
      },
    });
    this.save = h("button", { type: "submit", class: "primary", hidden: true }, "Save");
    this.note = h("span", { class: "small", role: "status" });
    this.root = h(
      "form",
      {
        class: "verdict",
        onsubmit: (event) => {
          event.preventDefault();
          this.send({});
        },
      },
      this.acknowledged,
      ...Object.values(this.verdicts),
      this.comment,
      this.save,
      this.note,
    );
  }

  // The same once more takes it back.
  or(verdict) {
    return { verdict: this.said.verdict === verdict ? null : verdict };
  }

  show(said) {
    if (said) this.said = { acknowledged: said.acknowledged, verdict: said.verdict, comment: said.comment ?? "" };
    set(this.acknowledged, "aria-pressed", String(this.said.acknowledged));
    for (const [verdict, pressed] of Object.entries(this.verdicts))
      set(pressed, "aria-pressed", String(this.said.verdict === verdict));
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
      fill(
        this.note,
        failed(error, () => this.send(change)),
      );
    }
  }
}

function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}
