"""What a form shows: one description of an entry for the page and for the API.

Sections hold questions, and groups of repeating rows hold questions; each with its words in the
reader's language, its answer, why there is none, whether it applies, what is wrong with it and
what was asked about it. What never changes for an instrument is worked out once per version and
language. Everything is plain dicts: templates read those several times faster than attributes or
Django's widgets, and the API answers with them as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import override, pgettext

from crf.definitions import definition_of
from crf.display import MISSING_LABELS, answer_text
from crf.earlier import Earlier
from crf.forms.chart import body_chart
from crf.forms.layout import Field, layout_of
from crf.instrument import Group, Instrument, Item, Line, judge
from crf.instrument.items import ScoreUse
from crf.models import Entry
from crf.scoring import SCORES
from crf.scoring.base import Output
from crf.services.entries import entry_facts, missing_reasons, unconfirmed
from crf.services.queries import HIDDEN, NOT_APPLICABLE, current_queries


@dataclass
class Typed:
    """What somebody typed that is not stored (yet), and why: shown again, nothing is lost."""

    values: Mapping[str, Any] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    confirming: Mapping[str, str] = field(default_factory=dict)  # query id → what was written
    errors: Mapping[str, str] = field(default_factory=dict)
    conflicts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    needs_reason: Iterable[str] = ()


@dataclass
class Form:
    """One entry as it is shown."""

    code: str
    title: str
    recall: str
    licence: str
    sections: list[dict[str, Any]]
    scores: list[dict[str, Any]]
    base: dict[str, Any]  # item → what is stored: what the next save is compared with
    answered: int
    due: int

    @property
    def fields(self) -> list[Field]:
        return [
            each
            for section in self.sections
            for block in section["blocks"]
            for each in block.get("fields") or [block["field"]]
        ]

    def as_dict(self) -> dict[str, Any]:
        """For the API: the same description without what only the page draws."""
        return {
            "code": self.code,
            "title": self.title,
            "recall": self.recall,
            "licence": self.licence,
            "answered": self.answered,
            "due": self.due,
            "scores": self.scores,
            "items": [{key: each[key] for key in _PUBLIC} for each in self.fields],
        }


_PUBLIC = (
    "code",
    "kind",
    "label",
    "help",
    "unit",
    "required",
    "critical",
    "choices",
    "reasons",
    "value",
    "text",
    "missing",
    "shown",
    "notes",
)


def form_for(
    entry: Entry, lang: str, typed: Typed | None = None, before: Earlier | None = None
) -> Form:
    """The form of an entry in a language; `typed` lays over the answers what was not stored.

    `before`: what the same form said at the visit before, for the change of its scores.
    """
    typed = typed or Typed()
    instrument = definition_of(entry.version_id).instrument(entry.instrument)
    with override(lang):
        layout = layout_of(entry.version_id, entry.instrument, lang)
        judgement = judge(instrument, entry.answers, entry_facts(entry))
        why = missing_reasons(entry)
        hidden = [code for code in entry.answers if code not in judgement.shown]
        notes = notes_of(
            instrument,
            {check.code for check in judgement.broken},
            hidden,
            current_queries(entry),
            lang,
        )
        add_copied(notes, unconfirmed(entry))
        for query, text in typed.confirming.items():
            for each in (note for found in notes.values() for note in found):
                if str(each["query"]) == query:
                    each["typed"] = text
        filled = {
            item.code: _filled(
                layout[item.code],
                item,
                entry,
                judgement.shown,
                why,
                typed,
                notes.get(item.code, []),
            )
            for item in instrument.items
        }
        asked = [i.code for i in instrument.items if i.required and i.code in judgement.shown]
        return Form(
            code=instrument.code,
            title=instrument.title.get(lang),
            recall=instrument.recall.get(lang) if instrument.recall else "",
            licence=instrument.licence.get(lang) if instrument.licence else "",
            sections=[_section(section, filled, lang) for section in instrument.sections],
            scores=scores_shown(instrument, entry.scores, entry.answers, lang, before),
            base=base_of(entry),
            answered=sum(code in entry.answers or code in why for code in asked),
            due=len(asked),
        )


def base_of(entry: Entry) -> dict[str, Any]:
    """Item → the stored answer, or {"missing": reason}; items with neither are left out."""
    marked = {item: {"missing": code} for item, code in missing_reasons(entry).items()}
    return {**entry.answers, **marked}


def notes_of(
    instrument: Instrument,
    broken: Iterable[str],
    hidden: Iterable[str],
    queries: Iterable[Mapping[str, Any]],
    lang: str,
) -> dict[str, list[dict[str, Any]]]:
    """Item → what is asked about it: broken soft checks with their query, and people's queries.

    A note's state is open, answered or confirmed. The key "" holds queries about the whole form.
    """
    notes: dict[str, list[dict[str, Any]]] = {}
    by_check: dict[tuple[str, str], Mapping[str, Any]] = {}
    for query in queries:
        if query["check"]:
            key = (query["check"], query["item"])
            if key not in by_check or not query["confirmed"]:
                by_check[key] = query
        elif query["state"] != "closed":
            notes.setdefault(query["item"], []).append(
                {
                    "kind": "query",
                    "code": "",
                    "text": query["text"],
                    "query": query["id"],
                    "state": query["state"],
                }
            )
    checks = [
        (check.code, check.items[0], check.message.get(lang))
        for check in instrument.checks
        if check.code in set(broken)
    ] + [(NOT_APPLICABLE, item, str(HIDDEN)) for item in hidden if instrument.has(item)]
    for code, item, text in checks:
        found = by_check.get((code, item))
        notes.setdefault(item, []).append(
            {
                "kind": "check",
                "code": code,
                "text": text,
                "query": found["id"] if found else None,
                "state": "confirmed" if found and found["confirmed"] else "open",
            }
        )
    return notes


def add_copied(notes: dict[str, list[dict[str, Any]]], copied: Mapping[str, int]) -> None:
    """Beside each answer that was copied and not confirmed: where it comes from."""
    for item, number in copied.items():
        said = _("Copied from no. %(number)s. Not confirmed yet.") % {"number": number}
        note = {"kind": "copied", "code": "", "text": said, "query": None, "state": "open"}
        notes.setdefault(item, []).append(note)


def scores_shown(
    instrument: Instrument,
    scores: Mapping[str, Any],
    answers: Mapping[str, Any],
    lang: str,
    before: Earlier | None = None,
) -> list[dict[str, Any]]:
    """The scores of a form as people read them, with their change since the visit before.

    One that only repeats its item is left out where there is nothing to compare it with.
    """
    language = "en" if lang.startswith("en") else "ko"
    shown = []
    for use in instrument.scores:
        score = SCORES.get(use.score)
        if score is None or (score.inputs == 1 and before is None):
            continue
        outputs = [
            _output(output, scores.get(use.column(output.name)), use, language)
            | {"since": _since(output, scores.get(use.column(output.name)), use, before, language)}
            for output in score.outputs
        ]
        main = [each for each in outputs if not each["code"].endswith("_answered")]
        shown.append(
            {
                "code": use.score,
                "title": instrument.short.get(lang),
                "answered": sum(item in answers for item in use.items),
                "items": len(use.items),
                "outputs": outputs,
                "shown": main,
                "pending": all(each["value"] is None for each in main),
            }
        )
    return shown


def _output(output: Output, value: Any, use: ScoreUse, language: str) -> dict[str, Any]:
    return {
        "code": use.column(output.name),
        "label": output.label[language],
        "value": value,
        "text": _score_text(output, value, language),
        "unit": output.unit or "",
        "kind": output.kind,
    }


def _score_text(output: Output, value: Any, language: str) -> str:
    text = "" if value is None else str(value)
    if text and output.codes:
        return output.codes[text][language]
    if text and output.kind == "decimal":
        return f"{Decimal(text):.{_places(output)}f}"
    return text


def _places(output: Output) -> int:
    if output.kind != "decimal":
        return 0
    return 1 if output.unit == "%" else output.decimals


def _since(output: Output, value: Any, use: ScoreUse, before: Earlier | None, language: str) -> str:
    """What the score was at the visit before, and by how much it changed since, in words."""
    if before is None:
        return ""
    column = use.column(output.name)
    was = _score_text(output, before.scores.get(column), language)
    difference = None if output.codes or not was else before.change(column, value)
    if difference is None:
        return f"{before.when}: {was}" if was else ""
    change = f"{difference:+.{_places(output)}f}".replace("-", "\N{MINUS SIGN}")
    return _("%(was)s → %(now)s, %(change)s since %(when)s") % {
        "was": was,
        "now": _score_text(output, value, language),
        "change": change if difference else "±0",
        "when": before.when,
    }


# One entry --------------------------------------------------------------------------------------


def _filled(
    still: Field,
    item: Item,
    entry: Entry,
    shown: frozenset[str],
    why: Mapping[str, str],
    typed: Typed,
    notes: list[dict[str, Any]],
) -> Field:
    code = item.code
    stored = entry.answers.get(code)
    value = typed.values.get(code, stored)
    missing = typed.missing.get(code, "" if code in typed.values else why.get(code, ""))
    text = "" if value is None or isinstance(value, list) else str(value)
    field: Field = {
        **still,
        "value": stored,
        "text": text,
        "said": answer_text(item, stored, why.get(code)),
        "source": entry.meta.get(code, {}).get("source", ""),
        "missing": missing,
        "missing_label": str(MISSING_LABELS.get(missing, missing)) if missing else "",
        "shown": code in shown,
        "answered": stored is not None or code in why,
        "error": typed.errors.get(code, ""),
        "notes": notes,
        "open": sum(note["state"] != "confirmed" for note in notes),
        "conflict": conflict_shown(item, typed.conflicts.get(code)),
        "ask_reason": code in typed.needs_reason or code in typed.reasons,
        "reason": typed.reasons.get(code, ""),
        "coded": "",
        # Attributes as they are written; all of it is codes, nothing that anybody typed.
        "marks": (" data-drives" if still["drives"] else "")
        + ("" if code in shown else " data-skipped")
        + (" data-partial" if still["partial"] else ""),
        "aria": f" aria-invalid=true aria-describedby=e-{code}" if code in typed.errors else "",
    }
    if still["choices"]:
        field["chosen"] = value if isinstance(value, list) else [text] if text else []
    elif still["widget"] == "date":
        parts = text.split("-", 2) if text.count("-") or len(text) == 4 else [text]
        field["year"], field["month"], field["day"] = (*parts, "", "")[:3]
    elif still["widget"] == "code":
        field["coded"] = field["said"].removeprefix(stored).strip() if stored else ""
    field["state"], field["state_word"] = _state(field)
    return field


def _state(field: Field) -> tuple[str, str]:
    """The glyph of the question in the list beside the form, and its word."""
    if field["error"] or field["conflict"] or field["open"]:
        return "started", _("to be looked at")
    if not field["shown"]:
        return "not_due", _("does not apply")
    if field["missing"]:
        return "missed", _("no answer")
    return (
        ("complete", pgettext("question", "answered"))
        if field["answered"]
        else ("expected", pgettext("question", "open"))
    )


def conflict_shown(item: Item, found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Two answers to choose from, in words, with what must be sent back for either."""
    if found is None:
        return None
    theirs = {"missing": found["missing"]} if found["missing"] else found["theirs"]
    return {
        "theirs": answer_text(item, found["theirs"], found["missing"]),
        "mine": answer_text(item, found["mine"]),
        "seen": json.dumps(theirs, ensure_ascii=False),
        "who": found.get("who", ""),
        "at": found.get("at"),
    }


