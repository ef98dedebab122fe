"""What an amendment changes, in words, and which existing entries its checks would flag.

Both are asked before a version is published (`manage.py publish STUDY --dry-run`) and again before
a site takes it up (the page of a version). Nothing here writes.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from pydantic import BaseModel

from crf.definitions import definition_of
from crf.instrument import (
    ChoiceItem,
    CodeItem,
    DateItem,
    DecimalItem,
    Definition,
    Instrument,
    IntegerItem,
    Item,
    LongTextItem,
    MultiItem,
    TextItem,
    YesNoItem,
    judge,
)
from crf.models import Entry
from crf.services.entries import entry_facts
from crf.spoken import Vocabulary, spoken, vocabulary
from crf.values import Invalid, parse
from registry.display import visit_title
from registry.models import ProtocolVersion
from registry.protocol import FormDue, Protocol, Text, VisitDefinition
from sites.models import Site

# What is told as it is written, since it changes rarely.
REST: Mapping[str, Any] = {
    "short": gettext_lazy("Short title"),
    "sponsor": gettext_lazy("Sponsor"),
    "registration": gettext_lazy("Registration"),
    "numbering": gettext_lazy("Numbers of participants"),
    "screening": gettext_lazy("Screening form"),
    "cohort": gettext_lazy("Groups of participants"),
    "safety": gettext_lazy("Rules for adverse events"),
    "sharing": gettext_lazy("Rules for sharing data"),
}
ADDED, REMOVED, CHANGED = "added", "removed", "changed"
KIND_WORDS: Mapping[type, Any] = {
    ChoiceItem: gettext_lazy("one of several answers"),
    MultiItem: gettext_lazy("several answers"),
    IntegerItem: gettext_lazy("whole number"),
    DecimalItem: gettext_lazy("number with decimals"),
    TextItem: gettext_lazy("text"),
    LongTextItem: gettext_lazy("long text"),
    DateItem: gettext_lazy("date"),
    YesNoItem: gettext_lazy("yes or no"),
    CodeItem: gettext_lazy("code of a list"),
}


@dataclass(frozen=True)
class Difference:
    """One change: where, of what, from what to what; `code` when the values are expressions."""

    kind: str
    place: str
    what: str
    before: str = ""
    after: str = ""
    code: bool = False


Part = TypeVar("Part")


def differences(old: Definition, new: Definition) -> list[Difference]:
    """What the newer definition adds, removes and changes, in the reader's language."""
    return [*_protocol(old, new), *_forms(old, new)]


def _said(text: Text | None) -> str:
    return text.get(get_language() or "ko") if text else ""


def _pairs(
    old: Iterable[Part], new: Iterable[Part], key: Callable[[Part], Any]
) -> Iterator[tuple[Part | None, Part | None]]:
    """What belongs together in two lists: the new ones in their order, then those that are gone."""
    before, after = {key(each): each for each in old}, {key(each): each for each in new}
    yield from ((before.get(name), each) for name, each in after.items())
    yield from ((each, None) for name, each in before.items() if name not in after)


def _changed(
    place: str, what: str, before: str, after: str, *, code: bool = False
) -> list[Difference]:
    return [Difference(CHANGED, place, what, before, after, code)] if before != after else []


# The protocol -----------------------------------------------------------------------------------


def _protocol(old: Definition, new: Definition) -> Iterator[Difference]:
    before, after = old.protocol, new.protocol
    general, visits = _("Study"), _("Visits")
    cap = (str(each.cap or "") for each in (before, after))
    yield from _changed(general, _("Title"), _said(before.title), _said(after.title))
    yield from _changed(general, _("Participants at most"), *cap)
    for was, visit in _pairs(before.visits, after.visits, lambda each: each.code):
        yield from _visit(visits, was, visit, old, new)
    yield from _due(
        visits, _("Unscheduled visit"), before.unscheduled or (), after.unscheduled or (), old, new
    )
    yield from _labelled(_("Logs"), before.logs, after.logs, "instrument")
    yield from _eligibility(old, new)
    yield from _labelled(_("Endpoints"), before.endpoints, after.endpoints, "code")
    yield from _consents(before, after)
    yield from _labelled(
        _("Reasons for the end of the study"),
        before.end_of_study.reasons,
        after.end_of_study.reasons,
        "code",
    )
    yield from _labelled(
        _("Deviations"), before.deviation_categories, after.deviation_categories, "code"
    )
    yield from _labelled(_("Arms"), before.arms, after.arms, "code")
    yield from _labelled(
        _("Reasons without consent"), before.prescreen_reasons, after.prescreen_reasons, "code"
    )
    yield from _sites(before, after)
    for name, what in REST.items():
        one, other = (_plain(getattr(each, name)) for each in (before, after))
        yield from _changed(general, str(what), one, other, code=True)


def _plain(value: Any) -> str:
    """A part of the protocol that has no words of its own, as it is written."""
    if isinstance(value, BaseModel):
        return json.dumps(value.model_dump(mode="json"), ensure_ascii=False)
    return "" if value is None else str(value)


