// What stands in a place while it is asked for, when that failed, and when there is nothing.
import { button, fill, h } from "./dom.js";

// Asks, shows; what is asked anew ends what was asked before. Returns a function that asks again.
export function loaded(place, ask, show) {
  let running = null,
    isFirst = true;
  return async function again() {
    running?.abort();
    const mine = (running = new AbortController());
    place.setAttribute("aria-busy", "true");
    if (isFirst) fill(place, h("p", { class: "loading" }, "Loading…"));
    try {
      const answer = await ask(mine.signal);
      if (mine.signal.aborted) return;
      isFirst = false;
      show(answer);
    } catch (error) {
      if (mine.signal.aborted || error.name === "AbortError") return;
      fill(place, failed(error, again));
    } finally {
      if (!mine.signal.aborted) place.removeAttribute("aria-busy");
    }
  };
}

export function failed(error, again) {
  if (error.status === undefined) console.error(error); // a mistake of this page, not an answer
  return h("p", { class: "note", role: "alert" }, `${error.message} `, button("Try again", again));
}

export function empty(title, ...next) {
  return h("div", { class: "blank" }, h("p", {}, h("strong", {}, title)), ...next);
}
