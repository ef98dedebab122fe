"""A real Celery worker for one test, on its own database, queue and folder; killed as one pleases.

Nothing here sleeps for a fixed time: a state is asked for until it is there, or the test fails.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from celery import current_app
from django.conf import settings
from django.db import connection

from registry.models import Job
from registry.serve import COMMANDS
from tests.conftest import Database

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 120.0  # seconds; a loaded machine starts slowly


def until(reached: Callable[[], Any], what: str) -> Any:
    """What `reached` gives as soon as that is something."""
    end = time.monotonic() + PATIENCE
    while not (found := reached()):
        assert time.monotonic() < end, f"{what} did not come"
        select_a_moment()
    return found


def select_a_moment() -> None:
    """Let the others work: a question to the database is as long as any other pause."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.05)")


def job_in(state: Job.State, job: Job) -> Job:
    """The job, once it is in this state."""

    def found() -> Job | None:
        now = Job.objects.get(pk=job.pk)
        assert state == now.state or now.state != Job.State.FAILED, now.error
        return now if now.state == state else None

    return until(found, f"a job that is {state}")


class Worker:
    """One worker process with its children."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                COMMANDS["worker"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _family(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.process.pid)
            return [parent, *parent.children(recursive=True)]
        return []

    def send(self, number: signal.Signals) -> None:
        for one in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(number)

    def kill(self) -> None:
        """As a power cut would: no signal that it could answer."""
        family = self._family()
        self.send(signal.SIGKILL)
        self.process.wait()
        psutil.wait_procs(family, timeout=10)


@dataclass
class Workshop:
    """Where the workers of one test are: their settings, their queue, their folder."""

    environment: dict[str, str]
    queue: redis.Redis
    artefacts: Path
    log: Path
    workers: list[Worker] = field(default_factory=list)

    def worker(self) -> Worker:
        worker = Worker(self.environment, self.log)
        self.workers.append(worker)
        return worker

    def files(self) -> list[str]:
        return sorted(path.name for path in self.artefacts.glob("releases/*"))


@pytest.fixture
def workshop(
    fresh_database: Database, tmp_path: Path, settings: Any, queue: str
) -> Iterator[Workshop]:
    """No worker yet; what a test starts is gone after it, and its words are shown if it fails."""
    artefacts = tmp_path / "artefacts"
    artefacts.mkdir()
    settings.DATA_DIR = artefacts
    environment = fresh_database.environment | {
        "REDIS_URL": queue,
        "DATA_DIR": str(artefacts),
        "SWEEP_SECONDS": "1",
    }
    with redis.Redis.from_url(queue) as broker:
        found = Workshop(environment, broker, artefacts, tmp_path / "workers.log")
        yield found
    for worker in found.workers:
        worker.kill()
    if found.log.exists():
        print(found.log.read_text(errors="replace")[-20_000:])  # noqa: T201


@pytest.fixture
def queue() -> Iterator[str]:
    """A Redis database that nobody else uses, emptied, as the broker of this process too."""
    number = 8 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    url = f"{settings.REDIS_URL.rpartition('/')[0]}/{number}"
    with redis.Redis.from_url(url) as broker:
        broker.flushdb()
        with sending_to(url):
            yield url
        broker.flushdb()


@contextlib.contextmanager
def sending_to(url: str) -> Iterator[None]:
    """Let this process send its messages there."""
    before = current_app.conf.broker_url
    current_app.conf.update(broker_url=url, broker_write_url=url)
    try:
        yield
    finally:
        current_app.conf.update(broker_url=before, broker_write_url=before)
