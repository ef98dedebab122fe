"""Saving one form of 30 items: as a call, and over HTTP."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterator
from typing import Any

from django.contrib.auth import get_user_model
from django.http import HttpResponseBase, JsonResponse
from django.test import RequestFactory
from psycopg.types.json import Jsonb

from benchmarks import client, databases
from benchmarks.measure import Row, by_turns, median_of
from benchmarks.stage import Stage
from crf.models import Entry
from crf.services import save_entry
from sites.access import Request, find, page
from sites.roles import Permission as P

INDEX = [f"index_{n:02d}" for n in range(1, 11)]


def answers(turn: int) -> dict[str, Any]:
    """Thirty answers as typed; each one differs from those of the turn before, none is unlikely."""
    one = turn % 2
    return {
        **{item: str((n + one) % 6) for n, item in enumerate(INDEX)},
        "done_on": f"2026-06-1{one}",
        "pain": str(4 + one),
        "pulse": str(70 + one),
        "days_of_pain": str(300 + one),
        "volume": f"{2 + one}.5",
        "depth": f"{30 + one}.5",
        "weight": f"{60 + one}.5",
        "diagnosis": ("M54.2", "M54.5")[one],
        "side": ("left", "right")[one],
        "needle": ("g25", "g27")[one],
        "position": ("prone", "supine")[one],
        "level": (["c4_5", "c5_6"], ["l3_4"])[one],
        "purpose": (["screening"], ["screening", "guiding"])[one],
        "cover": ("yes", "no")[one],
        "gloves": ("no", "yes")[one],
        "other_treatment": "yes",
        "which_treatment": ("추나", "침")[one],
        "since_when": ("2026-05", "2026")[one],
        "lot": f"A-{1000 + one}",
        "remark": ("특이 사항 없음", "경과 관찰")[one],
    }


def _view(request: Request, pk: int) -> HttpResponseBase:
    entry = find(request, Entry, pk=pk)
    changes = request.changes  # type: ignore[attr-defined]
    saved = save_entry(entry=entry, changes=changes, op=uuid.uuid4(), by=request.by)
    assert len(saved.accepted) == 30, saved
    return JsonResponse(saved.as_dict())


def save(stage: Stage) -> Iterator[Row]:
    """Authorise, validate, score, row and history, commit; without HTTP and session."""
    few, entry = stage.few, stage.entry(stage.few)
    databases.point(few)
    route = page("<slug:study>/<int:pk>/", _view, read=P.SEE_DATA, write=P.ENTER, name="save")
    user = get_user_model().objects.get(username="coordinator")
    turns = itertools.count()

    def ours() -> None:
        request = RequestFactory().post("/")
        request.user, request.changes = user, answers(next(turns))  # type: ignore[attr-defined]
        assert route.callback(request, study="bench", pk=entry).status_code == 200

    with databases.connect(few) as plain:
        floor = two_rows(few, entry, plain)
        base, own, ratio = by_turns(median_of(floor, 20), median_of(ours, 20), stage.rounds)
    yield Row("save_entry, 30 items", "ms", base, own, ratio, limit=8, aim=5)


def two_rows(name: str, entry: int, plain: Any) -> Any:
    """The same two rows in one transaction by plain psycopg, in tables without any guard."""
    with databases.superuser(name) as server:
        for table in ("crf_entry", "crf_historicalentry"):
            server.execute(f"DROP TABLE IF EXISTS floor_{table}")
            server.execute(f"CREATE TABLE floor_{table} (LIKE {table} INCLUDING ALL)")
            server.execute(f"INSERT INTO floor_{table} SELECT * FROM {table}")  # noqa: S608
            server.execute(f"GRANT SELECT, INSERT, UPDATE ON floor_{table} TO edc_app")
        server.execute(
            "SELECT setval(pg_get_serial_sequence('floor_crf_historicalentry', 'history_id'),"
            " 1000000000)"
        )
        names = [
            name
            for (name,) in server.execute(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_name = 'crf_historicalentry' AND column_name <> 'history_id'"
            )
        ]
        kept = server.execute(
            f"SELECT {', '.join(names)} FROM crf_historicalentry WHERE id = %s LIMIT 1",  # noqa: S608
            [entry],
        ).fetchone()
    assert kept is not None
    values = dict(zip(names, kept, strict=True))
    insert = (
        f"INSERT INTO floor_crf_historicalentry ({', '.join(names)})"  # noqa: S608
        f" VALUES ({', '.join(['%s'] * len(names))})"
    )
    turns = itertools.count()

    def write() -> None:
        new = Jsonb(answers(next(turns)))
        row = {**values, "answers": new, "meta": Jsonb({}), "scores": Jsonb(values["scores"])}
        with plain.transaction():
            plain.execute(
                "UPDATE floor_crf_entry SET answers = %s, meta = %s, scores = %s, digest = %s"
                " WHERE id = %s",
                [new, row["meta"], row["scores"], row["digest"], entry],
            )
            plain.execute(insert, list(row.values()))

    plain.autocommit = True
    return write


def post(stage: Stage) -> Iterator[Row]:
    """The page's own save over HTTP against a ModelForm with one row of history."""
    with stage.ours(stage.few, workers=1) as own, stage.plain(workers=1) as plain:
        base, mine, ratio = by_turns(
            lambda: client.latency(plain, plain_post(stage), seconds=stage.seconds, expected=302),
            lambda: client.latency(own, own_post(stage, stage.few), seconds=stage.seconds),
            stage.rounds,
        )
    yield Row("its POST over HTTP", "ms", base, mine, ratio, limit=1.0)


_turns = itertools.count()


def own_post(stage: Stage, database: str) -> Any:
    """The next save of the page's script, each with an operation of its own."""
    cookies, entry = stage.cookies(database), stage.entry(database)

    def message() -> bytes:
        body = {"op": str(uuid.uuid4()), "changes": answers(next(_turns))}
        return client.post_json(f"/bench/entries/{entry}/save/", cookies, json.dumps(body))

    return message


def one_answer(stage: Stage, database: str) -> Any:
    """What the page's script sends when one question was answered."""
    cookies, entry = stage.cookies(database), stage.entry(database)

    def message() -> bytes:
        turn = next(_turns)
        body = {"op": str(uuid.uuid4()), "changes": {"pain": str(4 + turn % 2)}}
        return client.post_json(f"/bench/entries/{entry}/save/", cookies, json.dumps(body))

    return message


def plain_post(stage: Stage) -> Any:
    cookies = stage.plain_cookies

    def message() -> bytes:
        form = answers(next(_turns))
        form |= {name: ",".join(form[name]) for name in ("level", "purpose")}
        return client.post("/thirty/1/", cookies, form)

    return message
