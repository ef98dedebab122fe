"""`make run`: database, Redis, pages, worker and clock in one terminal, until Ctrl-C.

Compose runs the same commands with the same settings, each in a container of its own. What a
killed predecessor left running is ended first; a process that dies is started again, as
compose would do, unless it does nothing but die.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

import psutil

from registry import folder, stack
from registry.folder import StackError

PYTHON = sys.executable
# As root, as in many a container, Celery would warn at every start.
_AS_ROOT = ("-W", "ignore::UserWarning:celery.platforms")
CELERY = (PYTHON, *_AS_ROOT, "-m", "celery", "--app", "registry", "--quiet")
COMMANDS: dict[str, Sequence[str]] = {
    "web": (PYTHON, "-m", "gunicorn", "--config", "python:registry.gunicorn", "registry.wsgi"),
    "worker": (*CELERY, "worker", "--concurrency", "2", "--without-gossip", "--without-mingle"),
    "beat": (*CELERY, "beat", "--pidfile=", "--schedule"),
}
STEADY = 10.0  # seconds after which a process counts as well started


class Program:
    """One of our processes: started, watched, started again, ended."""

    def __init__(self, name: str, data: Path, settings: Mapping[str, str]) -> None:
        self.name, self.data, self.settings = name, data, settings
        self.note = data / "run" / f"{name}.json"
        self.failures = 0

    def start(self) -> None:
        command = [*COMMANDS[self.name]]
        if self.name == "beat":
            command.append(str(self.data / "run" / "beat"))
        # A session of its own, so that Ctrl-C reaches us alone and we end things in their order.
        self.child = subprocess.Popen(
            command,
            cwd=folder.CHECKOUT,
            env={**os.environ, **self.settings},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.started = time.monotonic()
        created = psutil.Process(self.child.pid).create_time()
        self.note.write_text(json.dumps({"pid": self.child.pid, "created": created}))

    def watch(self) -> None:
        """Starts the process again where it died; gives up when it only ever dies."""
        code = self.child.poll()
        if code is None:
            return
        self.failures = self.failures + 1 if time.monotonic() - self.started < STEADY else 1
        if self.failures > 3:
            raise StackError(f"{self.name} ended again and again (last with {code}); see above")
        print(f"{self.name} ended with {code}; starting it again", file=sys.stderr)
        self.end(seconds=0)
        self.start()

    def end(self, seconds: float) -> None:
        """Ends the process and whatever it started, also where it was killed before them."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            known = json.loads(self.note.read_text())
            if leader := [one for one in _session(**known) if one.pid == known["pid"]]:
                stack.end(leader[0], signal.SIGTERM, seconds=seconds)
            for orphan in _session(**known):
                stack.end(orphan, signal.SIGTERM, seconds=1)
        self.note.unlink(missing_ok=True)


def _session(pid: int, created: float) -> list[psutil.Process]:
    """The processes of a session of ours. Its number is not given away while one of them lives."""
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(one.pid) == pid and one.create_time() > created - 2:
                found.append(one)
    return found


def _prepare(settings: Mapping[str, str]) -> str:
    """Migrates, publishes and loads what a newcomer needs; answers with what that told."""
    print("Preparing the database…", flush=True)
    done = subprocess.run(
        [PYTHON, "manage.py", "up"],
        cwd=folder.CHECKOUT,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StackError(f"{done.stdout}`manage.py up` failed; see above")
    return done.stdout


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def serve(data: Path, port: int) -> None:
    with folder.only_one(data):
        programs: list[Program] = []
        try:
            for name in COMMANDS:
                Program(name, data, {}).end(seconds=5)
            if not folder.free(port):
                raise StackError(f"port {port} is taken; try `make run PORT={port + 1}`")
            settings = stack.start(data)
            told = _prepare(settings)
            programs = [Program(name, data, settings) for name in COMMANDS]
            for program in programs:
                program.start()
            while not _answers(port):
                for program in programs:
                    program.watch()
                time.sleep(0.2)
            print(f"\n{told}\nRegistry EDC is at http://localhost:{port}")
            if password := settings.get("DEMO_PASSWORD"):
                print(f"Every log-in has the password {password}")
            print("Ctrl-C ends it.\n", flush=True)
            while True:
                for program in programs:
                    program.watch()
                time.sleep(1)
        except KeyboardInterrupt:
            print("\nEnding…", flush=True)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            for program in reversed(programs):
                program.end(seconds=15)
            stack.stop(data)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m registry.serve", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the database and everything else")
    chosen = parser.parse_args(arguments)
    # Said outright: a shell may have started us with Ctrl-C ignored.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, _interrupt)
    data: Path = (chosen.data or folder.default()).absolute()
    serve(data, int(os.environ.setdefault("PORT", "8000")))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except StackError as error:
        sys.exit(str(error))
