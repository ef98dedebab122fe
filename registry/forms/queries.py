"""Forms about queries: what is listed, and what is said in a thread."""

from __future__ import annotations

from collections.abc import Mapping

from django import forms
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crf.models import Query
from crf.services.words import LONGEST
from registry.forms import PlainText
from sites.models import Site


class SayForm(forms.Form):
    """A turn in a thread. Whether it may be empty is the service's to say."""

    text = PlainText(max_length=LONGEST, long=True, required=False)


class QueryFilter(forms.Form):
    """Which queries are listed, as the URL says. What it does not know, it ignores."""

    STATES = (
        ("mine", gettext_lazy("My turn")),
        ("unresolved", gettext_lazy("Not closed")),
        ("open", gettext_lazy("Waiting for the site")),
        ("answered", gettext_lazy("Answered")),
        ("closed", gettext_lazy("Closed")),
        ("all", gettext_lazy("All")),
    )
    state = forms.ChoiceField(label=gettext_lazy("State"), choices=STATES)
    site = forms.ChoiceField(label=gettext_lazy("Site"), required=False)
    participant = forms.CharField(label=gettext_lazy("Participant"), required=False, max_length=30)

    def __init__(self, data: Mapping[str, str], *, sites: list[Site], default: str) -> None:
        super().__init__({"state": default} | {k: v for k, v in data.items() if v})
        choices = [("", _("All")), *((site.code, site.short) for site in sites)]
        self.fields["site"].choices = choices  # type: ignore[attr-defined]
        self.is_valid()

    def condition(self, mine: Q) -> Q:
        wanted = dict.fromkeys(self.fields, "") | self.cleaned_data
        condition = Q()
        match wanted["state"]:
            case "mine":
                condition &= mine
            case "unresolved":
                condition &= ~Q(state=Query.State.CLOSED)
            case "open" | "answered" | "closed" as state:
                condition &= Q(state=state)
        if wanted["site"]:
            condition &= Q(site__code=wanted["site"])
        if number := wanted["participant"].strip().upper():
            condition &= Q(participant__subject_number=number) | Q(
                participant__screening_number=number
            )
        return condition

    @property
    def narrowed(self) -> bool:
        """Whether more than the state is chosen."""
        return any(value for name, value in self.cleaned_data.items() if name != "state")
