"""Background work: a row first, a message second, and one worker at a time (DESIGN 2.10).

A `Job` is written with the request that asks for it; Celery then carries its id and nothing else,
so a Redis that is away, or flushed, loses nothing: the sweeper hands the job out again. A worker
claims it by a conditional update that gives it a lease and the next attempt number. It renews the
lease while it lives, and whatever it made is registered in the one transaction that checks lease
and attempt: a worker that was thought dead and wakes up again can't finish a second time.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import translation
from django.utils.translation import gettext as _

from registry.models import Job, JobQuerySet
from sites.access import Refused, system
from sites.audit import Actor
from sites.models import Study, User

TASK = "registry.tasks.run_job"
LEASE = dt.timedelta(seconds=60)
BEAT = 2.0  # seconds between two renewals; each also stores the progress
ATTEMPTS = 5  # workers that may die over one job before it counts as failed
AT_ONCE = 3  # unfinished jobs of one person

logger = logging.getLogger(__name__)


class Lost(Exception):
    """This worker no longer holds the job: its lease ran out, or another one has it."""


@dataclass
class Held:
    """A job in the hands of this worker. `advance` says how far it is, and stops a worker that
    lost the job meanwhile.
    """

    job: Job
    attempt: int
    progress: int = 0
    lost: threading.Event = field(default_factory=threading.Event)

    def advance(self, percent: int) -> None:
        if self.lost.is_set():
            raise Lost
        self.progress = min(percent, 99)


Work = Callable[[Held], None]


def request_job(*, study: Study, kind: str, params: Mapping[str, Any], by: Actor) -> Job:
    """Write a job down; it is handed to a worker when this transaction commits.

    Asking again for what is not finished yet answers with the job that is under way.
    """
    content = json.dumps(params, sort_keys=True, ensure_ascii=False)
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    with transaction.atomic():
        # One request of a person at a time, so that a double click can't make two jobs.
        person = User.objects.select_for_update().get(pk=by.user_id or 0)
        unfinished = Job.objects.filter(
            requested_by=person, state__in=[Job.State.QUEUED, Job.State.RUNNING]
        )
        same = unfinished.filter(study=study, kind=kind, params_sha256=sha256).first()
        if same is not None:
            return same
        if unfinished.count() >= AT_ONCE:
            raise Refused(_("Please wait until what you asked for before is finished."))
        job = Job.objects.create(
            study=study,
            kind=kind,
            params=dict(params),
            params_sha256=sha256,
            requested_by=person,
        )
        transaction.on_commit(functools.partial(_send, job.pk))
    return job


def _send(job_id: uuid.UUID) -> None:
    try:
        with current_app.connection_for_write() as broker:
            # Left alone it would try for six seconds while somebody waits for a page.
            broker.ensure_connection(max_retries=1, interval_start=0)
            current_app.send_task(TASK, [str(job_id)], connection=broker)
    except Exception as error:  # whatever keeps the broker away: the row stands, the sweeper sends
        logger.warning("job %s waits for the sweeper: %s", job_id, type(error).__name__)


def sweep() -> list[uuid.UUID]:
    """Hand out again what no worker has: never delivered, or its worker is gone.

    A waiting job's `lease_until` is until when its message counts as under way, so that a busy
    queue isn't filled with repetitions.
    """
    with system("sweep", sites=[]):
        lost = Job.objects.lost().exclude(state=Job.State.QUEUED, lease_until__gt=Now())
        found = list(lost.select_for_update(of=("self",), skip_locked=True))
        for job in found:
            if job.attempt >= ATTEMPTS:
                with translation.override(_language(job)):
                    job.error = _("Every attempt to do this was cut off. Please ask for help.")
                job.state = Job.State.FAILED
                job.save(update_fields=["state", "error"])
        again = [job.pk for job in found if job.state != Job.State.FAILED]
        Job.objects.filter(pk__in=again).update(state=Job.State.QUEUED, lease_until=Now() + LEASE)
    for pk in again:
        _send(pk)
    return again


def run(job_id: uuid.UUID, kinds: Mapping[str, Work]) -> None:
    """What a worker does with a message: claim, work, and say how it ended."""
    held = claim(job_id)
    if held is None:
        logger.info("job %s is done, or in other hands", job_id)
        return
    with translation.override(_language(held.job)):
        try:
            with _kept(held):
                kinds[held.job.kind](held)
        except Lost:
            logger.warning("job %s attempt %d lost its lease", job_id, held.attempt)
        except Refused as refused:
            _end(held, state=Job.State.FAILED, error=str(refused), finished_at=Now())
        except Exception:
            logger.exception("job %s attempt %d failed", job_id, held.attempt)
            _fail(held)


def claim(job_id: uuid.UUID) -> Held | None:
    """Take a job that waits, or whose worker let its lease run out; None if nothing is to do."""
    free = Q(state=Job.State.QUEUED) | Q(state=Job.State.RUNNING, lease_until__lt=Now())
    with transaction.atomic():
        taken = (
            Job.objects.filter(free, pk=job_id, attempt__lt=ATTEMPTS)
            .update(
                state=Job.State.RUNNING,
                attempt=F("attempt") + 1,
                lease_until=Now() + LEASE,
                progress=0,
                error="",
            )
        )  # fmt: skip
        if not taken:
            return None
        job = Job.objects.select_related("study", "requested_by").get(pk=job_id)
    return Held(job=job, attempt=job.attempt)


@contextmanager
def finishing(held: Held) -> Iterator[None]:
    """The transaction in which a job's result is registered; `Lost` if this worker may not."""
    with transaction.atomic():
        done = _mine(held).update(
            state=Job.State.DONE, progress=100, lease_until=None, error="", finished_at=Now()
        )
        if not done:
            raise Lost
        yield


def _mine(held: Held) -> JobQuerySet:
    """The job, as long as this attempt holds it."""
    return Job.objects.filter(
        pk=held.job.pk, state=Job.State.RUNNING, attempt=held.attempt, lease_until__gt=Now()
    )


def _fail(held: Held) -> None:
    """After a fault: another attempt once the lease would have run out, or the end."""
    if held.attempt < ATTEMPTS:
        _end(held, state=Job.State.QUEUED, lease_until=Now() + LEASE)
    else:
        _end(
            held,
            state=Job.State.FAILED,
            error=_("This could not be done because of a fault. Please ask for help."),
            finished_at=Now(),
        )


def _end(held: Held, **values: Any) -> None:
    _mine(held).update(**({"lease_until": None} | values))


@contextmanager
def _kept(held: Held) -> Iterator[None]:
    """Renew the lease and store the progress from a thread of its own while the work goes on."""
    done = threading.Event()
    thread = threading.Thread(target=_keep, args=(held, done), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _keep(held: Held, done: threading.Event) -> None:
    try:
        while not done.wait(BEAT):
            try:
                if not _mine(held).update(lease_until=Now() + LEASE, progress=held.progress):
                    # Finished a moment ago, or somebody else's now: either way no longer ours.
                    held.lost.set()
                    return
            except DatabaseError:
                connection.close()  # the next beat tries a new one; the lease outlasts several
    finally:
        connection.close()


def _language(job: Job) -> str:
    return job.requested_by.language if job.requested_by else settings.LANGUAGE_CODE