def _section(section: Any, filled: Mapping[str, Field], lang: str) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    for each in section.items:
        if isinstance(each, Group):
            blocks.append(_group(each, filled, lang))
        elif isinstance(each, Line):
            fields = [filled[item.code] for item in each.items]
            about = {"line": each.code, "title": each.title.get(lang), "fields": fields}
            blocks.append({"group": None, **about})
        else:
            blocks.append({"group": None, "field": filled[each.code]})
    waiting = sum(
        note["kind"] == "copied" for item in section.flat for note in filled[item.code]["notes"]
    )
    about = {"code": section.code, "title": section.title.get(lang), "copied": waiting}
    return {**about, "blocks": blocks}


def _group(group: Group, filled: Mapping[str, Field], lang: str) -> dict[str, Any]:
    """Rows that hold something, and one more to fill; the others wait until they are needed."""
    rows: list[dict[str, Any]] = []
    last = 0
    for number, copy in enumerate(group.copies, start=1):
        fields = [filled[item.code] for item in copy]
        used = any(f["answered"] or f["text"] or f["error"] or f["conflict"] for f in fields)
        last = number if used else last
        rows.append({"number": number, "fields": fields, "used": used})
    for row in rows:
        row["spare"] = row["number"] > max(last, 1)
        row["hidden"] = row["number"] > last + 1
    return {
        "group": group.code,
        "title": group.title.get(lang),
        "max": group.max,
        "chart": group.chart,
        "body": body_chart(lang) if group.chart else None,
        "rows": rows,
        "fields": [field for row in rows for field in row["fields"]],
    }


__all__ = [
    "Form",
    "Typed",
    "add_copied",
    "base_of",
    "conflict_shown",
    "form_for",
    "notes_of",
    "scores_shown",
]
