"""The study's spine: published protocols, participants with their consents, and visits.

What a person did is kept as an act with its time; what is shown (due, overdue, enrolled, ended) is
derived from the acts by `registry.work` and the methods here.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from sites.audit import history
from sites.models import Site, Study, User

LANGUAGES = [("ko", "한국어"), ("en", "English")]


class ProtocolVersion(models.Model):
    """The published definition of a study: canonical JSON and its digest, never changed."""

    study = models.ForeignKey(Study, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    label = models.CharField(max_length=20)
    content = models.TextField()  # canonical JSON, byte for byte what `sha256` was taken of
    sha256 = models.CharField(max_length=64)
    published_at = models.DateTimeField(default=timezone.now)
    published_by = models.TextField()

    class Meta:
        ordering = ["study", "number"]
        constraints = [
            models.UniqueConstraint(fields=["study", "number"], name="version_number_once"),
            models.UniqueConstraint(fields=["study", "label"], name="version_label_once"),
            models.UniqueConstraint(fields=["study", "sha256"], name="version_content_once"),
        ]

    def __str__(self) -> str:
        return f"{self.study.code} {self.label}"


class SiteApproval(models.Model):
    """The IRB approval from which a site works under a version; until then it can't."""

    site = models.ForeignKey(Site, models.PROTECT, related_name="approvals")
    version = models.ForeignKey(ProtocolVersion, models.PROTECT, related_name="approvals")
    approved_on = models.DateField(_("approved on"))
    reference = models.CharField(_("IRB number"), max_length=60)
    recorded_at = models.DateTimeField(default=timezone.now)
    history = history()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "version"], name="approval_once_per_version")
        ]


class Counter(models.Model):
    """A count over the study: gapless numbers and the enrolment cap.

    Rows are locked in the transaction that uses them, and have no row-level security: under it a
    count would see one site only (DESIGN 5).
    """

    study = models.ForeignKey(Study, models.PROTECT, related_name="counters")
    site = models.ForeignKey(Site, models.PROTECT, null=True, related_name="counters")
    name = models.CharField(max_length=20)  # screening, subject, enrolled
    used = models.PositiveIntegerField(default=0)
    cap = models.PositiveIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study", "site", "name"], name="counter_once", nulls_distinct=False
            ),
            models.CheckConstraint(
                condition=Q(cap=None) | Q(used__lte=F("cap")), name="counter_within_cap"
            ),
        ]


class Prescreen(models.Model):
    """Somebody who did not come to consent: a date and a reason category, nothing else."""

    site = models.ForeignKey(Site, models.PROTECT, related_name="prescreens")
    on = models.DateField(_("date"))
    reason = models.CharField(_("reason"), max_length=40)
    history = history()


class ParticipantQuerySet(models.QuerySet["Participant"]):
    def valid(self) -> ParticipantQuerySet:
        """Without those that were entered in error."""
        return self.filter(voided_at=None)

    def void(self, sites: Collection[int]) -> ParticipantQuerySet:
        """Entered in error: few, so that lists leave them out without a join (a partial index)."""
        return self.filter(site_id__in=sites, voided_at__isnull=False)

    def enrolled(self) -> ParticipantQuerySet:
        return self.valid().exclude(enrolled_at=None)


