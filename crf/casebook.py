"""Everything that is recorded of one participant, in one order: what a signature covers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import get_language

from crf.definitions import definition_of
from crf.display import answer_text
from crf.models import Entry, Query
from crf.scoring import SCORES
from crf.services.entries import missing_reasons
from registry.display import visit_title
from registry.models import Participant, Visit


@dataclass
class Form:
    """One form with its answers as (label, text) and its scores."""

    entry: Entry
    title: str
    answers: list[tuple[str, str]]
    scores: list[tuple[str, str]]
    open_queries: int


@dataclass
class Chapter:
    """A visit with its forms, or (`visit` None) the forms of the participant."""

    visit: Visit | None
    title: str
    forms: list[Form] = field(default_factory=list)


def casebook(participant: Participant) -> list[Chapter]:
    """Chapters in the order of the protocol; forms that nobody began are left out."""
    language = get_language() or "ko"
    protocol = definition_of(participant.version_id).protocol
    chapters: dict[int | None, Chapter] = {None: Chapter(None, "")}
    for visit in participant.visits.valid():
        chapters[visit.pk] = Chapter(visit, visit_title(protocol, visit))
    unresolved: dict[int, int] = {}
    for entry_id in (
        Query.objects.unresolved()
        .filter(participant=participant, entry__isnull=False)
        .values_list("entry_id", flat=True)
    ):
        unresolved[entry_id] = unresolved.get(entry_id, 0) + 1
    order = {code: place for place, code in enumerate(protocol.instruments)}
    entries = participant.entries.filter(voided_at=None, started_at__isnull=False)
    for entry in sorted(entries, key=lambda e: (order.get(e.instrument, 99), e.number)):
        if entry.visit_id in chapters:
            chapters[entry.visit_id].forms.append(
                _form(entry, unresolved.get(entry.pk, 0), language)
            )
    return [chapter for chapter in chapters.values() if chapter.forms or chapter.visit]


def _form(entry: Entry, open_queries: int, language: str) -> Form:
    instrument = definition_of(entry.version_id).instrument(entry.instrument)
    missing = missing_reasons(entry)
    title = instrument.title.get(language)
    answers = [
        (
            item.label.get(language),
            answer_text(item, entry.answers.get(item.code), missing.get(item.code)),
        )
        for item in instrument.items
        if item.code in entry.answers or item.code in missing
    ]
    return Form(
        entry=entry,
        title=f"{title} {entry.number}" if instrument.repeating else title,
        answers=answers,
        scores=score_texts(instrument, entry.scores, language),
        open_queries=open_queries,
    )


def score_texts(instrument: Any, scores: dict[str, Any], language: str) -> list[tuple[str, str]]:
    """The scores of a form as (label, text); a score that its rule declares missing is a dash."""
    texts = []
    for use in instrument.scores:
        for output in SCORES[use.score].outputs:
            value = scores.get(use.column(output.name))
            text = "—" if value is None else str(value)
            if isinstance(value, str) and value in output.codes:
                text = output.codes[value]["en" if language.startswith("en") else "ko"]
            texts.append((output.label["en" if language.startswith("en") else "ko"], text))
    return texts
