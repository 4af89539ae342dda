"""What push sources hand over, and the HTTP endpoint, on a real spool without Kafka."""

import asyncio
import gzip
import json
import os
import threading
import time
from types import SimpleNamespace

import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from oda.collect import lines
from oda.collect.check import MAX_LENGTH, Check, Rejection
from oda.collect.elements import elements_of
from oda.collect.endpoint import Endpoint
from oda.collect.intake import Intake
from oda.collect.late import Late
from oda.collect.lines import collect_lines, lists_of_lines
from oda.collect.spool import Spool, SpoolError
from oda.collect.subscriber import Subscriber
from oda.collect.timeunit import TimeUnit
from oda.collect.together import Together
from oda.collect.upstream import Upstream
from oda.core.reading import MAX_TIME, MAX_VALUE, MIN_NUMBER, RejectedError
from oda.errors import UserError
from oda.settings import Window
from oda.web.guard import Guard
from oda.web.where import Where

READING = {"series": "pump-7", "time": 1732300000123, "value": 3.25}
DAY = 86_400_000

good = st.fixed_dictionaries(
    {
        "series": st.text(st.characters(codec="utf-8"), min_size=1, max_size=249),
        "time": st.integers(MIN_NUMBER, MAX_TIME),
        "value": st.floats(-MAX_VALUE, MAX_VALUE),
    }
)


@pytest.fixture
def intake(tmp_path):
    with Spool(tmp_path / "spool", "readings", 4 * 2**20) as spool:
        yield Intake(spool, SimpleNamespace(away=""), Check(DAY))


def held(intake: Intake) -> list[dict]:
    return [json.loads(message) for _, message in intake.spool.read(0, 10**9)]


@given(st.lists(good, min_size=1), st.sampled_from(["array", "lines", "indented array"]))
def test_whatever_the_form_each_reading_is_the_same(readings, form):
    if form == "lines":
        body = "\n".join(json.dumps(reading) for reading in readings)
    else:
        body = json.dumps(readings, indent=2 if form.startswith("indented") else None)
    checked = Check(0).all(elements_of(body.encode()), now=MAX_TIME)
    assert (checked.rejected, [json.loads(message) for message in checked.messages]) == ([], readings)


def test_one_reading_may_span_lines():
    assert len(elements_of(json.dumps(READING, indent=2).encode() + b"\n")) == 1


@pytest.mark.parametrize(
    "body", [b"", b" \n", b"[1,", b"[" * 100_000, b"[\xff]x", b"[NaN", b"[NaN,]", b"[NaN 1]", b"[NaN]1"]
)
def test_a_body_that_has_no_elements_is_refused_with_a_reason(body):
    with pytest.raises(RejectedError, match=r"no reading|not JSON"):
        elements_of(body)


@given(
    st.lists(
        st.recursive(
            st.floats() | st.text() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
        )
    ),
    st.sampled_from([None, 1]),
)
def test_what_is_not_json_in_an_array_takes_nothing_else_along(elements, indent):
    found = elements_of(json.dumps([float("nan"), *elements], indent=indent).encode())
    assert [number for number, _ in found] == list(range(1, len(elements) + 2))
    assert repr([json.loads(element) for _, element in found[1:]]) == repr(elements)


@given(st.binary())
def test_any_body_is_readings_or_rejected(body):
    try:
        elements = elements_of(body)
    except RejectedError:
        return
    readings, rejected = Check(0).all(elements, now=0)
    assert len(readings) + len(rejected) == len(elements)


