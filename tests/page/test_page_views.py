"""The page's views in a real Chromium, on made data: what each shows, and what people can do there."""

import re
import time
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Page, expect

from made_server import HOSTILE, STEP, Made, is_anomaly, names
from support import wait_until
from window import Window

NAME = "plant-00/line-0/pump-00007"
SERIES = f"/#/series?name={NAME}&live=300000"


def chart(page: Page, number: int = 0):
    return page.locator(".chart").nth(number)


def loaded_chart(page: Page, number: int = 0):
    place = chart(page, number)
    expect(place).to_have_attribute("aria-label", re.compile(r"(readings|means) from"))
    return place


def asked_of(page: Page) -> dict[str, list[str]]:
    return parse_qs(page.url.partition("?")[2], keep_blank_values=True)


# -- series -------------------------------------------------------------------------------------


COLORS = """(canvas) => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data, found = {};
  const probe = document.documentElement;
  for (const name of ["value", "bad", "band0", "incident"]) {
    probe.style.setProperty("outline-color", `var(--${name})`);
    const [r, g, b] = getComputedStyle(probe).outlineColor.match(/\\d+/g).map(Number);
    found[name] = 0;
    for (let at = 0; at < pixels.length; at += 4) {
      const far = Math.abs(pixels[at] - r) + Math.abs(pixels[at + 1] - g) + Math.abs(pixels[at + 2] - b);
      if (far < 24) found[name]++;
    }
  }
  return found;
}"""


def test_a_series_is_drawn_with_band_and_marks(window: Window):
    page = window(SERIES, viewport={"width": 1200, "height": 900}, allowed=("willReadFrequently",))
    loaded_chart(page)
    expect(page.get_by_role("heading", name=NAME)).to_be_visible()
    expect(page.locator(".legend")).to_contain_text("no anomaly for sigma/1")
    found = page.locator(".chart canvas").evaluate(COLORS)
    assert found["value"] > 500
    assert found["band0"] > 300
    page.get_by_role("button", name=re.compile("no anomaly for")).click()  # hides it
    assert page.locator(".chart canvas").evaluate(COLORS)["band0"] < found["band0"] / 4


def test_marks_are_where_anomalies_are_and_nowhere_else(window: Window, made: Made):
    now = made.started // STEP
    odd = next(step for step in range(now - 60, 0, -1) if is_anomaly(NAME, step))
    since, until = (odd - 50) * STEP, (odd + 50) * STEP
    made.is_calm = True
    page = window(f"/#/series?name={NAME}&since={since}&until={until}", allowed=("willReadFrequently",))
    loaded_chart(page)
    expect(page.get_by_role("heading", name="Anomalies in view: 0")).to_be_visible()
    assert page.locator(".chart canvas").evaluate(COLORS)["bad"] == 0
    made.is_calm = False
    page.reload()
    expect(page.get_by_role("heading", name=re.compile("Anomalies in view: [1-9]"))).to_be_visible()
    assert page.locator(".chart canvas").evaluate(COLORS)["bad"] > 20


def test_a_pushed_reading_is_shown(window: Window, made: Made):
    made.is_silent = True
    page = window(SERIES)
    loaded_chart(page)
    wait_until(lambda: [NAME] in made.viewers.values(), "nothing is watched")
    now = int(time.time() * 1000)
    made.push({"readings": {NAME: [[now, 4711.25, 0, 10**9]]}})
    expect(page.locator(".panel .facts strong")).to_have_text("4711.25")
    expect(chart(page)).to_have_attribute("aria-label", re.compile("to 4711.25, the newest 4711.25"))
    row = {"series": NAME, "time": now, "offset": 10**9, "found_at": 10**9, "partition": 0, "detector": "sigma/1"}
    made.push(
        {"anomalies": [row | {"value": 4711.25, "score": 99.0, "low": 1, "high": 2, "expected": 1.5, "rules": 0}]}
    )
    expect(page.locator(".anomalies")).to_contain_text("4711.25")


