"""Adverse events: they follow the participant, not the visit; reviews never touch their rows."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.models import Participant
from sites.audit import history
from sites.models import Site, User


class AdverseEventQuerySet(models.QuerySet["AdverseEvent"]):
    def valid(self) -> AdverseEventQuerySet:
        return self.filter(voided_at=None)


class AdverseEvent(models.Model):
    """One adverse event as the site reports it.

    Dates may be partial: YYYY, YYYY-MM or YYYY-MM-DD. Code lists keep their version beside the
    code. `digest` is set by a trigger over what is reported.
    """

    class ReviewState(models.TextChoices):
        NEW = "new", _("New")
        CHANGED = "changed", _("Changed since review")
        REVIEWED = "reviewed", _("Reviewed")

    site = models.ForeignKey(Site, models.PROTECT, related_name="adverse_events")
    participant = models.ForeignKey(Participant, models.PROTECT, related_name="adverse_events")
    number = models.PositiveSmallIntegerField()  # per participant
    symptom = models.TextField(_("symptom"))
    onset = models.CharField(_("onset"), max_length=10)
    ended = models.CharField(_("end"), max_length=10, blank=True)
    term = models.CharField(_("CTCAE term"), max_length=10, blank=True)
    term_version = models.CharField(max_length=10, blank=True)
    grade = models.PositiveSmallIntegerField(_("CTCAE grade"))
    causality = models.CharField(_("causality (WHO-UMC)"), max_length=20)
    causality_answers = models.JSONField(default=dict, blank=True)
    suggested_causality = models.CharField(max_length=20, blank=True)
    serious = models.BooleanField(_("serious"), default=False)
    seriousness = models.JSONField(_("seriousness criteria"), default=list, blank=True)
    expected = models.BooleanField(_("expected"), null=True)
    outcome = models.CharField(_("outcome"), max_length=2)
    action = models.CharField(_("action taken"), max_length=2, blank=True)
    treatment = models.TextField(_("treatment of the event"), blank=True)
    aware_on = models.DateField(_("site became aware on"))
    narrative = models.TextField(_("narrative"), blank=True)
    digest = models.CharField(max_length=64, default="")  # set by a trigger
    reported_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    reported_at = models.DateTimeField(default=timezone.now)
    voided_at = models.DateTimeField(null=True, blank=True)
    void_reason = models.TextField(blank=True)
    # Where it stands with its newest review. Set by a trigger; neither in history nor in digest.
    review_state = models.CharField(
        max_length=10, choices=ReviewState.choices, default=ReviewState.NEW, editable=False
    )
    objects = AdverseEventQuerySet.as_manager()
    history = history(excluded_fields=["review_state"])

    class Meta:
        ordering = ["participant", "number"]
        constraints = [
            models.UniqueConstraint(fields=["participant", "number"], name="event_number_once"),
            models.CheckConstraint(
                condition=Q(grade__gte=1, grade__lte=5), name="grade_one_to_five"
            ),
            models.CheckConstraint(
                condition=Q(serious=False, seriousness=[]) | Q(serious=True) & ~Q(seriousness=[]),
                name="serious_has_criteria",
            ),
            models.CheckConstraint(
                condition=Q(voided_at=None, void_reason="")
                | Q(voided_at__isnull=False) & ~Q(void_reason=""),
                name="event_void_has_reason",
            ),
        ]
        indexes = [
            # The second and third hold all that the queue is sorted by, the clock included.
            models.Index(fields=["site", "-reported_at"], name="event_by_site"),
            models.Index(
                fields=["site", "-serious", "-grade", "reported_at", "id"],
                include=["participant", "aware_on", "seriousness"],
                condition=Q(voided_at=None),
                name="event_in_order",
            ),
            models.Index(
                fields=["site", "-serious", "onset", "id"],
                include=["participant"],
                condition=Q(voided_at=None, ended="", outcome__in=["0", "2", "3"]),
                name="event_ongoing",
            ),
            models.Index(
                fields=["site", "-serious", "-grade", "reported_at", "id"],
                include=["participant", "aware_on", "seriousness"],
                condition=Q(voided_at=None, review_state__in=["new", "changed"]),
                name="event_open_work",
            ),
        ]


class AEReview(models.Model):
    """What a monitor or safety officer decided about an event; stale when its digest differs."""

    class Decision(models.TextChoices):
        REVIEWED = "reviewed", _("reviewed")
        DUPLICATE = "duplicate", _("duplicate")
        NOT_AN_EVENT = "not_an_event", _("not an adverse event")

    site = models.ForeignKey(Site, models.PROTECT, related_name="+")
    adverse_event = models.ForeignKey(AdverseEvent, models.PROTECT, related_name="reviews")
    decision = models.CharField(_("decision"), max_length=20, choices=Decision.choices)
    note = models.TextField(_("note"), blank=True)
    digest = models.CharField(max_length=64)
    reviewed_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    reviewed_at = models.DateTimeField(default=timezone.now)
    history = history()

    class Meta:
        ordering = ["reviewed_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(decision="reviewed") | ~Q(note=""),
                name="review_other_than_reviewed_has_note",
            )
        ]
