// The series whose windows make a group's readings, each a link; asked for when somebody wants to see them.
import { get } from "./api.js";
import { fill, h, link, named } from "./dom.js";
import { count } from "./format.js";
import { href } from "./route.js";
import { failed } from "./state.js";

const PREFIX = "group:";
const MOST = 200;

export class Members {
  constructor(name) {
    this.name = name;
    this.list = h("div", { "aria-live": "polite" });
    this.root = name.startsWith(PREFIX)
      ? h("details", { ontoggle: () => this.root.open && this.ask() }, h("summary", {}, "Members"), this.list)
      : null;
  }

  async ask() {
    try {
      this.show(await get("members", { name: this.name, limit: MOST }));
    } catch (error) {
      fill(
        this.list,
        failed(error, () => this.ask()),
      );
    }
  }

  show({ total, members }) {
    const some = total > members.length ? `The first ${count(members.length)} of ${count(total)}.` : `${count(total)}.`;
    fill(
      this.list,
      h("p", { class: "small" }, total ? some : "No series that is known belongs to it by the newest rules."),
      h(
        "ul",
        { class: "plain" },
        members.map((name) => h("li", {}, link(href("series", { name, live: 300000 }), named(name)))),
      ),
    );
  }
}