def test_a_group_has_links_to_its_members_and_no_other_series_has(window: Window):
    page = window("/#/series?name=group:rack")
    page.get_by_text("Members", exact=True).click()
    expect(page.get_by_text("The first 200 of 301.")).to_be_visible()
    expect(page.locator(".panel details li")).to_have_count(200)
    name = page.locator(".panel details li a").nth(7).inner_text()
    page.locator(".panel details li a").nth(7).click()
    expect(page.locator(".panel h2")).to_have_text(name)
    expect(page.get_by_text("Members", exact=True)).to_have_count(0)


def test_a_slow_viewer_asks_anew_after_a_gap(window: Window, made: Made):
    page = window(SERIES)
    loaded_chart(page)
    before = len(made.asked)
    made.push({"gap": True})
    wait_until(lambda: any("/api/series/data" in path for path in made.asked[before:]), "nothing was asked anew")


def test_a_lost_connection_is_told_and_mended(window: Window, made: Made):
    page = window(SERIES, allowed=("WebSocket", "Failed to load resource"))
    loaded_chart(page)
    made.is_down = True
    made.drop()
    expect(page.locator("#banner")).to_contain_text("No connection to oda serve")
    before = len(made.asked)
    made.is_down = False
    expect(page.locator("#banner")).to_be_empty()
    wait_until(
        lambda: any("/api/series/data" in path for path in made.asked[before:]), "what was missed is not asked for"
    )
    wait_until(lambda: [NAME] in made.viewers.values(), "it is not watched again")


def drag(page: Page, start: float, end: float) -> None:
    box = page.locator(".chart .u-over").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * start, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end, box["y"] + 60, steps=5)
    page.mouse.up()


def test_zoom_is_in_the_address_and_back_undoes_it(window: Window):
    page = window(SERIES)
    loaded_chart(page)
    drag(page, 0.25, 0.5)
    page.wait_for_url(re.compile("since="))
    asked = asked_of(page)
    span = int(asked["until"][0]) - int(asked["since"][0])
    assert 60_000 < span < 90_000
    expect(page.get_by_role("button", name="○ Live")).to_be_visible()
    shown = page.locator(".range").inner_text()
    again = window(page.url[page.url.index("/#") :])  # the link, in another browser
    expect(again.locator(".range")).to_have_text(shown)
    expect(loaded_chart(again)).to_have_attribute("aria-label", re.compile(re.escape(shown.removesuffix(" UTC"))))
    page.go_back()
    expect(page.get_by_role("button", name="● Live")).to_be_visible()


def test_history_comes_with_zooming_out(window: Window):
    page = window(SERIES)
    loaded_chart(page)
    page.get_by_label("How much time").select_option("6 h")
    expect(page.locator(".legend")).to_contain_text("mean, and from lowest to highest")
    expect(loaded_chart(page)).to_have_attribute("aria-label", re.compile("means from"))
    page.locator("summary", has_text="As a table").click()
    expect(page.locator("details th", has_text="lowest")).to_be_visible()


def test_keys_pan_and_zoom(window: Window):
    page = window(SERIES)
    loaded_chart(page).focus()
    page.keyboard.press("l")
    page.wait_for_url(re.compile("since="))
    before = asked_of(page)
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("before => !location.hash.includes(before)", arg=before["since"][0])
    assert int(asked_of(page)["since"][0]) == pytest.approx(int(before["since"][0]) - 60_000, abs=2)
    page.keyboard.press("+")
    page.wait_for_function("() => { const q = new URLSearchParams(location.hash.split('?')[1]); "
                           "return Math.abs(q.get('until') - q.get('since') - 150000) < 3; }")  # fmt: skip
    page.keyboard.press("l")
    page.wait_for_url(re.compile("live="))


def test_keys_that_come_at_once_each_do_their_own(window: Window):
    page = window(SERIES)
    stopped_at = loaded_chart(page).evaluate(
        """(chart) => {
          const press = (key) => chart.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
          press("l");
          const { since } = Object.fromEntries(new URLSearchParams(location.hash.split("?")[1]));
          press("ArrowLeft");
          return Number(since);
        }"""
    )
    page.wait_for_function(
        "before => Math.abs(new URLSearchParams(location.hash.split('?')[1]).get('since') - before + 60000) < 3",
        arg=stopped_at,
    )


def test_several_series_have_one_cursor(window: Window):
    page = window(f"/#/series?name={NAME}&name={names()[500]}&live=300000")
    for number in range(2):
        loaded_chart(page, number)
    page.locator(".chart .u-over").first.hover(position={"x": 300, "y": 60})
    for readout in page.locator(".readout").all():
        expect(readout).to_contain_text("no anomaly is")


