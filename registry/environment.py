"""Reads one setting after another from the environment and refuses to start on a wrong one.

A registry that starts with a mistyped switch is worse than one that does not start: whoever
reads `SESSION_HOURS=1O` must hear of it at the start, by name, and not months later from an
auditor. Every value may also come from a file (`SECRET_KEY_FILE=/run/secrets/secret_key`), so
that no secret has to stand in a compose file or a process list. `docs/settings.md` lists all.
"""

import base64
import binascii
import ipaddress
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def wrong(name: str, because: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} {because} (see docs/settings.md)")


def text(name: str, default: str | None = None) -> str:
    """The value of `name`, or of the file that `name`_FILE points to; required without default."""
    value = os.environ.get(name)
    path = os.environ.get(f"{name}_FILE")
    if path is not None:
        if value is not None:
            raise wrong(name, f"and {name}_FILE are both set; keep one")
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise wrong(f"{name}_FILE", f"cannot be read: {error}") from None
    if value:
        return value
    if default is None:
        raise wrong(name, "is missing or empty")
    return default


def flag(name: str, default: bool) -> bool:
    value = text(name, "on" if default else "off").lower()
    if value not in {"on", "off"}:
        raise wrong(name, f"must be 'on' or 'off', not {value!r}")
    return value == "on"


def number(name: str, default: int, low: int, high: int) -> int:
    value = text(name, str(default))
    if not (value.isascii() and value.isdigit() and low <= int(value) <= high):
        raise wrong(name, f"must be a whole number from {low} to {high}, not {value!r}")
    return int(value)


def choice(name: str, default: str, options: tuple[str, ...]) -> str:
    value = text(name, default)
    if value not in options:
        raise wrong(name, f"must be one of {', '.join(options)}, not {value!r}")
    return value


def words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def secret(name: str, length: int) -> str:
    """A secret of at least `length` characters; its value never stands in a message."""
    value = text(name)
    if len(value) < length or len(set(value)) < 5:
        raise wrong(name, f"must have at least {length} random characters")
    return value


def fernet_keys(name: str) -> list[str]:
    """Newest first: the first key encrypts, each may decrypt."""
    keys = words(name)
    if not keys:
        raise wrong(name, "is missing or empty")
    for position, key in enumerate(keys, start=1):
        try:
            decoded = base64.urlsafe_b64decode(key.encode())
        except (binascii.Error, ValueError):
            decoded = b""
        if len(decoded) != 32:
            raise wrong(name, f"number {position} is no Fernet key of 32 bytes in base64")
    return keys


def networks(name: str) -> list[Network]:
    found: list[Network] = []
    for word in words(name):
        try:
            found.append(ipaddress.ip_network(word))
        except ValueError:
            raise wrong(name, f"holds {word!r}, which is no network like 10.0.0.0/24") from None
    return found


def directory(name: str) -> Path:
    """An existing folder in which this process may write."""
    path = Path(text(name))
    if not path.is_absolute():
        raise wrong(name, f"must be an absolute path, not {path}")
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        raise wrong(name, f"is no folder in which this process may write: {path}")
    return path


def site_url(name: str) -> str:
    """Where users reach the registry: scheme and host, nothing behind it."""
    value = text(name).rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise wrong(name, f"must look like https://registry.example.org, not {value!r}")
    if parts.path or parts.query or parts.fragment or parts.username:
        raise wrong(name, f"must hold no path, query or log-in: {value!r}")
    return value


def _port(name: str, url: str, default: int) -> int:
    try:
        return urlsplit(url).port or default
    except ValueError:
        raise wrong(name, "holds a port that is no number up to 65535") from None


def database(name: str) -> dict[str, Any]:
    """A Django database from postgresql://user:password@host:port/name?sslmode=verify-full."""
    url = text(name)
    parts = urlsplit(url)
    if parts.scheme not in {"postgresql", "postgres"}:
        raise wrong(name, "must start with postgresql://")
    if not parts.username or not parts.path.strip("/"):
        raise wrong(name, "must name a user and a database: postgresql://user:password@host/name")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(_port(name, url, 5432)),
        "ATOMIC_REQUESTS": False,
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **dict(parse_qsl(parts.query)),
            # The session starts in UTC, which saves Django one statement for every new connection.
            "options": "-c TimeZone=UTC",
            # PostgreSQL parses and plans a statement once per connection, not at every request.
            "server_side_binding": True,
            "prepare_threshold": 3,
        },
    }


def redis(name: str) -> str:
    value = text(name)
    if urlsplit(value).scheme not in {"redis", "rediss"}:
        raise wrong(name, "must start with redis:// or rediss://")
    return value


def mail(name: str, default: str | None) -> dict[str, Any]:
    """Django's EMAIL_* settings from console:, smtp:// (plain), smtp+tls:// or smtps://."""
    url = text(name, default)
    parts = urlsplit(url)
    backend = "django.core.mail.backends"
    if url == "console:":
        return {"EMAIL_BACKEND": f"{backend}.console.EmailBackend"}
    if parts.scheme not in {"smtp", "smtp+tls", "smtps"} or not parts.hostname:
        raise wrong(name, "must be console: or smtp+tls://user:password@host:587")
    return {
        "EMAIL_BACKEND": f"{backend}.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": _port(name, url, {"smtp": 25, "smtp+tls": 587, "smtps": 465}[parts.scheme]),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parts.scheme == "smtp+tls",
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_TIMEOUT": 10,
    }
