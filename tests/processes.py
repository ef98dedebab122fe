"""A whole installation for one test: gunicorn, a Celery worker and beat, as `make run` starts them.

They work on a database, a Redis database and a folder of this test's own, and are waited for
until they answer; whatever they said is shown when the test fails.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import redis
from celery import Celery
from django.conf import settings

from registry import stack
from registry.serve import COMMANDS
from tests.conftest import Database

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 120.0  # seconds; a loaded machine starts slowly


@dataclass(frozen=True)
class Installation:
    url: str
    log: Path  # what all of its processes said


@pytest.fixture
def installation(fresh_database: Database, tmp_path: Path) -> Iterator[Installation]:
    """Everything that runs in production, on copies of its own."""
    port = _free_port()
    queue = _own_redis()
    (tmp_path / "artefacts").mkdir()
    environment = fresh_database.environment | {
        "PORT": str(port),
        "SITE_URL": f"http://localhost:{port}",
        "REDIS_URL": queue,
        "DATA_DIR": str(tmp_path / "artefacts"),
        "WEB_WORKERS": "1",
        "SWEEP_SECONDS": "1",
    }
    running: list[subprocess.Popen[bytes]] = []
    found = Installation(f"http://localhost:{port}", tmp_path / "processes.log")
    try:
        with found.log.open("wb") as log:
            for name, command in COMMANDS.items():
                more = [str(tmp_path / "beat")] if name == "beat" else []
                running.append(
                    subprocess.Popen(
                        [*command, *more],
                        cwd=ROOT,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )
        _until(lambda: _pages_answer(found.url), running)
        _until(lambda: _worker_answers(queue), running)
        yield found
        died = [each.args for each in running if each.poll() is not None]
        assert not died, died
    finally:
        for process in reversed(running):
            with contextlib.suppress(psutil.NoSuchProcess):
                stack.end(psutil.Process(process.pid), signal.SIGTERM, seconds=20)
            process.wait()
        if found.log.exists():
            print(found.log.read_text(errors="replace")[-20_000:])  # noqa: T201


def _until(answered: Callable[[], bool], running: list[subprocess.Popen[bytes]]) -> None:
    """Asks again and again, as long as every process lives."""
    end = time.monotonic() + PATIENCE
    while not answered():
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"{process.args} ended with {process.wait(timeout=0.05)}")
        assert time.monotonic() < end, "the processes did not answer in time"


def _pages_answer(url: str) -> bool:
    address = urlsplit(url)
    asking = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
    with contextlib.closing(asking), contextlib.suppress(OSError):
        asking.request("GET", "/alive/")
        return asking.getresponse().status == 200
    return False


def _worker_answers(queue: str) -> bool:
    with Celery("tests", broker=queue, set_as_current=False) as asking:
        return bool(asking.control.ping(timeout=1.0, limit=1))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _own_redis() -> str:
    """A Redis database that no other process of the tests uses, emptied."""
    number = 8 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    url = f"{settings.REDIS_URL.rpartition('/')[0]}/{number}"
    with redis.Redis.from_url(url) as queue:
        queue.flushdb()
    return url
