"""What a study is: the protocol as data.

A published protocol is an immutable value: these models are frozen, refuse unknown keys, and know
nothing of the database or of any study by name. What can be said of one part alone is checked here;
what needs the instruments too (does this item exist, is this expression valid) is checked where
both are known, in `crf.instrument`. Every text that a person reads carries Korean and English.

Conditions (`when`, `met`) are kept as CEL source: the language, and the names that an expression
may use, are settled in `registry.conditions`.
"""

from datetime import date
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Literal, Self, TypeVar
from zoneinfo import available_timezones

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

# Codes become column names of the dataset: lower case, short enough for Stata, SPSS and SAS.
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=32)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=16)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Short = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=20)]
Version = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20)]
Expression = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

SEXES = ("female", "male")
UNSCHEDULED = "unscheduled"
# What stands first in addresses that belong to no study (see `registry.urls`), or will.
NOT_STUDIES = frozenset(
    {
        *("account", "admin", "alive", "answer", "api", "help", "language", "p", "static"),
        "styleguide",
    }
)
WITHDRAWAL_SCOPES = ("visits", "use", "sharing")


class Part(BaseModel):
    """The settings that every part of a protocol or an instrument shares."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(Part):
    ko: Words
    en: Words

    def get(self, lang: str) -> str:
        return self.en if lang.startswith("en") else self.ko


class Named(Part):
    """One entry of a list of the protocol: a reason, a category, a cohort."""

    code: Short
    label: Text


class Arm(Part):
    code: Code
    label: Text


class Numbering(Part):
    """The two gapless series of each site, as format strings of `site` and `n`."""

    screening: str
    subject: str

    @field_validator("screening", "subject")
    @classmethod
    def _formats(cls, value: str) -> str:
        try:
            numbers = [
                value.format(site=site, n=n) for site in ("AAA", "BBB") for n in (1, 2, 1001)
            ]
        except (KeyError, IndexError, ValueError, AttributeError):
            raise ValueError("may use {site} and {n} alone, such as {site}-{n:03d}") from None
        if len(set(numbers)) < len(numbers):
            raise ValueError("must use both {site} and {n}, or two participants get one number")
        return value

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.screening == self.subject:
            raise ValueError("The screening and the subject number must have different formats.")
        return self


class SiteDefinition(Part):
    code: Code
    name: Text
    short: Text
    timezone: str = "Asia/Seoul"
    cap: int | None = Field(default=None, ge=1)
    target: int | None = Field(default=None, ge=1)

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("is not a time zone, such as Asia/Seoul")
        return value


class ConsentVersion(Part):
    version: Version
    valid_from: date


class ConsentDefinition(Part):
    kind: Short
    label: Text
    required: bool
    versions: tuple[ConsentVersion, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        days = [each.valid_from for each in self.versions]
        if any(later <= earlier for earlier, later in pairwise(days)):
            raise ValueError("The versions of a consent form must stand in order of their dates.")
        return self

    def valid_on(self, day: date) -> ConsentVersion | None:
        """The version in force on a day; None before the first."""
        in_force = [each for each in self.versions if each.valid_from <= day]
        return in_force[-1] if in_force else None


class CohortDefinition(Part):
    """A division of the participants that an item of the screening form decides."""

    label: Text
    item: Slug
    options: tuple[Named, ...] = Field(min_length=2)

    def option(self, code: str) -> Named:
        return _one(self.options, code)


class Criterion(Part):
    """Eligible: every inclusion is true, every exclusion false; undecided is neither."""

    code: Code
    kind: Literal["inclusion", "exclusion"]
    label: Text
    met: Expression

    def allows(self, met: bool | None) -> bool | None:
        """What the answer to `met` says about enrolling; None while it is undecided."""
        return None if met is None else met == (self.kind == "inclusion")


class FormDue(Part):
    instrument: Slug
    when: Expression | None = None


class VisitDefinition(Part):
    """A planned visit: `day` counts from the anchor, the window is [day - before, day + after]."""

    code: Short
    label: Text
    day: int
    before: int = Field(ge=0)
    after: int = Field(ge=0)
    forms: tuple[FormDue, ...] = Field(min_length=1)
    anchor: Literal["enrolment"] = "enrolment"

    @field_validator("code")
    @classmethod
    def _planned(cls, value: str) -> str:
        if value == UNSCHEDULED:
            raise ValueError("can't be “unscheduled”: that is what every other visit is called")
        return value

    @property
    def opens(self) -> int:
        return self.day - self.before

    @property
    def closes(self) -> int:
        return self.day + self.after


class LogDefinition(Part):
    """A form of the participant, not of a visit, that repeats: one entry for each event."""

    instrument: Slug
    label: Text


class EndOfStudy(Part):
    reasons: tuple[Named, ...] = Field(min_length=1)


class Endpoint(Part):
    """`score` is an output of the instrument's scores; a change has both visits, a single value
    only `to_visit`.
    """

    code: Slug
    label: Text
    instrument: Slug
    score: Slug
    from_visit: Short | None = None
    to_visit: Short
    primary: bool = False


class Causality(Part):
    """`single_dose`: nothing is withdrawn after one injection, so dechallenge is not asked for."""

    single_dose: bool = False


class Deadlines(Part):
    """Calendar days from first knowledge to the report."""

    fatal_days: int = Field(default=7, ge=1)
    followup_days: int = Field(default=8, ge=1)
    serious_days: int = Field(default=15, ge=1)


class Safety(Part):
    """`ask` is the form of each visit that asks whether there was an adverse event; `procedure` the
    log of the treatments to which causality is judged.
    """

    ctcae: Literal["5.0", "6.0"]
    ask: Slug
    procedure: Slug | None = None
    causality: Causality = Causality()
    deadlines: Deadlines = Deadlines()


class Sharing(Part):
    """On what terms individual data may be given to others."""

    consent: Short
    months_after_publication: int = Field(ge=0)
    years: int = Field(ge=1)
    requires: tuple[Named, ...] = Field(min_length=1)
    provides: tuple[Named, ...] = Field(min_length=1)


class SecondLook(Part):
    """Which completed forms somebody enters once more, blind: a share of all, in percent, drawn by
    chance, and, where `primary` is set, always those of the primary endpoint.
    """

    share: int = Field(ge=0, le=100)
    primary: bool = False


class Protocol(Part):
    code: Slug
    version: Version
    title: Text
    short: Text
    sponsor: Text
    registration: Words | None = None
    cap: int | None = Field(default=None, ge=1)
    numbering: Numbering
    sites: tuple[SiteDefinition, ...] = Field(min_length=1)
    consents: tuple[ConsentDefinition, ...] = Field(min_length=1)
    prescreen_reasons: tuple[Named, ...] = Field(min_length=1)
    screening: Slug
    cohort: CohortDefinition | None = None
    arms: tuple[Arm, ...] = ()
    eligibility: tuple[Criterion, ...] = Field(min_length=1)
    visits: tuple[VisitDefinition, ...] = Field(min_length=1)
    unscheduled: tuple[FormDue, ...] | None = None
    logs: tuple[LogDefinition, ...] = ()
    end_of_study: EndOfStudy
    deviation_categories: tuple[Named, ...] = Field(min_length=1)
    endpoints: tuple[Endpoint, ...] = Field(min_length=1)
    safety: Safety
    sharing: Sharing | None = None
    second_look: SecondLook | None = None

    def site(self, code: str) -> SiteDefinition:
        return _one(self.sites, code)

    def consent(self, kind: str) -> ConsentDefinition:
        return {each.kind: each for each in self.consents}[kind]

    def arm(self, code: str) -> Arm:
        return _one(self.arms, code)

    def criterion(self, code: str) -> Criterion:
        return _one(self.eligibility, code)

    def visit(self, code: str) -> VisitDefinition:
        return _one(self.visits, code)

    def log(self, instrument: str) -> LogDefinition:
        return {each.instrument: each for each in self.logs}[instrument]

    def endpoint(self, code: str) -> Endpoint:
        return _one(self.endpoints, code)

    @cached_property
    def primary(self) -> Endpoint:
        """The primary endpoint: there is exactly one."""
        return next(each for each in self.endpoints if each.primary)

    @cached_property
    def instruments(self) -> tuple[str, ...]:
        """Every instrument that the protocol names, in the order in which they are met."""
        named = [self.screening]
        for visit in self.visits:
            named += [form.instrument for form in visit.forms]
        named += [form.instrument for form in self.unscheduled or ()]
        named += [log.instrument for log in self.logs]
        return tuple(dict.fromkeys(named))


_Coded = TypeVar(
    "_Coded", "SiteDefinition", "Arm", "Criterion", "VisitDefinition", "Endpoint", "Named"
)


def _one(among: tuple[_Coded, ...], code: str) -> _Coded:
    for each in among:
        if each.code == code:
            return each
    raise KeyError(code)
