// The frame around the views: which one is shown, the connection's state, keys, colours, and who may look.
import { get, post } from "./api.js";
import * as all from "./all.js";
import { button, fill, h, link, set } from "./dom.js";
import { failed } from "./state.js";
import { help, isTyping } from "./help.js";
import * as incidents from "./incidents.js";
import * as insights from "./insights.js";
import { Live } from "./live.js";
import * as pipeline from "./pipeline.js";
import { go, href, parse } from "./route.js";
import * as series from "./series.js";
import { apply, choose, setting } from "./settings.js";

const VIEWS = {
  series: ["Series", series],
  all: ["All series", all],
  incidents: ["Incidents", incidents],
  pipeline: ["Pipeline", pipeline],
  insights: ["Insights", insights],
};
const THEMES = { system: "light", light: "dark", dark: "system" };
const SIGNS = { system: "◐", light: "☀", dark: "☾" };

apply();
const [main, banner, nav, tools] = ["main", "banner", "views", "tools"].map((id) => document.getElementById(id));
const live = new Live();
let shown = null; // {name, view}
let lost = null; // since when, and until the next try

function show() {
  const { view: name, parameters } = parse(location.hash);
  const known = VIEWS[name] ? name : "all";
  for (const [one, anchor] of Object.entries(anchors)) set(anchor, "aria-current", one === known ? "page" : null);
  if (shown?.name === known) {
    shown.view.update(parameters);
    return;
  }
  shown?.view.close();
  const isMoved = shown !== null;
  fill(main);
  shown = { name: known, view: VIEWS[known][1].open(main, parameters, { live }) };
  if (isMoved) main.focus({ preventScroll: true });
  scrollTo(0, 0);
}

const badge = h("span", { class: "badge", hidden: true });
const anchors = Object.fromEntries(Object.entries(VIEWS).map(([name, [title]]) => [name, link(href(name), title)]));
anchors.incidents.append(" ", badge);

async function countOpen() {
  const found = await get("incidents", { state: "open", limit: 1 }).catch(() => null);
  if (!found) return;
  badge.hidden = !found.total;
  badge.textContent = String(found.total);
  set(badge, "aria-label", `${found.total} open`);
}

let counting = null;
live.addEventListener("rows", (event) => {
  if (!event.detail.incidents?.length) return;
  counting ??= setTimeout(() => {
    counting = null;
    countOpen();
  }, 1000);
});

function tell() {
  if (!lost) {
    fill(banner);
    return;
  }
  const rest = Math.max(0, Math.ceil((lost - Date.now()) / 1000));
  if (!banner.hasChildNodes())
    fill(
      banner,
      h("span", {}),
      button("Try now", () => live.now()),
    );
  const next = rest ? `Trying again in ${rest} s.` : "Trying…";
  banner.firstChild.textContent = `▲ No connection to oda serve: what is shown is of before. ${next}`;
}

live.addEventListener("down", (event) => {
  lost = event.detail.until;
  tell();
  get("me").catch(() => {}); // tells if it was for want of a login
});
live.addEventListener("up", () => {
  lost = null;
  tell();
});
live.addEventListener("again", () => {
  shown?.view.refresh();
  countOpen();
});
setInterval(() => lost && tell(), 1000);

// The token is never kept here: the cookie that it is changed for can't be read by scripts.
function login() {
  if (document.getElementById("token")) return;
  shown?.view.close();
  shown = null;
  const token = h("input", { type: "password", id: "token", autocomplete: "current-password", required: true });
  const said = h("div", {});
  fill(
    main,
    h(
      "form",
      {
        class: "login",
        onsubmit: async (event) => {
          event.preventDefault();
          try {
            await post("login", { token: token.value });
            fill(main);
            begin();
          } catch (error) {
            fill(said, h("p", { class: "note", role: "alert" }, error.message));
          }
        },
      },
      h("h1", {}, "ODA"),
      h("label", { for: "token" }, "Token or password"),
      token,
      h("button", { type: "submit", class: "primary" }, "Log in"),
      said,
    ),
  );
  token.focus();
}
addEventListener("login", login);

function restyle() {
  apply();
  const theme = setting("theme"),
    zone = setting("zone");
  fill(
    tools,
    button(zone === "UTC" ? "UTC" : "local", () => choose("zone", zone === "UTC" ? "local" : "UTC"), {
      class: "quiet",
      title: "Times: UTC or of this place",
      "aria-label": `Times are ${zone === "UTC" ? "in UTC" : "local"}; change`,
    }),
    button(SIGNS[theme], () => choose("theme", THEMES[theme]), {
      class: "quiet",
      id: "theme",
      title: `Colours: ${theme} (T)`,
      "aria-label": `Colours: ${theme}; change to ${THEMES[theme]}`,
    }),
    button("?", openHelp, { class: "quiet", title: "Keys (?)", "aria-label": "Keys and their meanings" }),
  );
}
addEventListener("setting", () => {
  const focused = tools.contains(document.activeElement) ? [...tools.children].indexOf(document.activeElement) : -1;
  restyle();
  if (focused >= 0) tools.children[focused].focus();
  shown?.view.restyle();
});

function openHelp() {
  help();
}

addEventListener("keydown", (event) => {
  if (
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    isTyping(event.target) ||
    document.querySelector("dialog[open]")
  )
    return;
  const own = shown?.view.keys?.() ?? {};
  const isArrow = event.key.startsWith("Arrow");
  if (isArrow && !event.target.closest?.(".chart")) return;
  if (!isArrow && setting("shortcuts") !== "on" && event.key !== "?") return;
  const names = Object.keys(VIEWS);
  const act =
    own[event.key] ??
    {
      "?": openHelp,
      t: () => choose("theme", THEMES[setting("theme")]),
      ...Object.fromEntries(names.map((name, at) => [String(at + 1), () => go(name)])),
    }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address is for views
  main.focus();
});

async function begin() {
  try {
    if ((await get("me")).login_needed) {
      login();
      return;
    }
  } catch (error) {
    if (error.status === 401) return;
    fill(main, failed(error, begin));
    return;
  }
  if (!live.socket) live.connect();
  show();
  countOpen();
}

fill(nav, Object.values(anchors));
restyle();
addEventListener("hashchange", () => (shown ? show() : null));
begin();
