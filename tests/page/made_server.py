"""A server that answers as `oda serve` does, with made data: 100,000 series, a hundred of them with hostile names.

What it says is a function of the series' name and the time, so what is asked for twice is the same.

    .venv/bin/python tests/page/made_server.py 8099
"""

import asyncio
import json
import math
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

from aiohttp import WSMsgType, web

from oda.serve.files import Files
from oda.serve.guard import HEADERS

STEP = 500
"""ms between two readings."""

WINDOW = 10_000
"""ms"""

_SCRIPTS = (
    "<script>window.ran = {n}</script>",
    "<img src=x onerror='window.ran={n}'>",
    '"><svg onload=window.ran={n}>',
    "javascript:window.ran={n}",
    "{{{{constructor.constructor('window.ran={n}')()}}}}",
    "</title></script><script>window.ran={n}//",
    "&lt;script&gt;window.ran={n}&lt;/script&gt;",
    "' onmouseover='window.ran={n}",
    "a\u202egnp.{n}\u2066\u0000\x1b[2J",
    "../../{n}?name=b&live#/all%00%zz",
)
HOSTILE = tuple(script.format(n=n * 10 + at) for n in range(10) for at, script in enumerate(_SCRIPTS))
"""Names that would do something, were they taken for anything but text."""

LABELS = {"site": "north", "<b>team</b>": "</script><script>window.ran=1</script>"}


@cache
def names() -> tuple[str, ...]:
    made = (f"plant-{n // 5000:02}/line-{n // 500 % 10}/pump-{n:05}" for n in range(100_000 - len(HOSTILE)))
    return tuple(sorted((*HOSTILE, *made)))


def noise(name: str, step: int) -> float:
    """From -1 to 1."""
    return zlib.crc32(f"{name} {step}".encode()) / 2**31 - 1


def value(name: str, step: int) -> float:
    seed = zlib.crc32(name.encode()) % 1000
    slow = math.sin(step / (400 + seed)) * 5 + math.sin(step / 57) * 0.8
    return 20 + seed % 70 + slow + noise(name, step) * 1.2 + (9 if is_anomaly(name, step) else 0)


def is_anomaly(name: str, step: int) -> bool:
    return zlib.crc32(f"odd {name} {step}".encode()) % 211 == 0


