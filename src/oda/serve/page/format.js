// Numbers, times and names as people see them.
import { setting } from "./settings.js";

const INVISIBLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Cs}]/gu;

// A name that hides nothing: what can't be seen, or turns the direction of a text, as an escape.
export function plain(text) {
  return String(text).replace(INVISIBLE, (one) => {
    const code = one.codePointAt(0).toString(16);
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
  });
}

// A text of several lines, as one.
export function line(text) {
  return plain(String(text).replace(/\s+/g, " "));
}

export function number(value, digits = 6) {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : value < 0 ? "−∞" : "–";
  const size = Math.abs(value);
  const text =
    size !== 0 && (size >= 1e9 || size < 1e-4) ? value.toExponential(3) : String(Number(value.toPrecision(digits)));
  return text.replace("-", "−");
}

export function count(value) {
  return value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en");
}

export function several(number, one, more) {
  return `${count(number)} ${number === 1 ? one : more}`;
}

export function rate(value) {
  if (value === null || value === undefined) return "–";
  return `${value >= 100 ? count(value) : number(value, 2)}/s`;
}

export function bounds(low, high) {
  if (isOpen(low) && isOpen(high)) return "anything";
  if (isOpen(low)) return `up to ${number(high)}`;
  return isOpen(high) ? `from ${number(low)}` : `${number(low)} to ${number(high)}`;
}

export function isOpen(bound) {
  return bound === null || bound === undefined || !Number.isFinite(bound);
}

export function zone() {
  return setting("zone") === "local" ? Intl.DateTimeFormat().resolvedOptions().timeZone : "UTC";
}

export function inZone(ms) {
  return uPlot.tzDate(new Date(ms), setting("zone") === "local" ? undefined : "Etc/UTC");
}

const two = (part) => String(part).padStart(2, "0");

export function time(ms, fraction = false) {
  if (ms === null || ms === undefined) return "–";
  const at = setting("zone") === "local" ? new Date(ms) : new Date(ms + new Date(ms).getTimezoneOffset() * 6e4);
  const rest = fraction && ms % 1000 ? `.${String(((ms % 1000) + 1000) % 1000).padStart(3, "0")}` : "";
  return (
    `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ` +
    `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}${rest}`
  );
}

const UNITS = [
  ["d", 864e5],
  ["h", 36e5],
  ["min", 6e4],
  ["s", 1e3],
];

// How long, in one or two units: "3 h 20 min".
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const first = UNITS.findIndex(([, size]) => ms >= size);
  const [unit, size] = UNITS[first];
  if (first === 3) return `${ms < 1e4 ? number(ms / 1e3, 2) : Math.floor(ms / 1e3)} s`;
  const [lower, part] = UNITS[first + 1];
  const rest = Math.floor((ms % size) / part);
  return `${Math.floor(ms / size)} ${unit}${rest ? ` ${rest} ${lower}` : ""}`;
}

export function ago(ms, now = Date.now()) {
  if (ms === null || ms === undefined) return "–";
  const since = now - ms;
  return since < -1000
    ? `in ${duration(-since)}`
    : since < 1000
      ? "now"
      : `${duration(since).split(" ").slice(0, 2).join(" ")} ago`;
}
