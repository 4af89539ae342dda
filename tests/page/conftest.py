"""One Chromium for all tests of the page; each gets a server and windows of its own."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from made_server import Made, serving
from window import Window, chromium, windows


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def made() -> Iterator[Made]:
    with serving() as server:
        yield server


@pytest.fixture
def window(browser: Browser, made: Made) -> Iterator[Window]:
    with windows(browser, made.address) as opened:
        yield opened
