"""Creates the database, its roles and their rights, wherever a superuser's address is at hand.

The embedded server and `manage.py up` come here; compose runs the same two SQL files in its
init script. Needs psycopg alone, since it runs before there are settings.
"""

from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from registry.folder import ROLES

SQL = Path(__file__).parent / "sql"


def create(superuser_url: str, database: str, passwords: Mapping[str, str]) -> None:
    """Makes `database`, or puts right what has changed in it; `passwords` by the names of ROLES."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        exists = connection.execute(
            "SELECT FROM pg_database WHERE datname = %s", [database]
        ).fetchone()
        if exists is None:
            # Built-in C.UTF-8 sorts alike on every machine, whatever its libc.
            connection.execute(
                sql.SQL(
                    "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
                    " LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
                ).format(sql.Identifier(database))
            )
    with psycopg.connect(superuser_url, dbname=database) as connection:
        for role in ROLES:
            connection.execute(
                "SELECT set_config(%s, %s, false)", [f"edc.{role}_password", passwords[role]]
            )
        connection.execute((SQL / "roles.sql").read_bytes())
        restrict(connection)


def restrict(connection: psycopg.Connection) -> None:
    """Grants and revokes what one database needs; also for each copy made of a template."""
    connection.execute((SQL / "database.sql").read_bytes())
