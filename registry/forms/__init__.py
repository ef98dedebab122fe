"""Fields of every form: text that never stores a resident number, dates as people type them."""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, QueryDict
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
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


class DateBoxes(forms.Widget):
    """Year, month and day in three boxes, with quick buttons; or whole in the first."""

    use_fieldset = True
    parts = ("year", "month", "day")

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self.quick: list[tuple[Any, dt.date]] = []

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> str:
        if data.get(name):
            return str(data[name])
        typed = [str(data.get(f"{name}_{part}") or "").strip() for part in self.parts]
        if typed[0] and not any(typed[1:]):
            return typed[0]
        return "-".join(typed) if any(typed) else ""

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return not any(key in data for key in (name, *(f"{name}_{part}" for part in self.parts)))

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        text, options = str(value or ""), attrs or {}
        parts = text.split("-", 2) if text.count("-") == 2 else [text, "", ""]
        return render_to_string(
            "_parts/date_boxes.html",
            {
                "name": name,
                "id": options.get("id", f"id_{name}"),
                **dict(zip(self.parts, parts, strict=True)),
                "quick": [{"label": label, "value": day.isoformat()} for label, day in self.quick],
                "invalid": options.get("aria-invalid"),
                "describedby": options.get("aria-describedby"),
            },
        )


class Day(forms.Field):
    """A calendar day as people type it: 2026-11-21, 20261121, full-width digits, or in three boxes.

    Whether a day may lie in the future is the service's to say.
    """

    widget = DateBoxes

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


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to: everything that was posted, or nothing on a mere look."""
    return request.POST if request.method == "POST" else None


def put(form: forms.Form, refused: Any) -> None:
    """Show a service's refusal at its field, or above the form."""
    form.add_error(refused.field if refused.field in form.fields else None, str(refused))


def offer_days(form: forms.Form, today: dt.date, *others: tuple[Any, dt.date]) -> None:
    """Quick buttons at every date of a form: the site's today and yesterday, and what else fits."""
    near = [(_("Today"), today), (_("Yesterday"), today - dt.timedelta(days=1)), *others]
    for field in form.fields.values():
        if isinstance(field.widget, DateBoxes):
            field.widget.quick = near
