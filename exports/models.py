"""What left the system: numbered, immutable releases, who downloaded them why, and documents."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.models import Job, ProtocolVersion
from sites.audit import history
from sites.models import Study, User


class Release(models.Model):
    """A finished dataset. `sites` names its scope; the file is found by its SHA-256."""

    study = models.ForeignKey(Study, models.PROTECT, related_name="releases")
    number = models.PositiveIntegerField()
    job = models.OneToOneField(Job, models.PROTECT, related_name="release")
    site_ids = models.JSONField()  # sorted ids; a reader must hold the permission at all of them
    locked = models.BooleanField()  # every site of the scope was locked when it was built
    key = models.CharField(max_length=64)  # digest of scope, versions, trail position, builder
    file_name = models.CharField(max_length=120)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    manifest = models.JSONField()
    requested_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.TextField(_("purpose"))
    built_at = models.DateTimeField(default=timezone.now)
    history = history()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["study", "number"], name="release_number_once")
        ]


class Download(models.Model):
    """Who took a release out of the system, when, and what for."""

    release = models.ForeignKey(Release, models.PROTECT, related_name="downloads")
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.TextField(_("reason"))
    at = models.DateTimeField(default=timezone.now)
    history = history()

    class Meta:
        ordering = ["-at"]


class Document(models.Model):
    """A finished PDF: blank forms for everybody, or casebooks for the one who asked for them.

    A casebook names its reader on every page, so that only that person may have the file.
    """

    class Kind(models.TextChoices):
        BLANK = "blank", _("Blank forms")
        CASEBOOK = "casebook", _("Casebook")
        CASEBOOKS = "casebooks", _("Casebooks of a site")

    study = models.ForeignKey(Study, models.PROTECT, related_name="documents")
    job = models.OneToOneField(Job, models.PROTECT, related_name="document")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    version = models.ForeignKey(  # of blank forms; a casebook holds entries of several
        ProtocolVersion, models.PROTECT, null=True, related_name="+"
    )
    language = models.CharField(max_length=2)
    site_ids = models.JSONField(default=list)  # sorted ids; empty for blank forms
    participant_ids = models.JSONField(default=list)
    key = models.CharField(max_length=64)  # digest of scope, versions, trail, request, builder
    file_name = models.CharField(max_length=120)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    pages = models.PositiveIntegerField()
    requested_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.TextField(_("purpose"), blank=True)
    built_at = models.DateTimeField(default=timezone.now)
    history = history()

    class Meta:
        ordering = ["-built_at"]
        indexes = [models.Index(fields=["study", "key"], name="document_by_key")]
