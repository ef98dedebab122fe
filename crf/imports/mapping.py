"""What the columns of a list are: subject number, visit, or the answer to a question.

A `Mapping` is data. It is kept with every import, offered again for a list with the same headings,
and can be written by hand for `manage.py import_data` (docs/developers/studies.md).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import yaml
from django.utils.translation import gettext as _
from pydantic import ValidationError, field_validator, model_validator

from crf.instrument import Definition, Instrument, Item, MissingReason
from registry.protocol import UNSCHEDULED, Part
from sites.access import Refused

SUBJECT, VISIT = "subject", "visit"
_SUBJECT_WORDS = {
    "subject",
    "subjectid",
    "subjectno",
    "subjectnumber",
    "participant",
    "participantnumber",
    "대상자",
    "대상자번호",
    "연구번호",
    "연구대상자번호",
    "피험자번호",
}
_VISIT_WORDS = {
    "visit",
    "visitcode",
    "timepoint",
    "week",
    "방문",
    "방문차수",
    "방문코드",
    "시점",
    "주차",
}


class Target(Part):
    """A question that a column answers; `values` translates what stands in its cells."""

    to: str
    values: dict[str, str] = {}

    @property
    def form(self) -> str:
        return self.to.partition(".")[0]

    @property
    def item(self) -> str:
        return self.to.partition(".")[2]


class Mapping(Part):
    """`columns` heading → `subject`, `visit` or a question as `form.item`; others are not read.

    `visit` is the visit of every line where the list has no such column; `missing` translates words
    of the list into the reason for which there is no answer.
    """

    study: str = ""
    site: str = ""
    visit: str = ""
    columns: dict[str, Target]
    missing: dict[str, MissingReason] = {}

    @field_validator("columns", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("must be a list of headings with what they are")
        return {str(name): {"to": to} if isinstance(to, str) else to for name, to in value.items()}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        targets = [target.to for target in self.columns.values()]
        twice = next((to for to in targets if targets.count(to) > 1), None)
        if twice:
            raise ValueError(_("Two columns are “%(target)s”.") % {"target": twice})
        if SUBJECT not in targets:
            raise ValueError(_("No column is the subject number."))
        if (VISIT in targets) == bool(self.visit):
            raise ValueError(
                _("Say which column is the visit, or to which visit all lines belong.")
            )
        if not list(self.questions):
            raise ValueError(_("No column is the answer to a question."))
        return self

    @property
    def questions(self) -> Iterator[tuple[str, Target]]:
        """Heading and target of every column with answers."""
        return (
            (name, target)
            for name, target in self.columns.items()
            if target.to not in (SUBJECT, VISIT)
        )

    def heading(self, to: str) -> str | None:
        return next((name for name, target in self.columns.items() if target.to == to), None)

    def as_yaml(self) -> str:
        content = json.loads(self.model_dump_json(exclude_defaults=True))
        content["columns"] = {
            name: target if target.get("values") else target["to"]
            for name, target in content["columns"].items()
        }
        return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)


def checked(content: Any, definition: Definition, headers: Iterable[str]) -> Mapping:
    """The mapping, if it fits the study and the list; else `Refused` with a sentence."""
    try:
        mapping = Mapping.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise Refused(f"{place}: {said}" if place else said, "columns") from None
    lacking = [name for name in mapping.columns if name not in set(headers)]
    if lacking:
        raise Refused(
            _("The list has no column “%(name)s”.") % {"name": lacking[0][:40]}, "columns"
        )
    known = {f"{form.code}.{item.code}" for form, item in questions(definition)}
    for name, target in mapping.questions:
        if target.to not in known:
            raise Refused(
                _("“%(target)s” (column “%(name)s”) is no question of a form of a visit.")
                % {"target": target.to, "name": name[:40]},
                "columns",
            )
    if mapping.visit and mapping.visit not in {each.code for each in definition.protocol.visits}:
        raise Refused(_("The protocol has no visit “%(code)s”.") % {"code": mapping.visit}, "visit")
    return mapping


def read_map(path: Path) -> Any:
    """The content of a map's file."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Refused(f"{path}: {error}") from None


def questions(definition: Definition) -> Iterator[tuple[Instrument, Item]]:
    """Every question of the forms that belong to visits, in the protocol's order."""
    protocol = definition.protocol
    at_visits = {form.instrument for visit in protocol.visits for form in visit.forms}
    for code in protocol.instruments:
        if code in at_visits:
            instrument = definition.instrument(code)
            yield from ((instrument, item) for item in instrument.items)


def guess(headers: Iterable[str], definition: Definition) -> dict[str, str]:
    """Heading → what the column probably is; what could be several things is left open."""
    names: dict[str, set[str]] = {}
    for form, item in questions(definition):
        to = f"{form.code}.{item.code}"
        said = [item.code, item.label.ko, item.label.en, f"{form.code}{item.code}"]
        said += [f"{form.short.get(lang)}{item.label.get(lang)}" for lang in ("ko", "en")]
        for each in said:
            names.setdefault(plain(each), set()).add(to)
    found: dict[str, str] = {}
    for header in headers:
        word = plain(header)
        targets = names.get(word, set())
        if word in _SUBJECT_WORDS:
            targets = {SUBJECT}
        elif word in _VISIT_WORDS:
            targets = {VISIT}
        if len(targets) == 1 and not targets & set(found.values()):
            found[header] = next(iter(targets))
    return found


def plain(text: str) -> str:
    """Letters and digits alone, so that “NRS (0–10)” and “nrs 0-10” are the same."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", text).casefold())


def visit_names(definition: Definition) -> dict[str, str]:
    """What a cell may call a visit → its code: code, label in both languages, planned day."""
    found: dict[str, str] = {}
    for visit in definition.protocol.visits:
        for said in (visit.code, visit.label.ko, visit.label.en):
            found.setdefault(plain(said), visit.code)
    return {name: code for name, code in found.items() if code != UNSCHEDULED}
