"""What Storm tuples carry: numbers and texts, nothing else.

Storm's multilang protocol is JSON, and a list in it reaches the worker as a class of its JSON parser. Within one worker
that goes unnoticed; between workers it has to be serialised, which Storm refuses to do with a class that it does not
know. So whatever is not a number is packed (msgpack) and becomes one text (base64), which also costs every process that
it passes less than as many values.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from functools import cache
from typing import Any, TypeVar

import msgspec

Content = TypeVar("Content")

_encode = msgspec.msgpack.Encoder().encode


def to_text(content: Any) -> str:
    """Pack anything that msgspec can.

    >>> from_text(to_text([("a", b"b", None)]), list[tuple[str, bytes, None]])
    [('a', b'b', None)]
    """
    return b64encode(_encode(content)).decode("ascii")


def from_text(text: str, kind: type[Content]) -> Content:
    """What `to_text` packed.

    Raises:
        ValueError: it is no `kind`.
    """
    content: Content = _decoder(kind).decode(b64decode(text))  # type: ignore[arg-type]  # a type can be hashed
    return content


@cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)
