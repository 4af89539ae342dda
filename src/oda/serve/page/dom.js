// Elements out of values. Whatever comes from outside becomes a text node or an attribute's value, never markup.
import { plain } from "./format.js";

// `on...` attributes are listeners; of the rest true means there, and false, null, undefined not there.
export function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else set(made, key, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function set(element, key, value) {
  if (value === false || value === null || value === undefined) element.removeAttribute(key);
  else element.setAttribute(key, value === true ? "" : value);
}

export function fill(element, ...children) {
  element.replaceChildren(
    ...children.flat().filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

// A name that others chose: isolated, so that it can't turn the direction of what stands beside it.
export function named(text, tag = "bdi") {
  return h(tag, { class: "name", dir: tag === "bdi" ? null : "auto" }, plain(text));
}

export function link(hash, ...children) {
  return h("a", { href: hash }, ...children);
}

export function button(label, action, attributes = {}) {
  return h("button", { type: "button", onclick: action, ...attributes }, label);
}

// A table whose columns are [title, cell of a row, is it a number].
export function table(caption, columns, rows, empty = "None.") {
  if (!rows.length) return h("p", { class: "empty" }, empty);
  const kind = (column) => ({ class: column[2] ? "number" : null });
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "group", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "hidden" }, caption),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          columns.map((column) => h("th", { scope: "col", ...kind(column) }, column[0])),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map((row) =>
          h(
            "tr",
            {},
            columns.map((column) => h("td", kind(column), column[1](row))),
          ),
        ),
      ),
    ),
  );
}

// A bar whose length is a share of its place.
export function bar(share) {
  const inner = h("span", { class: "bar-inner" });
  inner.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return h("span", { class: "bar", "aria-hidden": "true" }, inner);
}

export async function copy(text, said) {
  try {
    await navigator.clipboard.writeText(text);
    said.textContent = "Copied.";
  } catch {
    said.textContent = "The browser does not let pages copy; select the text.";
  }
  setTimeout(() => {
    said.textContent = "";
  }, 3000);
}

// Children in the order of `keys`, each made once; those that stay are not touched: focus and what is open stay, too.
export function keyed(parent, known, keys, make) {
  const wanted = new Set(keys);
  for (const [key, node] of known) {
    if (!wanted.has(key)) {
      node.remove();
      known.delete(key);
    }
  }
  let next = parent.firstChild;
  for (const key of keys) {
    if (!known.has(key)) known.set(key, make(key));
    const node = known.get(key);
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
  }
}

// Makes a place's children like others, keeping what can be kept: focus, what is selected, how far it is scrolled. For
// what has no listeners, as those of the others are not taken over.
export function renew(place, ...children) {
  const wanted = document.createDocumentFragment();
  wanted.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  morph(place, wanted);
}

function morph(old, wanted) {
  if (old.childNodes.length !== wanted.childNodes.length) {
    old.replaceChildren(...wanted.childNodes);
    return;
  }
  [...wanted.childNodes].forEach((child, at) => {
    const kept = old.childNodes[at];
    if (kept.nodeName !== child.nodeName) {
      kept.replaceWith(child);
    } else if (child.nodeType === Node.TEXT_NODE) {
      if (kept.data !== child.data) kept.data = child.data;
    } else {
      for (const name of kept.getAttributeNames()) if (!child.hasAttribute(name)) kept.removeAttribute(name);
      for (const name of child.getAttributeNames()) {
        if (kept.getAttribute(name) !== child.getAttribute(name)) kept.setAttribute(name, child.getAttribute(name));
      }
      morph(kept, child);
    }
  });
}
