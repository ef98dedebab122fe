"""From what somebody typed to what is stored: one parser for the page, the API and the import.

Only type and format are refused here (and the ends of a scale); what is merely unlikely is kept
and questioned by a soft check. Full-width digits, as a Korean keyboard may produce, are read as
digits.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
import unicodedata
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crf import codelists
from crf.instrument import (
    ChoiceItem,
    CodeItem,
    DateItem,
    DecimalItem,
    IntegerItem,
    Item,
    LongTextItem,
    MultiItem,
    TextItem,
    YesNoItem,
)
from crf.scoring import canonical
from registry.identity import has_resident_number

Value = Any  # None, int, str or a list of codes: see the table in `crf.instrument.items`

_WHOLE = re.compile(r"[+-]?\d{1,18}")
_NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d{1,12})?")
# Without separators every part has its full length: 2026115 could be two different days.
_DAY = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?|(\d{4})(\d{2})(\d{2})?")
_BETWEEN = re.compile(r"\s*[-–./년월]\s*|\s+")
_AFTER = re.compile(r"[-–./년월일\s]+$")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Invalid(ValueError):
    """The value can't be stored as typed; the message is a sentence for whoever typed it."""


def parse(item: Item, typed: Any, *, today: dt.date) -> Value:
    """The stored form of what was typed; None for nothing. Raises `Invalid`."""
    if isinstance(item, MultiItem):
        return _many(item, typed)
    if typed is None or isinstance(typed, list | dict | bool | float):
        if typed is None:
            return None
        raise Invalid(_("This is not an answer to this question."))
    text = unicodedata.normalize("NFC", str(typed)).strip()
    if not text:
        return None
    match item:
        case ChoiceItem():
            return _option(item, text)
        case YesNoItem():
            if text not in ("yes", "no"):
                raise Invalid(_("Please choose yes or no."))
            return text
        case IntegerItem():
            return _integer(item, unicodedata.normalize("NFKC", text))
        case DecimalItem():
            return _decimal(item, unicodedata.normalize("NFKC", text))
        case DateItem():
            return date_text(
                unicodedata.normalize("NFKC", text),
                partial=item.partial,
                latest=today if item.not_future else None,
            )
        case CodeItem():
            coded = codelists.find(item.list, text) or codelists.named(item.list, text)
            if coded is None:
                raise Invalid(
                    _("“%(code)s” is not in the list (%(list)s): please choose an entry.")
                    % {"code": text[:40], "list": codelists.version(item.list)}
                )
            return coded.code
        case TextItem() | LongTextItem():
            return _text(item, str(typed))
    raise AssertionError(item)


def _option(item: ChoiceItem | MultiItem, text: str) -> int | str:
    plain = unicodedata.normalize("NFKC", text)
    for option in item.options:
        if str(option.code) == plain:
            return option.code
    raise Invalid(_("“%(value)s” is not one of the answers.") % {"value": text[:40]})


def _many(item: MultiItem, typed: Any) -> list[int | str] | None:
    given = typed if isinstance(typed, list) else [typed] if typed not in (None, "") else []
    chosen = {_option(item, str(each)) for each in given}
    return [option.code for option in item.options if option.code in chosen] or None


def _integer(item: IntegerItem, text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise Invalid(_("Please enter a whole number."))
    number = int(text)
    _within(item, Decimal(number))
    return number


def _decimal(item: DecimalItem, text: str) -> str:
    """A number, or a number with its unit behind it: 3.5cm becomes 35 where the item is in mm."""
    factor = Decimal(1)
    own = {item.unit.en: Decimal(1), item.unit.ko: Decimal(1)} if item.unit else {}
    for unit, times in {**own, **item.units}.items():
        if text.casefold().endswith(unit.casefold()):
            text, factor = text[: -len(unit)].rstrip(), times
            break
    if not _NUMBER.fullmatch(text):
        raise Invalid(_("Please enter a number, with a point before its decimals."))
    number = Decimal(text) * factor
    if -int(number.normalize().as_tuple().exponent) > item.places:
        raise Invalid(
            ngettext(
                "Please enter at most %(places)d decimal.",
                "Please enter at most %(places)d decimals.",
                item.places,
            )
            % {"places": item.places}
        )
    _within(item, number)
    return canonical(number)


def _within(item: IntegerItem | DecimalItem, number: Decimal) -> None:
    low, high = item.min, item.max
    if low is not None and high is not None and not low <= number <= high:
        raise Invalid(
            _("Please enter a number from %(low)s to %(high)s.") % {"low": low, "high": high}
        )
    if low is not None and number < low:
        raise Invalid(_("Please enter a number of at least %(low)s.") % {"low": low})
    if high is not None and number > high:
        raise Invalid(_("Please enter a number of at most %(high)s.") % {"high": high})


def date_text(text: str, *, partial: bool = False, latest: dt.date | None = None) -> str:
    """2026-11-21, 20261121, 2026. 11. 21. → '2026-11-21'; if `partial`, '2026-11' or '2026' too."""
    match = _DAY.fullmatch(_BETWEEN.sub("-", _AFTER.sub("", text.strip())))
    if not match:
        raise Invalid(_("Please enter a date like 2026-11-21."))
    parts = match.groups()[:3] if match[1] else match.groups()[3:]
    year = int(parts[0])
    month, day = (int(part) if part else None for part in parts[1:])
    if (month is None or day is None) and not partial:
        raise Invalid(_("Please enter year, month and day."))
    if year < 1900 or (month is not None and not 1 <= month <= 12):
        raise Invalid(_("There is no such date."))
    if month is None:
        written, first = f"{year:04}", dt.date(year, 1, 1)
    elif day is None:
        written, first = f"{year:04}-{month:02}", dt.date(year, month, 1)
    elif 1 <= day <= calendar.monthrange(year, month)[1]:
        first = dt.date(year, month, day)
        written = first.isoformat()
    else:
        raise Invalid(_("There is no such date."))
    if latest and first > latest:
        raise Invalid(_("This date lies in the future."))
    return written


def _text(item: TextItem | LongTextItem, typed: str) -> str:
    text = unicodedata.normalize("NFC", _CONTROL.sub("", typed.replace("\r\n", "\n"))).strip()
    if len(text) > item.max_length:
        raise Invalid(
            _("This text has %(length)d characters; at most %(most)d can be kept.")
            % {"length": len(text), "most": item.max_length}
        )
    refuse_resident_number(text)
    return text


def refuse_resident_number(text: str) -> None:
    """Raise `Invalid` for text with what reads as a resident registration number (K06)."""
    if has_resident_number(text):
        raise Invalid(
            _("This looks like a resident registration number, which must not be stored.")
        )
