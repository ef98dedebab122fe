"""Forms about adverse events: the report, its review, a question about it.

What may be kept is decided by `safety.services`; the form asks it, so that a person learns of
every problem at once.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crf.models import Query
from crf.services.words import LONGEST
from crf.values import Invalid, date_text
from registry.forms import DateBoxes, Day, PlainText, Reason, offer_days
from safety import causality, codes, ctcae
from safety.display import LABELS, language
from safety.models import AdverseEvent, AEReview
from safety.queue import CHANGED, NEW, ONGOING, REVIEWED, asked
from safety.services import Facts, problems_of
from sites.models import Site

UNKNOWN = "UNK"
QUESTION = "umc_"  # before the name of a WHO-UMC question, in the names of fields


class PartialDay(forms.Field):
    """A date of which the day, or month and day, may be unknown (left out, or UNK)."""

    widget = DateBoxes

    def prepare_value(self, value: Any) -> Any:
        return f"{value}-" if str(value or "").count("-") == 1 else value

    def to_python(self, value: Any) -> str:
        text = unicodedata.normalize("NFKC", str(value or "")).strip().upper()
        while text.endswith(("-", UNKNOWN)):
            text = text.removesuffix(UNKNOWN).removesuffix("-")
        if not text:
            return ""
        try:
            return date_text(text, partial=True)
        except Invalid as invalid:
            raise ValidationError(str(invalid)) from None

    def validate(self, value: Any) -> None:
        if self.required and not value:
            raise ValidationError(_("Please enter a date."))


def yes_no(value: str) -> bool | None:
    return {"yes": True, "no": False}.get(value)


class YesNo(forms.TypedChoiceField):
    def __init__(self, **options: Any) -> None:
        choices = [("yes", gettext_lazy("Yes")), ("no", gettext_lazy("No"))]
        super().__init__(choices=choices, coerce=yes_no, empty_value=None, **options)

    def prepare_value(self, value: Any) -> Any:
        return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


class EventForm(forms.Form):
    """An adverse event as a site reports it; `event` is the one to change."""

    op = forms.UUIDField(widget=forms.HiddenInput, required=False)
    seen = forms.CharField(widget=forms.HiddenInput, required=False, max_length=64)
    symptom = PlainText(
        max_length=LONGEST,
        label=gettext_lazy("Symptom, in your own words"),
        help_text=gettext_lazy("One form for each symptom. No names, please."),
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    onset = PartialDay(
        label=LABELS["onset"], help_text=gettext_lazy("Month or day unknown: leave it empty.")
    )
    ended = PartialDay(
        label=LABELS["ended"],
        required=False,
        help_text=gettext_lazy("Leave it empty while the event goes on."),
    )
    term = forms.CharField(required=False, max_length=10, label=LABELS["term"])
    grade = forms.TypedChoiceField(
        label=gettext_lazy("CTCAE grade"), coerce=int, empty_value=None, widget=forms.RadioSelect
    )
    serious = YesNo(
        label=gettext_lazy("Is the event serious?"),
        help_text=gettext_lazy("Serious is what happened or could have, not how strong it was."),
        widget=forms.RadioSelect,
    )
    seriousness = forms.MultipleChoiceField(
        label=LABELS["seriousness"], required=False, widget=forms.CheckboxSelectMultiple
    )
    aware_on = Day(
        label=gettext_lazy("Day on which the site became aware"),
        help_text=gettext_lazy("The days until the report of a serious event count from here."),
    )
    causality = forms.ChoiceField(
        label=gettext_lazy("Causality to the treatment, in your judgement"),
        widget=forms.RadioSelect,
    )
    expected = YesNo(
        label=gettext_lazy("Was it expected?"),
        required=False,
        help_text=gettext_lazy("Named in the protocol or known of this treatment."),
        widget=forms.RadioSelect,
    )
    outcome = forms.ChoiceField(label=LABELS["outcome"], widget=forms.RadioSelect)
    action = forms.ChoiceField(label=LABELS["action"], required=False, widget=forms.RadioSelect)
    treatment = PlainText(max_length=LONGEST, label=LABELS["treatment"], required=False, long=True)
    narrative = PlainText(
        max_length=LONGEST,
        label=LABELS["narrative"],
        required=False,
        help_text=gettext_lazy("The course in its order: what, when, what was done. No names."),
        widget=forms.Textarea(attrs={"rows": 5}),
    )
    reason = Reason(
        label=gettext_lazy("Why do you change this event?"),
        help_text=gettext_lazy("It is kept in the history and can't be changed later."),
    )

    def __init__(
        self, *args: Any, site: Site, version: str, event: AdverseEvent | None = None, **kw: Any
    ) -> None:
        super().__init__(*args, **kw)
        self.site, self.version, self.event = site, version, event
        in_language = language()
        for name, offered in (
            ("causality", causality.CATEGORIES),
            ("outcome", codes.OUTCOMES),
            ("action", codes.ACTIONS),
            ("seriousness", codes.SERIOUSNESS),
        ):
            self.fields[name].choices = codes.choices(offered, in_language)  # type: ignore[attr-defined]
        for question in causality.QUESTIONS:
            answers = [(code, text[in_language]) for code, text in question.answers.items()]
            self.fields[QUESTION + question.name] = forms.ChoiceField(
                label=question.label[in_language],
                choices=[("", _("Not answered")), *answers],
                required=False,
            )
        if event is None:
            del self.fields["reason"]
        offer_days(self, site.today())
        self.fields["grade"].choices = grade_choices(version, self.typed("term"))  # type: ignore[attr-defined]

    def typed(self, name: str) -> Any:
        """What stands in a field now: typed, or as it was."""
        value = self[name].value()
        return "" if value is None else value

    @property
    def umc_answers(self) -> dict[str, str]:
        return {q.name: str(self.typed(QUESTION + q.name)) for q in causality.QUESTIONS}

    @property
    def questions(self) -> list[forms.BoundField]:
        return [self[QUESTION + question.name] for question in causality.QUESTIONS]

    @property
    def chosen(self) -> ctcae.Term | None:
        return found_term(self.version, str(self.typed("term")))

    def facts(self) -> Facts:
        given: Mapping[str, Any] = self.cleaned_data
        return Facts(
            symptom=given.get("symptom", ""),
            onset=given.get("onset", ""),
            ended=given.get("ended", ""),
            term=given.get("term", ""),
            grade=given.get("grade"),
            causality=given.get("causality", ""),
            causality_answers={
                q.name: given.get(QUESTION + q.name, "") for q in causality.QUESTIONS
            },
            serious=given.get("serious"),
            seriousness=given.get("seriousness", []),
            expected=given.get("expected"),
            outcome=given.get("outcome", ""),
            action=given.get("action", ""),
            treatment=given.get("treatment", ""),
            aware_on=given.get("aware_on"),
            narrative=given.get("narrative", ""),
        )

    def clean(self) -> dict[str, Any]:
        found = problems_of(facts=self.facts(), site=self.site, event=self.event)
        for name, sentence in found.items():
            self.problem(name, sentence)
        return self.cleaned_data

    def problem(self, name: str | None, sentence: str) -> None:
        """A problem at its field, unless the field has one already."""
        field = name if name in self.fields else None
        if field is None or field not in self.errors:
            self.add_error(field, sentence)

    @classmethod
    def unjudged(cls, data: Any, **kw: Any) -> EventForm:
        """With everything that was typed, and without a word about what is missing yet."""
        bound = cls(data, **kw)
        return cls(initial={name: bound[name].value() for name in bound.fields}, **kw)


def initial_of(event: AdverseEvent) -> dict[str, Any]:
    """The form's fields as the event is now."""
    names = [name for name in EventForm.base_fields if hasattr(event, name)]
    answers = {QUESTION + name: answer for name, answer in event.causality_answers.items()}
    return {name: getattr(event, name) for name in names} | answers | {"seen": event.digest}


