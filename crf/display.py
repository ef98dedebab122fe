"""How a stored answer is read: the label of an option, a code with its name, why it is missing."""

from __future__ import annotations

from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from crf import codelists
from crf.instrument import ChoiceItem, CodeItem, Item, MultiItem, YesNoItem

MISSING_LABELS = {
    "not_done": _("not done"),
    "refused": _("refused"),
    "not_applicable": _("not applicable"),
    "unknown": _("unknown"),
}
YES_NO = {"yes": _("yes"), "no": _("no")}


def answer_text(item: Item, value: Any, missing: str | None = None) -> str:
    """The answer in the reader's language, empty without one; a missing reason in brackets."""
    if missing is not None:
        return f"[{MISSING_LABELS[missing]}]"
    if value is None:
        return ""
    language = get_language() or "ko"
    match item:
        case ChoiceItem():
            return _option(item, value, language)
        case MultiItem():
            return ", ".join(_option(item, each, language) for each in value)
        case YesNoItem():
            return str(YES_NO[value])
        case CodeItem():
            coded = codelists.find(item.list, value)
            return f"{value} {coded.label(language)}" if coded else str(value)
    return f"{value} {item.unit.get(language)}" if item.unit else str(value)


def _option(item: ChoiceItem | MultiItem, value: int | str, language: str) -> str:
    label = item.option(value).label.get(language)
    return label if label == str(value) else f"{value} {label}" if isinstance(value, int) else label
