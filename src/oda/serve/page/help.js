// Which keys do what.
import { button, h } from "./dom.js";
import { choose, setting } from "./settings.js";

const KEYS = [
  ["1 … 5", "the views"],
  ["/", "search"],
  ["t", "colours: as the system, light, dark"],
  ["?", "this"],
  ["l", "series: follow, or stop here"],
  ["+  −", "series: zoom in, zoom out"],
  ["←  →", "chart: earlier, later"],
  ["n  p", "series: next anomaly, previous one"],
  ["↑  ↓  Enter  Space", "all series: move, open, choose to show together"],
  ["Shift + drag", "chart: pan; without Shift: zoom"],
];

export function isTyping(element) {
  return element.matches?.("input:not([type=checkbox]):not([type=radio]), select, textarea") ?? false;
}

export function help() {
  const switched = h("input", {
    type: "checkbox",
    checked: setting("shortcuts") === "on",
    onchange: () => choose("shortcuts", switched.checked ? "on" : "off"),
  });
  const dialog = h(
    "dialog",
    { "aria-labelledby": "keys" },
    h("h2", { id: "keys" }, "Keys"),
    h(
      "table",
      {},
      h(
        "tbody",
        {},
        KEYS.map(([key, text]) => h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, key)), h("td", {}, text))),
      ),
    ),
    h("p", {}, h("label", {}, switched, " keys of one letter (the dialog opens with ? all the same)")),
    button("Close", () => dialog.close(), { class: "primary" }),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
