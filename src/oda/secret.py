"""Secrets: in a file of their own or in the environment, read each time that one is needed."""

from __future__ import annotations

import os
from pathlib import Path

from oda.errors import UserError


def read_secret(file: str | None, environment: str | None) -> str:
    """The secret in the file, or in the environment variable of this name, without spaces and ends of lines around it.

    Raises:
        UserError: it is not there, or empty.
    """
    where = f"the file {file}" if file else f"the environment variable {environment}"
    try:
        found = Path(file).read_text("utf-8") if file else os.environ.get(str(environment), "")
    except UnicodeDecodeError:  # whose text holds the bytes
        raise UserError(f"a secret is to be in {where}: it is no UTF-8") from None
    except OSError as error:
        raise UserError(f"a secret is to be in {where}: {error.strerror}") from None
    if not found.strip():
        raise UserError(f"a secret is to be in {where}, and there is none")
    return found.strip()
