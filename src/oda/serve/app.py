"""The routes: each asks `oda.query`, and answers in JSON. What they take and give: docs/page.md."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from aiohttp import web

from oda.core.groups.definition import is_group
from oda.core.reading import MAX_TIME
from oda.errors import UserError
from oda.query import moved
from oda.query.feed import now_ms
from oda.query.history import MOST_SPAN_MS, Asked
from oda.query.incidents import STATES
from oda.query.positions import shown
from oda.query.reduced import Span
from oda.query.series import SORTS
from oda.query.why import NoAnomaly, anomalies, explained, lines
from oda.serve import metrics
from oda.serve.files import Files
from oda.serve.guard import Guard
from oda.serve.parameters import MAX_NAME, BadRequest, choice, number, series_name, times
from oda.serve.push import serve_viewer
from oda.serve.service import Service
from oda.verdicts import MOST_COMMENT, Verdict
from oda.web import answers

_LOG = logging.getLogger(__name__)

MAX_LIMIT = 1_000


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
            web.get("/api/members", self.members),
            web.get("/api/incidents", self.incidents),
            web.post("/api/incidents/verdict", self.say),
            web.get("/api/pipeline", self.pipeline),
            web.get("/api/rejected", self.rejected),
            web.get("/api/why", self.why),
            web.get("/api/insights", self.insights),
            web.get("/api/live", self.viewer),
            web.get("/metrics", self.metrics),
            web.get("/health", self.health),
            web.get("/ready", self.ready),
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
            request.query.get("q", "")[:MAX_NAME],
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
        if until - since > MOST_SPAN_MS:
            raise BadRequest(f"ask for at most {MOST_SPAN_MS // 86_400_000} days at once")
        live, now = self._service.live, now_ms()
        known = live.series.get(name, now)
        partition, state = None, None
        if known is not None:
            partition = known.partition
            state = live.describe(known, self._service.rules.known(), now)["state"]
        incidents = [one for one in live.incidents.find("all", name, "", "") if one.newest.series == name]
        asked = Asked(name, span, partition, incidents, live.incidents.verdicts, state)
        return answers.json(await self._service.ask(self._service.history.series, asked))

    async def members(self, request: web.Request) -> web.Response:
        """Of the series that are known, those that belong to a group by the newest rules."""
        name, names = series_name(request), self._service.live.series.names()
        found = await self._service.ask(self._service.rules.known().newest().members, name, names)
        return answers.json({"total": len(found), "members": found[: number(request, "limit", 100, 1, MAX_LIMIT)]})

    async def incidents(self, request: web.Request) -> web.Response:
        """Some of the incidents: open first, then the newest first."""
        known = self._service.live.incidents
        asked = (
            choice(request, "state", STATES),
            request.query.get("q", "")[:MAX_NAME],
            request.query.get("severity", ""),
            request.query.get("label", ""),
        )
        every, told = known.find(*asked), known.find(*asked, with_suppressed=False)
        found = every if choice(request, "suppressed", ("hidden", "shown")) == "shown" else told
        offset = number(request, "offset", 0, 0, 2**31)
        page = found[offset : offset + number(request, "limit", 100, 1, MAX_LIMIT)]
        incidents = [one.document() for one in page]
        return answers.json({"total": len(found), "suppressed": len(every) - len(told), "incidents": incidents})

    async def say(self, request: web.Request) -> web.Response:
        """Somebody acknowledges an incident, or says whether it was one: a record in the topic of verdicts."""
        said = await _body(request, _Said)
        known = self._service.live.incidents.get(said.place)
        if known is None:
            return answers.error(HTTPStatus.NOT_FOUND, "there is no such incident, or it is too old to be known")
        row = known.newest
        verdict = Verdict(
            said.place,
            row.series,
            row.detector,
            row.time,
            row.last_time,
            self._guard.who(request) or "",
            now_ms(),
            said.acknowledged,
            said.verdict,
            said.comment,
        )
        await self._service.ask(self._service.verdicts.write, verdict)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def pipeline(self, _: web.Request) -> web.Response:
        """How the system itself does."""
        service, now = self._service, now_ms()
        late, saved = service.live.series.late(), service.snapshots.value or {}
        storm, rejected, audit = service.storm, service.rejected.value, service.live.audit
        errors = storm.value.errors() if storm.value and not storm.problem else {}
        return answers.json(
            {
                "partitions": [
                    {
                        **one._asdict(),
                        "late": late.get(one.partition, 0),
                        "snapshot_age_seconds": _age(saved.get(one.partition), now),
                    }
                    for one in service.positions.value or []
                ],
                "members": [one._asdict() for one in service.members.value or []],
                "rejected": {
                    "count": rejected.total if rejected else 0,
                    "by_reason": [{"reason": reason, "count": count} for reason, count in rejected.by_reason]
                    if rejected
                    else [],
                },
                "stores": [{"name": name, "errors": found} for name, found in errors.items()],
                "storm": {"error": storm.problem}
                if storm.problem or not storm.value
                else {
                    **storm.value._asdict(),
                    "components": [one._asdict() for one in storm.value.components],
                },
                "audit": audit,
                "series": len(service.live.series),
                "rate": service.live.series.rate(now),
                "viewers": len(service.hub.viewers),
                "problems": service.problems(),
            }
        )

    async def rejected(self, request: web.Request) -> web.Response:
        """The newest messages that were no readings; bytes as text, with escapes."""
        found = self._service.rejected.value
        offset = number(request, "offset", 0, 0, 2**31)
        page = found.newest[offset : offset + number(request, "limit", 100, 1, MAX_LIMIT)] if found else []
        messages = [{**message._asdict(), "key": shown(message.key), "value": shown(message.value)} for message in page]
        return answers.json({"total": len(found.newest) if found else 0, "messages": messages})

    async def why(self, request: web.Request) -> web.Response:
        """One anomaly, recomputed from what is archived."""
        name, time = series_name(request), number(request, "time", None, 0, MAX_TIME)
        partition = number(request, "partition", -1, 0, 2**31)
        offset = number(request, "offset", -1, 0, 2**63)
        detector = request.query.get("detector")
        return answers.json(await self._service.ask(self._explain, name, time, partition, offset, detector))

    def _explain(self, name: str, time: int, partition: int, offset: int, detector: str | None) -> dict[str, Any]:
        store = self._service.history.store()
        found = [
            one
            for one in anomalies(store, name, time, time + 1, None if offset < 0 else offset)
            if partition in (-1, one.partition) and detector in (None, one.row.detector)
        ]
        if not found:
            raise NoAnomaly("Cassandra has no such anomaly in this partition, by this detector")
        explanation, is_all = explained(store, found[0], self._service.settings)
        text = list(lines(explanation, found[0].partition, is_all))
        if is_group(name):
            text += moved.lines(store, found[0], explanation.window, self._service.settings)
        return {
            "text": [{"text": text, "what": what} for text, what in text],
            "anomaly": msgspec.structs.asdict(explanation.anomaly),  # the row itself is encoded as an array
            "window": explanation.window and msgspec.structs.asdict(explanation.window),
            "baseline": {
                "times": explanation.baseline.times.tolist(),
                "values": explanation.baseline.values.tolist(),
            },
            "differs": explanation.differs,
        }

    async def insights(self, request: web.Request) -> web.Response:
        """Anomalies of all series in a span of time."""
        since, until = times(request)
        rules = self._service.rules.known().newest()
        asked = since, until, request.query.get("label", ""), rules
        return answers.json(await self._service.ask(self._service.insights.anomalies, *asked))

    async def metrics(self, request: web.Request) -> web.Response:
        """For Prometheus; of some series besides, with `?series=NAME`."""
        names = request.query.getall("series", [])
        if len(names) > metrics.MOST_SERIES:
            raise BadRequest(f"at most {metrics.MOST_SERIES} series at once")
        body = metrics.exposition(self._service, names)
        return web.Response(body=body, headers={"Content-Type": metrics.CONTENT_TYPE})

    async def health(self, _: web.Request) -> web.Response:
        """The process lives."""
        return answers.json({"status": "lives"})

    async def ready(self, _: web.Request) -> web.Response:
        """Whether it sees all there is; if not, why."""
        problems = self._service.problems()
        status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
        return answers.json({"status": "not ready" if problems else "ready", "problems": problems}, status)

    async def viewer(self, request: web.Request) -> web.StreamResponse:
        """A web socket: see `oda.serve.push`."""
        return await serve_viewer(self._service.hub, request)


def _age(at: int | None, now: int) -> float | None:
    return None if at is None else max(0.0, (now - at) / 1000)


class _Login(msgspec.Struct):
    token: str


class _Said(msgspec.Struct):
    place: str
    acknowledged: bool = False
    verdict: Literal["true", "false alarm"] | None = None
    comment: Annotated[str, msgspec.Meta(max_length=MOST_COMMENT)] = ""


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
    except NoAnomaly as problem:
        return answers.error(HTTPStatus.NOT_FOUND, str(problem))
    except UserError as problem:
        return answers.error(HTTPStatus.SERVICE_UNAVAILABLE, str(problem))
    except (web.HTTPException, asyncio.CancelledError, ConnectionError):
        raise
    except Exception:
        _LOG.exception("%s", request.path)
        return answers.error(HTTPStatus.INTERNAL_SERVER_ERROR, "this went wrong; the server's log says more")


def application(service: Service, guard: Guard) -> web.Application:
    """The whole server."""
    app = web.Application(middlewares=[guard.middleware, _errors], client_max_size=64 * 1024)
    app.cleanup_ctx.append(service.running)
    app.on_shutdown.append(service.hub.end)
    files = Files()
    app.add_routes([*Routes(service, guard).table(), web.get("/", files.index), web.get("/page/{name:.+}", files.file)])
    return app
