"""What the rows share: the databases, somebody who is signed in, and servers to ask."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property

from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client

from benchmarks import client, databases, server


@dataclass
class Stage:
    rounds: int = 9
    seconds: float = 1.0  # how long one side of a pair is asked over HTTP
    quick: bool = False
    kept: dict[tuple[str, str], str] = field(default_factory=dict)

    @cached_property
    def few(self) -> str:
        return databases.prepare(databases.FEW)

    @cached_property
    def many(self) -> str:
        return databases.prepare(databases.FEW if self.quick else databases.MANY)

    @cached_property
    def floor(self) -> str:
        return databases.prepare("floor")

    def ours(self, database: str, *, workers: int) -> AbstractContextManager[int]:
        """The registry, served on one of its databases."""
        return server.serving(
            "registry.wsgi", database, workers=workers, settings="registry.settings"
        )

    def plain(self, *, workers: int) -> AbstractContextManager[int]:
        """The floor: plain Django on a database of its own."""
        return server.serving(
            "benchmarks.floor.wsgi",
            self.floor,
            workers=workers,
            settings="benchmarks.floor.settings",
        )

    def cookies(self, database: str, username: str = "coordinator") -> Mapping[str, str]:
        """What the browser of somebody who is signed in sends along."""
        key = (database, username)
        if key not in self.kept:
            databases.point(database)
            browser = Client()
            browser.force_login(get_user_model().objects.get(username=username))
            self.kept[key] = browser.cookies[settings.SESSION_COOKIE_NAME].value
        return {
            settings.SESSION_COOKIE_NAME: self.kept[key],
            settings.CSRF_COOKIE_NAME: client.CSRF,
        }

    @cached_property
    def plain_cookies(self) -> Mapping[str, str]:
        """The same in the floor's application, whose tables this makes."""
        made = subprocess.run(
            [sys.executable, "-m", "benchmarks.floor"],
            env=databases.environment(self.floor)
            | {"DJANGO_SETTINGS_MODULE": "benchmarks.floor.settings"},
            cwd=databases.HERE.parent,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        return {"sessionid": made.stdout.strip(), "csrftoken": client.CSRF}

    def participant(self, database: str) -> int:
        """Somebody at the coordinator's site with open visits; not the first in a large table."""
        return 60_000 if database == self.many and not self.quick else 200

    def visit(self, database: str) -> int:
        """Their visit at week 2, whose forms are begun (the numbers are those of `load`)."""
        return self.participant(database) * 8 + 2

    def entry(self, database: str) -> int:
        """Their form of 30 items at that visit."""
        return self.visit(database) * 8
