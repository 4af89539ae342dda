// What is looked at is in the address, so a link opens the same view: #/VIEW?PARAMETERS.

export function parse(hash) {
  const text = hash.replace(/^#\/?/, "");
  const at = text.indexOf("?");
  const view = at < 0 ? text : text.slice(0, at);
  return { view: view || "all", parameters: new URLSearchParams(at < 0 ? "" : text.slice(at + 1)) };
}

// `parameters`: an object, whose lists stand for several of the same name, and null for none.
export function href(view, parameters = {}) {
  const made = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") made.append(key, one);
    }
  }
  const asked = made.toString();
  return `#/${view}${asked ? `?${asked}` : ""}`;
}

export function go(view, parameters = {}, options = {}) {
  follow(href(view, parameters), options);
}

export function follow(hash, { replace = false } = {}) {
  if (hash === location.hash) return;
  // Told at once: a browser tells of a new location.hash later, and what a key did meanwhile would be undone then.
  history[replace ? "replaceState" : "pushState"](null, "", hash);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

// A moment with what came before it and after.
export function seriesAround(name, from, to) {
  const room = Math.max((to - from) / 2, 3e4);
  return href("series", { name, since: Math.round(from - room), until: Math.round(to + room) });
}
