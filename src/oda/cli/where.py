"""Options of the commands that listen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Host = Annotated[
    str, typer.Option(help="Where to listen; 0.0.0.0 is everywhere. Beyond this machine it takes tokens and TLS.")
]
Port = Annotated[int, typer.Option(min=1, max=65535, help="On which port.")]
TokenFile = Annotated[
    Path | None, typer.Option(help="Who is let in: lines of a name and a token. Read anew when it changes.")
]
Certificate = Annotated[Path | None, typer.Option(help="TLS: a PEM file, with its chain. Read anew when it changes.")]
Key = Annotated[Path | None, typer.Option(help="TLS: the certificate's key, a PEM file.")]
