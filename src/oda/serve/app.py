"""The routes: each asks `oda.query`, and answers in JSON. What they take and give: docs/page.md."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import msgspec
from aiohttp import web

from oda.core.kinds import ANOMALIES, WINDOWS, ClosedWindow, Located
from oda.errors import UserError
from oda.query.bands import derived
from oda.query.feed import Feed, News, now_ms
from oda.query.history import Asked, History
from oda.query.live import Live
from oda.query.reduced import Span
from oda.query.rules import RulesBook
from oda.query.series import SORTS
from oda.serve import answers
from oda.serve.answers import BadRequest, choice, number, series_name, times
from oda.serve.guard import Guard
from oda.serve.push import Hub, serve_viewer
from oda.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

PAGE = Path(__file__).parent / "page"

_ASKING = 8
"""Questions to stores at once; each takes a thread."""

_RULES_SECONDS = 5.0

MAX_LIMIT = 1_000


class Service:
    """What the routes share: the live model, the past, the viewers."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.live = Live()
        self.hub = Hub()
        self.rules = RulesBook(settings)
        self.history = History(settings, self.rules)
        self.feed = Feed(settings, self._heard)
        self._threads = concurrent.futures.ThreadPoolExecutor(_ASKING, "asking")
        self._loop: asyncio.AbstractEventLoop | None = None

    async def running(self, _: web.Application) -> Any:
        """From the start of the application to its end."""
        self._loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(work) for work in (self.hub.run(), self._follow_rules())]
        self.feed.start()
        yield
        self.feed.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.history.close()
        self.rules.close()

    async def ask(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do in a thread what waits for a server."""
        assert self._loop is not None
        return await self._loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))

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
        for anomaly in news.anomalies:
            self.hub.take("anomalies", anomaly.row.series, ANOMALIES.document(*anomaly))
        for place in self.live.changed:
            known = self.live.incidents.get(place)
            if known is not None:
                self.hub.take_incident(known.document())

    def _push_window(self, found: Located[ClosedWindow]) -> None:
        """With what follows from it for the readings after it."""
        window = found.row
        self.hub.take("windows", window.series, WINDOWS.document(*found))
        rule = self.rules.known().at(found.partition, window.closed_at).of(window.series)
        for allowed in derived(rule, window if window.closed_by != "rules" else None):
            band = {"series": window.series, "partition": found.partition, "since": window.end, **allowed._asdict()}
            self.hub.take("bands", window.series, band)

    async def _follow_rules(self) -> None:
        while True:
            with suppress(UserError):  # the feed tells of a Kafka that is away
                await self.ask(self.rules.current)
            await asyncio.sleep(_RULES_SECONDS)


class Routes:
    """The API of the page."""

    def __init__(self, service: Service, guard: Guard) -> None:
        self._service = service
        self._guard = guard

    def table(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/api/me", self.me),
            web.post("/api/login", self.login),
            web.get("/api/series", self.series),
            web.get("/api/series/data", self.data),
            web.get("/api/live", self.viewer),
        ]

    async def me(self, request: web.Request) -> web.Response:
        """Whether who asks must log in first, and who it is."""
        who = self._guard.who(request)
        return answers.json({"login_needed": who is None, "name": who})

    async def login(self, request: web.Request) -> web.Response:
        """Gives the cookie for a token."""
        found = await _body(request, _Login)
        return await self._guard.login(found.token)

    async def series(self, request: web.Request) -> web.Response:
        """Some of all series, searched and sorted."""
        live, now = self._service.live, now_ms()
        total, page = live.series.page(
            request.query.get("q", "")[: answers.MAX_NAME],
            choice(request, "sort", SORTS),
            choice(request, "order", ("asc", "desc")) == "desc",
            number(request, "offset", 0, 0, 2**31),
            number(request, "limit", 100, 1, MAX_LIMIT),
            now,
        )
        rules = self._service.rules.known()
        return answers.json({"total": total, "series": [live.describe(known, rules, now) for known in page]})

    async def data(self, request: web.Request) -> web.Response:
        """What a chart shows of one series."""
        name, (since, until) = series_name(request), times(request)
        span = Span(since, until, number(request, "pixels", 1_000, 10, 10_000))
        live, now = self._service.live, now_ms()
        known = live.series.get(name, now)
        partition, state = None, None
        if known is not None:
            partition = known.partition
            state = live.describe(known, self._service.rules.known(), now)["state"]
        incidents = [one for one in live.incidents.find("all", name, "", "") if one.newest.series == name]
        asked = Asked(name, span, partition, incidents, state)
        return answers.json(await self._service.ask(self._service.history.series, asked))

    async def viewer(self, request: web.Request) -> web.StreamResponse:
        """A web socket: see `oda.serve.push`."""
        return await serve_viewer(self._service.hub, request)


class _Login(msgspec.Struct):
    token: str


Body = TypeVar("Body", bound=msgspec.Struct)


async def _body(request: web.Request, kind: type[Body]) -> Body:
    """What was posted as JSON. Raises BadRequest."""
    if request.content_type != "application/json":
        raise BadRequest("the content type must be application/json")
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.DecodeError as problem:
        raise BadRequest(str(problem)) from None


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """What is wrong is told as the API tells it."""
    try:
        return await handler(request)
    except BadRequest as problem:
        return answers.error(HTTPStatus.BAD_REQUEST, str(problem))
    except UserError as problem:
        return answers.error(HTTPStatus.SERVICE_UNAVAILABLE, str(problem))


async def _index(_: web.Request) -> web.StreamResponse:
    return web.FileResponse(PAGE / "index.html")


def application(service: Service, guard: Guard) -> web.Application:
    """The whole server."""
    app = web.Application(middlewares=[guard.middleware, _errors], client_max_size=64 * 1024)
    app.cleanup_ctx.append(service.running)
    app.add_routes([*Routes(service, guard).table(), web.get("/", _index), web.static("/page", PAGE)])
    return app