def band(name: str, start: int) -> dict[str, Any]:
    middle = value(name, start // STEP) if not is_anomaly(name, start // STEP) else value(name, start // STEP) - 9
    row = {"detector": "sigma/1", "since": start, "until": start + WINDOW - STEP, "low": middle - 5, "high": middle + 5}
    return {**row, "expected": middle, "series": name, "rules": 3}


def anomaly(name: str, step: int) -> dict[str, Any]:
    start = step * STEP // WINDOW * WINDOW
    held = band(name, start)
    found = {"series": name, "time": step * STEP, "offset": step, "value": value(name, step), "mean": held["expected"]}
    found |= {"stddev": 1.25, "count": 20, "window_start": start - WINDOW, "detector": "sigma/1", "partition": 0}
    score = 40 + 8 * abs(noise(name, step))
    return found | {key: held[key] for key in ("expected", "low", "high", "rules")} | {"score": score, "found_at": step}


def incident(name: str, number: int, now: int) -> dict[str, Any]:
    opened = now - number * 700_000 - 40_000
    found = anomaly(name, opened // STEP)
    row = {"place": f"readings:0:{opened}:{number}", "series": name, "detector": "sigma/1", "count": 3 + number}
    row |= {"severity": ("critical", "warning", "info")[number % 3], "labels": LABELS | {"line": str(number % 4)}}
    row |= {"opened": opened, "resolved": None if number < 4 else opened + 120_000, "last_time": opened + 30_000}
    row |= {"worst_value": found["value"], "worst_score": found["score"], "rules": 3, "verdict": None}
    row["suppressed_by"] = None
    return row | {key: found[key] for key in ("expected", "low", "high")}


class Made:
    """The server's state, which tests change."""

    def __init__(self) -> None:
        self.viewers: dict[web.WebSocketResponse, list[str]] = {}
        self.verdicts: dict[str, Any] = {}
        self.asked: list[str] = []
        self.token: str | None = None
        self.is_down = False
        self.is_empty = False
        self.is_silent = False
        self.is_calm = False
        self.failing: set[str] = set()
        self.no_band: str | None = None
        self.suppressed_by: str | None = None
        self.started = int(time.time() * 1000)
        self.address = ""
        self._loop: asyncio.AbstractEventLoop | None = None

    def push(self, rows: dict[str, Any]) -> None:
        """To every viewer."""
        self._call(self._push(rows))

    def drop(self) -> None:
        """Every viewer's connection."""
        self._call(self._drop())

    def _call(self, work: Any) -> None:
        assert self._loop
        asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _push(self, rows: dict[str, Any]) -> None:
        for viewer in list(self.viewers):
            await viewer.send_json(rows)

    async def _drop(self) -> None:
        for viewer in list(self.viewers):
            await viewer.close()

    def incidents(self) -> list[dict[str, Any]]:
        shown = [HOSTILE[0], "plant-00/line-0/pump-00007", *HOSTILE[1:11], *names()[5000:5200]]
        rows = [incident(name, number, self.started) for number, name in enumerate(shown)]
        rows[1]["suppressed_by"] = self.suppressed_by
        return [row | {"verdict": self.verdicts.get(row["place"])} for row in rows]


def json_of(answer: Any) -> web.Response:
    return web.json_response(answer)


async def series(made: Made, request: web.Request) -> web.Response:
    asked = request.query
    found = [] if made.is_empty else [name for name in names() if asked.get("q", "").lower() in name.lower()]
    if asked.get("sort", "name") != "name":
        found = sorted(found, key=lambda name: zlib.crc32(name.encode()))
    elif asked.get("order") == "desc":
        found = found[::-1]
    first = int(asked.get("offset", 0))
    rows = [summary(name) for name in found[first : first + int(asked.get("limit", 100))]]
    return json_of({"total": len(found), "series": rows})


def summary(name: str) -> dict[str, Any]:
    last, seed = int(time.time() * 1000) // STEP, zlib.crc32(name.encode())
    found = {"time": (last - seed % 9000) * STEP, "score": 10 + seed % 90, "detector": "sigma/1"} if seed % 3 else None
    return {
        "name": name,
        "partition": seed % 4,
        "last_time": last * STEP,
        "last_value": value(name, last),
        "rate": 1000 / STEP,
        "anomalies": seed % 500,
        "last_anomaly": found,
        "open_incidents": int(seed % 11 == 0),
        "state": (*["judged"] * 4, "no window closed yet", "one reading a window", "silent")[seed % 7],
    }


async def data(made: Made, request: web.Request) -> web.Response:
    name, pixels = request.query["name"], int(request.query["pixels"])
    since, until = int(request.query["since"]), min(int(request.query["until"]), int(time.time() * 1000))
    first, last = -(-since // STEP), until // STEP
    count = max(last - first + 1, 0) if not made.is_empty else 0
    steps = range(first, first + count, max(1, count // 3000))
    times, values = [step * STEP for step in steps], [value(name, step) for step in steps]
    answer: dict[str, Any] = {"name": name, "since": since, "until": until, "windows": [], "no_band": made.no_band}
    answer |= {"readings": {"times": times, "values": values}, "reduced": None, "late": {"times": [], "values": []}}
    if count > pixels:
        answer |= {"readings": None, "reduced": reduced(times, values, max(1, len(times) // pixels)), "step": None}
        answer["step"] = answer["reduced"]["step"]
    found = [anomaly(name, step) for step in steps if is_anomaly(name, step) and not made.is_calm]
    starts = range(since // WINDOW * WINDOW, until, max(WINDOW, (until - since) // 2000 // WINDOW * WINDOW))
    answer["bands"] = [] if made.no_band or not count else [band(name, start) for start in starts]
    answer["anomalies"] = found
    answer["late"] = {"times": [t + 200 for t in times[150::400]], "values": [v - 1 for v in values[150::400]]}
    answer["rules"] = [{"time": times[len(times) * 2 // 3], "version": 3}] if times else []
    made_incidents = [made_of(name, row) for row in found[1:4:2]]
    answer["incidents"] = made_incidents + [row for row in made.incidents() if row["series"] == name]
    return json_of(answer)


def made_of(name: str, found: dict[str, Any]) -> dict[str, Any]:
    row = incident(name, 4, found["time"] + 2_840_000)
    return row | {"opened": found["time"], "resolved": found["time"] + 20_000, "place": f"x{found['time']}"}


def reduced(times: list[int], values: list[float], by: int) -> dict[str, Any]:
    parts = [values[at : at + by] for at in range(0, len(values), by)]
    answer = {"times": times[::by], "means": [sum(part) / len(part) for part in parts], "lows": [min(p) for p in parts]}
    return answer | {"highs": [max(p) for p in parts], "counts": [len(p) for p in parts], "step": times[by] - times[0]}


async def why(_: Made, request: web.Request) -> web.Response:
    found = anomaly(request.query["name"], int(request.query["offset"]))
    lines = [
        f"{found['value']:.4f} is above {found['high']:.4f}, the highest that is no anomaly for sigma/1:",
        f"4 sigma of the window before, whose mean is {found['mean']:.4f} and deviation {found['stddev']}.",
        "Recomputed from 20 archived readings: the same to the last bit. <script>window.ran=2</script>",
    ]
    text = [{"text": line, "what": "fact"} for line in lines]
    return json_of({"text": text, "anomaly": found, "window": None, "differs": []})


async def members(_: Made, request: web.Request) -> web.Response:
    found = [HOSTILE[0], *names()[:300]]
    return json_of({"total": len(found), "members": found[: int(request.query["limit"])]})


async def incidents(made: Made, request: web.Request) -> web.Response:
    asked, rows = request.query, [] if made.is_empty else made.incidents()
    state, label = asked.get("state", "all"), asked.get("label", "")
    if state != "all":
        rows = [row for row in rows if (row["resolved"] is None) == (state == "open")]
    if severity := asked.get("severity"):
        rows = [row for row in rows if row["severity"] == severity]
    if label:
        key, _, of = label.partition("=")
        rows = [row for row in rows if row["labels"].get(key) == of]
    rows = [row for row in rows if asked.get("q", "").lower() in row["series"].lower()]
    told = [row for row in rows if row["suppressed_by"] is None]
    suppressed, rows = len(rows) - len(told), rows if asked.get("suppressed") == "shown" else told
    first, limit = int(asked.get("offset", 0)), int(asked.get("limit", 50))
    return json_of({"total": len(rows), "suppressed": suppressed, "incidents": rows[first : first + limit]})


async def verdict(made: Made, request: web.Request) -> web.Response:
    said = await request.json()
    made.verdicts[said.pop("place")] = said | {"by": "tester", "at": int(time.time() * 1000)}
    return web.Response(status=204)


def partition(number: int, end: int) -> dict[str, Any]:
    behind = 40 * number**3
    row = {"partition": number, "end": end, "committed": end - behind, "lag": behind, "late": 12 * number}
    row |= {"lag_seconds": 0.04 + number * 12.5, "rate": 2500.4 - number, "snapshot_age_seconds": 0.4 * number}
    return row | {"commit_age_seconds": None if number == 2 else 1.1}


def component(name: str, failed: int, error: str | None) -> dict[str, Any]:
    row = {"id": name, "executors": 2, "executed": 123_456, "process_ms": 0.43}
    return row | {"failed": failed, "last_error": error}


async def pipeline(made: Made, _: web.Request) -> web.Response:
    end, now = int(time.time() * 10) % 10_000_000, int(time.time() * 1000)
    reasons = [("not JSON: <img src=x onerror=window.ran=3>", 41), ("no field series", 3)]
    components = [component("readings", 0, None), component("windows", 2, "RuntimeError: <b>no</b>")]
    answer: dict[str, Any] = {"partitions": [] if made.is_empty else [partition(n, end + n) for n in range(4)]}
    answer["members"] = [] if made.is_empty else [partition(3, end)]
    answer["rejected"] = {"count": 44, "by_reason": [{"reason": text, "count": n} for text, n in reasons]}
    answer["stores"] = [
        {"name": "cassandra", "errors": []},
        {"name": "elasticsearch", "errors": ["ConnectionTimeout: 127.0.0.1:9200"]},
    ]
    answer["storm"] = {"state": "ACTIVE", "ui": "http://127.0.0.1:8080", "components": components}
    answer["audit"] = {"offsets": {"0": end, "1": end}, "differences": 0, "at": now - 40_000, "seconds": 3.2}
    return json_of(answer)


async def rejected(_: Made, request: web.Request) -> web.Response:
    rows = [
        {"partition": 0, "offset": at, "reason": "not JSON", "key": text, "value": text}
        for at, text in enumerate(HOSTILE)
    ]
    return json_of({"total": len(rows), "messages": rows[: int(request.query["limit"])]})


async def insights(made: Made, request: web.Request) -> web.Response:
    since, until = int(request.query["since"]), int(request.query["until"])
    step = max((until - since) // 72, 1)
    shown = [] if made.is_empty else [*names()[1000:1012], *HOSTILE[:12]]
    counts = [[int(max(0, noise(name, at) * 20 - 12) ** 1.6) for at in range(72)] for name in shown]
    ranked = [{"series": name, "anomalies": sum(row), "worst": 60.5} for name, row in zip(shown, counts, strict=True)]
    body = {"size": 0, "query": {"range": {"time": {"gte": since, "lt": until}}}}
    labels = [{"label": "site=north", "anomalies": 410}, {"label": HOSTILE[0], "anomalies": 12}]
    return json_of(
        {
            "heat": {
                "series": shown,
                "times": [since + at * step for at in range(72)],
                "step": step,
                "counts": counts,
            },
            "ranked": sorted(ranked, key=lambda one: -one["anomalies"]),
            "scores": [{"from": low, "to": low + 10, "count": 40_000 // (low + 10) ** 2} for low in range(0, 100, 10)],
            "by_label": [] if made.is_empty else labels,
            "request": {"method": "POST", "url": "http://127.0.0.1:9200/oda-anomalies/_search", "body": body},
        }
    )


async def me(made: Made, request: web.Request) -> web.Response:
    return json_of({"login_needed": made.token is not None and request.cookies.get("oda") != made.token})


async def login(made: Made, request: web.Request) -> web.Response:
    if (await request.json()).get("token") != made.token:
        return web.json_response({"error": "That token is not the right one."}, status=401)
    response = web.Response(status=204)
    response.set_cookie("oda", made.token or "", httponly=True, samesite="Strict")
    return response


async def live(made: Made, request: web.Request) -> web.WebSocketResponse:
    viewer = web.WebSocketResponse(heartbeat=20)
    await viewer.prepare(request)
    made.viewers[viewer] = []
    pushing = asyncio.create_task(follow(made, viewer))
    try:
        async for message in viewer:
            if message.type == WSMsgType.TEXT:
                made.viewers[viewer] = json.loads(message.data)["watch"]
    finally:
        del made.viewers[viewer]
        pushing.cancel()
    return viewer


async def follow(made: Made, viewer: web.WebSocketResponse) -> None:
    done = int(time.time() * 1000) // STEP
    while True:
        await asyncio.sleep(0.05)
        last = int(time.time() * 1000) // STEP
        is_silent = made.is_empty or made.is_silent
        steps, watched = range(done + 1, last + 1), [] if is_silent else made.viewers[viewer]
        done = last
        if not steps or not watched:
            continue
        rows: dict[str, Any] = {
            "readings": {name: [[n * STEP, value(name, n), 0, n] for n in steps] for name in watched}
        }
        if found := [anomaly(name, n) for name in watched for n in steps if is_anomaly(name, n)]:
            rows["anomalies"] = found
        if begun := [band(name, n * STEP) for name in watched for n in steps if n * STEP % WINDOW == 0]:
            rows["bands"] = [] if made.no_band else begun
        await viewer.send_json(rows)


@web.middleware
async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
    made: Made = request.app[MADE]
    made.asked.append(request.path_qs)
    if made.is_down:
        assert request.transport
        request.transport.abort()
        return web.Response(status=503)
    if request.path.removeprefix("/api/") in made.failing:
        return web.json_response({"error": "Cassandra does not answer."}, status=503)
    is_open = not request.path.startswith("/api/") or request.path in ("/api/me", "/api/login")
    if made.token is not None and not is_open and request.cookies.get("oda") != made.token:
        return web.json_response({"error": "Log in first."}, status=401)
    response = await handler(request)
    if not response.prepared:
        response.headers.update(HEADERS)
    return response


MADE = web.AppKey("made", Made)
GETS = {
    "series": series,
    "series/data": data,
    "why": why,
    "members": members,
    "incidents": incidents,
    "pipeline": pipeline,
    "rejected": rejected,
    "insights": insights,
    "me": me,
    "live": live,
}
POSTS = {"incidents/verdict": verdict, "login": login}


def application(made: Made) -> web.Application:
    app = web.Application(middlewares=[guard])
    app[MADE] = made
    files = Files()
    app.router.add_get("/", files.index)
    app.router.add_get("/page/{name:.+}", files.file)
    for path, act in GETS.items():
        app.router.add_get(f"/api/{path}", partial(act, made))
    for path, act in POSTS.items():
        app.router.add_post(f"/api/{path}", partial(act, made))
    return app


@contextmanager
def serving(port: int = 0) -> Iterator[Made]:
    """The server, in a thread of its own."""
    made, begun, ended = Made(), threading.Event(), threading.Event()

    async def run() -> None:
        made._loop = asyncio.get_running_loop()
        runner = web.AppRunner(application(made), access_log=None, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        made.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        begun.set()
        await asyncio.to_thread(ended.wait)
        await runner.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(run(),), daemon=True)
    thread.start()
    assert begun.wait(60)
    try:
        yield made
    finally:
        ended.set()
        thread.join(60)


if __name__ == "__main__":
    with serving(int(sys.argv[1])) as server:
        print(server.address)
        threading.Event().wait()
