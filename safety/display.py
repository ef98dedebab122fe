"""An event as people read it: each field's label and its text, and what differs between two states.

The page, the history and the reviewer's comparison all read from here, so that they name and show
a value in the same way. `state` is an event or a row of its history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from safety import causality, codes, ctcae

LABELS: Mapping[str, Any] = {
    "symptom": gettext_lazy("Symptom"),
    "onset": gettext_lazy("Onset"),
    "ended": gettext_lazy("End"),
    "term": gettext_lazy("CTCAE term"),
    "grade": gettext_lazy("Grade"),
    "causality": gettext_lazy("Causality to the treatment"),
    "suggested_causality": gettext_lazy("WHO-UMC suggestion"),
    "causality_answers": gettext_lazy("Answers for the suggestion"),
    "serious": gettext_lazy("Serious"),
    "seriousness": gettext_lazy("Why it is serious"),
    "expected": gettext_lazy("Expected"),
    "outcome": gettext_lazy("Outcome"),
    "action": gettext_lazy("Action taken with the treatment"),
    "treatment": gettext_lazy("Treatment of the event"),
    "aware_on": gettext_lazy("Site aware on"),
    "narrative": gettext_lazy("Narrative"),
    "voided_at": gettext_lazy("Void"),
}


@dataclass(frozen=True)
class Difference:
    """One field of which two states differ, as texts."""

    name: str
    label: str
    old: str
    new: str


def language() -> str:
    return "en" if (get_language() or "ko").startswith("en") else "ko"


def text_of(state: Any, name: str) -> str:
    """The value of a field in the reader's language; empty when there is none."""
    value = getattr(state, name)
    if value in (None, "", [], {}):
        return ""
    match name:
        case "term":
            return term_name(state.term_version, value)
        case "grade":
            return f"{value} {ctcae.GRADES[value][language()]}"
        case "causality" | "suggested_causality":
            return _label(causality.CATEGORIES, value)
        case "causality_answers":
            return " · ".join(
                question.answers[value[question.name]][language()]
                for question in causality.QUESTIONS
                if value.get(question.name) in question.answers
            )
        case "serious" | "expected":
            return _("yes") if value else _("no")
        case "seriousness":
            return ", ".join(_label(codes.SERIOUSNESS, code) for code in value)
        case "outcome":
            return _label(codes.OUTCOMES, value)
        case "action":
            return _label(codes.ACTIONS, value)
        case "voided_at":
            return _("yes")
    return str(value)


def term_name(version: str, code: str) -> str:
    """A CTCAE term in the reader's language, as far as there is a Korean name."""
    term = ctcae.term(version, code)
    return term.name if language() == "en" or not term.ko else f"{term.ko} ({term.name})"


def differences(old: Any, new: Any) -> list[Difference]:
    """What changed from one state to another, in the order of the form."""
    return [
        Difference(name, str(label), text_of(old, name), text_of(new, name))
        for name, label in LABELS.items()
        if getattr(old, name) != getattr(new, name)
    ]


def _label(offered: Iterable[codes.Code], code: str) -> str:
    return codes.find(offered, code).label[language()]
