"""One Chromium for the tests of a file, each of which gets a server and windows of its own.

Playwright keeps an event loop running: it must be gone when other tests run theirs.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from made_server import Made, serving
from window import Window, chromium, windows


@pytest.fixture(scope="module")
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