class Participant(models.Model):
    """A person who consented, known by number; who they are is kept apart in `Identity`."""

    class Sex(models.TextChoices):
        FEMALE = "female", _("female")
        MALE = "male", _("male")

    site = models.ForeignKey(Site, models.PROTECT, related_name="participants")
    version = models.ForeignKey(ProtocolVersion, models.PROTECT, related_name="participants")
    screening_number = models.CharField(max_length=30)
    # NULL, since a site has many participants without a number and none twice with one.
    subject_number = models.CharField(max_length=30, null=True, blank=True)  # noqa: DJ001
    sex = models.CharField(_("sex"), max_length=6, choices=Sex.choices)
    birth_year = models.PositiveSmallIntegerField(_("birth year"))
    age = models.PositiveSmallIntegerField(_("age at consent"))
    consented_on = models.DateField(_("consent date"))
    cohort = models.CharField(max_length=30, blank=True)  # e.g. the region; a code of the protocol
    screened_at = models.DateTimeField(null=True, blank=True)
    failed_criteria = models.JSONField(null=True, blank=True)  # codes; a list means screen failure
    enrolled_at = models.DateTimeField(null=True, blank=True)
    enrolled_on = models.DateField(null=True, blank=True)
    ended_on = models.DateField(null=True, blank=True)
    end_reason = models.CharField(max_length=30, blank=True)
    end_note = models.TextField(blank=True)
    voided_at = models.DateTimeField(null=True, blank=True)
    void_reason = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    objects = ParticipantQuerySet.as_manager()
    history = history()

    class Meta:
        ordering = ["site", "screening_number"]
        constraints = [
            models.UniqueConstraint(fields=["site", "screening_number"], name="screening_once"),
            models.UniqueConstraint(fields=["site", "subject_number"], name="subject_once"),
            models.CheckConstraint(
                condition=Q(enrolled_at=None, subject_number=None, enrolled_on=None)
                | Q(
                    enrolled_at__isnull=False,
                    subject_number__isnull=False,
                    enrolled_on__isnull=False,
                ),
                name="enrolled_has_number_and_day",
            ),
            models.CheckConstraint(
                condition=Q(ended_on=None, end_reason="")
                | Q(ended_on__isnull=False) & ~Q(end_reason=""),
                name="end_has_day_and_reason",
            ),
            models.CheckConstraint(
                condition=Q(voided_at=None, void_reason="")
                | Q(voided_at__isnull=False) & ~Q(void_reason=""),
                name="participant_void_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(failed_criteria=None) | Q(enrolled_at=None),
                name="screen_failure_is_not_enrolled",
            ),
        ]
        indexes = [
            models.Index(fields=["site", "subject_number"], name="participant_by_number"),
            models.Index(
                fields=["site", "id"],
                condition=Q(voided_at__isnull=False),
                name="participant_void",
            ),
            models.Index(
                fields=["site", "consented_on", "id"],
                condition=Q(
                    voided_at=None, failed_criteria__isnull=True, enrolled_at=None, ended_on=None
                ),
                name="participant_undecided",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def number(self) -> str:
        """The subject number, or the screening number until enrolment."""
        return self.subject_number or self.screening_number

    @property
    def state(self) -> str:
        """void, ended, enrolled, failed, screened or consented: the first that holds."""
        if self.voided_at:
            return "void"
        if self.ended_on:
            return "ended"
        if self.enrolled_at:
            return "enrolled"
        if self.failed_criteria is not None:
            return "failed"
        return "screened" if self.screened_at else "consented"


class Identity(models.Model):
    """Who a participant is: encrypted, visible to the own site alone, never exported.

    Each field holds a Fernet token of `registry.identity`; the digests allow an exact search.
    """

    site = models.ForeignKey(Site, models.PROTECT, related_name="+")
    participant = models.OneToOneField(Participant, models.PROTECT, related_name="identity")
    name = models.TextField()
    birth_date = models.TextField()
    chart_number = models.TextField()
    contact = models.TextField(blank=True)
    chart_digest = models.CharField(max_length=64)
    email = models.TextField(blank=True, default="")
    mail_language = models.CharField(
        _("language of the mails"), max_length=2, choices=LANGUAGES, default="ko"
    )
    # Reminders by e-mail: from the day of the agreement until it was withdrawn.
    reminders_since = models.DateField(_("agreed to reminders on"), null=True, blank=True)
    reminders_until = models.DateField(_("withdrew from reminders on"), null=True, blank=True)
    history = history()

    class Meta:
        indexes = [models.Index(fields=["site", "chart_digest"], name="identity_by_chart")]
        constraints = [
            models.CheckConstraint(
                condition=Q(reminders_since=None, reminders_until=None)
                | Q(reminders_since__isnull=False) & ~Q(email=""),
                name="reminders_have_an_address",
            ),
        ]

    @property
    def reminded(self) -> bool:
        """Whether the participant agreed to reminders and still does."""
        return self.reminders_since is not None and self.reminders_until is None


class PersonKey(models.Model):
    """A keyed digest of one person in one study, without site: two participants warn, not where."""

    study = models.ForeignKey(Study, models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    participants = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "digest"], name="person_once_per_study")
        ]


class Consent(models.Model):
    """A signed consent form of one kind (study, data sharing, …) in one version."""

    site = models.ForeignKey(Site, models.PROTECT, related_name="+")
    participant = models.ForeignKey(Participant, models.PROTECT, related_name="consents")
    kind = models.CharField(max_length=20)
    form_version = models.CharField(_("consent form version"), max_length=20)
    given = models.BooleanField(_("consented"))
    signed_on = models.DateField(_("date"))
    explained_by = models.CharField(_("explained by"), max_length=100)
    recorded_at = models.DateTimeField(default=timezone.now)
    voided_at = models.DateTimeField(null=True, blank=True)
    void_reason = models.TextField(blank=True)
    history = history()

    class Meta:
        ordering = ["signed_on", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["participant", "kind", "form_version"],
                condition=Q(voided_at=None),
                name="consent_once_per_version",
            )
        ]


class Withdrawal(models.Model):
    """What a participant no longer agrees to, from when, and who took the word."""

    class Scope(models.TextChoices):
        VISITS = "visits", _("no more visits")
        USE = "use", _("no further use of the data")
        SHARING = "sharing", _("no sharing with third parties")

    site = models.ForeignKey(Site, models.PROTECT, related_name="+")
    participant = models.ForeignKey(Participant, models.PROTECT, related_name="withdrawals")
    scope = models.CharField(_("scope"), max_length=10, choices=Scope.choices)
    withdrawn_on = models.DateField(_("date"))
    taken_by = models.CharField(_("taken by"), max_length=100)
    recorded_at = models.DateTimeField(default=timezone.now)
    history = history()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["participant", "scope"], name="withdrawal_once")
        ]


