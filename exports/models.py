"""Datasets that left the system: numbered, immutable releases and who downloaded them why."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.models import Job
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
