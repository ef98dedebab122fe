"""Pages under gunicorn, against plain Django pages; their queries; and the size of the study."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterator

from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from benchmarks import client, databases
from benchmarks.measure import Row, by_turns
from benchmarks.saves import one_answer, own_post
from benchmarks.stage import Stage
from crf.models import Entry
from registry.models import Participant, Visit
from sites.access import set_sites
from sites.audit import Actor, acting

HOUSEKEEPING = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


def addresses(stage: Stage, database: str) -> dict[str, str]:
    """The pages that people open most, by the name that the table gives them."""
    return {
        "entry page, 30 items": f"/bench/entries/{stage.entry(database)}/",
        "participant page": f"/bench/participants/{stage.participant(database)}/",
        "grid of 50 participants": "/bench/participants/",
        "today": "/bench/",
        "queries": "/bench/queries/",
        "adverse events": "/bench/events/",
    }


def entry(stage: Stage) -> Iterator[Row]:
    """Requests a second for the entry page against `{{ form }}` of 30 fields."""
    yield _against(
        stage, "/thirty/1/", "entry page, 30 items", limit=2, aim=4, what="{{ form }} of 30 fields"
    )


def grid(stage: Stage) -> Iterator[Row]:
    """Requests a second for the participant page and the grid against "hello"."""
    for name in ("participant page", "grid of 50 participants"):
        yield _against(stage, "/hello/", name, limit=0.1, aim=0.2, what="a logged-in hello")


def _against(
    stage: Stage, plain_path: str, name: str, *, limit: float, aim: float, what: str
) -> Row:
    path = addresses(stage, stage.few)[name]
    own_get = client.get(path, stage.cookies(stage.few))
    plain_get = client.get(plain_path, stage.plain_cookies)
    with stage.ours(stage.few, workers=2) as own, stage.plain(workers=2) as plain:
        base, mine, ratio = by_turns(
            lambda: client.rate(plain, lambda: plain_get, seconds=stage.seconds),
            lambda: client.rate(own, lambda: own_get, seconds=stage.seconds),
            stage.rounds,
        )
    return Row(name, "req/s", base, mine, ratio, limit, aim, "high", note=f"floor: {what}")


def queries(stage: Stage) -> Iterator[Row]:
    """How many statements a page takes, and whether that depends on what it shows."""
    for name in addresses(stage, stage.few):
        counts = []
        for database in (stage.few, stage.many):
            databases.point(database)
            browser, path = signed_in(stage, database), addresses(stage, database)[name]
            counts += [statements(browser, path)]
            if name == "grid of 50 participants":
                counts += [statements(browser, f"{path}?page=2")]
        most = max(counts)
        yield Row(f"SQL of {name}", "queries", min(counts), most, most, limit=12)
    databases.point(stage.few)
    browser = signed_in(stage, stage.few)
    for name in ("participant page", "grid of 50 participants"):
        few, more = _with_more_visits(stage, browser, addresses(stage, stage.few)[name])
        yield Row(f"… with 10 more visits: {name}", "queries", few, more, more / few, 1)


def signed_in(stage: Stage, database: str) -> Client:
    browser = Client()
    browser.cookies.load(dict(stage.cookies(database)))
    return browser


def statements(browser: Client, path: str) -> int:
    """Statements of a page that was shown before, without those of the transaction itself."""
    show(browser, path)
    with CaptureQueriesContext(connection) as captured:
        show(browser, path)
    return sum(not each["sql"].startswith(HOUSEKEEPING) for each in captured.captured_queries)


def show(browser: Client, path: str) -> None:
    answer = browser.get(path, headers={"host": "localhost"})
    assert answer.status_code == 200, f"{path}: {answer.status_code}"


def _with_more_visits(stage: Stage, browser: Client, path: str) -> tuple[int, int]:
    """The count before and after a participant got ten unscheduled visits with forms."""
    with transaction.atomic():
        before = statements(browser, path)
        person = _participant(stage.participant(stage.few))
        with acting(Actor.job("demo")):
            for number in range(1, 11):
                visit = Visit.objects.create(
                    site_id=person.site_id,
                    participant=person,
                    code="unscheduled",
                    number=number,
                    happened_on=person.enrolled_on + dt.timedelta(days=number),  # type: ignore[operator]
                )
                for form in ("thirty", "numbers", "scales", "choices"):
                    Entry.objects.create(
                        site_id=person.site_id,
                        participant=person,
                        visit=visit,
                        instrument=form,
                        version_id=person.version_id,
                    )
        after = statements(browser, path)
        transaction.set_rollback(True)
    return before, after


def _participant(pk: int) -> Participant:
    with connection.cursor() as cursor:
        cursor.execute("SELECT array_agg(id) FROM sites_site")
        set_sites(cursor.fetchone()[0])
    return Participant.objects.get(pk=pk)


def size(stage: Stage) -> Iterator[Row]:
    """The same pages and saves with 100,000 participants in the database and with 600."""
    few_paths, many_paths = addresses(stage, stage.few), addresses(stage, stage.many)
    few_cookies, many_cookies = stage.cookies(stage.few), stage.cookies(stage.many)
    with stage.ours(stage.few, workers=1) as few, stage.ours(stage.many, workers=1) as many:
        for name in few_paths:
            base, own, ratio = by_turns(
                _asking(few, client.get(few_paths[name], few_cookies), stage),
                _asking(many, client.get(many_paths[name], many_cookies), stage),
                stage.rounds,
            )
            yield Row(f"100,000 participants: {name}", "ms", base, own, ratio, limit=1.2)
        small, large = own_post(stage, stage.few), own_post(stage, stage.many)
        base, own, ratio = by_turns(
            lambda: client.latency(few, small, seconds=stage.seconds),
            lambda: client.latency(many, large, seconds=stage.seconds),
            stage.rounds,
        )
        yield Row("100,000 participants: save over HTTP", "ms", base, own, ratio, limit=1.2)


def day(stage: Stage) -> Iterator[Row]:
    """What a coordinator waits for, with 100,000 participants, against an empty Django view."""
    paths, cookies = addresses(stage, stage.many), stage.cookies(stage.many)
    hello = client.get("/hello/", stage.plain_cookies)
    one = one_answer(stage, stage.many)
    asked: dict[str, Callable[[int], Callable[[], float]]] = {
        name: functools.partial(_asking, message=client.get(paths[name], cookies), stage=stage)
        for name in ("entry page, 30 items", "today", "grid of 50 participants")
    }
    asked["saving one answer"] = lambda port: (
        lambda: client.latency(port, one, seconds=stage.seconds)
    )
    for name, ask in asked.items():
        # Servers for each: a worker is replaced after some thousand requests.
        with stage.ours(stage.many, workers=1) as own, stage.plain(workers=1) as plain:
            base, mine, ratio = by_turns(_asking(plain, hello, stage), ask(own), stage.rounds)
        yield Row(f"a day's {name}", "ms", base, mine, ratio, note="floor: an empty view")


def _asking(port: int, message: bytes, stage: Stage) -> Callable[[], float]:
    return lambda: client.latency(port, lambda: message, seconds=stage.seconds)
