"""What is asked from consent to the end of the study; the protocol says which kinds and reasons."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from registry.forms import Day, PlainText, Reason, offer_days
from registry.models import Participant, Withdrawal
from registry.protocol import ConsentDefinition, Named, Protocol
from registry.services import Changes, ConsentGiven, NewParticipant
from sites.models import Site

YES_NO = [("yes", gettext_lazy("Yes")), ("no", gettext_lazy("No"))]


def _said(text: Any) -> str:
    return str(text.get(get_language() or "ko"))


def _named(options: tuple[Any, ...]) -> list[tuple[str, str]]:
    return [(option.code, _said(option.label)) for option in options]


def _versions(definition: ConsentDefinition) -> list[tuple[str, str]]:
    return [
        (
            each.version,
            _("%(version)s (from %(day)s)") % {"version": each.version, "day": each.valid_from},
        )
        for each in reversed(definition.versions)
    ]


class NewParticipantForm(forms.Form):
    """The signed consent forms, each kind by itself, and who signed them.

    Only the first form asks for its day and who explained it in any case; a further one that was
    signed at the same sitting may leave both empty.
    """

    name = PlainText(label=gettext_lazy("Name"), max_length=100)
    birth_date = Day(label=gettext_lazy("Birth date"))
    sex = forms.ChoiceField(
        label=gettext_lazy("Sex"), choices=Participant.Sex.choices, widget=forms.RadioSelect
    )
    chart_number = PlainText(
        label=gettext_lazy("Chart number"),
        max_length=40,
        help_text=gettext_lazy("Encrypted, and visible at this hospital alone."),
    )
    contact = PlainText(label=gettext_lazy("Contact"), max_length=200, required=False)
    again = forms.BooleanField(
        label=gettext_lazy("I know: this person is screened once more."), required=False
    )

    ASKED = ("given", "form_version", "signed_on", "explained_by")  # of each kind of consent

    def __init__(self, *args: Any, protocol: Protocol, site: Site, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.protocol = protocol
        today = site.today()
        for position, definition in enumerate(protocol.consents):
            self._ask(definition, today, first=position == 0)
        asked = [f"{each.kind}_{name}" for each in protocol.consents for name in self.ASKED]
        self.order_fields([*asked, *self.base_fields])
        offer_days(self, today)
        self.fields["birth_date"].widget.quick = []
        self.ask_again = bool(self.data.get("again"))  # shown once the chart number is known

    def _ask(self, definition: ConsentDefinition, today: dt.date, *, first: bool) -> None:
        kind, in_force = definition.kind, definition.valid_on(today)
        self.fields[f"{kind}_given"] = forms.ChoiceField(
            label=_("Consented"),
            choices=YES_NO,
            widget=forms.RadioSelect,
            error_messages={
                "required": _("Please say whether there is a consent: %(consent)s.")
                % {"consent": _said(definition.label)}
            },
        )
        self.fields[f"{kind}_form_version"] = forms.ChoiceField(
            label=_("Version of the consent form"),
            choices=_versions(definition),
            initial=in_force.version if in_force else None,
        )
        same = "" if first else _("Empty: as above.")
        self.fields[f"{kind}_signed_on"] = Day(
            label=_("Date of the signature"), required=first, help_text=same
        )
        self.fields[f"{kind}_explained_by"] = PlainText(
            label=_("Who explained it"), max_length=100, required=first, help_text=same
        )

    @property
    def consent_groups(self) -> list[tuple[ConsentDefinition, list[forms.BoundField]]]:
        return [
            (definition, [self[f"{definition.kind}_{name}"] for name in self.ASKED])
            for definition in self.protocol.consents
        ]

    def person(self) -> NewParticipant:
        data = self.cleaned_data
        return NewParticipant(
            name=data["name"],
            birth_date=data["birth_date"],
            sex=data["sex"],
            chart_number=data["chart_number"],
            contact=data["contact"],
        )

    def consents(self) -> list[ConsentGiven]:
        data, first = self.cleaned_data, self.protocol.consents[0].kind
        return [
            ConsentGiven(
                kind=kind,
                form_version=data[f"{kind}_form_version"],
                given=data[f"{kind}_given"] == "yes",
                signed_on=data[f"{kind}_signed_on"] or data[f"{first}_signed_on"],
                explained_by=data[f"{kind}_explained_by"] or data[f"{first}_explained_by"],
            )
            for kind in (definition.kind for definition in self.protocol.consents)
        ]


class ConsentForm(forms.Form):
    """One further consent: a new version of a form, or a kind that was not asked for before."""

    consent = forms.ChoiceField(label=gettext_lazy("Consent form and version"))
    given = forms.ChoiceField(
        label=gettext_lazy("Consented"), choices=YES_NO, widget=forms.RadioSelect
    )
    signed_on = Day(label=gettext_lazy("Date of the signature"))
    explained_by = PlainText(label=gettext_lazy("Who explained it"), max_length=100)

    def __init__(self, *args: Any, protocol: Protocol, today: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = self.fields["consent"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [
            (f"{definition.kind}:{version}", f"{_said(definition.label)} · {label}")
            for definition in protocol.consents
            for version, label in _versions(definition)
        ]
        offer_days(self, today)

    def consent_given(self) -> ConsentGiven:
        data = self.cleaned_data
        kind, _colon, version = data["consent"].partition(":")
        return ConsentGiven(
            kind=kind,
            form_version=version,
            given=data["given"] == "yes",
            signed_on=data["signed_on"],
            explained_by=data["explained_by"],
        )


class ChartForm(forms.Form):
    """Looks for a chart number; posted, so that the number stands in no address."""

    chart_number = PlainText(label=gettext_lazy("Chart number"), max_length=40)


class PrescreenForm(forms.Form):
    on = Day(label=gettext_lazy("Date"))
    reason = forms.ChoiceField(label=gettext_lazy("Reason"), widget=forms.RadioSelect)

    def __init__(
        self, *args: Any, reasons: tuple[Named, ...], today: dt.date, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].choices = _named(reasons)  # type: ignore[attr-defined]
        self.fields["on"].initial = today
        offer_days(self, today)


class ScreeningForm(forms.Form):
    """Confirms what the criteria say; a second decision needs a reason."""

    reason = Reason(label=gettext_lazy("Reason for the new decision"))

    def __init__(self, *args: Any, again: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not again:
            del self.fields["reason"]


class EnrolForm(forms.Form):
    on = Day(label=gettext_lazy("Enrolment date"))

    def __init__(self, *args: Any, today: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["on"].initial = today
        offer_days(self, today)


class EndForm(forms.Form):
    on = Day(label=gettext_lazy("Date of the end of the study"))
    end_reason = forms.ChoiceField(label=gettext_lazy("Reason"), widget=forms.RadioSelect)
    note = PlainText(label=gettext_lazy("Note"), long=True, max_length=1000, required=False)

    def __init__(
        self, *args: Any, reasons: tuple[Named, ...], today: dt.date, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["end_reason"].choices = _named(reasons)  # type: ignore[attr-defined]
        offer_days(self, today)


class WithdrawForm(forms.Form):
    scope = forms.ChoiceField(
        label=gettext_lazy("What the participant no longer agrees to"), widget=forms.RadioSelect
    )
    withdrawn_on = Day(label=gettext_lazy("Date of the withdrawal"))
    taken_by = PlainText(label=gettext_lazy("Who took the word"), max_length=100)

    def __init__(self, *args: Any, taken: set[str], today: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scope"].choices = [  # type: ignore[attr-defined]
            (scope, label) for scope, label in Withdrawal.Scope.choices if scope not in taken
        ]
        offer_days(self, today)


class DriversForm(forms.Form):
    """The values that decide what is due; nothing is written before the impact was shown."""

    consented_on = Day(label=gettext_lazy("Consent date"))
    birth_date = Day(label=gettext_lazy("Birth date"))

    def __init__(
        self,
        *args: Any,
        participant: Participant,
        protocol: Protocol,
        birth_date: dt.date,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.before = {
            "cohort": participant.cohort,
            "consented_on": participant.consented_on,
            "birth_date": birth_date,
        }
        if protocol.cohort and participant.cohort:
            self.fields["cohort"] = forms.ChoiceField(
                label=_said(protocol.cohort.label),
                choices=_named(protocol.cohort.options),
                widget=forms.RadioSelect,
            )
            self.order_fields(["cohort", "consented_on", "birth_date"])
        for name, field in self.fields.items():
            field.initial = self.before[name]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors and not self._different():
            raise forms.ValidationError(_("Nothing differs from what is recorded."))
        return data

    def _different(self) -> dict[str, Any]:
        return {
            name: value for name, value in self.cleaned_data.items() if value != self.before[name]
        }

    def changes(self) -> Changes:
        return Changes(**self._different())


class AllocateForm(forms.Form):
    arm = forms.ChoiceField(label=gettext_lazy("Arm"), widget=forms.RadioSelect)

    def __init__(self, *args: Any, protocol: Protocol, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["arm"].choices = _named(protocol.arms)  # type: ignore[attr-defined]


class ReasonForm(forms.Form):
    """An act that needs nothing but its reason."""

    reason = Reason(
        label=gettext_lazy("Reason"),
        help_text=gettext_lazy("It stays in the history and can't be changed. No names, please."),
    )
