import { h } from "./dom.js";
import { plain } from "./format.js";

// What the marks mean; a band can be hidden.
export function legend(data, chart) {
  const entry = (kind, text) =>
    h("span", { class: "key" }, h("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), text);
  const made = [entry("value", data.step ? "mean, and from lowest to highest" : "readings")];
  [...data.bands.keys()].forEach((detector, at) => {
    const toggle = h(
      "button",
      { type: "button", class: "key", "aria-pressed": String(!chart.hidden.has(detector)), title: "Show or hide" },
      h("span", { class: `swatch band${at % 3}`, "aria-hidden": "true" }),
      `no anomaly for ${plain(detector)}`,
    );
    toggle.addEventListener("click", () => {
      if (!chart.hidden.delete(detector)) chart.hidden.add(detector);
      toggle.setAttribute("aria-pressed", String(!chart.hidden.has(detector)));
      chart.draw();
    });
    made.push(toggle);
  });
  if (data.anomalies.size) made.push(entry("bad", "anomaly, with its score"));
  if (data.late.times.length) made.push(entry("late", "late"));
  if (data.incidents.size) made.push(entry("incident", "incident"));
  if (data.rules.length) made.push(entry("rules", "other rules"));
  return made;
}
