"""gunicorn as in production, on a database of the benchmarks, for as long as a row needs it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from benchmarks import databases


@contextlib.contextmanager
def serving(application: str, database: str, *, workers: int, settings: str) -> Iterator[int]:
    """The port of `application`, served by so many workers as the registry is in production."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = databases.environment(database) | {
        "PORT": str(port),
        "SITE_URL": f"http://localhost:{port}",
        "WEB_WORKERS": str(workers),
        "DJANGO_SETTINGS_MODULE": settings,
        "LOG_LEVEL": "WARNING",
    }
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--config",
        "python:registry.gunicorn",
        application,
    ]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            command, env=found, cwd=databases.HERE.parent, stdout=log, stderr=log
        )
        try:
            _wait(server, port)
            yield port
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read().decode()[-4000:])
            raise
        finally:
            server.terminate()
            try:
                server.wait(timeout=25)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        if server.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the server on port {port} did not start")
        time.sleep(0.05)
