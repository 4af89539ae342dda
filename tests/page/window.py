"""A real Chromium, Debian's, in whose windows nothing may go wrong: no error, no name that is run."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from support import HANG_SECONDS

CHROMIUM = "/usr/bin/chromium"
"""`./oda test` installs it."""

Window = Callable[..., Page]
"""Opens a view, in a window of its own whose options are a browser's context's."""

expect.set_options(timeout=HANG_SECONDS * 1000)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser."""
    with sync_playwright() as playwright:
        # No sandbox, as root has none; no graphics card.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@contextmanager
def windows(browser: Browser, address: str) -> Iterator[Window]:
    """Opens windows, closes them, and says what went wrong in them.

    Raises:
        AssertionError: the console had an error, but for those of `allowed`, or a hostile name was run.
    """
    problems: list[str] = []
    pages: list[Page] = []
    with ExitStack() as contexts:

        def opened(view: str, *, allowed: tuple[str, ...] = (), **options: Any) -> Page:
            context = browser.new_context(**options)
            contexts.callback(context.close)
            page = context.new_page()
            pages.append(page)
            page.set_default_timeout(HANG_SECONDS * 1000)

            def heard(text: str) -> None:
                if not any(part in text for part in allowed):
                    problems.append(text)

            page.on("console", lambda said: heard(said.text) if said.type in ("error", "warning") else None)
            page.on("pageerror", lambda error: heard(str(error)))
            page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
            page.goto(address + view)
            return page

        yield opened
        ran = [page.evaluate("window.ran") for page in pages]
    assert ran == [None] * len(ran), "a name was run"
    assert not problems
