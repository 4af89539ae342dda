"""What the browser is given: small, known, without a way from text to markup. And the page's own arithmetic."""

import gzip
import re
from hashlib import sha256

from oda.serve.files import PAGE
from oda.serve.guard import HEADERS
from window import Window

MOST_BYTES = 150_000
FILES = sorted(file for file in PAGE.rglob("*") if file.suffix in (".html", ".css", ".js", ".svg"))


def test_all_that_is_loaded_is_small():
    sizes = {file.name: len(gzip.compress(file.read_bytes())) for file in FILES}
    assert sum(sizes.values()) < MOST_BYTES, sizes


def test_what_others_made_is_what_they_made():
    said = dict(re.findall(r"`(\S+)` \|.*`([0-9a-f]{64})`", (PAGE / "vendor" / "README.md").read_text()))
    vendored = {file.name: sha256(file.read_bytes()).hexdigest() for file in FILES if file.parent.name == "vendor"}
    assert said == vendored
    assert (PAGE / "vendor" / "uPlot.LICENSE").read_text().startswith("The MIT License")


def test_text_never_becomes_markup():
    ways = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function|srcdoc")
    for file in FILES:
        if file.suffix == ".js":
            assert not ways.search(file.read_text()), file.name
    index = (PAGE / "index.html").read_text()
    assert not re.search(r"<style|style=|<script(?! src=| type=\"module\" src=)|\son\w+=", index)


def test_what_is_imported_is_used():
    for file in PAGE.glob("*.js"):
        code = file.read_text()
        for names in re.findall(r"^import (?:\{([^}]*)\}|\* as (?:\w+)) from", code, re.MULTILINE):
            for name in filter(None, re.split(r"[,\s]+", names)):
                assert len(re.findall(rf"\b{name}\b", code)) > 1, f"{file.name}: {name}"


def test_the_policy_holds(window: Window):
    page = window("/#/all", allowed=("Content Security Policy", "TrustedHTML", "This document requires"))
    assert "script-src 'self'" in HEADERS["Content-Security-Policy"]
    page.evaluate("""() => {
        const script = document.createElement("script");
        script.append("window.inline = 1");
        document.body.append(script);
    }""")
    assert page.evaluate("window.inline") is None
    written = (
        "() => { try { document.body.innerHTML = '<b>x</b>'; return 'written'; } catch (error) { return error.name; } }"
    )
    assert page.evaluate(written) == "TypeError"


def module(window: Window, name: str, code: str):
    return window("/#/pipeline").evaluate(f"async () => {{ const module = await import('/page/{name}.js'); {code} }}")


def test_what_is_pushed_twice_counts_once_and_late_ones_find_their_place(window: Window):
    code = """
      const data = new module.SeriesData("a");
      data.load({ readings: { times: [10, 20, 30], values: [1, 2, 3] } });
      data.push({ readings: [[20, 2], [25, 9], [40, 4], [40, 5], [40, 4]] });
      return [data.times, data.values];"""
    assert module(window, "data", code) == [[10, 20, 25, 30, 40, 40], [1, 2, 9, 3, 4, 5]]


def test_pushed_readings_are_folded_into_steps(window: Window):
    code = """
      const data = new module.SeriesData("a");
      const reduced = { times: [0, 100], means: [1, 2], lows: [0, 1], highs: [3, 4], counts: [2, 1] };
      data.load({ reduced, step: 100 });
      data.push({ readings: [[50, 99], [150, 8], [250, 7]] });
      return [data.times, data.values, data.lows, data.highs, data.counts];"""
    assert module(window, "data", code) == [[0, 100, 200], [1, 5, 7], [0, 1, 7], [3, 8, 7], [2, 2, 1]]


def test_what_was_pushed_while_history_was_asked_for_stays(window: Window):
    code = """
      const data = new module.SeriesData("a");
      data.push({ readings: [[30, 3]] });
      data.load({ readings: { times: [10, 20], values: [1, 2] } });
      return data.times;"""
    assert module(window, "data", code) == [10, 20, 30]


def test_a_band_holds_until_the_next_of_its_detector(window: Window):
    code = """
      const data = new module.SeriesData("a");
      const d = { detector: "d" }, e = { detector: "e" };
      data.load({ readings: { times: [], values: [] }, bands: [{ ...d, since: 0, until: 9, low: 1, high: 2 }] });
      data.push({ bands: [{ ...d, since: 10, low: 3, high: 4 }, { ...e, since: 5, low: 0, high: 1 }] });
      return [4, 9.5, 12].map((time) => data.bandsAt(time).map((band) => [band.detector, band.low]));"""
    assert module(window, "data", code) == [[["d", 1]], [["d", 1], ["e", 0]], [["d", 3], ["e", 0]]]


def test_numbers_and_names_are_told_plainly(window: Window):
    code = """
      const { bounds, duration, number, plain } = module;
      return [number(0.30000000000000004), number(-1e12), number(null), duration(3725000), bounds(null, 3),
        bounds(-Infinity, Infinity), plain("a\\u202eb\\u{e0001}\\n")];"""
    told = module(window, "format", code)
    assert told == ["0.3", "−1.000e+12", "–", "1 h 2 min", "up to 3", "anything", r"a\u202eb\u{e0001}\u000a"]


def test_addresses_hold_any_name(window: Window):
    code = """
      const names = ["a&b=c#d?e%zz", "ü/<x>", " ", "+"];
      const { view, parameters } = module.parse(module.href("series", { name: names, live: 5 }));
      return [view, parameters.getAll("name"), parameters.get("live")];"""
    assert module(window, "route", code) == ["series", ["a&b=c#d?e%zz", "ü/<x>", " ", "+"], "5"]
