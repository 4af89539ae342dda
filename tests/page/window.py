"""What opens a view in a window of its own: a fixture, whose options are those of a browser's context."""

from collections.abc import Callable

from playwright.sync_api import Page

Window = Callable[..., Page]
