"""Who and where: studies, their sites, the people and the roles that they hold.

Roles are memberships with dates, so that "who could do what on that day" is a question to the
data. Log-ins, refusals and every view of a participant are kept in append-only logs.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import uuid
from zoneinfo import ZoneInfo

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from sites.audit import history
from sites.roles import Role


def text_of(record: models.Model, name: str) -> str:
    """The field `name` in the reader's language: `name_ko` or `name_en`."""
    language = "en" if (get_language() or "ko").startswith("en") else "ko"
    return str(getattr(record, f"{name}_{language}"))


class Study(models.Model):
    """A registry or trial that this installation runs."""

    code = models.SlugField(max_length=30, unique=True)
    name_ko = models.TextField()
    name_en = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)
    history = history()

    def __str__(self) -> str:
        return text_of(self, "name")


class Site(models.Model):
    """A hospital in exactly one study; one hospital in two studies is two sites."""

    study = models.ForeignKey(Study, models.PROTECT, related_name="sites")
    code = models.CharField(max_length=10)
    name_ko = models.TextField()
    name_en = models.TextField()
    short_ko = models.TextField()
    short_en = models.TextField()
    timezone = models.CharField(max_length=40, default="Asia/Seoul")
    position = models.PositiveSmallIntegerField(default=0)
    target = models.PositiveIntegerField(null=True, blank=True)
    history = history()

    class Meta:
        ordering = ["position", "code"]
        constraints = [
            models.UniqueConstraint(fields=["study", "code"], name="site_code_once_per_study")
        ]

    def __str__(self) -> str:
        return text_of(self, "name")

    @property
    def short(self) -> str:
        return text_of(self, "short")

    def today(self) -> dt.date:
        """The calendar day at the hospital, which is what "today" means on every form."""
        return timezone.now().astimezone(ZoneInfo(self.timezone)).date()


class User(AbstractUser):
    """One person's account; accounts are ended, never deleted and never given to somebody else."""

    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    name = models.CharField(_("name"), max_length=100)
    email = models.EmailField(_("e-mail"), unique=True)
    language = models.CharField(
        max_length=2, choices=[("ko", "한국어"), ("en", "English")], default="ko"
    )
    history = history(excluded_fields=["password", "last_login"])

    def __str__(self) -> str:
        return self.name or self.username

    def get_full_name(self) -> str:
        return str(self)

    def get_short_name(self) -> str:
        return str(self)


class MembershipQuerySet(models.QuerySet["Membership"]):
    def on(self, day: dt.date) -> MembershipQuerySet:
        """Memberships in force on that calendar day."""
        return self.filter(Q(until=None) | Q(until__gte=day), since__lte=day)


class Membership(models.Model):
    """A role that a person holds at one site of a study, or at all of them, between two days."""

    user = models.ForeignKey(User, models.PROTECT, related_name="memberships")
    study = models.ForeignKey(Study, models.PROTECT, related_name="memberships")
    site = models.ForeignKey(
        Site, models.PROTECT, null=True, blank=True, related_name="memberships"
    )
    role = models.CharField(max_length=20, choices=Role.choices)
    since = models.DateField()
    until = models.DateField(null=True, blank=True)
    objects = MembershipQuerySet.as_manager()
    history = history()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(until=None) | Q(until__gte=F("since")),
                name="membership_ends_after_it_begins",
            ),
            models.CheckConstraint(
                condition=Q(role__in=Role.values), name="membership_role_in_list"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.get_role_display()}"


class ApiToken(models.Model):
    """A key for the API, bound to one person and one site; only its digest is stored."""

    user = models.ForeignKey(User, models.PROTECT, related_name="api_tokens")
    site = models.ForeignKey(Site, models.PROTECT, related_name="api_tokens")
    purpose = models.CharField(_("purpose"), max_length=200)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_on = models.DateField(_("valid until"))
    revoked_at = models.DateTimeField(null=True, blank=True)
    history = history()

    @staticmethod
    def digest_of(key: str) -> str:
        return hashlib.sha256(key.encode()).hexdigest()

    @staticmethod
    def new_key() -> str:
        return f"edc_{secrets.token_urlsafe(32)}"


class SecurityEvent(models.Model):
    """A log-in, a failed log-in, a log-out or a refusal; written in a transaction of its own."""

    class Kind(models.TextChoices):
        LOGIN = "login", _("signed in")
        LOGIN_FAILED = "login_failed", _("sign-in failed")
        LOGOUT = "logout", _("signed out")
        REFUSED = "refused", _("refused")

    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    user = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    path = models.TextField(blank=True)
    ip = models.GenericIPAddressField(null=True)
    detail = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["user", "at"], name="security_event_user_at")]


class AccessLog(models.Model):
    """Who saw, entered or downloaded whose data, when and from where (K01).

    One row per request, site and participant, in a table that is partitioned by month; `page()`
    and `api()` write it with one statement at the end of the request.
    """

    class Action(models.TextChoices):
        VIEW = "view", _("viewed")
        ENTER = "enter", _("entered or changed")
        DOWNLOAD = "download", _("downloaded")

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    user = models.ForeignKey(User, models.DO_NOTHING, related_name="+", db_constraint=False)
    site = models.ForeignKey(Site, models.DO_NOTHING, related_name="+", db_constraint=False)
    participant_id = models.BigIntegerField()
    action = models.CharField(max_length=10, choices=Action.choices)
    route = models.TextField()
    ip = models.GenericIPAddressField(null=True)
    request = models.UUIDField(default=uuid.uuid4)

    class Meta:
        managed = False
        db_table = "sites_accesslog"
        ordering = ["-at", "-id"]
