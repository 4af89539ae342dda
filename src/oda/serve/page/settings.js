// What this browser's user has chosen; kept here, told nobody.
const DEFAULTS = { theme: "system", zone: "UTC", shortcuts: "on" };

export function setting(name) {
  try {
    return localStorage.getItem(`oda.${name}`) ?? DEFAULTS[name];
  } catch {
    return DEFAULTS[name]; // a browser that keeps nothing
  }
}

export function choose(name, value) {
  try {
    localStorage.setItem(`oda.${name}`, value);
  } catch {
    // as above: it holds until the page is left, or not at all
  }
  apply();
  dispatchEvent(new CustomEvent("setting", { detail: name }));
}

export function apply() {
  const theme = setting("theme");
  document.documentElement.style.colorScheme = theme === "system" ? "light dark" : theme;
}

// The colour behind a name of colors.css, as a canvas takes it.
export function color(name) {
  const probe = document.documentElement;
  probe.style.setProperty("outline-color", `var(--${name})`);
  return getComputedStyle(probe).outlineColor;
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  dispatchEvent(new CustomEvent("setting", { detail: "theme" }));
});