def _labelled(place: str, old: Sequence[Any], new: Sequence[Any], key: str) -> Iterator[Difference]:
    """Lists of things with a code and a label: what came, what went, what is called otherwise."""
    for was, each in _pairs(old, new, lambda one: getattr(one, key)):
        if was is None or each is None:
            kind = REMOVED if each is None else ADDED
            yield Difference(kind, place, _said((each or was).label))  # type: ignore[union-attr]
        elif was.label != each.label:
            yield Difference(
                CHANGED, place, str(getattr(each, key)), _said(was.label), _said(each.label)
            )
        elif was != each:
            yield Difference(CHANGED, place, _said(each.label), after=_("details"))


def _sites(old: Protocol, new: Protocol) -> Iterator[Difference]:
    for was, site in _pairs(old.sites, new.sites, lambda each: each.code):
        named = site or was
        assert named is not None
        if was is None or site is None:
            yield Difference(ADDED if site else REMOVED, _("Sites"), _said(named.name))
        else:
            caps = (str(each.cap or "") for each in (was, site))
            what = _("%(site)s: participants at most") % {"site": _said(site.name)}
            yield from _changed(_("Sites"), what, *caps)


def _consents(old: Protocol, new: Protocol) -> Iterator[Difference]:
    place = _("Consents")
    for was, consent in _pairs(old.consents, new.consents, lambda each: each.kind):
        named = consent or was
        assert named is not None
        label = _said(named.label)
        if was is None or consent is None:
            yield Difference(ADDED if consent else REMOVED, place, label)
        else:
            versions = (", ".join(v.version for v in each.versions) for each in (was, consent))
            yield from _changed(place, _("Versions of “%(form)s”") % {"form": label}, *versions)


def _eligibility(old: Definition, new: Definition) -> Iterator[Difference]:
    place = _("Eligibility")
    pairs = _pairs(old.protocol.eligibility, new.protocol.eligibility, lambda each: each.code)
    for was, criterion in pairs:
        named = criterion or was
        assert named is not None
        what = f"{named.code} {_said(named.label)}"
        if was is None or criterion is None:
            yield Difference(ADDED if criterion else REMOVED, place, what)
        else:
            yield from _changed(place, was.code, _said(was.label), _said(criterion.label))
            yield from _changed(place, what, was.met, criterion.met, code=True)


def _visit(
    place: str,
    was: VisitDefinition | None,
    visit: VisitDefinition | None,
    old: Definition,
    new: Definition,
) -> Iterator[Difference]:
    named = visit or was
    assert named is not None
    label = _said(named.label)
    if was is None or visit is None:
        said = _planned(named)
        after, before = (said, "") if visit else ("", said)
        yield Difference(ADDED if visit else REMOVED, place, label, before, after)
        return
    yield from _changed(place, _("Name of the visit"), _said(was.label), label)
    yield from _changed(place, label, _planned(was), _planned(visit))
    yield from _due(place, label, was.forms, visit.forms, old, new)


def _planned(visit: VisitDefinition) -> str:
    return _("day %(day)d, window %(opens)d to %(closes)d") % {
        "day": visit.day,
        "opens": visit.opens,
        "closes": visit.closes,
    }


def _due(
    place: str,
    visit: str,
    old: Sequence[FormDue],
    new: Sequence[FormDue],
    before: Definition,
    after: Definition,
) -> Iterator[Difference]:
    for was, form in _pairs(old, new, lambda each: each.instrument):
        if form is None:
            assert was is not None
            title = _said(before.instrument(was.instrument).short)
            yield Difference(REMOVED, place, f"{visit}: {title}")
            continue
        title = f"{visit}: {_said(after.instrument(form.instrument).short)}"
        if was is None:
            words = vocabulary(after)
            yield Difference(ADDED, place, title, after=spoken(form.when or "", words))
        else:
            yield from _changed(place, title, was.when or "", form.when or "", code=True)


# The forms --------------------------------------------------------------------------------------


def _forms(old: Definition, new: Definition) -> Iterator[Difference]:
    pairs = _pairs(old.instruments.values(), new.instruments.values(), lambda each: each.code)
    for was, form in pairs:
        named = form or was
        assert named is not None
        place = _said(named.title)
        if was is None or form is None:
            yield Difference(ADDED if form else REMOVED, place, _("the whole form"))
        elif was != form:
            told = list(_form(place, was, form, old, new))
            yield from told or [Difference(CHANGED, place, _("Layout or headings"))]


