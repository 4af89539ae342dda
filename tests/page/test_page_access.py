"""The page is for all: by keyboard, in the dark, on a phone, read aloud. axe-core finds nothing to say."""

import re
import time
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from made_server import Made, names
from window import Window

NOW = int(time.time() * 1000)
SERIES = "/#/series?" + urlencode(
    {"name": [names()[700], names()[0]], "since": NOW - 900_000, "until": NOW}, doseq=True
)
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
READY = {
    SERIES: ".anomalies tbody",
    "/#/series": ".plain a",
    "/#/all": ".v-body .v-row",
    "/#/incidents": ".card",
    "/#/pipeline": ".tile",
    "/#/insights": ".heat-names a",
}


def ready(page: Page, view: str) -> Page:
    expect(page.locator(READY[view]).first).to_be_visible()
    return page


def violations(page: Page) -> str:
    found = Axe().run(page)
    return found.generate_report() if found.violations_count else ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_out(window: Window, scheme: str):
    page = window("/#/all", color_scheme=scheme)
    for view in READY:
        page.goto(page.url.partition("/#")[0] + view)
        ready(page, view)
        for summary in page.locator("summary").all():
            summary.click()
        for why in page.get_by_role("button", name=re.compile("^Why")).all()[:1]:
            why.click()
        assert violations(page) == "", view
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == "", "keys"


def test_nothing_keeps_anybody_out_where_things_are_missing(window: Window, made: Made):
    made.is_empty = True
    page = window("/#/all", allowed=("Failed to load resource",))
    expect(page.get_by_text("No series yet.")).to_be_visible()
    assert violations(page) == ""
    made.failing = {"incidents"}
    page.keyboard.press("3")
    expect(page.get_by_role("alert")).to_be_visible()
    assert violations(page) == ""
    made.token = "0123456789abcdef"
    page.reload()
    expect(page.get_by_label("Token or password")).to_be_visible()
    assert violations(page) == ""


def test_a_phone_shows_all_without_scrolling_sideways(window: Window):
    page = window("/#/all", **PHONE)
    for view in READY:
        page.goto(page.url.partition("/#")[0] + view)
        ready(page, view)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 390, view
        assert violations(page) == "", view


# What can be used, and is not reached another way: in the grid the arrow keys lead to a row's link and box.
USABLE = """() => {
  const all = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")];
  const seen = all.filter((one) => one.checkVisibility() && one.tabIndex >= 0 && !one.disabled);
  seen.forEach((one, at) => { one.dataset.at = at; });
  return seen.length;
}"""

FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one);
  return { at: one.dataset.at ?? null, seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1 };
}"""


@pytest.mark.parametrize("view", ["/#/all", "/#/pipeline", "/#/insights", pytest.param(SERIES, id="series")])
def test_everything_is_reached_by_tab_and_seen(window: Window, view: str):
    page = ready(window(view), view)
    expect(page.locator("[aria-busy]")).to_have_count(0)
    usable = page.evaluate(USABLE)
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(usable + 20):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:
            break
        assert focused["seen"], page.evaluate("document.activeElement.outerHTML")
        reached.add(focused["at"])
    missing = [at for at in range(usable) if str(at) not in reached]
    told = "(at) => document.querySelector(`[data-at='${at}']`)?.outerHTML"
    assert not missing, [page.evaluate(told, at) for at in missing[:5]]


def test_the_skip_link_leads_to_the_content(window: Window):
    page = ready(window("/#/pipeline"), "/#/pipeline")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.url.endswith("#/pipeline")
