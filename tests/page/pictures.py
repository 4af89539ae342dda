"""Takes the pictures of docs/page.md, of a running `oda demo`; after two minutes there is something to see.

PYTHONPATH=tests .venv/bin/python tests/page/pictures.py http://127.0.0.1:8088/
"""

import io
import sys
from typing import Any
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Browser

from oda.collect.kinds import SERIES
from oda.paths import ROOT
from window import chromium

MOST_BYTES = 150_000
WIDE = {"viewport": {"width": 1280, "height": 860}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
FOUR = urlencode([*(("name", name) for name in SERIES[:4]), ("live", 120_000)])
ONE = urlencode({"name": "demo/season", "live": 120_000})

PICTURES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "series": (f"series?{FOUR}", ".panel:nth-child(4) .chart:not([aria-busy])", WIDE | {"color_scheme": "light"}),
    "series-dark": (f"series?{ONE}", ".anomalies tbody", WIDE | {"color_scheme": "dark"}),
    "series-phone": (f"series?{ONE}", ".anomalies tbody", PHONE | {"color_scheme": "light"}),
    "all": ("all", ".v-body .v-row", WIDE),
    "incidents": ("incidents", ".card", WIDE),
    "pipeline": ("pipeline", ".tile", WIDE),
    "insights": ("insights?last=3600000", ".heat-names a", WIDE | {"color_scheme": "dark"}),
}


def picture(browser: Browser, url: str, ready: str, options: dict[str, Any]) -> bytes:
    """A PNG of few colours."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.goto(url)
    page.locator(ready).first.wait_for()
    page.wait_for_timeout(4_000)  # until charts have gone on a little
    taken = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    context.close()
    small = io.BytesIO()
    taken.quantize(256).save(small, "PNG", optimize=True)
    return small.getvalue()


def main(address: str, *wanted: str) -> None:
    """Those that are named, or all."""
    with chromium() as browser:
        for name in wanted or PICTURES:
            view, ready, options = PICTURES[name]
            found = picture(browser, f"{address.rstrip('/')}/#/{view}", ready, options)
            assert len(found) < MOST_BYTES, f"{name}: {len(found)} bytes"
            (ROOT / "docs" / f"page-{name}.png").write_bytes(found)
            print(f"docs/page-{name}.png: {len(found):,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
