"""What a score is: its outputs, its rule, its settings, and the one way a decimal is written.

Every rule is a pure function of the answers and the settings, so that a stored score can be
computed again years later and compared. Whatever a rule needs to know beyond the answers is a
setting with a default that the study may override.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, TypeAlias

Answers: TypeAlias = Sequence[int | None]
Label: TypeAlias = Mapping[str, str]
Value: TypeAlias = str | int | None
Values: TypeAlias = dict[str, Value]


@dataclass(frozen=True)
class Output:
    """One computed column; `codes` names the values of a text, `decimals` the most places kept."""

    name: str
    kind: Literal["integer", "decimal", "text"]
    label: Label
    derivation: Label
    unit: str | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    higher_is: Literal["better", "worse"] | None = None
    decimals: int = 0
    codes: Mapping[str, Label] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """A named rule; its version changes whenever the same answers could give another result."""

    name: str
    version: str
    source: str
    inputs: int
    outputs: tuple[Output, ...]
    function: Callable[..., Values]
    settings: Mapping[str, object] = field(default_factory=dict)
    accepts: Mapping[str, Callable[[object], bool]] = field(default_factory=dict)


def canonical(number: Decimal) -> str:
    """The one text of a decimal: no exponent, no trailing zeros, no "-0" ("32", "35.5556").

    Equal numbers have equal texts, so that stored values are compared, digested and diffed as text.
    """
    if not number.is_finite():
        raise ValueError(f"{number} is not a number that can be stored.")
    if number.is_zero():
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def rounded(number: Decimal, decimals: int) -> Decimal:
    """Rounded half away from zero, as the published tables and bands are read by people."""
    return number.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)


def checked(answers: Answers, *, low: int, high: int) -> list[int]:
    """The answered items in order; one out of range is an error, never a missing value."""
    for position, answer in enumerate(answers, start=1):
        if answer is None:
            continue
        if isinstance(answer, bool) or not isinstance(answer, int):
            raise ValueError(f"Item {position} must be a whole number, not {answer!r}.")
        if not low <= answer <= high:
            raise ValueError(f"Item {position} must be between {low} and {high}, not {answer}.")
    return [answer for answer in answers if answer is not None]


def band(number: Decimal, limits: Mapping[str, int]) -> str:
    """The first band whose upper limit the number, rounded to a whole one, does not exceed."""
    whole = rounded(number, 0)
    return next(code for code, upper in limits.items() if whole <= upper)


def is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
