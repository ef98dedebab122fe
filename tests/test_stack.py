"""The embedded servers start, survive a kill, stop; the roles may what they should and no more."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from registry import folder, stack

ROOT = Path(__file__).resolve().parent.parent
ROLES = {"app": "DATABASE_URL", "owner": "OWNER_DATABASE_URL", "backup": "BACKUP_DATABASE_URL"}


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder which PostgreSQL's own user can reach, unlike pytest's."""
    path = Path(tempfile.mkdtemp(prefix="edc-stack-"))
    path.chmod(0o755)
    yield path
    stack.stop(path)
    shutil.rmtree(path)


def run(data: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """The command line, with nothing of this test run's own servers in its environment."""
    return subprocess.run(
        [sys.executable, "-m", "registry.stack", *words[:1], "--data", str(data), *words[1:]],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )


def test_killed_servers_start_again_with_their_data_and_stop_for_good(data: Path) -> None:
    started = run(data, "start")
    assert started.returncode == 0, started.stderr
    found = folder.read(data / "environment.json")
    with psycopg.connect(found["OWNER_DATABASE_URL"]) as owner:
        owner.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    for server in folder.SERVERS:
        running = stack.process(data, server)
        assert running is not None
        running.send_signal(signal.SIGKILL)
        running.wait(10)
    assert run(data, "status").returncode == 3
    assert run(data, "start").returncode == 0
    with psycopg.connect(found["DATABASE_URL"]) as app:
        assert app.execute("SELECT answer FROM kept").fetchone() == (42,)
    with redis.Redis.from_url(found["REDIS_URL"]) as queue:
        assert queue.ping()
    assert run(data, "stop").returncode == 0
    assert [stack.process(data, server) for server in folder.SERVERS] == [None, None]


def test_two_runs_cannot_share_a_folder(data: Path) -> None:
    with folder.only_one(data):
        refused = run(data, "run", "--", "true")
    assert (refused.returncode, stack.process(data, "redis")) == (1, None)
    assert "in use by another run" in refused.stderr


def test_secrets_are_for_their_owner_alone_and_stay(data: Path) -> None:
    folder.prepare(data)
    first = folder.known_secrets(data)
    folder.ports(data)
    assert folder.known_secrets(data) == first
    for file in ("secrets.json", "ports.json"):
        assert (data / file).stat().st_mode & 0o077 == 0
    assert len(set(first.values())) == len(first)


@pytest.mark.parametrize(
    ("role", "bypasses", "reads_only"),
    [("owner", False, False), ("app", False, False), ("backup", True, True)],
)
def test_no_role_is_a_superuser_and_only_the_backup_passes_row_security(
    role: str, bypasses: bool, reads_only: bool
) -> None:
    with psycopg.connect(os.environ[ROLES[role]]) as connection:
        assert connection.execute(
            "SELECT current_user, rolsuper, rolbypassrls, rolcreaterole, rolreplication,"
            " current_setting('default_transaction_read_only')"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone() == (
            f"edc_{role}",
            False,
            bypasses,
            False,
            False,
            "on" if reads_only else "off",
        )


@pytest.mark.parametrize("role", ["app", "backup"])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE forged (id int)",
        "CREATE TEMPORARY TABLE forged (id int)",
        "CREATE FUNCTION forged() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA forged",
        "ALTER DEFAULT PRIVILEGES FOR ROLE edc_owner GRANT ALL ON TABLES TO PUBLIC",
        "SET ROLE edc_owner",
    ],
)
def test_who_does_not_own_the_database_creates_nothing_in_it(role: str, statement: str) -> None:
    with psycopg.connect(os.environ[ROLES[role]], autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)  # type: ignore[arg-type]


def test_a_new_function_may_not_be_called_until_it_is_granted() -> None:
    with (
        psycopg.connect(os.environ[ROLES["owner"]]) as owner,
    ):
        owner.execute("CREATE FUNCTION fresh() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        allowed = "SELECT has_function_privilege('edc_app', 'fresh()', 'EXECUTE')"
        assert owner.execute(allowed).fetchone() == (False,)
        owner.rollback()


def test_the_server_is_postgresql_18_in_utf8_and_utc_and_logs_no_statement() -> None:
    with psycopg.connect(os.environ[ROLES["app"]]) as connection:
        expected = {
            "server_encoding": "UTF8",
            "TimeZone": "UTC",
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
        }
        found = {
            name: (connection.execute("SELECT current_setting(%s)", [name]).fetchone() or [""])[0]
            for name in expected
        }
        assert found == expected
        assert connection.info.server_version // 10000 == 18
