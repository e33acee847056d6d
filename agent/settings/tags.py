"""Keys every tag may have, whatever the protocol."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, FiniteFloat, field_validator, model_validator

from agent.core.flow import TagFacts
from agent.core.quality import is_status_name, number_of, quality_of
from agent.core.text import carried
from agent.settings.model import Model
from agent.settings.slim import show_names
from agent.settings.values import Interval

_INTEGER = re.compile(r"(u?)int(8|16|32|64)((?:\[\])?)")
_BITS = (8, 16, 32, 64)


def linear_type(raw: str, scale: float | int, offset: float | int) -> str:  # noqa: PYI041 - they differ here
    """Data type of `raw * scale + offset`: of integers the smallest that holds all values, else a double."""
    kind = None if scale == 1 and offset == 0 else _INTEGER.fullmatch(raw)
    if kind is None:
        return raw
    unsigned, bits, array = kind[1] == "u", int(kind[2]), kind[3]
    if isinstance(scale, float) or isinstance(offset, float):
        return f"float64{array}"
    ends = [end * scale + offset for end in _limits(bits, unsigned=unsigned)]
    unsigned = min(ends) >= 0 and unsigned
    for wide in _BITS[_BITS.index(bits) :]:
        low, high = _limits(wide, unsigned=unsigned)
        if low <= min(ends) and max(ends) <= high:
            break
    return f"{'u' if unsigned else ''}int{wide}{array}"


def _limits(bits: int, *, unsigned: bool) -> tuple[int, int]:
    return (0, (1 << bits) - 1) if unsigned else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


class Range(Model):
    """Engineering limits after scaling."""

    min: FiniteFloat | None = None
    """Lowest plausible value, in the tag's unit."""
    max: FiniteFloat | None = None
    """Highest plausible value, in the tag's unit."""

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.min is not None and self.max is not None and self.min > self.max:
            msg = f"min {self.min:g} is above max {self.max:g}; swap them"
            raise ValueError(msg)
        return self


class PercentDeadband(Model):
    """A deadband relative to the last reported value."""

    percent: float = Field(gt=0, le=100)
    """Percent of the last reported value."""


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_tag_name(value: str) -> str:
    """The name itself. Raises ValueError where it cannot be that of a tag."""
    if not value or len(value) > 256 or _CONTROL.search(value) or carried(value) != value:
        msg = "a tag name has 1 to 256 characters, no control characters and no broken ones"
        raise ValueError(msg)
    return value


TagName = Annotated[str, AfterValidator(check_tag_name)]


_WHOLE = re.compile(r"0|-?[1-9]\d{0,19}", re.ASCII)


class TagBase(Model):
    """Keys every tag may have, whatever the protocol."""

    unit: str | None = None
    """Engineering unit, UCUM notation (`Cel`, `bar`, `1/min`)."""
    description: str | None = None
    """Free text in any language."""
    enabled: bool = True
    """false: not read; published once as bad, BadOutOfService."""
    scale: FiniteFloat | int | None = None
    """Raw value times this …"""
    offset: FiniteFloat | int | None = None
    """… plus this."""
    range: Range | None = None
    """Outside: uncertain, UncertainEngineeringUnitsExceeded."""
    null_values: list[float | int | str] | dict[float | int | str, str] | None = None
    """Raw values that mean "no value"; a mapping names the status code of each (`{32768: BadSensorFailure}`)."""
    enum: dict[int, str] | None = None
    """Text for numbers; the number stays in `value`, the text goes into `label`."""
    round: int | None = Field(default=None, ge=0, le=15)
    """Decimal places kept after scaling."""
    interval: Interval | Literal["once"] | None = None
    """Overrides the device's; `once`: read once per connection."""
    report: Literal["every", "on_change"] | None = None
    """Every reading, or only changes (see deadband, max_silence). Default: every when polled."""
    deadband: Annotated[float, Field(gt=0)] | PercentDeadband | None = None
    """Smaller changes are not reported. Implies `report: on_change`."""
    max_silence: Interval | None = None
    """An unchanged value is published again (`why: heartbeat`) after this long."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        show_names(cls)

    @field_validator("enum", mode="before")
    @classmethod
    def _number_keys(cls, value: object) -> object:
        """A program that writes JSON can write a key as text only: `"1"` means the number."""
        if not isinstance(value, dict):
            return value
        texts = {key for key in value if isinstance(key, str) and _WHOLE.fullmatch(key) and int(key) not in value}
        return {int(key) if key in texts else key: text for key, text in value.items()}

    @field_validator("null_values")
    @classmethod
    def _status_names(cls, value: object) -> object:
        for name in value.values() if isinstance(value, dict) else ():
            if not is_status_name(name) or quality_of(number_of(name)) != "bad":
                msg = f"{name!r} is not a bad OPC UA status code; write for example BadSensorFailure, or a plain list"
                raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        if self.report == "every" and self.deadband is not None:
            msg = "a deadband reports only changes; leave out `report: every` or the deadband"
            raise ValueError(msg)
        return self

    def where(self) -> str | None:
        """Where in its device it stands, for people; None where that has no name."""
        found = next(
            (one for key in ("node", "path", "address") if (one := getattr(self, key, None)) is not None), None
        )
        return None if found is None else str(found)

    @property
    def awaited(self) -> bool:
        """Whether it is published only at an event that may not happen for a long time."""
        return False

    def told_by(self, facts: TagFacts | None) -> Self:
        """The same with what the device says, where the configuration says nothing."""
        if facts is None:
            return self
        said = {"unit": facts.unit, "description": facts.description}
        return self.model_copy(update={key: said[key] for key in said.keys() - self.model_fields_set})

    def catalogue_type(self) -> str | None:
        """Data type for the catalogue, where the configuration knows it."""
        return None

    def value_type(self, raw: str) -> str:
        """Data type of the values, where that of what the device says is `raw` (see `normalize.convert`)."""
        return linear_type(raw, 1 if self.scale is None else self.scale, 0 if self.offset is None else self.offset)
