// The pipeline's own health: what comes in, how far behind each part is, what was refused, what the last audit said.
import { get } from "./api.js";
import { button, fill, h, renew, table } from "./dom.js";
import { ago, count, duration, line, number, plain, rate } from "./format.js";
import { loaded } from "./state.js";

const FRESH = 2000; // ms
const SLOW = 30; // s of lag that are worth a sign
const OLD = 60; // s since a snapshot or a commit
const PAGE = 50;

export function open(place) {
  return new Pipeline(place);
}

class Pipeline {
  constructor(place) {
    document.title = "Pipeline – ODA";
    this.limit = PAGE;
    this.problem = h("div", {});
    this.troubles = h("div", {});
    this.tiles = h("dl", { class: "tiles" });
    this.partitions = h("div", {});
    this.stores = h("div", {});
    this.storm = h("div", {});
    this.reasons = h("div", {});
    this.rejected = h("div", {});
    this.look = h(
      "details",
      { ontoggle: () => this.look.open && this.askRejected() },
      h("summary", {}, "Look at the rejected messages"),
      this.rejected,
    );
    fill(
      place,
      h("h1", { class: "hidden" }, "Pipeline"),
      this.problem,
      this.troubles,
      this.tiles,
      section("Partitions", this.partitions),
      section("Stores", this.stores),
      section("Storm", this.storm),
      section("Rejected", this.reasons, this.look),
    );
    this.ask = loaded(
      this.problem,
      (signal) => get("pipeline", {}, signal),
      (answer) => this.show(answer),
    );
    this.askRejected = loaded(
      this.rejected,
      (signal) => get("rejected", { offset: 0, limit: this.limit }, signal),
      (answer) => this.showRejected(answer),
    );
    this.follow();
  }

  async follow() {
    if (!document.hidden) await this.ask();
    if (!this.isClosed) this.timer = setTimeout(() => this.follow(), FRESH);
  }

  update() {}

  refresh() {
    return this.ask();
  }

  show(answer) {
    fill(this.problem);
    this.tell(answer);
    renew(
      this.partitions,
      table(
        "Partitions",
        [
          ["partition", (one) => one.partition, true],
          ["end", (one) => count(one.end), true],
          ["committed", (one) => count(one.committed), true],
          ["lag", (one) => count(one.lag), true],
          ["lag in time", (one) => flagged(seconds(one.lag_seconds), one.lag_seconds > SLOW), true],
          ["rate", (one) => rate(one.rate), true],
          ["late", (one) => count(one.late), true],
          [
            "snapshot",
            (one) => flagged(age(one.snapshot_age_seconds), one.snapshot_age_seconds > OLD && one.lag > 0),
            true,
          ],
          ["commit", (one) => flagged(age(one.commit_age_seconds), one.commit_age_seconds > OLD && one.lag > 0), true],
        ],
        answer.partitions,
        "The topic has no partitions yet: ./oda demo makes it.",
      ),
    );
    renew(
      this.stores,
      h(
        "ul",
        { class: "plain" },
        answer.stores.map((store) =>
          h(
            "li",
            {},
            h("strong", {}, plain(store.name)),
            " ",
            store.errors.length
              ? [
                  h(
                    "span",
                    { class: "alarm" },
                    `▲ ${count(store.errors.length)} error${store.errors.length === 1 ? "" : "s"}`,
                  ),
                  h("pre", { tabindex: 0 }, store.errors.map(line).join("\n")),
                ]
              : h("span", { class: "good" }, "● no errors"),
          ),
        ),
      ),
    );
    this.showStorm(answer.storm);
    const { count: all, by_reason: reasons } = answer.rejected;
    renew(
      this.reasons,
      table(
        "Rejected messages by reason",
        [
          ["reason", (one) => plain(one.reason)],
          ["count", (one) => count(one.count), true],
        ],
        reasons,
        "None.",
      ),
    );
    this.look.hidden = !all;
  }

