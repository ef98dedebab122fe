"""One consistent, streamed read: every table of a dataset from the same moment of the database.

The transaction is REPEATABLE READ and read-only, and sees the rows of its sites alone. Rows leave
PostgreSQL as `COPY (SELECT …) TO STDOUT`, which row-level security allows, and are never held
here: memory does not grow with the study.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connections
from psycopg import Connection, IsolationLevel
from psycopg.abc import Buffer

from sites.access import system

# History tables whose rows decide what a dataset says. Identities are not among them: a dataset
# is built without reading a name.
TRAIL = (
    "sites_historicalsite",
    "registry_historicalparticipant",
    "registry_historicalconsent",
    "registry_historicalwithdrawal",
    "registry_historicalvisit",
    "crf_historicalentry",
    "crf_historicalquery",
    "crf_historicalquerymessage",
    "crf_historicallock",
    "safety_historicaladverseevent",
    "safety_historicalaereview",
)


@dataclass(frozen=True)
class Snapshot:
    """The open transaction, and the sites that it may see."""

    connection: Connection[Any]
    sites: tuple[int, ...]

    def rows(self, statement: str) -> Iterator[Buffer]:
        """What a COPY … TO STDOUT sends: one row at a time."""
        with self.connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            yield from copy

    def fetch(self, query: str, parameters: Iterable[object] = ()) -> list[Any]:
        with self.connection.cursor() as cursor:
            return cursor.execute(query.encode(), list(parameters)).fetchall()

    def trail(self) -> dict[str, dict[str, int]]:
        """Where the trail stands for these sites: per table the newest history id and their number.

        Ids are drawn before a transaction commits, so the newest alone would look the same before
        and after an older one arrives; with the number of rows it can't.
        """
        scope = list(self.sites)
        found = {}
        for table in TRAIL:
            site = "id" if table == "sites_historicalsite" else "site_id"
            ((last, count),) = self.fetch(
                f"SELECT coalesce(max(history_id), 0), count(*) FROM {table}"  # noqa: S608
                f" WHERE {site} = ANY(%s)",
                [scope],
            )
            found[table.replace("historical", "")] = {"last": last, "rows": count}
        return found


@contextmanager
def snapshot(sites: Iterable[int], job: str = "release") -> Iterator[Snapshot]:
    """Open the transaction; not inside another one, which would have a moment of its own."""
    wrapper = connections["default"]
    # A connection that went stale is replaced now: later it would be replaced without a word, by
    # one that knows nothing of the isolation that is set below.
    wrapper.close_if_health_check_failed()
    wrapper.ensure_connection()
    raw: Connection[Any] = wrapper.connection
    raw.isolation_level, raw.read_only = IsolationLevel.REPEATABLE_READ, True
    scope = tuple(sorted(sites))
    try:
        with system(job, sites=scope):
            with raw.cursor() as cursor:
                # One reader that sorts and joins whole tables; compiling hundreds of columns would
                # take longer than reading them.
                cursor.execute("SET LOCAL work_mem = '64MB'; SET LOCAL jit = off")
                cursor.execute("SHOW transaction_isolation")
                if cursor.fetchone() != ("repeatable read",):
                    raise RuntimeError("a dataset is read in one REPEATABLE READ transaction")
            yield Snapshot(raw, scope)
    finally:
        if not raw.closed:
            raw.isolation_level = raw.read_only = None
