"""Filters of every page: a protocol's text in the reader's language, a moment with its offset."""

import datetime as dt

from django import template
from django.utils import timezone
from django.utils.translation import get_language

from registry.protocol import Text

register = template.Library()


@register.filter
def said(text: Text | None) -> str:
    return text.get(get_language() or "ko") if text else ""


@register.filter
def stamp(moment: dt.datetime | None) -> str:
    """2026-11-21 14:03:22 +09:00: local time, never ambiguous (ICH E6(R3) 4.2.2)."""
    if moment is None:
        return ""
    text = timezone.localtime(moment).isoformat(sep=" ", timespec="seconds")
    return f"{text[:-6]} {text[-6:]}"