  tell({ partitions, members, rejected, stores, storm, audit, problems }) {
    const sum = (field, of = partitions) => of.reduce((all, one) => all + (one[field] ?? 0), 0);
    const [longest, told] = [partitions, members].map((of) => Math.max(0, ...of.map((one) => one.lag_seconds ?? 0)));
    const errors = stores.reduce((all, one) => all + one.errors.length, 0);
    renew(
      this.troubles,
      (problems ?? []).map((text) => h("p", { class: "note" }, plain(text))),
      audit?.problem ? h("p", { class: "note" }, `The audit could not be made: ${plain(audit.problem)}`) : null,
      (audit?.examples ?? []).length ? h("pre", { tabindex: 0 }, audit.examples.map(plain).join("\n")) : null,
    );
    renew(
      this.tiles,
      tile("Readings", rate(sum("rate")), "in all partitions"),
      tile("Lag", count(sum("lag")), longest ? `${seconds(longest)} at most` : "readings", longest > SLOW),
      sum("end", members)
        ? tile("Groups' lag", count(sum("lag", members)), told ? `${seconds(told)} at most` : "records", told > SLOW)
        : null,
      tile("Late", count(sum("late")), "readings"),
      tile("Rejected", count(rejected.count), "messages"),
      tile(
        "Stores",
        errors ? `${count(errors)} error${errors === 1 ? "" : "s"}` : "no errors",
        `${stores.length} stores`,
        errors > 0,
      ),
      tile(
        "Storm",
        storm.error ? "no answer" : plain(storm.state ?? "not running"),
        storm.error ? "see below" : `${count(storm.components?.length ?? 0)} components`,
        Boolean(storm.error) || storm.state !== "ACTIVE",
      ),
      audit
        ? tile(
            "Audit",
            `${count(audit.differences)} difference${audit.differences === 1 ? "" : "s"}`,
            `${ago(audit.at)}, to offset ${offsets(audit.offsets)}`,
            audit.differences > 0,
          )
        : tile("Audit", "none", "./oda verify --every 10m"),
    );
  }

  showStorm(storm) {
    if (storm.error) {
      renew(this.storm, h("p", { class: "note" }, plain(storm.error)));
      return;
    }
    const ui = /^https?:\/\//.test(storm.ui ?? "") ? storm.ui : null;
    renew(
      this.storm,
      ui ? h("p", {}, h("a", { href: ui, rel: "noreferrer" }, "Storm's own page")) : null,
      table(
        "Storm's components",
        [
          ["component", (one) => plain(one.id)],
          ["executors", (one) => count(one.executors), true],
          ["executed", (one) => count(one.executed), true],
          ["failed", (one) => flagged(count(one.failed), one.failed > 0), true],
          ["each", (one) => (one.process_ms === null ? "–" : `${number(one.process_ms, 3)} ms`), true],
          ["last error", (one) => one.last_error && h("span", { class: "alarm" }, `▲ ${line(one.last_error)}`)],
        ],
        storm.components ?? [],
        "The topology does not run: ./oda demo submits it.",
      ),
    );
  }

  showRejected({ total, messages }) {
    fill(
      this.rejected,
      table(
        "Rejected messages",
        [
          ["partition", (one) => one.partition, true],
          ["offset", (one) => count(one.offset), true],
          ["reason", (one) => plain(one.reason)],
          ["key", (one) => h("code", {}, plain(one.key ?? "none"))],
          ["message", (one) => h("code", {}, plain(one.value ?? "none"))],
        ],
        messages,
      ),
      total > messages.length
        ? button(`Show more (${count(total - messages.length)})`, () => {
            this.limit += 4 * PAGE;
            this.askRejected();
          })
        : null,
    );
  }

  keys() {
    return {};
  }

  restyle() {
    this.ask();
  }

  close() {
    this.isClosed = true;
    clearTimeout(this.timer);
  }
}

function section(title, ...content) {
  return h("section", { "aria-label": title }, h("h2", {}, title), ...content);
}

function tile(name, value, more, isBad = false) {
  return h(
    "div",
    { class: isBad ? "tile bad" : "tile" },
    h("dt", {}, name),
    h("dd", {}, h("strong", {}, isBad ? `▲ ${value}` : value), h("span", { class: "small" }, more)),
  );
}

function flagged(text, isBad) {
  return isBad ? h("span", { class: "alarm" }, `▲ ${text}`) : text;
}

function seconds(value) {
  return value === null || value === undefined ? "–" : duration(value * 1000);
}

function age(value) {
  return value === null || value === undefined ? "–" : value < 0.1 ? "now" : `${duration(value * 1000)} ago`;
}

function offsets(byPartition) {
  const all = Object.values(byPartition);
  return all.length === 1 ? count(all[0]) : `${count(all.reduce((a, b) => a + b, 0))} in ${all.length} partitions`;
}
