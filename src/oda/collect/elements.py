"""What push sources hand over, told apart: the elements of a request, the lines of a stream, each with its number."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator

import msgspec

from oda.core.reading import RejectedError

UTF_16 = "this is UTF-16, not UTF-8: convert it, such as with `iconv -f UTF-16 -t UTF-8`"
"""The reason to refuse what begins with a mark that says so."""

_array = msgspec.json.Decoder(list[msgspec.Raw])
_lenient = json.JSONDecoder(parse_int=str, parse_float=str, strict=False)
_between = re.compile(r"[ \t\n\r]*")


def elements_of(body: bytes) -> list[tuple[int, bytes]]:
    """The elements of a request, numbered from 1: of a JSON array, or its lines, of which blank ones don't count.

    One reading may span lines.

    Raises:
        RejectedError: there is none, it is not UTF-8, or it is an array that is not JSON.

    >>> elements_of(b'[{"a": 1}, 2]')
    [(1, b'{"a": 1}'), (2, b'2')]
    >>> elements_of(b"{}\\n\\n{}\\n")
    [(1, b'{}'), (3, b'{}')]
    """
    body = unmarked(body)
    start = body.lstrip()[:1]
    if not start:
        raise RejectedError("there is no reading in it")
    if start == b"[":
        return list(enumerate(_elements_of_array(body), 1))
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return list(numbered(body.split(b"\n")))
    return [(1, body)]


def numbered(lines: Iterable[bytes], first: int = 1) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers; blank ones are left out, and a byte-order mark before any of them: files are joined."""
    for number, line in enumerate(lines, first):
        line = line.removeprefix(codecs.BOM_UTF8)
        if line.strip():
            yield number, line


def unmarked(data: bytes) -> bytes:
    """The beginning of a text without a byte-order mark. Raises RejectedError when that says that it is not UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise RejectedError(UTF_16)
    return data.removeprefix(codecs.BOM_UTF8)


def _elements_of_array(body: bytes) -> list[bytes]:
    try:
        return [bytes(element) for element in _array.decode(body)]
    except (msgspec.DecodeError, RecursionError) as error:
        reason = f"not JSON: {error}"
    # NaN is not JSON, but Python and others write it; it must not take the other elements along.
    try:
        elements = list(_lenient_elements(body.decode("utf-8", "surrogateescape")))
    except (ValueError, IndexError, RecursionError):
        raise RejectedError(reason) from None
    return [element.encode("utf-8", "surrogateescape") for element in elements]


def _lenient_elements(text: str) -> Iterator[str]:
    """The elements of an array. Raises ValueError or IndexError where it is none."""
    at = _past(text, text.index("[") + 1)
    while True:
        _, end = _lenient.raw_decode(text, at)
        yield text[at:end]
        at = _past(text, end)
        if text[at] == "]":
            break
        if text[at] != ",":
            raise ValueError
        at = _past(text, at + 1)
    if text[at + 1 :].strip():
        raise ValueError


def _past(text: str, at: int) -> int:
    """Where the blanks at a place end."""
    match = _between.match(text, at)
    return match.end() if match else at
