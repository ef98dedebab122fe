"""Forms: read with answers and scores, written item by item, completed; rows added to logs.

A save is taken whole or not at all. Each item that changes is compared with what the caller says it
read (`base`; an item left out of it was empty), so that nothing is overwritten unseen.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.request import Request as ApiRequest
from rest_framework.response import Response

from crf.models import Entry
from crf.services import Saved, add_entry, complete, save_entry
from crf.services.entries import missing_reasons
from crf.workflow import State, state_of
from registry.api.base import (
    BIGGEST,
    Filters,
    Refusal,
    Strict,
    called,
    filters,
    page_of,
    paged,
    sent,
    site_ids,
)
from registry.models import Participant
from sites.access import Request, find, rows

VERSIONS = "$versions"


class EntryOut(serializers.ModelSerializer[Entry]):
    site = serializers.CharField(source="site.code", read_only=True)
    subject = serializers.CharField(source="participant.number", read_only=True)
    visit_code = serializers.CharField(source="visit.code", allow_null=True, read_only=True)
    version = serializers.CharField(source="version.label", read_only=True)
    state = serializers.SerializerMethodField(help_text=", ".join(State))
    answers = serializers.DictField(read_only=True)
    missing = serializers.SerializerMethodField(help_text="item → why it has no answer")
    scores = serializers.SerializerMethodField()

    class Meta:
        model = Entry
        fields = (
            "id",
            "site",
            "participant",
            "subject",
            "visit",
            "visit_code",
            "instrument",
            "number",
            "version",
            "state",
            "answers",
            "missing",
            "scores",
            "started_at",
            "completed_at",
            "voided_at",
            "void_reason",
        )
        read_only_fields = fields

    def get_state(self, entry: Entry) -> str:
        return state_of(entry).value

    def get_missing(self, entry: Entry) -> dict[str, str]:
        return missing_reasons(entry)

    def get_scores(self, entry: Entry) -> dict[str, Any]:
        return {name: value for name, value in entry.scores.items() if name != VERSIONS}


class EntryFilters(Filters):
    site = serializers.CharField(required=False, max_length=10)
    participant = serializers.IntegerField(required=False, min_value=1, max_value=BIGGEST)
    visit = serializers.IntegerField(required=False, min_value=1, max_value=BIGGEST)
    instrument = serializers.CharField(required=False, max_length=40)


class Moment(serializers.DateTimeField):
    """A moment with its offset from UTC, not in the future."""

    def to_internal_value(self, value: Any) -> dt.datetime:
        try:
            moment = parse_datetime(value) if isinstance(value, str) else None
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise serializers.ValidationError(
                _("Please give day, time and offset, as in 2026-11-21T10:30:00+09:00.")
            )
        if moment > timezone.now():
            raise serializers.ValidationError(_("This lies in the future."))
        return moment


class AnswersIn(Strict):
    """What changes on a form; everything else stays."""

    answers = serializers.DictField(
        child=serializers.JSONField(allow_null=True),
        default=dict,
        help_text="item → answer as its instrument describes it; null takes it away",
    )
    missing = serializers.DictField(
        child=serializers.CharField(allow_null=True, max_length=40),
        default=dict,
        help_text="item → why there is no answer; null takes the mark away",
    )
    base = serializers.DictField(
        child=serializers.JSONField(allow_null=True),
        default=dict,
        help_text='item → the answer that you read, or {"missing": …}; left out: there was none',
    )
    reason = serializers.CharField(
        default="", allow_blank=True, help_text="why a form that is complete is changed"
    )
    reasons = serializers.DictField(
        child=serializers.CharField(), default=dict, help_text="item → its own reason"
    )
    op = serializers.UUIDField(
        required=False, default=None, help_text="sent twice, it is done once and answered alike"
    )
    captured_at = Moment(
        required=False, default=None, help_text="when it was answered, if that was before now"
    )

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        marked = {item for item, why in given["missing"].items() if why is not None}
        both = sorted(
            item for item, value in given["answers"].items() if value is not None and item in marked
        )
        if both:
            sentence = _("Please either answer, or say why there is no answer.")
            raise serializers.ValidationError(dict.fromkeys(both, sentence))
        return given


class CheckOut(serializers.Serializer[Any]):
    code = serializers.CharField()
    items = serializers.ListField(child=serializers.CharField())
    message = serializers.SerializerMethodField()

    def get_message(self, check: dict[str, str]) -> str:
        return check["en" if (get_language() or "ko").startswith("en") else "ko"]


class SavedOut(serializers.Serializer[Any]):
    """What was done with each item, and the form as it is now."""

    entry = serializers.IntegerField(source="entry_id")
    accepted = serializers.ListField(child=serializers.CharField())
    errors = serializers.DictField(child=serializers.CharField())  # type: ignore[assignment]
    conflicts = serializers.DictField(
        help_text="item → theirs, missing (stored meanwhile) and mine; send again with a new base"
    )
    needs_reason = serializers.ListField(child=serializers.CharField())
    answers = serializers.DictField()
    missing = serializers.DictField(child=serializers.CharField())
    shown = serializers.ListField(child=serializers.CharField(), help_text="items that apply")
    checks = CheckOut(many=True, help_text="soft checks that object; each has opened a query")
    scores = serializers.DictField()
    answered = serializers.IntegerField()
    due = serializers.IntegerField()
    state = serializers.CharField()
    saved_at = serializers.DateTimeField()


class RefusedOut(SavedOut):
    """Nothing was stored; `errors`, `conflicts` and `needs_reason` say why."""

    detail = serializers.CharField()


def _entries(request: Request) -> QuerySet[Entry]:
    return (
        rows(request, Entry)
        .select_related("site", "participant", "visit", "version")
        .defer("version__content")
    )


@extend_schema(
    operation_id="entries",
    parameters=[EntryFilters],
    responses={200: page_of(EntryOut), 400: Refusal},
)
@api_view(["GET"])
def entries(request: ApiRequest) -> Response:
    """The forms of your site, filled in or expected."""
    here, asked = called(request), filters(request, EntryFilters)
    found = _entries(here)
    if "site" in asked:
        found = found.filter(site_id__in=site_ids(here, asked["site"]))
    for name in ("participant", "visit", "instrument"):
        if name in asked:
            found = found.filter(**{name: asked[name]})
    return paged(request, found, EntryOut, asked)


@extend_schema(methods=["GET"], operation_id="entry", responses={200: EntryOut, 404: Refusal})
@extend_schema(
    methods=["PATCH"],
    operation_id="entry_save",
    request=AnswersIn,
    responses={
        200: SavedOut,
        400: RefusedOut,
        404: Refusal,
        409: OpenApiResponse(RefusedOut, "somebody else's answers, or an act that can't be done"),
    },
)
@api_view(["GET", "PATCH"])
def entry(request: ApiRequest, pk: int) -> Response:
    """One form. A PATCH saves answers: all of what is sent, or nothing."""
    here = called(request)
    found = find(here, _entries(here), pk=pk)
    if request.method != "PATCH":
        return Response(EntryOut(found).data)
    given = sent(request, AnswersIn)
    items = {*given["answers"], *given["missing"]}
    saved = save_entry(
        entry=found,
        changes=given["answers"],
        missing=given["missing"],
        base={item: given["base"].get(item) for item in items},
        reason=given["reason"],
        reasons=given["reasons"],
        op=given["op"],
        captured_at=given["captured_at"],
        strict=True,
        by=here.by,
    )
    return _answered(saved)


def _answered(saved: Saved) -> Response:
    if not (saved.errors or saved.conflicts or saved.needs_reason):
        return Response(SavedOut(saved).data)
    saved.accepted = []  # what could have been kept was not, because of the rest
    sentence = _("Nothing was stored.")
    if saved.needs_reason:
        sentence = _("This form is complete: please give the reason of the change.")
    if saved.conflicts:
        sentence = _("Somebody else changed these answers meanwhile. Nothing was stored.")
    answer = SavedOut(saved).data | {"detail": sentence}
    return Response(answer, status=409 if saved.conflicts else 400)


class NothingIn(Strict):
    """No fields."""


@extend_schema(
    operation_id="entry_complete",
    request=NothingIn,
    responses={200: EntryOut, 404: Refusal, 409: Refusal},
)
@api_view(["POST"])
def entry_complete(request: ApiRequest, pk: int) -> Response:
    """Declare a form complete: from now on each change needs a reason."""
    here = called(request)
    found = find(here, _entries(here), pk=pk)
    sent(request, NothingIn)
    complete(entry=found, by=here.by)
    return Response(EntryOut(_entries(here).get(pk=pk)).data)


class RowIn(Strict):
    op = serializers.UUIDField(
        required=False, default=None, help_text="sent twice, one row is made and answered again"
    )


@extend_schema(
    operation_id="entry_new",
    request=RowIn,
    responses={201: EntryOut, 404: Refusal, 409: Refusal},
)
@api_view(["POST"])
def entry_new(request: ApiRequest, pk: int, instrument: str) -> Response:
    """A new, empty row of one of a participant's logs, or the participant's screening form."""
    here = called(request)
    person = find(here, Participant.objects.select_related("site"), pk=pk)
    given = sent(request, RowIn)
    made = add_entry(participant=person, instrument=instrument, op=given["op"], by=here.by)
    return Response(EntryOut(_entries(here).get(pk=made.pk)).data, status=201)