def _form(
    place: str, was: Instrument, form: Instrument, old: Definition, new: Definition
) -> Iterator[Difference]:
    yield from _changed(place, _("Title"), _said(was.title), _said(form.title))
    before, after = vocabulary(old, was), vocabulary(new, form)
    for one, other in _pairs(was.items, form.items, lambda each: each.code):
        named = other or one
        assert named is not None
        what = _("Question “%(label)s”") % {"label": _said(named.label)}
        if one is None:
            yield Difference(ADDED, place, what, after=_limits(named))
        elif other is None:
            yield Difference(REMOVED, place, what, before=_limits(named))
        elif one != other:
            told = list(_item(place, what, one, other, before, after))
            yield from told or [Difference(CHANGED, place, what, after=_("details"))]
    for check, checked in _pairs(was.checks, form.checks, lambda each: each.code):
        kept = checked or check
        assert kept is not None
        what = _("Check “%(message)s”") % {"message": _said(kept.message)}
        if check is None or checked is None:
            rule = _rule(kept.ok, after if checked else before)
            if checked:
                yield Difference(ADDED, place, what, after=rule)
            else:
                yield Difference(REMOVED, place, what, before=rule)
        elif check != checked:
            yield from _changed(place, what, _rule(check.ok, before), _rule(checked.ok, after))
            yield from _changed(
                place, _("Message of the check"), _said(check.message), _said(checked.message)
            )
    if was.scores != form.scores:
        scored, scores = (", ".join(use.score for use in each.scores) for each in (was, form))
        yield Difference(CHANGED, place, _("Scores"), scored, scores)


def _rule(source: str, words: Vocabulary) -> str:
    return spoken(source, words) or source


def _item(
    place: str, what: str, was: Item, item: Item, before: Vocabulary, after: Vocabulary
) -> Iterator[Difference]:
    yield from _changed(place, _("Wording"), _said(was.label), _said(item.label))
    yield from _changed(place, what, _limits(was), _limits(item))
    asked = (_rule(was.when or "", before), _rule(item.when or "", after))
    yield from _changed(place, _("%(question)s: asked when") % {"question": what}, *asked)
    needed = (_("yes") if each.required else _("no") for each in (was, item))
    yield from _changed(place, _("%(question)s: must be answered") % {"question": what}, *needed)
    helped = (_said(was.help), _said(item.help))
    yield from _changed(place, _("%(question)s: explanation") % {"question": what}, *helped)


def _limits(item: Item) -> str:
    """What may be answered: the kind with its range, options or list."""
    kind = str(KIND_WORDS[type(item)])
    match item:
        case IntegerItem() | DecimalItem():
            low, high = ("" if end is None else str(end) for end in (item.min, item.max))
            limits = f"{low} – {high}" if low or high else ""
            return " ".join(filter(None, [kind, limits, _said(item.unit)]))
        case ChoiceItem() | MultiItem():
            options = ", ".join(_option(o.code, _said(o.label)) for o in item.options)
            return f"{kind}: {options}"
        case TextItem() | LongTextItem():
            return _("%(kind)s, at most %(count)d characters") % {
                "kind": kind,
                "count": item.max_length,
            }
        case CodeItem():
            return f"{kind} ({item.list})"
        case DateItem():
            partial = _("may be partly unknown")
            return f"{kind} ({partial})" if item.partial else kind
    return kind


def _option(code: int | str, label: str) -> str:
    return label if str(code) == label else f"{code} {label}"


# Existing entries -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Flag:
    """An existing entry that a version would flag, and why; its `item` may be several, joined."""

    entry: Entry
    visit: str
    form: str
    item: str
    check: str
    sentence: str


def flags(new: Definition, sites: Iterable[Site]) -> Iterator[Flag]:
    """Entries that the new version's limits or checks would question, and their own does not.

    Only forms that the new version has in another shape are read, and nothing is written: entries
    keep the version that they were written under.
    """
    changed = _reshaped(new)
    entries = (
        Entry.objects.filter(site__in=list(sites), voided_at=None, started_at__isnull=False)
        .filter(cancelled_at=None, instrument__in=sorted({code for _pk, code in changed}))
        .filter(participant__voided_at=None)
        .select_related("participant", "participant__allocation", "visit", "site")
        .order_by("site__position", "participant__subject_number", "visit__day", "instrument", "pk")
    )
    for entry in entries.iterator(chunk_size=500):
        if (entry.version_id, entry.instrument) in changed:
            yield from _flagged(entry, new)


def _reshaped(new: Definition) -> set[tuple[int, str]]:
    """(version, instrument) of the published forms that the new version has otherwise."""
    versions = ProtocolVersion.objects.filter(study__code=new.protocol.code)
    return {
        (pk, code)
        for pk in versions.values_list("pk", flat=True)
        for code, instrument in definition_of(pk).instruments.items()
        if code in new.instruments and new.instruments[code] != instrument
    }


def _flagged(entry: Entry, new: Definition) -> Iterator[Flag]:
    instrument = new.instrument(entry.instrument)
    own = definition_of(entry.version_id).instrument(entry.instrument)
    facts = entry_facts(entry)
    protocol = definition_of(entry.version_id).protocol
    named = functools.partial(
        Flag,
        entry,
        visit_title(protocol, entry.visit) if entry.visit else "",
        _said(instrument.short),
    )
    for code, value in entry.answers.items():
        if instrument.has(code):
            try:
                parse(instrument.item(code), value, today=entry.site.today())
            except Invalid as invalid:
                yield named(code, "", str(invalid))
    before = {check.code for check in judge(own, entry.answers, facts).broken}
    for check in judge(instrument, entry.answers, facts).broken:
        if check.code not in before:
            yield named(", ".join(check.items), check.code, _said(check.message))
