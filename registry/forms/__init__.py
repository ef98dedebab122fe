"""Fields of every form: text that never stores a resident number, dates as people type them."""

from __future__ import annotations

import datetime as dt
import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from crf.values import Invalid, date_text, refuse_resident_number

REASON_LENGTH = 1000


class PlainText(forms.CharField):
    """Text in one Unicode form, without control characters and resident numbers (K06)."""

    def __init__(self, *, max_length: int = 200, long: bool = False, **options: Any) -> None:
        widget = forms.Textarea(attrs={"rows": 3}) if long else forms.TextInput()
        options.setdefault("widget", widget)
        super().__init__(max_length=max_length, **options)

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if isinstance(text, str):
            text = unicodedata.normalize("NFC", text)
            text = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")
        return text

    def validate(self, value: Any) -> None:
        super().validate(value)
        try:
            refuse_resident_number(value or "")
        except Invalid as invalid:
            raise ValidationError(str(invalid)) from None


class Reason(PlainText):
    """Why something is done; kept in the trail for good."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=REASON_LENGTH, long=True, **options)


class Day(forms.Field):
    """A calendar day as people type it: 2026-11-21, 20261121, full-width digits."""

    widget = forms.TextInput(
        attrs={"inputmode": "numeric", "placeholder": "2026-11-21", "autocomplete": "off"}
    )

    def prepare_value(self, value: Any) -> Any:
        return value.isoformat() if isinstance(value, dt.date) else value

    def to_python(self, value: Any) -> dt.date | None:
        text = unicodedata.normalize("NFKC", str(value or "")).strip()
        if not text:
            return None
        try:
            return dt.date.fromisoformat(date_text(text))
        except Invalid as invalid:
            raise ValidationError(str(invalid)) from None

    def clean(self, value: Any) -> Any:
        day = self.to_python(value)
        if day is None and self.required:
            raise ValidationError(_("Please enter a date."))
        return day


def put(form: forms.Form, refused: Any) -> None:
    """Show a service's refusal at its field, or above the form."""
    form.add_error(refused.field if refused.field in form.fields else None, str(refused))
