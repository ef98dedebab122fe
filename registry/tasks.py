"""What Celery knows: which work a kind of job is, and what runs by the clock."""

from __future__ import annotations

import uuid

from celery import shared_task
from django.db import connection

from crf.services.imports import KIND as IMPORT
from crf.services.imports import take_in
from exports.documents.making import make_document
from exports.models import Document
from exports.release import make_release
from registry import jobs, reminders

KINDS: dict[str, jobs.Work] = {
    "release": make_release,
    IMPORT: take_in,
    **dict.fromkeys(Document.Kind.values, make_document),
}


@shared_task(name=jobs.TASK)
def run_job(job_id: str) -> None:
    """Do one job, if nobody else does."""
    jobs.run(uuid.UUID(job_id), KINDS)


@shared_task(name="registry.tasks.sweep")
def sweep() -> None:
    """Hand out again what was lost, every few seconds."""
    jobs.sweep()


@shared_task(name="registry.tasks.access_partitions")
def access_partitions() -> None:
    """Make the months of the access log that come next, every day."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT edc_access_partitions()")


@shared_task(name="registry.tasks.remind")
def remind() -> None:
    """Mail participants whose visits are due, every hour."""
    reminders.remind()
