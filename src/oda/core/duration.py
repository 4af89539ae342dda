"""Lengths of time as people write them: `250ms`, `60s`, `5m`, `2h`, `1d`, or whole milliseconds."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_TEXT = re.compile(rf"([0-9]{{1,13}})({'|'.join(_UNITS)})")


def milliseconds(value: Any) -> Any:
    """A number as it is, and a text in milliseconds.

    >>> milliseconds("5m"), milliseconds(250)
    (300000, 250)

    Raises:
        ValueError: it is neither.
    """
    match = _TEXT.fullmatch(value) if isinstance(value, str) else None
    if match:
        return int(match[1]) * _UNITS[match[2]]
    if type(value) is not int:
        raise ValueError("must be a length of time, such as 250ms, 60s, 5m, 2h, 1d, or whole milliseconds")
    return value


def written(ms: int) -> str:
    """The shortest text for some milliseconds.

    >>> written(90_000), written(300_000), written(0)
    ('90s', '5m', '0ms')
    """
    unit = max((unit for unit in _UNITS if ms and ms % _UNITS[unit] == 0), key=_UNITS.__getitem__, default="ms")
    return f"{ms // _UNITS[unit]}{unit}"


Duration = Annotated[
    int,
    Field(ge=0, lt=2**43),
    BeforeValidator(milliseconds),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": f"^{_TEXT.pattern}$"}, {"type": "integer", "minimum": 0}]}),
]
"""Milliseconds; no longer than times can be apart."""

LongerThanNone = Annotated[Duration, Field(gt=0)]