def test_why_is_told_beside_an_anomaly(window: Window):
    page = window(f"/#/series?name={NAME}&live=900000")
    why = page.get_by_role("button", name=re.compile("^Why")).first
    why.click()
    expect(why).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".anomalies pre").first).to_contain_text("is above")


def test_next_anomaly_by_key(window: Window):
    page = window(f"/#/series?name={NAME}&live=900000")
    expect(page.locator(".anomalies tbody").first).to_be_visible()
    page.keyboard.press("p")
    expect(page.locator(".readout").first).to_contain_text("anomaly, score")


def test_a_series_without_a_band_says_why(window: Window, made: Made):
    made.no_band = "one reading a window is no baseline"
    page = window(SERIES)
    expect(page.locator(".note")).to_contain_text("No band here: one reading a window is no baseline")


def test_a_series_is_added_and_removed(window: Window):
    page = window(SERIES)
    loaded_chart(page)
    page.get_by_label("Add a series").fill("pump-00008")
    page.keyboard.press("Enter")
    expect(page.locator(".panel")).to_have_count(2)
    page.get_by_role("button", name=f"Remove {NAME}").click()
    expect(page.locator(".panel")).to_have_count(1)
    assert asked_of(page)["name"] == ["plant-00/line-0/pump-00008"]


# -- all series ---------------------------------------------------------------------------------


def test_a_hundred_thousand_series_need_few_rows(window: Window):
    page = window("/#/all")
    expect(page.get_by_text("100,000 series")).to_be_visible()
    grid = page.get_by_role("grid")
    expect(grid).to_have_attribute("aria-rowcount", "100001")
    grid.evaluate("(grid) => { grid.scrollTop = grid.scrollHeight; }")
    expect(grid.get_by_role("row").last).to_contain_text(names()[-1])
    assert page.locator(".v-body .v-row").count() < 100


def test_search_and_order_are_the_servers(window: Window):
    page = window("/#/all")
    page.get_by_label("Search series").fill("pump-0001")
    expect(page.get_by_text("10 found")).to_be_visible()
    expect(page.locator(".v-body .v-row").first).to_contain_text("pump-00010")
    page.get_by_role("button", name="Series", exact=True).click()
    expect(page.get_by_role("columnheader", name="Series")).to_have_attribute("aria-sort", "descending")
    expect(page.locator(".v-body .v-row").first).to_contain_text("pump-00019")
    page.get_by_role("button", name="Score").click()
    expect(page.get_by_role("columnheader", name="Score")).to_have_attribute("aria-sort", "descending")


def test_series_are_chosen_and_opened_by_keys(window: Window):
    page = window("/#/all?q=pump-0001")
    expect(page.get_by_text("10 found")).to_be_visible()
    page.get_by_role("grid").focus()
    for key in ("Space", "ArrowDown", "ArrowDown", "Space"):
        page.keyboard.press(key)
    page.get_by_role("button", name="Show 2 together").click()
    expect(page.locator(".panel")).to_have_count(2)
    page.keyboard.press("2")
    page.get_by_role("grid").focus()
    expect(page.get_by_text("100,000 series")).to_be_visible()
    page.keyboard.press("End")
    expect(page.locator(".v-row.at")).to_contain_text(names()[-1])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=names()[-1])).to_be_visible()


# -- incidents ----------------------------------------------------------------------------------


def test_an_incident_is_acknowledged_and_judged(window: Window, made: Made):
    page = window("/#/incidents")
    card = page.locator(".card", has_text=NAME).first
    card.get_by_role("button", name="Acknowledge").click()
    expect(card).to_contain_text("Saved.")
    card.get_by_role("button", name="False alarm").click()
    card.get_by_label("Comment").fill("the pump was <b>serviced</b>")
    card.get_by_role("button", name="Save").click()
    wait_until(lambda: any(said["comment"] for said in made.verdicts.values()), "no verdict")
    [said] = made.verdicts.values()
    assert said["acknowledged"] is True
    assert (said["verdict"], said["comment"]) == ("false alarm", "the pump was <b>serviced</b>")
    page.reload()
    expect(page.locator(".card", has_text=NAME).first).to_contain_text("✓ acknowledged")
    expect(page.locator(".card", has_text=NAME).first.get_by_label("Comment")).to_have_value(said["comment"])


