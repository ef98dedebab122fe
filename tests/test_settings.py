"""A wrong setting stops the start and says which; a right one makes the browser safe."""

import logging
import os
import runpy
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from registry.logs import Line
from registry.proxy import client_address

ROOT = Path(__file__).resolve().parent.parent
FERNET = "3q2-7wECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxw="


@pytest.fixture
def production(tmp_path: Path) -> dict[str, str]:
    return {
        "SITE_URL": "https://registry.example.org",
        "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz-0123456789-abcdef",
        "IDENTITY_KEYS": FERNET,
        "IDENTITY_HMAC_KEY": "abcdefghijklmnopqrstuvwxyz0123456789",
        "DATABASE_URL": "postgresql://edc_app:se%2Fcret@db.example.org/edc?sslmode=require",
        "OWNER_DATABASE_URL": "postgresql://edc_owner:secret@db.example.org:5433/edc",
        "REDIS_URL": "redis://:secret@redis.example.org/0",
        "DATA_DIR": str(tmp_path),
        "MAIL_URL": "smtp+tls://mailer:p%40ss@mail.example.org",
        "MAIL_FROM": "registry@example.org",
        "TRUSTED_PROXIES": "10.1.0.0/24",
    }


def load(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The settings as a new process with exactly this environment would see them."""
    with monkeypatch.context() as patch:
        for name in list(os.environ):
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        return runpy.run_path(str(ROOT / "registry" / "settings.py"))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("SITE_URL", None),
        ("SITE_URL", "http://registry.example.org"),
        ("SITE_URL", "registry.example.org"),
        ("SITE_URL", "https://registry.example.org/edc"),
        ("SECRET_KEY", None),
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", "a" * 60),
        ("IDENTITY_KEYS", ""),
        ("IDENTITY_KEYS", f"{FERNET},not-a-key"),
        ("IDENTITY_HMAC_KEY", "short"),
        ("IDENTITY_HMAC_KEY", FERNET),
        ("DATABASE_URL", None),
        ("DATABASE_URL", "mysql://edc_app@db/edc"),
        ("DATABASE_URL", "postgresql://edc_app@db"),
        ("DATABASE_URL", "postgresql://edc_app@db:port/edc"),
        ("DATABASE_URL", "postgresql://edc_owner:secret@db.example.org/edc"),
        ("REDIS_URL", "localhost:6379"),
        ("DATA_DIR", "relative"),
        ("DATA_DIR", "/nowhere/at/all"),
        ("MAIL_URL", None),
        ("MAIL_URL", "mail.example.org"),
        ("MAIL_FROM", None),
        ("TRUSTED_PROXIES", "10.1.0.0/24,proxy"),
        ("ALLOWED_HOSTS", "*"),
        ("DEBUG", "yes"),
        ("DEBUG", "on"),
        ("DEMO", "on"),
        ("LOG_LEVEL", "LOUD"),
        ("SESSION_HOURS", "1O"),
        ("SESSION_HOURS", "48"),
        ("SESSION_IDLE_MINUTES", "0"),
        ("SWEEP_SECONDS", "1.5"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(
    setting: str, value: str | None, production: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    production.pop(setting, None)
    if value is not None:
        production[setting] = value
    with pytest.raises(ImproperlyConfigured, match=rf"^{setting} ") as refusal:
        load(production, monkeypatch)
    if value and setting in {"SECRET_KEY", "IDENTITY_KEYS", "IDENTITY_HMAC_KEY", "DATABASE_URL"}:
        assert value not in str(refusal.value)


def test_a_secret_may_stand_in_a_file_but_not_in_both_places(
    production: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(production["SECRET_KEY"] + "\n")
    production["SECRET_KEY_FILE"] = str(file)
    with pytest.raises(ImproperlyConfigured, match="both set"):
        load(production, monkeypatch)
    expected = production.pop("SECRET_KEY")
    assert load(production, monkeypatch)["SECRET_KEY"] == expected
    production["SECRET_KEY_FILE"] = str(tmp_path / "other")
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY_FILE cannot be read"):
        load(production, monkeypatch)


@pytest.mark.requirement("S08")
def test_production_protects_cookies_and_insists_on_https(
    production: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = load(production, monkeypatch)
    for cookie in ("SESSION", "CSRF", "LANGUAGE"):
        assert found[f"{cookie}_COOKIE_NAME"].startswith("__Host-")
        assert found[f"{cookie}_COOKIE_SECURE"]
        assert found[f"{cookie}_COOKIE_HTTPONLY"]
        assert found[f"{cookie}_COOKIE_SAMESITE"] == "Lax"
    assert found["SECURE_SSL_REDIRECT"]
    assert found["SECURE_HSTS_SECONDS"] >= 365 * 24 * 3600
    assert found["ALLOWED_HOSTS"] == ["registry.example.org"]
    policy = found["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
    assert not [
        source
        for sources in policy.values()
        for source in sources
        if source.startswith("'unsafe") or source in {"*", "https:", "http:"}
    ]


def test_addresses_of_servers_are_taken_apart(
    production: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = load(production, monkeypatch)
    default, owner = found["DATABASES"]["default"], found["DATABASES"]["owner"]
    assert (default["USER"], default["PASSWORD"]) == ("edc_app", "se/cret")
    assert default["OPTIONS"]["sslmode"] == "require"
    assert (owner["USER"], owner["HOST"], owner["PORT"]) == (
        "edc_owner",
        "db.example.org",
        "5433",
    )
    assert (found["EMAIL_HOST"], found["EMAIL_PORT"]) == ("mail.example.org", 587)
    assert (found["EMAIL_HOST_PASSWORD"], found["EMAIL_USE_TLS"]) == ("p@ss", True)


@pytest.mark.requirement("S18")
def test_check_deploy_is_clean(production: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env={**production, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "no issues" in done.stdout


@pytest.mark.requirement("S17")
@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.1.0.2", "198.51.100.1", "198.51.100.1"),
        ("10.1.0.2", "127.0.0.1, 198.51.100.1", "198.51.100.1"),
        ("10.1.0.2", "198.51.100.1, 10.1.0.3", "198.51.100.1"),
        ("10.1.0.2", "198.51.100.1, nonsense", "10.1.0.2"),
        ("10.1.0.2", "", "10.1.0.2"),
        ("", "198.51.100.1", ""),
    ],
)
def test_a_forged_address_is_not_believed(
    peer: str, forwarded_for: str, expected: str, settings: Any
) -> None:
    settings.TRUSTED_PROXIES = [ip_network("10.1.0.0/24")]
    assert client_address(peer, forwarded_for) == expected


@pytest.mark.requirement("S17")
def test_only_a_trusted_proxy_may_say_that_it_was_https(settings: Any, db: None) -> None:
    settings.TRUSTED_PROXIES = [ip_network("10.1.0.0/24")]
    settings.SECURE_SSL_REDIRECT = True
    said = {"HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_FOR": "198.51.100.1"}
    file = "/static/favicon.svg"
    stranger = Client().get(file, REMOTE_ADDR="203.0.113.9", **said)
    assert (stranger.status_code, stranger["Location"]) == (301, f"https://testserver{file}")
    proxied = Client().get(file, REMOTE_ADDR="10.1.0.2", **said)
    assert proxied.status_code == 200
    proxied.close()


def test_a_log_line_is_one_line_in_utc_without_the_row_that_failed() -> None:
    failure = psycopg.errors.CheckViolation(
        'new row for relation "crf_entry" violates check constraint "crf_entry_status"\n'
        "DETAIL:  Failing row contains (7, 김영희, 1971-03-02,\n second line, NRS 8).\n"
        "CONTEXT:  SQL statement with 김영희\n"
    )
    try:
        raise failure
    except psycopg.Error:
        record = logging.LogRecord(
            "crf", logging.ERROR, __file__, 1, "save failed\nfor entry %s", (7,), sys.exc_info()
        )
    record.created = 0.0
    line = Line().format(record)
    assert line.startswith("1970-01-01T00:00:00.")
    assert "\n" not in line
    assert "crf_entry_status" in line
    assert "entry 7" in line
    for value in ("김영희", "1971-03-02", "NRS 8", "second line"):
        assert value not in line


def test_a_log_keeps_what_follows_a_quoted_row() -> None:
    text = (
        "psycopg.Error: duplicate key\nDETAIL:  Key (chart)=(12345) already exists.\n\n"
        "The above exception was the direct cause of the following exception:\n\n"
        "Traceback (most recent call last):\n  File views.py\ndjango.db.utils.IntegrityError: no"
    )
    line = Line().format(logging.LogRecord("x", logging.ERROR, "", 1, text, (), None))
    assert "12345" not in line
    assert "Traceback" in line
    assert line.endswith("IntegrityError: no")
