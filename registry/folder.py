"""The data folder of a laptop or a test run: passwords, keys, ports, and the settings from them.

`registry.stack` keeps the embedded servers in it. Where DATABASE_URL or REDIS_URL is set, that
server is used and the folder has none of its own. Needs the standard library alone, so that
`manage.py` may look here for the settings of the servers that run.
"""

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
DATABASE = "edc"
ROLES = ("owner", "app", "backup")
SERVERS = {"postgresql": "DATABASE_URL", "redis": "REDIS_URL"}


class StackError(Exception):
    """What stands in the way, in one sentence for the person who typed the command."""


def default(*, testing: bool = False) -> Path:
    """`.data` in the checkout or, where the servers' user could not reach that, under /var/tmp."""
    data = CHECKOUT / ".data"
    if os.geteuid() == 0 and not reachable(CHECKOUT):
        data = Path("/var/tmp") / f"edc-{hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:12]}"  # noqa: S108
    return data / "test" if testing else data


def reachable(path: Path) -> bool:
    """Whether every user of this machine may go into `path` (or run it)."""
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents))


def prepare(data: Path) -> None:
    data.mkdir(parents=True, exist_ok=True)
    # /var/tmp is everybody's: a folder that somebody else has put there is not ours to trust.
    if data.is_symlink() or data.stat().st_uid != os.geteuid():
        raise StackError(f"{data} belongs to another user; choose a folder with DATA=…")
    if os.geteuid() == 0:
        for folder in (data, data.parent):
            if folder.stat().st_uid == 0 and not folder.stat().st_mode & 0o001:
                folder.chmod(folder.stat().st_mode | 0o011)
        if not reachable(data):
            raise StackError(
                f"as root, PostgreSQL runs as another user, who can't reach {data};"
                " choose a folder outside of any home with DATA=…"
            )
    for name in ("log", "run", "redis", "artefacts"):
        (data / name).mkdir(mode=0o700, exist_ok=True)


def write(path: Path, value: object) -> None:
    """Writes JSON that only its owner may read, whole or not at all."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(value, file, indent=1)
    part.rename(path)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def known_secrets(data: Path) -> dict[str, str]:
    """Passwords and keys, made once; one that a later version needs is added."""
    known = read(data / "secrets.json")
    names = ("superuser", *ROLES, "redis", "secret_key", "identity_hmac_key")
    wanted = {name: secrets.token_urlsafe(40) for name in names}
    wanted["identity_key"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    wanted["demo_password"] = "-".join(secrets.token_hex(2) for _ in range(4))
    if wanted.keys() - known.keys():
        known = wanted | known
        write(data / "secrets.json", known)
    return known


def ports(data: Path, *, move: str | None = None) -> dict[str, int]:
    """A port for each server, kept from start to start; another for the one that must `move`."""
    known = read(data / "ports.json")
    for server in SERVERS:
        if server not in known or server == move:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                known[server] = probe.getsockname()[1]
            write(data / "ports.json", known)
    return known


def free(port: int) -> bool:
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
    known, at = known_secrets(data), ports(data)
    found = {
        "SECRET_KEY": known["secret_key"],
        "IDENTITY_KEYS": known["identity_key"],
        "IDENTITY_HMAC_KEY": known["identity_hmac_key"],
        "DATA_DIR": str(data / "artefacts"),
        "SITE_URL": f"http://localhost:{os.environ.get('PORT', '8000')}",
        "DEMO": "on",
        "DEMO_PASSWORD": known["demo_password"],
    }
    if embedded("postgresql"):
        for variable, role in (
            ("DATABASE_URL", "app"),
            ("OWNER_DATABASE_URL", "owner"),
            ("BACKUP_DATABASE_URL", "backup"),
        ):
            found[variable] = (
                f"postgresql://edc_{role}:{known[role]}@127.0.0.1:{at['postgresql']}/{DATABASE}"
            )
    if embedded("redis"):
        found["REDIS_URL"] = f"redis://:{known['redis']}@127.0.0.1:{at['redis']}/0"
    return {name: value for name, value in found.items() if not _set(name)}


def superuser_url(data: Path) -> str:
    password, port = known_secrets(data)["superuser"], ports(data)["postgresql"]
    return f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"


def _set(name: str) -> bool:
    return name in os.environ or f"{name}_FILE" in os.environ


def embedded(server: str) -> bool:
    """Whether the folder runs a server of its own, since the environment names none."""
    return not _set(SERVERS[server])


def remembered(data: Path) -> dict[str, str]:
    """The settings of the servers that were started last in this folder."""
    found = read(data / "environment.json")
    return {name: value for name, value in found.items() if not _set(name)}


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