def found_term(version: str, code: str) -> ctcae.Term | None:
    try:
        return ctcae.term(version, code)
    except ValueError:
        return None


def grade_choices(version: str, code: str) -> list[tuple[int, str]]:
    """The grades that exist for a term; all five until one is chosen."""
    term = found_term(version, code)
    grades = term.grades if term else tuple(ctcae.GRADES)
    return [(grade, f"{grade} · {ctcae.GRADES[grade][language()]}") for grade in grades]


class ReviewForm(forms.Form):
    decision = forms.ChoiceField(choices=AEReview.Decision.choices)
    note = PlainText(
        max_length=LONGEST,
        long=True,
        required=False,
        label=gettext_lazy("Note"),
        help_text=gettext_lazy("Needed for every decision other than “reviewed”."),
    )
    seen = forms.CharField(widget=forms.HiddenInput, max_length=64)
    review = forms.IntegerField(widget=forms.HiddenInput, required=False)


class AskForm(forms.Form):
    """A question to the site: about a field, or about the whole."""

    item = forms.ChoiceField(required=False, label=gettext_lazy("About"))
    text = PlainText(max_length=LONGEST, long=True, label=gettext_lazy("Question to the site"))

    def __init__(self, *args: Any, items: list[tuple[str, Any]], **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.fields["item"].choices = items  # type: ignore[attr-defined]


class VoidForm(forms.Form):
    reason = Reason(label=gettext_lazy("Why was it entered in error?"))


class QueueFilter(forms.Form):
    """What of the queue is shown, as the URL says. What it does not know, it ignores."""

    STATES = (
        ("needs", gettext_lazy("Needs review")),
        ("new", gettext_lazy("New")),
        ("changed", gettext_lazy("Changed since review")),
        ("reviewed", gettext_lazy("Reviewed")),
        ("ongoing", gettext_lazy("To follow up")),
        ("all", gettext_lazy("All")),
        ("void", gettext_lazy("Void")),
    )
    state = forms.ChoiceField(label=gettext_lazy("Review"), choices=STATES)
    site = forms.ChoiceField(label=gettext_lazy("Site"), required=False)
    grade = forms.ChoiceField(label=LABELS["grade"], required=False)
    serious = forms.ChoiceField(label=LABELS["serious"], required=False)
    causality = forms.ChoiceField(label=gettext_lazy("Causality"), required=False)
    query = forms.ChoiceField(label=gettext_lazy("Query"), required=False)
    participant = forms.CharField(label=gettext_lazy("Participant"), required=False, max_length=30)

    def __init__(self, data: Mapping[str, str], *, sites: list[Site], default: str) -> None:
        super().__init__({"state": default} | {k: v for k, v in data.items() if v})
        offered: dict[str, list[tuple[Any, Any]]] = {
            "site": [(site.code, site.short) for site in sites],
            "grade": [("3+", _("3 or higher")), *grade_choices("", "")],
            "serious": [("yes", _("Serious")), ("no", _("Not serious"))],
            "causality": [*codes.choices(causality.CATEGORIES, language())],
            "query": [("open", _("Open")), ("answered", _("Answered")), ("none", _("None"))],
        }
        for name, choices in offered.items():
            self.fields[name].choices = [("", _("All")), *choices]  # type: ignore[attr-defined]
        self.is_valid()

    def condition(self, needs: Q) -> Q:
        """The rows that are wanted, `needs` is who needs review."""
        wanted = dict.fromkeys(self.fields, "") | self.cleaned_data
        condition = Q(voided_at__isnull=wanted["state"] != "void")
        if wanted["state"] == "needs":
            condition &= needs
        elif wanted["state"] == "ongoing":
            condition &= ONGOING
        elif wanted["state"] in (NEW, CHANGED, REVIEWED):
            condition &= Q(review_state=wanted["state"])
        if wanted["site"]:
            condition &= Q(site__code=wanted["site"])
        if wanted["grade"] == "3+":
            condition &= Q(grade__gte=3)
        elif wanted["grade"]:
            condition &= Q(grade=wanted["grade"])
        if wanted["serious"]:
            condition &= Q(serious=wanted["serious"] == "yes")
        if wanted["causality"]:
            condition &= Q(causality=wanted["causality"])
        match wanted["query"]:
            case "open":
                condition &= Q(asked(Query.State.OPEN))
            case "answered":
                condition &= Q(asked(Query.State.ANSWERED))
            case "none":
                condition &= ~(asked(Query.State.OPEN) | asked(Query.State.ANSWERED))
        if number := wanted["participant"].strip().upper():
            condition &= Q(participant__subject_number=number) | Q(
                participant__screening_number=number
            )
        return condition

    @property
    def narrowed(self) -> bool:
        """Whether more than the state is chosen."""
        return any(value for name, value in self.cleaned_data.items() if name != "state")