def test_incidents_are_narrowed(window: Window, made: Made):
    page = window("/#/incidents")
    all_of_them = len(made.incidents())
    expect(page.get_by_text(f"{all_of_them} incidents, 4 open")).to_be_visible()
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_text("4 incidents")).to_be_visible()
    page.get_by_role("button", name="line=1").first.click()
    expect(page.locator(".card")).to_have_count(1)
    assert asked_of(page)["label"] == ["line=1"]
    page.get_by_label("Severity").select_option("critical")
    expect(page.get_by_text("Nothing is open.")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(page.get_by_text(f"{all_of_them} incidents, 4 open")).to_be_visible()


def test_what_an_incident_of_a_group_suppresses_is_shown_if_somebody_wants_it(window: Window, made: Made):
    made.suppressed_by = "group:<b>rack</b>"
    page = window("/#/incidents?state=open")
    expect(page.get_by_text("3 incidents")).to_be_visible()
    page.get_by_role("button", name="Suppressed (1)").click()
    expect(page.get_by_text("4 incidents")).to_be_visible()
    card = page.locator(".card", has_text=NAME).first
    expect(card).to_contain_text("suppressed by group:<b>rack</b>")
    page.get_by_role("button", name="Suppressed (1)").click()
    expect(page.get_by_text("3 incidents")).to_be_visible()


def test_a_pushed_incident_is_shown(window: Window, made: Made):
    made.is_empty = True
    page = window("/#/incidents")
    expect(page.get_by_text("No incidents.")).to_be_visible()
    wait_until(lambda: made.viewers, "nobody listens")
    made.is_empty = False
    made.push({"incidents": made.incidents()[:1]})
    expect(page.locator(".card").first).to_contain_text("critical")
    expect(page.locator(".badge")).to_have_text("4")


# -- pipeline, insights -------------------------------------------------------------------------


def test_the_pipeline_tells_its_health(window: Window):
    page = window("/#/pipeline")
    for text in ("0 differences", "37 s at most", "ConnectionTimeout: 127.0.0.1:9200", "RuntimeError: <b>no</b>"):
        expect(page.get_by_text(text).first).to_be_visible()
    assert page.get_by_role("link", name="Storm's own page").get_attribute("href") == "http://127.0.0.1:8080"
    page.get_by_text("Look at the rejected messages").click()
    page.get_by_role("button", name="Show more (50)").click()
    expect(page.get_by_role("group", name="Rejected messages", exact=True).get_by_role("row")).to_have_count(101)


def test_insights_are_brushed_opened_and_copied(window: Window):
    page = window("/#/insights", permissions=["clipboard-read", "clipboard-write"])
    box = page.locator(".heat-box")
    expect(box).to_have_attribute("aria-label", re.compile("Anomalies of 24 series"))
    page.get_by_text("The request to Elasticsearch").click()
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("POST http://127.0.0.1:9200/oda-anomalies/_search\n{")
    box.drag_to(box, source_position={"x": 100, "y": 40}, target_position={"x": 300, "y": 44})
    page.wait_for_url(re.compile("since="))
    asked = asked_of(page)
    assert int(asked["until"][0]) - int(asked["since"][0]) < 86_400_000 / 2
    expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
    box.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".readout")).to_contain_text("anomalies")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("series.name="))


# -- nothing, and trouble -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "text"),
    [
        ("/#/all", "No series yet."),
        ("/#/series", "No series yet."),
        (SERIES, "No reading in this time."),
        ("/#/incidents", "No incidents."),
        ("/#/pipeline", "The topic has no partitions yet"),
        ("/#/insights", "No anomalies in this time."),
    ],
)
def test_where_nothing_is_it_says_what_to_do(window: Window, made: Made, view: str, text: str):
    made.is_empty = True
    expect(window(view).get_by_text(text).first).to_be_visible()


