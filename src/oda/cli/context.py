"""What every command shares: which config.json, which environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oda.settings import Settings, load_settings


@dataclass(frozen=True)
class Context:
    """The global options of `oda`; `ctx.obj` of every command."""

    config: Path
    env: str

    def settings(self) -> Settings:
        """The checked settings of the chosen environment. Raises SettingsError."""
        return load_settings(self.config, self.env)
