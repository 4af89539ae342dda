"""Where a service of audits stands, in a file: what the reference knows of each partition, so that it can go on there.

The file is pickled, so it is as trusted as the program: it belongs to whoever runs the service, and nobody else may
write it. Rules are in it by their versions.
"""

from __future__ import annotations

import io
import os
import pickle
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oda.audit.audit import Known
from oda.core.rules.match import Rules, of_options
from oda.core.rules.parse import parsed
from oda.errors import UserError
from oda.settings import Settings

_FORM = 1
"""Grows when what is kept is another thing: a file of a former form can't be gone on with."""


@dataclass
class Checkpoint:
    """What is kept.

    Attributes:
        log: Kafka's id of the topic of readings, as text.
        group: whose committed positions are followed.
        differences: rows that were wrong, in all audits so far.
        known: where the newest audit ended.
    """

    log: str
    group: str
    differences: int = 0
    known: Known = field(default_factory=Known)


def load(path: Path, settings: Settings, rules: Mapping[int, str]) -> Checkpoint | None:
    """What the file has; None if there is no file.

    Args:
        path: of the file.
        settings: of the topology.
        rules: the text of each version.

    Raises:
        UserError: it can't be read, or is none of this version of ODA.
    """
    way_out = "move it away, and the audit begins anew at the log's beginning"
    try:
        data = path.read_bytes()
        if path.stat().st_mode & 0o022:
            raise UserError(f"--checkpoint {path}: others may write it, so it can't be trusted; {way_out}")
        form, found = _Unpickler(data, settings, rules).load()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"--checkpoint {path}: {error.strerror}") from None
    except (pickle.UnpicklingError, AttributeError, ImportError, EOFError, ValueError, TypeError, LookupError) as error:
        raise UserError(f"--checkpoint {path}: is no checkpoint of this version of ODA ({error}); {way_out}") from None
    if form != _FORM or not isinstance(found, Checkpoint):
        raise UserError(f"--checkpoint {path}: is of another version of ODA; {way_out}")
    return found


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the file by one with this; it is durable on return. Raises UserError: it can't be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:  # mode 600
            try:
                _Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump((_FORM, checkpoint))
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise UserError(f"--checkpoint {path}: {error.strerror}") from None


class _Pickler(pickle.Pickler):
    def persistent_id(self, item: Any) -> int | None:
        """Called for everything: rules have compiled expressions, which can't be pickled."""
        return item.version if isinstance(item, Rules) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, settings: Settings, rules: Mapping[int, str]) -> None:
        super().__init__(io.BytesIO(data))
        self._settings = settings
        self._rules = rules

    def persistent_load(self, version: int) -> Rules:
        """Called for each that `persistent_id` named."""
        return parsed(self._rules[version], self._settings, version) if version else of_options(self._settings)
