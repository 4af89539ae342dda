"""Messages that are no readings, each with a piece of the reason that it must be rejected with."""

import json


def _message(**changes) -> bytes:
    return json.dumps({"series": "pump-7", "time": 1_700_000_000_000, "value": 3.25} | changes).encode()


def _without(field: str) -> bytes:
    return json.dumps({k: v for k, v in json.loads(_message()).items() if k != field}).encode()


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
    "deep": (b"[" * 100_000, "not"),
    "NaN": (_message(value=float("nan")), "not JSON"),
    "infinity": (_message(value=float("inf")), "not JSON"),
    "minus infinity": (_message(value=float("-inf")), "not JSON"),
    "beyond a double": (_message().replace(b"3.25", b"1e999"), "$.value"),
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
    "time a float": (_message(time=1.7e12 + 0.5), "$.time"),
    "time null": (_message(time=None), "$.time"),
    "time true": (_message(time=True), "$.time"),
    "time a word": (_message(time="yesterday"), "$.time"),
    "time without zone": (_message(time="2023-11-14T22:13:20"), "$.time"),
    "time only a date": (_message(time="2023-11-14"), "$.time"),
    "time on 30 February": (_message(time="2023-02-30T00:00:00Z"), "$.time"),
    "time before 1970": (_message(time=-1), "before 1970"),
    "time long before 1970": (_message(time="1066-10-14T09:00:00Z"), "before 1970"),
    "time centuries ahead": (_message(time="2999-01-01T00:00:00Z"), "ahead"),
    "time in microseconds": (_message(time=1_700_000_000_000_000), "ahead"),
    "time beyond 64 bits": (_message(time=10**30), ""),
    "large": (b'{"series": "' + b"x" * 900_000, "not JSON"),
}
