"""Conditions as people read them: “Region = Cervical and Age ≥ 19” for `cohort == 'cervical' && …`.

The language of the conditions is large and what protocols write in it is small. What is said here
is that small part, with the labels of the form and the protocol; an expression that holds anything
else is shown as its code alone, never as half a sentence. The code stands beside it in any case:
it is what is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from crf.display import YES_NO
from crf.instrument import ChoiceItem, Definition, Instrument, MultiItem, YesNoItem

FACT_WORDS: Mapping[str, Any] = {
    "arm": gettext_lazy("Arm"),
    "sex": gettext_lazy("Sex"),
    "age": gettext_lazy("Age at consent"),
    "birth_year": gettext_lazy("Birth year"),
    "consent_date": gettext_lazy("Consent date"),
    "visit": gettext_lazy("Visit"),
    "visit_date": gettext_lazy("Visit date"),
    "visit_day": gettext_lazy("Study day"),
    "today": gettext_lazy("Today"),
}
SEX_WORDS: Mapping[str, Any] = {"female": gettext_lazy("female"), "male": gettext_lazy("male")}
_SIGNS = {"==": "=", "!=": "≠", ">=": "≥", "<=": "≤", ">": ">", "<": "<"}
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'[^']*'|\"[^\"]*\")|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>&&|\|\||[=!<>]=|[<>!+\-*/()\[\],.]))"
)
_LITERAL = re.compile(r"'[^']*'|\"[^\"]*\"|-?\d+(?:\.\d+)?")


class _Unsaid(Exception):
    """The expression says something for which there are no words here."""


@dataclass(frozen=True)
class Vocabulary:
    """What names and codes are called: name → label, and (name, code) → label."""

    names: Mapping[str, str]
    codes: Mapping[tuple[str, str], str]

    def name(self, name: str) -> str:
        if name not in self.names:
            raise _Unsaid
        return self.names[name]

    def value(self, name: str, literal: str) -> str:
        plain = literal[1:-1] if literal[0] in "'\"" else literal
        return self.codes.get((name, plain), plain)


def vocabulary(definition: Definition, instrument: Instrument | None = None) -> Vocabulary:
    """The words for the facts of a study, and for the items of one of its forms."""
    lang, protocol = get_language() or "ko", definition.protocol
    names = {name: str(word) for name, word in FACT_WORDS.items()}
    codes = {("sex", code): str(word) for code, word in SEX_WORDS.items()}
    codes |= {("visit", visit.code): visit.label.get(lang) for visit in protocol.visits}
    codes |= {("arm", arm.code): arm.label.get(lang) for arm in protocol.arms}
    if protocol.cohort:
        names["cohort"] = protocol.cohort.label.get(lang)
        codes |= {("cohort", each.code): each.label.get(lang) for each in protocol.cohort.options}
    for item in instrument.items if instrument else ():
        names[item.code] = item.label.get(lang)
        match item:
            case ChoiceItem() | MultiItem():
                codes |= {
                    (item.code, str(option.code)): option.label.get(lang) for option in item.options
                }
            case YesNoItem():
                codes |= {(item.code, code): str(word) for code, word in YES_NO.items()}
    return Vocabulary(names, codes)


def spoken(source: str, words: Vocabulary) -> str:
    """The expression in the reader's language; empty where it can only be shown as it is."""
    try:
        reader = _Reader(_tokens(source), words)
        said = reader.either()
        reader.end()
    except _Unsaid:
        return ""
    return said


def _tokens(source: str) -> list[str]:
    found, at = [], 0
    text = source.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _Unsaid
        found.append(match[0].strip())
        at = match.end()
    return found


class _Reader:
    """Reads the tokens from left to right, from what binds least to what binds most."""

    def __init__(self, tokens: list[str], words: Vocabulary) -> None:
        self._tokens, self._words = [*tokens, ""], words

    def end(self) -> None:
        if self._tokens[0]:
            raise _Unsaid

    def either(self) -> str:
        return self._joined(self._all, "||", _("or"))

    def _all(self) -> str:
        return self._joined(self._one, "&&", _("and"))

    def _joined(self, part: Any, sign: str, word: str) -> str:
        parts = [part()]
        while self._taken(sign):
            parts.append(part())
        return f" {word} ".join(parts)

    def _one(self) -> str:
        if self._taken("!"):
            self._need("(")
            return _("not (%(this)s)") % {"this": self._closed()}
        if self._taken("("):
            return f"({self._closed()})"
        return self._compared()

    def _closed(self) -> str:
        said = self.either()
        self._need(")")
        return said

    def _compared(self) -> str:
        if _LITERAL.fullmatch(self._tokens[0]) and self._tokens[1] == "in":
            literal, _in, name = self._next(), self._next(), self._next()
            return self._listed(name, [literal])
        name = self._next()
        if name == "size":
            self._need("(")
            name = self._next()
            self._need(")")
            return self._counted(name)
        label = self._words.name(name)
        if self._taken("in"):
            return self._listed(name, self._list())
        if self._taken("."):
            return self._begins(name)
        sign = self._sign()
        if self._taken("null"):
            said = {"!=": _("%(question)s is answered"), "==": _("%(question)s is not answered")}
            if sign not in said:
                raise _Unsaid
            return said[sign] % {"question": label}
        return f"{label} {_SIGNS[sign]} {self._value(name)}"

    def _value(self, name: str) -> str:
        token = self._next()
        if _LITERAL.fullmatch(token):
            return self._words.value(name, token)
        return self._words.name(token)

    def _listed(self, name: str, literals: list[str]) -> str:
        values = ", ".join(self._words.value(name, each) for each in literals)
        return (
            f"{self._words.name(name)} ∋ {values}"
            if len(literals) == 1
            else (
                _("%(question)s is one of: %(values)s")
                % {"question": self._words.name(name), "values": values}
            )
        )

    def _counted(self, name: str) -> str:
        sign, count = self._sign(), self._next()
        return _("number of answers to %(question)s %(sign)s %(count)s") % {
            "question": self._words.name(name),
            "sign": _SIGNS[sign],
            "count": count,
        }

    def _begins(self, name: str) -> str:
        if self._next() != "startsWith":
            raise _Unsaid
        self._need("(")
        literal = self._next()
        self._need(")")
        if not _LITERAL.fullmatch(literal):
            raise _Unsaid
        return _("%(question)s begins with %(text)s") % {
            "question": self._words.name(name),
            "text": literal[1:-1],
        }

    def _list(self) -> list[str]:
        self._need("[")
        found = [self._next()]
        while self._taken(","):
            found.append(self._next())
        self._need("]")
        if not all(_LITERAL.fullmatch(each) for each in found):
            raise _Unsaid
        return found

    def _sign(self) -> str:
        sign = self._next()
        if sign not in _SIGNS:
            raise _Unsaid
        return sign

    def _next(self) -> str:
        if not self._tokens[0]:
            raise _Unsaid
        return self._tokens.pop(0)

    def _taken(self, token: str) -> bool:
        if self._tokens[0] != token:
            return False
        self._tokens.pop(0)
        return True

    def _need(self, token: str) -> None:
        if not self._taken(token):
            raise _Unsaid
