"""Which forms a participant gets to answer, and the agreement to reminders."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from registry.forms import Day, offer_days
from registry.models import LANGUAGES, Identity
from registry.services.reminders import mail_address


class HandoverForm(forms.Form):
    instruments = forms.MultipleChoiceField(
        label=gettext_lazy("Forms that the participant answers"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": gettext_lazy("Please choose at least one form.")},
    )

    def __init__(self, *args: Any, forms_due: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["instruments"]
        field.choices = forms_due
        field.initial = [code for code, _title in forms_due]


class RemindersForm(forms.Form):
    email = forms.EmailField(
        label=gettext_lazy("E-mail address"),
        max_length=254,
        help_text=gettext_lazy("Kept encrypted and visible at this hospital alone."),
    )
    language = forms.ChoiceField(
        label=gettext_lazy("Language of the mails"), choices=LANGUAGES, widget=forms.RadioSelect
    )
    agreed_on = Day(label=gettext_lazy("The participant agreed to reminders on"))

    def __init__(self, *args: Any, kept: Identity, today: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].initial = mail_address(kept)
        self.fields["language"].initial = kept.mail_language
        self.fields["agreed_on"].initial = kept.reminders_since if kept.reminded else None
        offer_days(self, today)
