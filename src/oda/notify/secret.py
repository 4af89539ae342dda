"""What must not be in a configuration file: read from a file of its own, or from the environment."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from oda.core.rules.file import Part
from oda.secret import read_secret


class Secret(Part):
    """Where a secret is. It is read each time it is needed, so one that is changed holds from then on."""

    file: Annotated[str, Field(min_length=1)] | None = Field(default=None, description="its only content")
    environment: Annotated[str, Field(min_length=1)] | None = Field(default=None, description="a variable's name")

    @model_validator(mode="after")
    def _one(self) -> Secret:
        if (self.file is None) == (self.environment is None):
            raise ValueError("must say either file or environment")
        return self

    def read(self) -> str:
        """The secret, without spaces and ends of lines around it.

        Raises:
            UserError: it is not there, or empty.
        """
        return read_secret(self.file, self.environment)