def test_each_element_that_is_no_reading_has_its_number_and_reason():
    now = READING["time"]
    body = [READING, {**READING, "value": "1"}, {**READING, "time": now + DAY + 1}, 7, {**READING, "time": now // 1000}]
    readings, rejected = Check(DAY).all(elements_of(json.dumps(body).encode()), now)
    assert [reading._asdict() for reading in readings] == [READING]
    assert [number for number, _ in rejected] == [2, 3, 4, 5]
    assert "Expected `float`" in rejected[0].reason
    assert "ahead" in rejected[1].reason
    assert "seconds?" in rejected[3].reason


@given(st.lists(st.binary(max_size=40)), st.integers(1, 30))
def test_lines_do_not_depend_on_how_they_come(parts, size):
    text = b"\n".join(parts)
    chunks = [text[start : start + size] for start in range(0, len(text), size)]
    found = [line for some in lists_of_lines(lambda _: chunks.pop(0) if chunks else b"") for line in some]
    assert found == (text.split(b"\n")[:-1] + [text.rpartition(b"\n")[2]] * bool(text.rpartition(b"\n")[2]))


def test_a_bad_line_is_reported_with_its_number_and_the_next_one_taken(intake, capsys):
    line = json.dumps(READING).encode()
    chunks = [line + b"\n\nno", b"pe\n" + line[:9], line[9:] + b"\n" + b"x" * (MAX_LENGTH + 5) + b"\n", line, b""]
    collect_lines(lambda _: chunks.pop(0), intake, Late(Window()))
    assert held(intake) == [READING] * 3
    assert capsys.readouterr().err.splitlines() == [
        "oda: line 3: rejected: not JSON: JSON is malformed: invalid character (byte 4)",
        f"oda: line 5: rejected: longer than {MAX_LENGTH} bytes",
    ]
    assert str(intake).startswith("3 readings accepted, 2 rejected; 3 wait for Kafka in ")


def test_lines_may_end_as_windows_ends_them_and_the_last_one_may_not(intake, capsys):
    line = json.dumps(READING).encode()
    chunks = [b"\xef\xbb\xbf" + line + b"\r\n\r\n" + line + b"\n\xef\xbb\xbf" + line + b"\r\n" + line, b""]
    collect_lines(lambda _: chunks.pop(0), intake, Late(Window()))
    assert (held(intake), intake.rejected, capsys.readouterr().err) == ([READING] * 4, 0, "")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_stream_of_utf_16_is_refused_as_a_whole(intake, encoding):
    chunks = [("\ufeff" * (encoding == "utf-16-be") + f"{json.dumps(READING)}\n" * 9).encode(encoding), b""]
    with pytest.raises(UserError, match=r"UTF-16.*iconv"):
        collect_lines(lambda _: chunks.pop(0), intake, Late(Window()))


def test_lines_that_come_late_are_counted(intake):
    chunks = [json.dumps({**READING, "time": READING["time"] - n * 1000}).encode() + b"\n" for n in range(10)] + [b""]
    late = Late(Window(size_ms=2_000))
    collect_lines(lambda _: chunks.pop(0), intake, late)
    assert (intake.accepted, late.total, late.count) == (10, 10, 9)


def test_a_pipe_that_does_not_block_is_waited_for(monkeypatch):
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    with os.fdopen(ours) as pipe:
        monkeypatch.setattr("sys.stdin", pipe)
        read = lines.stdin()
        writer = threading.Timer(0.3, lambda: (os.write(theirs, b"one\n"), os.close(theirs)))
        writer.start()
        assert (read(100), read(100)) == (b"one\n", b"")
        writer.join()


def test_no_stdin_is_said_and_so_is_one_that_cannot_be_read(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UserError, match="stdin is closed"):
        lines.stdin()
    with (tmp_path / "file").open("w") as only_written:
        monkeypatch.setattr("sys.stdin", only_written)
        with pytest.raises(UserError, match="stdin can't be read: Bad file descriptor"):
            lines.stdin()(100)


def test_a_full_spool_holds_the_writer_up_and_says_so_once(intake, capsys, monkeypatch):
    block = (json.dumps(READING) + "\n").encode() * 5000
    sleeps = []

    def sleep(seconds):
        sleeps.append(seconds)
        if len(sleeps) == 3:
            intake.spool.drop(40_000, {})

    monkeypatch.setattr(lines.time, "sleep", sleep)
    chunks = [block] * 15 + [b""]
    collect_lines(lambda _: chunks.pop(0), intake, Late(Window()))
    assert (intake.accepted, len(held(intake))) == (75_000, 35_000)
    said = capsys.readouterr().err.splitlines()
    assert [line.partition("spool ")[2].partition(" ")[2] for line in said] == [
        "is full: 4 MB; nothing more is taken until there is room",
        "has room again",
    ]


def ask(intake: Intake, *requests: tuple[str, str, dict]) -> list[tuple[int, dict, dict]]:
    """Status, JSON content and headers of each answer."""

    async def run():
        async with TestClient(TestServer(Endpoint(intake, Guard(Where("127.0.0.1", 0))).application())) as client:
            answers = [await client.request(method, path, **more) for method, path, more in requests]
            return [(a.status, json.loads(await a.read()), dict(a.headers)) for a in answers]

    return asyncio.run(run())


def post(intake: Intake, body: object, **more) -> tuple[int, dict, dict]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ask(intake, ("POST", "/readings", {"data": data, **more}))[0]


def test_what_is_accepted_is_in_the_spool(intake):
    other = {**READING, "series": "ä", "time": "2024-11-22T19:26:40.123+01:00", "unit": "bar"}
    assert post(intake, READING)[:2] == (200, {"accepted": 1})
    assert post(intake, [READING, other])[:2] == (200, {"accepted": 2})
    assert post(intake, f"{json.dumps(READING)}\r\n{json.dumps(other)}\n".encode())[:2] == (200, {"accepted": 2})
    body = gzip.compress(json.dumps(READING).encode())
    assert post(intake, body, headers={"Content-Encoding": "gzip"})[:2] == (200, {"accepted": 1})
    assert post(intake, [])[:2] == (200, {"accepted": 0})
    same = {**READING, "series": "ä"}
    assert held(intake) == [READING, READING, same, READING, same, READING]
    assert intake.accepted == 6


def test_of_a_bad_request_nothing_is_accepted(intake):
    status, answer, _ = post(intake, [READING, {"series": "a"}, READING, None])
    assert status == 400
    assert answer["error"] == "2 of 4 are no readings; none was accepted"
    assert answer["rejected"][0] == Rejection(2, "not a reading: Object missing required field `time`")._asdict()
    assert [one["number"] for one in answer["rejected"]] == [2, 4]
    status, answer, _ = post(intake, json.dumps(READING).encode() + b"\n{\n")
    assert (status, answer["rejected"][0]["number"]) == (400, 2)
    assert post(intake, b"")[0] == 400
    assert (held(intake), intake.accepted, intake.rejected) == ([], 0, 3)


def test_of_a_partial_request_the_readings_are_accepted_and_the_rest_is_listed(intake):
    good = json.dumps(READING)
    body = f'[{good}, {{"series": "a", "time": 1732300000000, "value": NaN}}, {good}]'.encode()
    status, answer, _ = post(intake, body)
    assert (status, answer["error"]) == (400, "1 of 3 are no readings; none was accepted")
    assert held(intake) == []
    status, answer, _ = post(intake, body, params={"partial": "1"})
    assert (status, answer["accepted"]) == (200, 2)
    assert answer["error"] == "1 of 3 are no readings; the others were accepted"
    assert [one["number"] for one in answer["rejected"]] == [2]
    assert "not JSON" in answer["rejected"][0]["reason"]
    assert held(intake) == [READING] * 2
    assert post(intake, READING, params={"partial": "1"})[:2] == (200, {"accepted": 1})
    assert post(intake, [{}], params={"partial": "1"})[1]["accepted"] == 0
    assert post(intake, b"[1", params={"partial": "1"})[0] == 400
    assert post(intake, READING, params={"partial": "yes"})[:2] == (400, {"error": "partial must be 0 or 1"})
    assert (len(held(intake)), intake.accepted, intake.rejected) == (3, 3, 3)


def test_a_byte_order_mark_is_no_part_of_a_request_and_utf_16_is_named(intake):
    text = json.dumps(READING)
    for body in (text, f"[{text}]", f"{text}\n\ufeff{text}\n"):
        assert post(intake, ("\ufeff" + body).encode())[0] == 200
    for body in (text, f"[{text}]"):
        status, answer, _ = post(intake, body.encode("utf-16"))
        assert (status, "UTF-16" in answer["error"]) == (400, True)
    assert held(intake) == [READING] * 4


def test_seconds_are_taken_when_they_are_said_to_be_seconds(tmp_path):
    seconds = {**READING, "time": READING["time"] / 1000}
    with Spool(tmp_path / "spool", "readings", 4 * 2**20) as spool:
        intake = Intake(spool, SimpleNamespace(away=""), Check(DAY, TimeUnit.S))
        assert post(intake, [seconds, {**READING, "time": "2024-11-22T19:26:40.123+01:00"}])[0] == 200
        assert post(intake, READING)[0] == 400  # milliseconds are seconds of the year 56864
        assert held(intake) == [READING] * 2


def test_a_request_that_is_too_large_is_refused(intake):
    status, answer, _ = post(intake, b" " * (MAX_LENGTH + 1))
    assert (status, str(MAX_LENGTH) in answer["error"]) == (413, True)
    assert post(intake, b" " * (MAX_LENGTH + 1), chunked=True)[0] == 413
    bomb = gzip.compress(b" " * (50 * MAX_LENGTH))
    assert post(intake, bomb, headers={"Content-Encoding": "gzip"})[0] == 413
    assert held(intake) == []


def test_a_full_spool_is_503_and_says_when_to_come_again(intake, capsys):
    many = [READING] * 10_000
    while (answer := post(intake, many))[0] == 200:
        pass
    status, content, headers = answer
    assert (status, headers["Retry-After"]) == (503, "5")
    assert "is full: 4 MB; none was accepted" in content["error"]
    taken = intake.accepted
    assert len(held(intake)) == taken
    assert ask(intake, ("GET", "/health", {}))[0][1]["waiting"] == taken
    intake.spool.drop(10_000, {})
    assert post(intake, many)[0] == 200
    assert capsys.readouterr().err.count("\n") == 2


def test_what_comes_during_one_commit_shares_the_next():
    commits = []

    async def append(messages):
        commits.append(list(messages))
        await asyncio.sleep(0.01)

    async def run():
        together = Together(append)
        await asyncio.gather(*(together.append([b"%d" % n]) for n in range(50)))
        await together.append([b"50"])

    asyncio.run(run())
    assert [message for commit in commits for message in commit] == [b"%d" % n for n in range(51)]
    assert len(commits) <= 3


def test_a_commit_that_fails_fails_for_each_of_its_messages():
    async def append(_):
        raise SpoolError("full")

    async def run():
        together = Together(append)
        for _ in range(2):
            results = await asyncio.gather(*(together.append([b"a"]) for _ in range(3)), return_exceptions=True)
            assert [str(result) for result in results] == ["full"] * 3

    asyncio.run(run())


def test_time_is_checked_against_the_clock(intake):
    ahead = int(time.time() * 1000) + DAY
    assert post(intake, {**READING, "time": ahead - 60_000})[0] == 200
    assert post(intake, {**READING, "time": ahead + 60_000})[0] == 400


@pytest.mark.parametrize("unit", [None, TimeUnit.S])
def test_a_bare_number_is_a_reading_of_the_series_that_was_named_at_the_time_when_it_came(tmp_path, unit):
    numbers = [1.5, -3, 10**200, True, float("nan"), "4", None]

    async def received(intake: Intake, series: str | None) -> dict:
        subscriber = Subscriber(intake, Upstream("http://localhost:5000"), "walk", series)
        return await subscriber._received(0.5, [*numbers, READING])

    with Spool(tmp_path / "spool", "readings", 4 * 2**20) as spool:
        intake = Intake(spool, SimpleNamespace(away=""), Check(DAY, unit))
        began = int(time.time() * 1000)
        answer = asyncio.run(received(intake, "walk"))
        assert [one["number"] for one in answer["rejected"]] == [4, 5, 6, 7, 8] + [9] * (unit is TimeUnit.S)
        *bare, last = held(intake)[: answer["accepted"]]
        if unit is None:
            assert last == READING
        else:
            bare.append(last)  # READING's time counts milliseconds
        assert [(one["series"], one["value"]) for one in bare] == [("walk", 0.5), ("walk", 1.5), ("walk", -3)]
        assert all(began <= one["time"] <= time.time() * 1000 for one in bare)
        answer = asyncio.run(received(intake, None))
        assert [one["number"] for one in answer["rejected"]][:8] == [1, 2, 3, 4, 5, 6, 7, 8]