class Allocation(models.Model):
    """The arm of a participant, where a study has arms; read under its own permission."""

    site = models.ForeignKey(Site, models.PROTECT, related_name="+")
    participant = models.OneToOneField(Participant, models.PROTECT, related_name="allocation")
    arm = models.CharField(max_length=30)
    allocated_at = models.DateTimeField(default=timezone.now)
    history = history()


class VisitQuerySet(models.QuerySet["Visit"]):
    def valid(self) -> VisitQuerySet:
        return self.filter(voided_at=None)

    def open(self) -> VisitQuerySet:
        """Expected, not held, not missed: what the work list starts from (a partial index)."""
        return self.filter(happened_on=None, missed_at=None, voided_at=None, cancelled_at=None)


class Visit(models.Model):
    """A visit that is expected (a row from enrolment on), was held, or was missed."""

    site = models.ForeignKey(Site, models.PROTECT, related_name="visits")
    participant = models.ForeignKey(Participant, models.PROTECT, related_name="visits")
    code = models.CharField(max_length=20)  # of the protocol; "unscheduled" for the others
    number = models.PositiveSmallIntegerField(default=1)  # counts unscheduled visits
    day = models.SmallIntegerField(null=True)  # planned study day; orders the visits
    due_on = models.DateField(null=True)
    opens_on = models.DateField(null=True)
    closes_on = models.DateField(null=True)
    happened_on = models.DateField(_("visit date"), null=True, blank=True)
    out_of_window_reason = models.TextField(_("reason for a visit out of its window"), blank=True)
    missed_at = models.DateTimeField(null=True, blank=True)
    missed_reason = models.TextField(_("reason"), blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)  # no longer due: end of study
    voided_at = models.DateTimeField(null=True, blank=True)
    void_reason = models.TextField(blank=True)
    objects = VisitQuerySet.as_manager()
    history = history()

    class Meta:
        ordering = ["participant", "day", "number", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["participant", "code", "number"],
                condition=Q(voided_at=None),
                name="visit_once",
            ),
            models.CheckConstraint(
                condition=Q(missed_at=None) | Q(happened_on=None), name="visit_held_or_missed"
            ),
            models.CheckConstraint(
                condition=Q(missed_at=None, missed_reason="")
                | Q(missed_at__isnull=False) & ~Q(missed_reason=""),
                name="missed_visit_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(voided_at=None, void_reason="")
                | Q(voided_at__isnull=False) & ~Q(void_reason=""),
                name="visit_void_has_reason",
            ),
        ]
        indexes = [
            models.Index(
                fields=["site", "closes_on", "id"],
                include=["opens_on", "participant"],
                condition=Q(happened_on=None, missed_at=None, voided_at=None, cancelled_at=None),
                name="visit_open_work",
            )
        ]


class SavedView(models.Model):
    """Filters of the list of participants under a name: one's own, or for all of the study.

    It keeps an address, never whom it shows, and no number of a participant: each reader sees what
    their own sites have.
    """

    study = models.ForeignKey(Study, models.PROTECT, related_name="saved_views")
    user = models.ForeignKey(User, models.PROTECT, related_name="+")
    name = models.CharField(_("name"), max_length=40)
    query = models.CharField(max_length=200)
    shared = models.BooleanField(_("for all of the study"), default=False)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["study", "user", "name"], name="view_name_once")
        ]


class JobQuerySet(models.QuerySet["Job"]):
    def lost(self) -> JobQuerySet:
        """Jobs to hand out (again): never started, or whose worker let its lease run out."""
        return self.filter(
            Q(state=Job.State.QUEUED) | Q(state=Job.State.RUNNING, lease_until__lt=timezone.now())
        )


class Job(models.Model):
    """Background work, written with the request that asks for it; Celery carries only its id."""

    class State(models.TextChoices):
        QUEUED = "queued", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    study = models.ForeignKey(Study, models.PROTECT, related_name="jobs")
    kind = models.CharField(max_length=30)
    params = models.JSONField(default=dict)
    params_sha256 = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    attempt = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    progress = models.PositiveSmallIntegerField(default=0)  # percent
    error = models.TextField(blank=True)
    requested_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="jobs")
    requested_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-requested_at"]
        constraints = [
            models.CheckConstraint(condition=Q(progress__lte=100), name="progress_is_percent"),
        ]
        indexes = [
            models.Index(
                fields=["state", "lease_until"],
                condition=Q(state__in=["queued", "running"]),
                name="job_unfinished",
            )
        ]