@pytest.mark.parametrize("what", ["series", "incidents", "pipeline", "insights"])
def test_trouble_is_told_and_can_be_tried_again(window: Window, made: Made, what: str):
    made.failing = {what}
    page = window(f"/#/{what.replace('series', 'all')}", allowed=("Failed to load resource",))
    expect(page.get_by_role("alert")).to_contain_text("Cassandra does not answer.")
    made.failing = set()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(0)


# -- the frame ----------------------------------------------------------------------------------


def test_who_has_no_token_logs_in(window: Window, made: Made):
    made.token = "0123456789abcdef"
    page = window("/#/pipeline", allowed=("Failed to load resource",))
    field = page.get_by_label("Token or password")
    field.fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not the right one")
    field.fill(made.token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Partitions")).to_be_visible()
    assert page.evaluate("document.cookie") == ""


def test_colours_and_times_are_as_chosen(window: Window):
    page = window("/#/pipeline", color_scheme="light", timezone_id="Asia/Tokyo")
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(251, 251, 250)"
    page.keyboard.press("t")
    page.keyboard.press("t")
    assert page.evaluate(background) == "rgb(20, 24, 27)"
    page.reload()
    expect(page.get_by_role("button", name="Colours: dark")).to_be_visible()
    assert page.evaluate(background) == "rgb(20, 24, 27)"
    page.get_by_role("button", name="Times are in UTC").click()
    page.keyboard.press("5")
    expect(page.locator(".range")).to_contain_text("Asia/Tokyo")


def test_the_system_s_dark_is_followed(window: Window):
    page = window("/#/pipeline", color_scheme="dark")
    expect(page.get_by_role("heading", name="Partitions")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 27)"


def test_keys_are_told_and_can_be_switched_off(window: Window):
    page = window("/#/pipeline")
    expect(page.get_by_role("heading", name="Partitions")).to_be_visible()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("next anomaly")
    dialog.get_by_role("checkbox").uncheck()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.keyboard.press("3")
    page.keyboard.press("?")
    page.get_by_role("dialog").get_by_role("checkbox").check()
    page.keyboard.press("Escape")
    assert page.url.endswith("#/pipeline")
    page.keyboard.press("3")
    page.wait_for_url(re.compile("#/incidents"))


# -- hostile names ------------------------------------------------------------------------------

PLAIN = "async (names) => { const { plain } = await import('/page/format.js'); return names.map(plain); }"


def test_hostile_names_and_bytes_are_shown_and_not_run(window: Window):
    page = window("/#/pipeline")
    page.get_by_text("Look at the rejected messages").click()
    page.get_by_role("button", name="Show more").click()
    region = page.get_by_role("group", name="Rejected messages", exact=True)
    expect(region.get_by_role("row")).to_have_count(1 + len(HOSTILE))
    shown = region.locator("td:last-child").all_inner_texts()
    assert shown == page.evaluate(PLAIN, list(HOSTILE))
    assert not any(set(text) & {"\u202e", "\u2066", "\0", "\x1b"} for text in shown)


def test_hostile_series_and_incidents_are_shown_and_not_run(window: Window):
    page = window("/#/all?q=ran")
    hostile = [name for name in HOSTILE if "ran" in name]
    expect(page.get_by_text(f"{len(hostile)} found")).to_be_visible()
    page.get_by_role("grid").evaluate("(grid) => { grid.style.height = '4000px'; }")
    expect(page.locator(".v-body .v-row")).to_have_count(len(hostile))
    assert page.locator(".v-body .v-name").all_inner_texts() == page.evaluate(PLAIN, sorted(hostile))
    for name in page.locator(".v-body .v-name").all()[:3]:
        name.hover()
    page.goto(page.url.partition("#")[0] + "#/incidents?state=all")
    expect(page.get_by_role("heading", name=HOSTILE[0], exact=True)).to_be_visible()


def test_charts_of_hostile_series(window: Window):
    page = window("/#/all")
    go = "async (names) => { (await import('/page/route.js')).go('series', { name: names, live: 300000 }); }"
    page.evaluate(go, list(HOSTILE[:10]))
    for number in range(10):
        loaded_chart(page, number)
    assert page.locator(".panel h2").all_inner_texts() == page.evaluate(PLAIN, list(HOSTILE[:10]))
    page.get_by_role("button", name=re.compile("^Why")).first.click()
    expect(page.locator(".anomalies pre").first).to_contain_text("<script>window.ran=2</script>")
