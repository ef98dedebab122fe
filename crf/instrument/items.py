"""What a form is: instruments, their sections, and the kinds of items.

An `Instrument` is the one description from which the form, the page, the API schema, the export
columns and the codebook are made. What is a *hard* limit (a format, the ends of a scale) stands on
the item and a value beyond it can't be kept; what is merely unlikely is a `Check`, and the value is
kept.

How answers are stored (one flat object item → value):

| kind | stored as | |---|---| | choice | the code of the option, an int if it looks like one | |
multi | list of codes, in the order of the options | | integer | int | | decimal | canonical string,
"12.5" | | text, longtext | string | | date | "2026-05-03"; if `partial`, "2026-05" or "2026" too |
| yesno | "yes" or "no" | | code | the code of the code list, as the list writes it |
"""

import re
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, field_validator, model_validator

from crf.conditions import rename
from registry.protocol import Expression, Part, Slug, Text

MissingReason: TypeAlias = Literal["not_done", "refused", "not_applicable", "unknown"]
MISSING: tuple[MissingReason, ...] = ("not_done", "refused", "not_applicable", "unknown")

_WHOLE = re.compile(r"-?(?:0|[1-9]\d*)")


class Option(Part):
    """An answer to choose. Written as a bare code where the code is all that may be shown."""

    code: int | Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=32)]
    label: Text

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        if isinstance(value, int | str):
            return {"code": value, "label": {"ko": str(value), "en": str(value)}}
        return value

    @field_validator("code", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("can't be true or false; write a word or a number")
        return int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value


class _Item(Part):
    code: Slug
    label: Text
    help: Text | None = None
    required: bool = True
    when: Expression | None = None
    critical: bool = False
    missing: tuple[MissingReason, ...] = MISSING
    unit: Text | None = None

    @field_validator("unit", mode="before")
    @classmethod
    def _symbol(cls, value: Any) -> Any:
        """A symbol such as mm is the same in both languages and may be written once."""
        return {"ko": value, "en": value} if isinstance(value, str) else value


class _Optioned(_Item):
    options: tuple[Option, ...] = Field(min_length=2)

    @field_validator("options")
    @classmethod
    def _distinct(cls, value: tuple[Option, ...]) -> tuple[Option, ...]:
        codes = [str(option.code) for option in value]
        if twice := next((code for code in codes if codes.count(code) > 1), None):
            raise ValueError(f"The option “{twice}” is there twice.")
        return value

    def option(self, code: int | str) -> Option:
        return {option.code: option for option in self.options}[code]


class ChoiceItem(_Optioned):
    """`scale` is one line of numbers with words at its ends, `tiles` large buttons, `list` a drop-
    down.
    """

    kind: Literal["choice"]
    display: Literal["tiles", "scale", "list"] = "tiles"


class MultiItem(_Optioned):
    kind: Literal["multi"]


class IntegerItem(_Item):
    kind: Literal["integer"]
    min: int | None = None
    max: int | None = None

    @model_validator(mode="after")
    def _order(self) -> Self:
        _in_order(self.min, self.max)
        return self


class DecimalItem(_Item):
    """`units` are other units that may be typed behind the number, and what one of them is worth:
    {cm: 10} where the unit is mm. What is stored is always in the item's own unit.
    """

    kind: Literal["decimal"]
    min: Decimal | None = None
    max: Decimal | None = None
    places: int = Field(ge=1, le=6)
    units: dict[str, Decimal] = {}

    @field_validator("units")
    @classmethod
    def _positive(cls, value: dict[str, Decimal]) -> dict[str, Decimal]:
        if wrong := next((unit for unit, times in value.items() if times <= 0), None):
            raise ValueError(f"One “{wrong}” must be a positive number of the item's unit.")
        return value

    @model_validator(mode="after")
    def _order(self) -> Self:
        _in_order(self.min, self.max)
        return self


class TextItem(_Item):
    kind: Literal["text"]
    max_length: int = Field(default=200, ge=1, le=1000)


class LongTextItem(_Item):
    kind: Literal["longtext"]
    max_length: int = Field(default=4000, ge=1, le=20000)


class DateItem(_Item):
    """`partial`: the day, or month and day, may be unknown."""

    kind: Literal["date"]
    partial: bool = False
    not_future: bool = True


class YesNoItem(_Item):
    kind: Literal["yesno"]


class CodeItem(_Item):
    """A code of one of the lists of `crf.codelists`."""

    kind: Literal["code"]
    list: str


Item: TypeAlias = (
    ChoiceItem
    | MultiItem
    | IntegerItem
    | DecimalItem
    | TextItem
    | LongTextItem
    | DateItem
    | YesNoItem
    | CodeItem
)


class Group(Part):
    """Items that repeat within a form, up to `max` times: `product` becomes `product_1`,
    `product_2`, …

    The first item leads. A further copy is offered once the lead of the copy before it is answered,
    is never required, and asks for the rest only when its own lead is answered. All of that is said
    by the copies' own `when` and `required`, so nobody else needs to know of groups. Within a group
    expressions name the items of the same copy by their plain codes.

    A `chart` beside the rows is a second way to fill in the same: the body with the places of the
    code list of the first item, each with a side, which is the second.
    """

    kind: Literal["group"]
    code: Slug
    title: Text
    max: int = Field(ge=2, le=20)
    chart: Literal["spine"] | None = None
    items: tuple[Annotated[Item, Field(discriminator="kind")], ...] = Field(min_length=1)

    @cached_property
    def copies(self) -> tuple[tuple[Item, ...], ...]:
        return tuple(
            tuple(self._copy(item, number) for item in self.items)
            for number in range(1, self.max + 1)
        )

    def _copy(self, item: Item, number: int) -> Item:
        names = {each.code: f"{each.code}_{number}" for each in self.items}
        lead = self.items[0].code
        needs = [f"({rename(item.when, names)})"] if item.when else []
        if number > 1:
            needs.insert(
                0,
                f"{lead}_{number - 1} != null" if item.code == lead else f"{lead}_{number} != null",
            )
        return item.model_copy(
            update={
                "code": names[item.code],
                "label": Text(ko=f"{item.label.ko} {number}", en=f"{item.label.en} {number}"),
                "when": " && ".join(needs) or None,
                "required": item.required and not (number > 1 and item.code == lead),
            }
        )


class Line(Part):
    """Items that belong together and stand in one line, such as a treatment: whether, how often,
    which. They are items like any other; only the page shows them side by side.
    """

    kind: Literal["line"]
    code: Slug
    title: Text
    items: tuple[Annotated[Item, Field(discriminator="kind")], ...] = Field(min_length=2)


class Section(Part):
    code: Slug
    title: Text
    items: tuple[Annotated[Item | Group | Line, Field(discriminator="kind")], ...] = Field(
        min_length=1
    )

    @cached_property
    def flat(self) -> tuple[Item, ...]:
        """The items of the section in order, with every copy of its groups."""
        flat: list[Item] = []
        for each in self.items:
            if isinstance(each, Group):
                flat += [item for copy in each.copies for item in copy]
            elif isinstance(each, Line):
                flat += each.items
            else:
                flat.append(each)
        return tuple(flat)


class Check(Part):
    """A soft check: `ok` is true while all is well; a broken one keeps the value, opens a query."""

    code: Slug
    ok: Expression
    items: tuple[Slug, ...] = Field(min_length=1)
    message: Text


class ScoreUse(Part):
    """A score of `crf.scoring`, over these items in this order."""

    score: str
    items: tuple[Slug, ...] = Field(min_length=1)
    settings: dict[str, Any] = {}
    prefix: Slug | None = None

    def column(self, output: str) -> str:
        """The name of an output among the answers of its form and in the dataset."""
        return f"{self.prefix}_{output}" if self.prefix else output


class PatientUse(Part):
    """That a participant may answer the form alone; `decline` offers “prefer not to answer”."""

    decline: bool = False


class Instrument(Part):
    """`copied` names what a new entry of a repeating form may take over from the one before it; the
    items of a group by their plain codes.
    """

    code: Slug
    title: Text
    short: Text
    patient: PatientUse | None = None
    licence: Text | None = None
    recall: Text | None = None
    repeating: bool = False
    copied: tuple[Slug, ...] = ()
    sections: tuple[Section, ...] = Field(min_length=1)
    checks: tuple[Check, ...] = ()
    scores: tuple[ScoreUse, ...] = ()

    @cached_property
    def items(self) -> tuple[Item, ...]:
        return tuple(item for section in self.sections for item in section.flat)

    @cached_property
    def copies(self) -> frozenset[str]:
        """The items that may be taken over from the last entry: a day never is."""
        wanted = set(self.copied)
        found = set()
        for section in self.sections:
            for each in section.items:
                rows = (each.items, *each.copies) if isinstance(each, Group) else ()
                for row in rows[1:]:
                    plain = zip(rows[0], row, strict=True)
                    found |= {copy.code for item, copy in plain if item.code in wanted}
            found |= {item.code for item in section.flat if item.code in wanted}
        return frozenset(code for code in found if not isinstance(self.item(code), DateItem))

    @cached_property
    def _by_code(self) -> dict[str, Item]:
        return {item.code: item for item in self.items}

    def item(self, code: str) -> Item:
        return self._by_code[code]

    def has(self, code: str) -> bool:
        return code in self._by_code

    def check(self, code: str) -> Check:
        return {check.code: check for check in self.checks}[code]

    @model_validator(mode="after")
    def _answerable(self) -> Self:
        """What a participant is asked stands alone on a screen and needs no list of codes."""
        grouped = any(isinstance(each, Group) for part in self.sections for each in part.items)
        if self.patient and (grouped or any(isinstance(item, CodeItem) for item in self.items)):
            raise ValueError("A form that participants answer has no groups and no code lists.")
        return self


def _in_order(low: int | Decimal | None, high: int | Decimal | None) -> None:
    if low is not None and high is not None and low > high:
        raise ValueError("The smallest value is larger than the largest.")
