"""When a visit was held, why outside its window, or why not at all."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from registry.forms import Day, PlainText, Reason, offer_days
from registry.models import Visit


class VisitForm(forms.Form):
    happened_on = Day(label=gettext_lazy("Visit date"))
    out_of_window_reason = PlainText(
        label=gettext_lazy("Reason, if it was outside the window"),
        long=True,
        max_length=1000,
        required=False,
    )
    reason = Reason(label=gettext_lazy("Reason for the correction"), required=False)

    def __init__(self, *args: Any, visit: Visit, today: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["happened_on"].initial = visit.happened_on
        self.fields["out_of_window_reason"].initial = visit.out_of_window_reason
        if visit.opens_on is None:
            del self.fields["out_of_window_reason"]
        if visit.happened_on is None:
            del self.fields["reason"]
        due = [(_("Day due"), visit.due_on)] if visit.due_on and visit.due_on <= today else []
        offer_days(self, today, *due)


class MissedForm(forms.Form):
    missed_reason = PlainText(
        label=gettext_lazy("Why the visit did not take place"), long=True, max_length=1000
    )


class NewVisitForm(forms.Form):
    happened_on = Day(label=gettext_lazy("Visit date"))

    def __init__(self, *args: Any, today: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer_days(self, today)
