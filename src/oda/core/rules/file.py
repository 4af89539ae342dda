"""What a file of rules may say: its fields, their types and bounds, and its JSON schema.

A field that is not given is None here: what it is then depends on the rule, or on the topology's options.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, create_model, model_validator

from oda.core.detectors import installed, load
from oda.core.duration import Duration, LongerThanNone
from oda.core.rules.pattern import Glob, in_re2

SEVERITIES = ("info", "warning", "critical")
"""From the least to the worst."""

MOST_DETECTORS = 16
"""Of one rule: a series has the state of each."""

MOST_RECENT = 1000
"""Readings that an incident's beginning may look back to: a series keeps the anomalies among them."""

Severity = Literal["info", "warning", "critical"]
Direction = Literal["high", "low", "both"]
Aggregate = Literal["mean", "sum", "minimum", "maximum", "stddev", "members", "readings", "anomalous", "late"]
Positive = Annotated[int, Field(gt=0, lt=2**31)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Label = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=63)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]+$", max_length=63)]
Value = Annotated[str, Field(min_length=1, max_length=200)]


class Part(BaseModel):
    """A mapping; a field that is not listed is an error, and so is a text for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Regex(Part):
    """Series by a regular expression that their whole names match."""

    regex: Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(in_re2)] = Field(
        description="in RE2's syntax, which takes no time that grows with what it matches"
    )


class Window(Part):
    """What a window is and when it closes; of what is not given the topology's options hold (oda.window.*)."""

    size: LongerThanNone | None = None
    lateness: Duration | None = None
    idle: Duration | None = None


class Least(Part):
    """Deviations that do not matter, whatever the detector says; those that score each reading do not ask."""

    absolute: NotNegative = Field(default=0.0, description="in the unit of the values")
    relative: NotNegative = Field(default=0.0, description="of what was expected: 0.02 is 2 %")


class Open(Part):
    """An incident begins when so many of the last `of` readings are anomalies."""

    anomalies: Annotated[int, Field(gt=0, le=MOST_RECENT)] = 1
    of: Annotated[int, Field(gt=0, le=MOST_RECENT)] | None = Field(
        default=None, description="default as many as anomalies"
    )

    @model_validator(mode="after")
    def _possible(self) -> Open:
        if self.of is not None and self.anomalies > self.of:
            raise ValueError(f"{self.anomalies} anomalies of {self.of} readings can't be")
        return self


class Rest(Part):
    """After an incident has begun none begins for so many readings of the series, or for so long."""

    readings: Positive | None = None
    time: LongerThanNone | None = None

    @model_validator(mode="after")
    def _one(self) -> Rest:
        if (self.readings is None) == (self.time is None):
            raise ValueError("must say either readings or time")
        return self


class Escalate(Part):
    """An incident becomes a worse one when it has so many anomalies."""

    anomalies: Positive
    to: Severity


class Incident(Part):
    """When an incident begins, becomes a worse one and ends."""

    open: Open = Open()
    quiet: LongerThanNone = Field(default=600_000, description="it ends after so long without an anomaly")
    rest: Rest | None = None
    escalate: Escalate | None = None


class Options(Part):
    """What may stand at a rule, for all its detectors, or at one of them."""

    severity: Severity | None = None
    direction: Direction | None = Field(default=None, description="of anomalies: high ones, low ones, or both")
    least: Least | None = None
    incident: Incident | None = None


class Watch(Options):
    """One detector, without its own parameters: these stand beside."""

    use: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="the detector's name, as student or student/1; without a version the newest"
    )
    as_: Name | None = Field(default=None, alias="as", description="what it is called in results; default its own name")


class Rule(Options):
    """One rule."""

    series: Annotated[
        Annotated[Glob, Tag("a glob")] | Annotated[Regex, Tag("a regular expression")],
        Discriminator(lambda value: "a regular expression" if isinstance(value, dict) else "a glob"),
    ] = Field(description="a glob such as pump-*/power, or {regex: ...}")
    window: Annotated[
        Annotated[Window, Tag("a window")] | Annotated[Literal["each"], Tag("each")],
        Discriminator(lambda value: "each" if isinstance(value, str) else "a window"),
    ] = Field(default=Window(), description="or each: every reading is a window of its own")
    detectors: Annotated[list[Any], Field(min_length=1, max_length=MOST_DETECTORS)] | None = None
    lead: Duration | None = Field(
        default=None,
        description="how far ahead of its partition's newest time a reading may be; beyond it is an outlier of time",
    )
    labels: Annotated[dict[Label, Value], Field(max_length=32)] = {}


class Quantile(Part):
    """A quantile of the members' means, as NumPy's `linear` interpolates it."""

    quantile: Annotated[float, Field(ge=0, le=1)]


class GroupWindow(Part):
    """A group's windows: members belong to the one that has their start."""

    size: LongerThanNone | None = None
    lateness: Duration | None = Field(
        default=None,
        description="how far each partition has come beyond a window's end when it closes (docs/groups.md)",
    )


class Group(Part):
    """Series whose windows are merged, window by window, into readings of a series of its own."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^*?\[\]]+$")] = Field(
        description="such as {site}/power, with what `members` captures: the series is called group:NAME"
    )
    members: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\[\]]+$")] = Field(
        description="a glob with captures, such as site/{site}/pump-*/power; of groups it begins with group:"
    )
    aggregate: Annotated[
        Annotated[Aggregate, Tag("a word")] | Annotated[Quantile, Tag("a quantile")],
        Discriminator(lambda value: "a quantile" if isinstance(value, dict) else "a word"),
    ] = Field(description="one of the words, or {quantile: 0.9}: docs/groups.md says what each is")
    window: GroupWindow = GroupWindow()
    least: Positive = Field(default=1, description="a window with fewer members makes no reading")
    suppresses: bool = Field(default=False, description="while it has an incident, those of its members are not told")


MOST_GROUPS = 100
"""Of one file: a series is looked up in each, once."""


class File(Part):
    """All of it. The first rule that matches a series counts; without one the topology's options hold."""

    rules: list[Any]
    groups: Annotated[list[Any], Field(max_length=MOST_GROUPS)] = []


def schema() -> dict[str, Any]:
    """The JSON schema of a file, with the parameters of all detectors that are installed.

    Raises:
        UserError: one of them can't be imported.
    """
    watch = reduce(or_, map(_with_parameters, installed()))
    watches = Annotated[list[watch], Field(min_length=1, max_length=MOST_DETECTORS)]  # type: ignore[valid-type]
    rule = create_model("Rule", __base__=Rule, detectors=(watches | None, None))
    groups = Annotated[list[Group], Field(max_length=MOST_GROUPS)]
    file = create_model("File", __base__=File, rules=(list[rule], ...), groups=(groups, []))  # type: ignore[valid-type]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **file.model_json_schema()}


def _with_parameters(name: str) -> Any:
    """What a file may say of one detector."""
    kind = name.rpartition("/")[0]
    names = (name, kind) if load(kind) is load(name) else (name,)
    fields: dict[str, Any] = {key: (info.annotation, info) for key, info in load(name).Parameters.model_fields.items()}
    return create_model(name, __base__=Watch, use=(Literal[names], ...), **fields)  # type: ignore[arg-type]
