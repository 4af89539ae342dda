"""One Chromium for all tests of the page; each gets a server and a window of its own, in which nothing may go wrong."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from made_server import Made, serving
from support import HANG_SECONDS
from window import Window

expect.set_options(timeout=HANG_SECONDS * 1000)

CHROMIUM = "/usr/bin/chromium"
"""Debian's: `./oda test` installs it."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Of what else runs on the machine nothing is known: no sandbox, as root has none; no graphics card.
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@pytest.fixture
def made() -> Iterator[Made]:
    with serving() as server:
        yield server


def watched(context: BrowserContext, problems: list[str], allowed: tuple[str, ...]) -> Page:
    """A page whose errors are kept, but for those that are part of a test."""
    page = context.new_page()
    page.set_default_timeout(HANG_SECONDS * 1000)

    def heard(text: str) -> None:
        if not any(part in text for part in allowed):
            problems.append(text)

    page.on("console", lambda said: heard(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: heard(str(error)))
    page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
    return page


@pytest.fixture
def window(browser: Browser, made: Made) -> Iterator[Window]:
    """Opens a view; `allowed` are parts of what the console may say."""
    problems: list[str] = []
    with ExitStack() as contexts:

        def opened(view: str, *, allowed: tuple[str, ...] = (), base: str = "", **options: Any) -> Page:
            context = browser.new_context(**options)
            contexts.callback(context.close)
            page = watched(context, problems, allowed)
            page.goto((base or made.address) + view)
            pages.append(page)
            return page

        pages: list[Page] = []
        yield opened
        ran = [page.evaluate("window.ran") for page in pages]
    assert ran == [None] * len(ran), "a name was run"
    assert not problems
