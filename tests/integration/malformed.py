"""Messages that try a system: those that are no readings, and readings that are hard to compute with or to store."""

import json


def _message(**changes) -> bytes:
    return json.dumps({"series": "pump-7", "time": 1_700_000_000_000, "value": 3.25} | changes).encode()


def _without(field: str) -> bytes:
    return json.dumps({k: v for k, v in json.loads(_message()).items() if k != field}).encode()


def _beside(field: str) -> bytes:
    return _message()[:-1] + b", " + field.encode("utf-8", "surrogateescape") + b"}"


MALFORMED: dict[str, tuple[bytes | None, str]] = {
    "tombstone": (None, "no value"),
    "empty": (b"", "not JSON"),
    "blank": (b"   ", "not JSON"),
    "text": (b"hello", "not JSON"),
    "truncated": (_message()[:-1], "not JSON"),
    "trailing": (_message() + b"x", "not JSON"),
    "two at once": (_message() + b"\n" + _message(), "not JSON"),
    "bytes": (bytes(range(256)), "not JSON"),
    "zeros": (bytes(64), "not JSON"),
    "byte order mark": (b"\xef\xbb\xbf" + _message(), "not JSON"),
    "UTF-16": (_message().decode().encode("utf-16"), "not JSON"),
    "invalid UTF-8": (_message().replace(b"pump", b"pu\xffp"), "not JSON"),
    "lone surrogate": (_message().replace(b"pump", b"\\ud800"), "not JSON"),
    "single quotes": (_message().replace(b'"', b"'"), "not JSON"),
    "deep": (b"[" * 100_000, "brackets"),
    "deep in a field that is ignored": (_beside('"x": ' + "[" * 500 + "]" * 500), "brackets"),
    "invalid UTF-8 in a field that is ignored": (_beside('"x": "\udcff"'), "not JSON"),
    "lone surrogate in a field that is ignored": (_beside('"x": "\\udc00"'), "not JSON"),
    "field that is wrong only the first time": (_beside('"value": "3"')[:-1] + b', "value": 3}', "$.value"),
    "NaN": (_message(value=float("nan")), "not JSON"),
    "infinity": (_message(value=float("inf")), "not JSON"),
    "minus infinity": (_message(value=float("-inf")), "not JSON"),
    "beyond a double": (_message().replace(b"3.25", b"1e999"), "$.value"),
    "largest double": (_message(value=1.7976931348623157e308), "beyond"),
    "integer beyond a double": (_message().replace(b"3.25", b"1" + b"0" * 400), "$.value"),
    "integer beyond Python's": (_message().replace(b"3.25", b"1" * 5000), "$.value"),
    "too large to square": (_message(value=1e200), "beyond"),
    "too small to square": (_message(value=-1e200), "beyond"),
    "number": (b"3.25", "Expected `object`"),
    "null": (b"null", "Expected `object`"),
    "array": (b"[" + _message() + b"]", "Expected `object`"),
    "string": (json.dumps(_message().decode()).encode(), "Expected `object`"),
    "no series": (_without("series"), "series"),
    "no time": (_without("time"), "time"),
    "no value": (_without("value"), "value"),
    "series a number": (_message(series=7), "$.series"),
    "series null": (_message(series=None), "$.series"),
    "series empty": (_message(series=""), "$.series"),
    "series too long": (_message(series="x" * 250), "$.series"),
    "value text": (_message(value="3.25"), "$.value"),
    "value null": (_message(value=None), "$.value"),
    "value true": (_message(value=True), "$.value"),
    "value list": (_message(value=[3.25]), "$.value"),
    "time a float": (_message(time=1.7e9 + 0.5), "--time-unit s"),
    "time null": (_message(time=None), "$.time"),
    "time true": (_message(time=True), "$.time"),
    "time a word": (_message(time="yesterday"), "$.time"),
    "time without zone": (_message(time="2023-11-14T22:13:20"), "$.time"),
    "time only a date": (_message(time="2023-11-14"), "$.time"),
    "time on 30 February": (_message(time="2023-02-30T00:00:00Z"), "$.time"),
    "time before 1970": (_message(time=-1), "before 1970"),
    "time long before 1970": (_message(time="1066-10-14T09:00:00Z"), "before 1970"),
    "time centuries ahead": (_message(time="2999-01-01T00:00:00Z"), "ahead"),
    "time in seconds": (_message(time=1_700_000_000), "January 1970 as epoch ms: seconds? (oda collect --time-unit s)"),
    "time in microseconds": (_message(time=1_700_000_000_000_000), "microseconds? (oda collect --time-unit us)"),
    "time in nanoseconds": (_message(time=1_700_000_000_000_000_000), "nanoseconds? (oda collect --time-unit ns)"),
    "time a day as a number": (_message(time=20231114), "January 1970 as epoch ms: a date?"),
    "time a minute as a number": (_message(time=202311142213), "May 1976 as epoch ms: a date?"),
    "time a second as a number": (_message(time=20231114221320), "after 2248 as epoch ms: a date?"),
    "time of a clock that was never set": (_message(time=12_345), "if it is meant, write it as RFC 3339"),
    "time beyond 64 bits": (_message(time=10**30), "after 2248"),
    "time of thousands of digits": (_message(time=10**4000), "time 1000"),
    "time beyond Python's integers": (_message(time=7777).replace(b": 7777", b": " + b"1" * 5000), "$.time"),
    "time in the year 0": (_message(time="0000-01-01T00:00:00Z"), "$.time"),
    "time in the year 9999": (_message(time="9999-12-31T23:59:59.999999Z"), "ahead"),
    "leap second": (_message(time="2016-12-31T23:59:60Z"), "$.time"),
    **{f"large, {n}": (b'{"series": "' + b"x" * 1_040_000, "not JSON") for n in range(30)},
}

NAMES = [
    *(
        "\0",
        "\x1f\x7f\x85\u2028\ufeff",
        "line\nbreak\r\t",
        ".",
        "..",
        "_",
        "-",
        " ",
        "*",
        "a/b\\c?d=e&f#g%00",
        "'\"`;--",
    ),
    *("\U0001f600" * 249, "x" * 249, "e\u0301", "\ufdd0", "null", "[]", "${jndi:x}", "<script>", "end"),
]
"""Series that are hard to name: control characters, 249 code points of 4 bytes, what other languages quote."""

_EXTREME = [(0, 1e100), (1, -1e100), (2_000, 5e-324), (2_001, -0.0), (4_000, -1e100), (4_001, 1e100), (2**40, 0)]
"""Times and values whose sums, deviations and distances must stay numbers, and whose windows close each other."""

HARD = {
    "names": [(name, time, value) for name in NAMES for time, value in _EXTREME],
    # A month for each reading: 600 in two tables, more than the 1,000 shards that a node of Elasticsearch takes.
    "times": [("a month apart", month * 2_629_800_000 + ms, month % 7) for month in range(600) for ms in (0, 1)],
}
"""Readings that every store has to take: (series, time, value)."""

LARGE = _message(series="large")[:-1] + b"".join(b', "x%06d": %d' % (n, n) for n in range(58_000)) + b"}"
"""A reading of almost 1 MiB, of which all but three fields are ignored."""
