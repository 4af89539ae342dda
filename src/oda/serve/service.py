"""What the routes share: the live model, the past, the viewers, and what is asked again and again of other servers."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import ParamSpec, Protocol, TypeVar

from aiohttp import web

from oda.core.kinds import ANOMALIES, WINDOWS, Bounds, ClosedWindow, Located
from oda.errors import UserError
from oda.kafka.verdicts import VerdictWriter
from oda.query.bands import Allowed, derived, stored
from oda.query.feed import Feed, News, now_ms
from oda.query.history import History
from oda.query.insights import Insights
from oda.query.live import Live
from oda.query.positions import Positions, RejectedLog
from oda.query.refreshed import Refreshed
from oda.query.rules import RulesBook
from oda.query.storm import StormState
from oda.serve.push import Hub
from oda.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

_ASKING = 8
"""Questions to stores at once; each takes a thread."""

_RULES_SECONDS = 5.0
_POSITIONS_SECONDS = 2.0
_STORM_SECONDS = 5.0


class Stoppable(Protocol):
    """What works in a thread of its own."""

    def stop(self) -> None:
        """Come to an end."""


class Service:
    """What the routes share: the live model, the past, the viewers."""

    def __init__(self, settings: Settings, storm: StormState) -> None:
        self.settings = settings
        self.live = Live(settings.kafka.group)
        self.hub = Hub()
        self.rules = RulesBook(settings)
        self.history = History(settings, self.rules)
        self.feed = Feed(settings, self._heard)
        self.insights = Insights(settings)
        self.verdicts = VerdictWriter(settings.kafka)
        self.positions = Refreshed(
            "positions", _POSITIONS_SECONDS, Positions(settings.kafka, settings.kafka.readings).ask
        )
        self.members = Refreshed("members", _POSITIONS_SECONDS, Positions(settings.kafka, settings.kafka.members).ask)
        self.rejected = Refreshed("rejected messages", _POSITIONS_SECONDS, RejectedLog(settings).ask)
        self.snapshots = Refreshed("snapshots", _POSITIONS_SECONDS, lambda: self.history.store().snapshots())
        self.storm = Refreshed("Storm", _STORM_SECONDS, storm.ask)
        self._threads = concurrent.futures.ThreadPoolExecutor(_ASKING, "asking")
        self._loop: asyncio.AbstractEventLoop | None = None

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """From the start of the application to its end."""
        self._loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(work) for work in (self.hub.run(), self._follow_rules())]
        asked = (self.positions, self.members, self.rejected, self.snapshots, self.storm)
        for one in (self.feed, *asked):
            one.start()
        yield
        # In a thread, as the feed may be waiting for the loop.
        await asyncio.to_thread(self._stop, (*asked, self.feed))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.history.close()
        self.rules.close()
        self.verdicts.close()
        self.insights.close()

    @staticmethod
    def _stop(threads: Iterable[Stoppable]) -> None:
        for one in threads:
            one.stop()

    async def ask(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do in a thread what waits for a server."""
        assert self._loop is not None
        return await self._loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))

    def problems(self) -> list[str]:
        """Why the server does not see all there is; empty if it does."""
        feed = self.feed.problem or (None if self.feed.is_live else "still reading what came before the start")
        found = [("readings and results", feed), ("", self.positions.problem), ("", self.snapshots.problem)]
        return [f"{what}: {problem}" if what else problem for what, problem in found if problem]

    def _heard(self, news: News) -> None:
        """In the feed's thread: have the loop take it, and wait, so that no more is read than can be taken."""
        taken: concurrent.futures.Future[None] = concurrent.futures.Future()

        def take() -> None:
            try:
                self._take(news)
            except BaseException as problem:
                taken.set_exception(problem)
            else:
                taken.set_result(None)

        assert self._loop is not None
        self._loop.call_soon_threadsafe(take)
        taken.result()

    def _take(self, news: News) -> None:
        self.live.take(news, now_ms())
        if not news.is_live or not self.hub.viewers:
            return
        for partition, readings, _ in news.readings:
            self.hub.take_readings(partition, readings)
        for window in news.windows:
            if self.hub.is_watched(window.row.series):
                self._push_window(window)
        for bounds in news.bands:
            if self.hub.is_watched(bounds.row.series):
                self._push_bounds(bounds)
        for anomaly in news.anomalies:
            self.hub.take("anomalies", anomaly.row.series, ANOMALIES.document(*anomaly))
        for place in self.live.changed:
            known = self.live.incidents.get(place)
            if known is not None:
                self.hub.take_incident(known.document())

    def _push_bounds(self, found: Located[Bounds]) -> None:
        """A band that does not follow from its window."""
        row = found.row
        rule = self.rules.known().at(found.partition, row.since).of(row.series)
        size = rule.window.size_ms if rule.window else 0
        for allowed in stored(rule, [row]):
            self._push_band(row.series, found.partition, row.time + size, allowed)

    def _push_band(self, series: str, partition: int, since: int, allowed: Allowed) -> None:
        band = {"series": series, "partition": partition, "since": since, **allowed._asdict()}
        self.hub.take("bands", series, band)

    def _push_window(self, found: Located[ClosedWindow]) -> None:
        """With what follows from it for the readings after it."""
        window = found.row
        self.hub.take("windows", window.series, WINDOWS.document(*found))
        rule = self.rules.known().at(found.partition, window.closed_at).of(window.series)
        for allowed in derived(rule, window if window.closed_by != "rules" else None):
            self._push_band(window.series, found.partition, window.end, allowed)

    async def _follow_rules(self) -> None:
        while True:
            with suppress(UserError):  # the feed tells of a Kafka that is away
                self.live.incidents.follow((await self.ask(self.rules.current)).newest())
            await asyncio.sleep(_RULES_SECONDS)
