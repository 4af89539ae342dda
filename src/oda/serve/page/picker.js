// A field that finds a series by a part of its name.
import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { plain } from "./format.js";

let made = 0;

export function seriesPicker(label, chosen) {
  const id = `picker-${++made}`;
  const list = h("datalist", { id });
  let names = [],
    timer = null;
  const input = h("input", {
    type: "search",
    list: id,
    placeholder: label,
    "aria-label": label,
    autocomplete: "off",
    oninput: (event) => {
      // Taken from the list, and not typed: "pump-1" may be the beginning of "pump-10".
      if (event.inputType === "insertReplacementText" || event.inputType === undefined) {
        if (names.includes(input.value)) choose(input.value);
        return;
      }
      clearTimeout(timer);
      timer = setTimeout(find, 150);
    },
  });

  async function find() {
    const found = await get("series", { q: input.value, limit: 20 }).catch(() => ({ series: [] }));
    names = found.series.map((one) => one.name);
    fill(
      list,
      names.map((name) => h("option", { value: name, label: plain(name) })),
    );
  }

  function choose(name) {
    input.value = "";
    chosen(name);
  }

  return h(
    "form",
    {
      class: "picker",
      role: "search",
      onsubmit: async (event) => {
        event.preventDefault();
        await find();
        const name = names.includes(input.value) ? input.value : names[0];
        if (name !== undefined) choose(name);
      },
    },
    input,
    list,
  );
}
