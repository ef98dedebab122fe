"""What is collected: one `Entry` per CRF of one participant, and the acts upon it.

Answers are a flat object item → value; why a value is missing, who gave it and when it was
captured stand beside them in `meta`. Digests are set by the database, so that a signature or a
verification can tell that what it covered has changed.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.models import Participant, ProtocolVersion, Visit
from sites.audit import history
from sites.models import Site, User

MOST_FAILURES = 5  # wrong second facts after which a personal link is closed


class EntryQuerySet(models.QuerySet["Entry"]):
    def valid(self) -> EntryQuerySet:
        """Neither entered in error nor withdrawn from the schedule while empty."""
        return self.filter(voided_at=None).exclude(cancelled_at__isnull=False, started_at=None)

    def incomplete(self) -> EntryQuerySet:
        """Not complete and not withdrawn, also those of visits to come (a partial index)."""
        return self.filter(completed_at=None, voided_at=None, cancelled_at=None)

    def waiting(self) -> EntryQuerySet:
        """Those that can be filled in now: what the work list starts from (a partial index)."""
        return self.filter(due_from__isnull=False)


class Entry(models.Model):
    """One CRF of one participant: at a visit, or of the participant (screening, logs)."""

    site = models.ForeignKey(Site, models.PROTECT, related_name="entries")
    participant = models.ForeignKey(Participant, models.PROTECT, related_name="entries")
    visit = models.ForeignKey(Visit, models.PROTECT, null=True, related_name="entries")
    instrument = models.CharField(max_length=40)
    number = models.PositiveSmallIntegerField(default=1)  # counts the rows of a repeating form
    version = models.ForeignKey(ProtocolVersion, models.PROTECT, related_name="entries")
    answers = models.JSONField(default=dict)  # item → value, flat
    meta = models.JSONField(default=dict)  # item → {"missing": reason, "source": …}
    scores = models.JSONField(default=dict)  # output → value
    digest = models.CharField(max_length=64, default="")  # set by a trigger
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    completed_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    cancelled_at = models.DateTimeField(null=True, blank=True)  # no longer due; kept
    voided_at = models.DateTimeField(null=True, blank=True)
    void_reason = models.TextField(blank=True)
    # While it waits to be filled in, since when: the day of its visit, or on which it was added.
    # Set by a trigger; what is derived is neither in the history nor in the digest.
    due_from = models.DateField(null=True, editable=False)
    objects = EntryQuerySet.as_manager()
    history = history(excluded_fields=["due_from"])

    class Meta:
        ordering = ["participant", "visit", "instrument", "number"]
        constraints = [
            models.UniqueConstraint(
                fields=["visit", "instrument", "number"],
                condition=Q(voided_at=None, visit__isnull=False),
                name="entry_once_per_visit",
            ),
            models.UniqueConstraint(
                fields=["participant", "instrument", "number"],
                condition=Q(voided_at=None, visit=None),
                name="entry_once_per_participant",
            ),
            models.CheckConstraint(
                condition=Q(completed_at=None, completed_by=None)
                | Q(
                    completed_at__isnull=False, completed_by__isnull=False, started_at__isnull=False
                ),
                name="entry_completed_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(voided_at=None, void_reason="")
                | Q(voided_at__isnull=False) & ~Q(void_reason=""),
                name="entry_void_has_reason",
            ),
        ]
        indexes = [
            models.Index(fields=["participant", "instrument"], name="entry_of_participant"),
            models.Index(
                fields=["site", "participant"],
                condition=Q(completed_at=None, voided_at=None, cancelled_at=None),
                name="entry_open_work",
            ),
            models.Index(
                fields=["site", "due_from", "id"],
                include=["participant"],
                condition=Q(due_from__isnull=False),
                name="entry_due_work",
            ),
        ]


class Operation(models.Model):
    """A save that was answered: the same operation id gets the same answer and changes nothing."""

    site = models.ForeignKey(Site, models.PROTECT, related_name="+")
    user = models.ForeignKey(User, models.PROTECT, related_name="+")
    op = models.UUIDField()
    entry = models.ForeignKey(Entry, models.PROTECT, null=True, related_name="+")
    answer = models.JSONField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "op"], name="operation_once")]


class Import(models.Model):
    """A list of answers from elsewhere: who brought it, how it was read, what became of each line.

    `content` are the lines, encrypted, until they are written or thrown away; then it is empty.
    """

    site = models.ForeignKey(Site, models.PROTECT, related_name="imports")
    file_name = models.CharField(max_length=100)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveIntegerField()
    parser = models.CharField(max_length=60)  # which version of the reader, and the encoding
    headers = models.JSONField(default=list)
    lines = models.PositiveIntegerField()
    content = models.TextField(blank=True)
    mapping = models.JSONField(default=dict)  # `crf.imports.mapping.Mapping` as data
    uploaded_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    uploaded_at = models.DateTimeField(default=timezone.now)
    reason = models.TextField(blank=True)
    committed_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    committed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    discarded_at = models.DateTimeField(null=True, blank=True)
    counts = models.JSONField(default=dict)  # new, changed, unchanged, refused
    outcome = models.JSONField(default=list)  # a row for each line and form
    history = history(excluded_fields=["content"])

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(committed_at=None, committed_by=None, finished_at=None)
                | Q(committed_at__isnull=False, committed_by__isnull=False, discarded_at=None)
                & ~Q(reason=""),
                name="import_written_by_somebody_for_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(content="") | Q(finished_at=None, discarded_at=None),
                name="import_keeps_no_lines_once_closed",
            ),
        ]
        indexes = [models.Index(fields=["site", "sha256"], name="import_of_file")]


class HandoverQuerySet(models.QuerySet["Handover"]):
    def open(self) -> HandoverQuerySet:
        """Neither used up, nor taken back, nor past its time."""
        return self.filter(submitted_at=None, revoked_at=None, expires_at__gt=timezone.now())


class Handover(models.Model):
    """Forms of one visit that a participant answers alone: on a tablet, or by a personal link.

    The code or the link is a secret of which only a keyed digest is stored.
    """

    class Way(models.TextChoices):
        TABLET = "tablet", _("tablet")
        LINK = "link", _("personal link")

    site = models.ForeignKey(Site, models.PROTECT, related_name="+")
    participant = models.ForeignKey(Participant, models.PROTECT, related_name="handovers")
    visit = models.ForeignKey(Visit, models.PROTECT, related_name="handovers")
    way = models.CharField(_("way"), max_length=10, choices=Way.choices)
    instruments = models.JSONField(_("forms"))  # codes, in the order in which they are asked
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    expires_at = models.DateTimeField(_("valid until"))
    begun_at = models.DateTimeField(_("opened by the participant"), null=True, blank=True)
    failures = models.PositiveSmallIntegerField(_("wrong birth dates"), default=0)
    submitted_at = models.DateTimeField(_("sent by the participant"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("taken back"), null=True, blank=True)
    objects = HandoverQuerySet.as_manager()
    history = history()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["digest"], name="handover_secret_once"),
            models.CheckConstraint(
                condition=Q(submitted_at=None) | Q(revoked_at=None, begun_at__isnull=False),
                name="handover_sent_or_taken_back",
            ),
        ]
        indexes = [models.Index(fields=["visit"], name="handover_of_visit")]

    @property
    def state(self) -> str:
        """submitted, revoked, blocked, expired, begun or waiting: the first that holds."""
        if self.submitted_at:
            return "submitted"
        if self.revoked_at:
            return "revoked"
        if self.failures >= MOST_FAILURES:
            return "blocked"
        if self.expires_at <= timezone.now():
            return "expired"
        return "begun" if self.begun_at else "waiting"


class Reminder(models.Model):
    """One mail to a participant about one visit: written down first, then sent.

    `claimed_at` and `attempts` let another worker take over what a killed one left unsent.
    """

    class Occasion(models.TextChoices):
        DUE = "due", _("visit due")
        CLOSING = "closing", _("window about to close")

    site = models.ForeignKey(Site, models.PROTECT, related_name="+")
    participant = models.ForeignKey(Participant, models.PROTECT, related_name="reminders")
    visit = models.ForeignKey(Visit, models.PROTECT, related_name="reminders")
    occasion = models.CharField(_("occasion"), max_length=10, choices=Occasion.choices)
    claimed_at = models.DateTimeField(_("begun"))
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=1)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    history = history()

    class Meta:
        ordering = ["claimed_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["visit", "occasion"], name="reminder_once_per_visit")
        ]


class QueryQuerySet(models.QuerySet["Query"]):
    def unresolved(self) -> QueryQuerySet:
        return self.exclude(state=Query.State.CLOSED)

    def waiting_for(self, *, answering: Iterable[int], asking: Iterable[int]) -> QueryQuerySet:
        """Whose turn it is: open ones at sites where one answers, answered ones where one asks."""
        return self.filter(whose_turn(answering, asking))


def whose_turn(answering: Iterable[int], asking: Iterable[int]) -> Q:
    """The condition of `waiting_for`, for counts."""
    return Q(state=Query.State.OPEN, site_id__in=list(answering)) | Q(
        state=Query.State.ANSWERED, site_id__in=list(asking)
    )


class Query(models.Model):
    """A question about an item of an entry or about an adverse event, and where it stands."""

    class State(models.TextChoices):
        OPEN = "open", _("open")  # the site's turn
        ANSWERED = "answered", _("answered")  # the reviewer's turn
        CLOSED = "closed", _("closed")

    site = models.ForeignKey(Site, models.PROTECT, related_name="queries")
    participant = models.ForeignKey(Participant, models.PROTECT, related_name="queries")
    entry = models.ForeignKey(Entry, models.PROTECT, null=True, blank=True, related_name="queries")
    adverse_event = models.ForeignKey(
        "safety.AdverseEvent", models.PROTECT, null=True, blank=True, related_name="queries"
    )
    item = models.CharField(max_length=60, blank=True)
    check_code = models.CharField(max_length=60, blank=True)  # which check asked; empty: a person
    text = models.TextField(_("question"))
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    value_at_confirmation = models.JSONField(null=True, blank=True)  # quiet until it changes again
    opened_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    opened_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    objects = QueryQuerySet.as_manager()
    history = history()

    class Meta:
        ordering = ["opened_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["entry", "check_code", "item"],
                condition=~Q(check_code="") & ~Q(state="closed"),
                name="check_asks_once",
            ),
            models.CheckConstraint(
                condition=Q(entry=None, adverse_event__isnull=False)
                | Q(entry__isnull=False, adverse_event=None),
                name="query_about_entry_or_event",
            ),
        ]
        indexes = [
            models.Index(
                fields=["site", "state", "opened_at", "id"],
                include=["participant"],
                condition=~Q(state="closed"),
                name="query_open_work",
            )
        ]


class QueryMessage(models.Model):
    """One turn in the thread of a query; only ever added."""

    class Act(models.TextChoices):
        ASK = "ask", _("asked")
        ANSWER = "answer", _("answered")
        CLOSE = "close", _("closed")
        REOPEN = "reopen", _("reopened")
        REMARK = "remark", _("remarked")

    site = models.ForeignKey(Site, models.PROTECT, related_name="+")
    query = models.ForeignKey(Query, models.PROTECT, related_name="messages")
    act = models.CharField(max_length=10, choices=Act.choices)
    text = models.TextField(blank=True)
    by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    history = history()

    class Meta:
        ordering = ["at", "id"]


class SecondLook(models.Model):
    """A completed form that is entered once more without seeing the first answers, and compared.

    It waits from completion on (a row, not a computed list), is looked at, and is settled when each
    difference was decided; without a difference both happen at once.
    """

    site = models.ForeignKey(Site, models.PROTECT, related_name="second_looks")
    participant = models.ForeignKey(Participant, models.PROTECT, related_name="second_looks")
    entry = models.OneToOneField(Entry, models.PROTECT, related_name="second_look")
    answers = models.JSONField(default=dict)  # as in `Entry`, of the second hand
    meta = models.JSONField(default=dict)
    looked_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    looked_at = models.DateTimeField(null=True, blank=True)
    compared = models.PositiveSmallIntegerField(default=0)  # answers that either hand gave
    differing = models.PositiveSmallIntegerField(default=0)
    decisions = models.JSONField(default=list)  # [{item, first, second, kept, reason}]
    settled_at = models.DateTimeField(null=True, blank=True)
    history = history()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(looked_at=None, looked_by=None)
                | Q(looked_at__isnull=False, looked_by__isnull=False),
                name="second_look_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(settled_at=None) | Q(looked_at__isnull=False),
                name="second_look_settled_after_looking",
            ),
        ]
        indexes = [
            models.Index(fields=["site"], condition=Q(settled_at=None), name="second_look_open")
        ]


class Verification(models.Model):
    """A monitor compared an entry with its source; stale when the digest differs."""

    site = models.ForeignKey(Site, models.PROTECT, related_name="+")
    entry = models.ForeignKey(Entry, models.PROTECT, related_name="verifications")
    digest = models.CharField(max_length=64)
    verified_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    verified_at = models.DateTimeField(default=timezone.now)
    history = history()


class Signature(models.Model):
    """An investigator's signature under one participant's data, bound to their digest."""

    class Meaning(models.TextChoices):
        REVIEWED = "reviewed", _("I have reviewed these data")
        APPROVED = "approved", _("I confirm that these data are accurate and complete")

    site = models.ForeignKey(Site, models.PROTECT, related_name="+")
    participant = models.ForeignKey(Participant, models.PROTECT, related_name="signatures")
    meaning = models.CharField(_("meaning"), max_length=20, choices=Meaning.choices)
    digest = models.CharField(max_length=64)
    signed_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    printed_name = models.CharField(max_length=100)
    signed_at = models.DateTimeField(default=timezone.now)
    history = history()

    class Meta:
        ordering = ["signed_at", "id"]


class Lock(models.Model):
    """A site's data are closed for writing, by whom and until when; the database enforces it."""

    site = models.ForeignKey(Site, models.PROTECT, related_name="locks")
    locked_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    locked_at = models.DateTimeField(default=timezone.now)
    reason = models.TextField(_("reason"), blank=True)
    released_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    released_at = models.DateTimeField(null=True, blank=True)
    release_reason = models.TextField(_("reason for unlocking"), blank=True)
    history = history()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["site"], condition=Q(released_at=None), name="one_lock_per_site"
            ),
            models.CheckConstraint(
                condition=Q(released_at=None, released_by=None)
                | Q(released_at__isnull=False, released_by__isnull=False) & ~Q(release_reason=""),
                name="lock_released_by_somebody_for_a_reason",
            ),
        ]
