"""Imports with committed data: a dataset that comes back, a worker that dies, a real browser."""

from __future__ import annotations

import csv

import pytest
from playwright.sync_api import expect

from crf.models import Entry, Import
from crf.services import imports as services
from crf.services import save_entry
from crf.services.imports import commit, plan_of
from registry.jobs import sweep
from registry.models import Job
from tests.browser import browser_type_launch_args, server
from tests.cast import actor, seeing
from tests.datasets import make
from tests.desk import Desk, ko
from tests.lists import brought, xlsx
from tests.lists import csv as listed
from tests.story import play
from tests.test_jobs import lease_ends, sweep_again
from tests.workers import job_in, queue, until, workshop

__all__ = ["browser_type_launch_args", "queue", "server", "workshop"]
REASON = "11월 20일 설문 업체 목록"


def pain(person):
    return person.entries.get(instrument="nrs", visit__code="w0", voided_at=None)


@pytest.mark.requirement("G07")
def test_a_file_of_a_dataset_comes_back_as_it_went_out(fresh_database, jss, coordinator, tmp_path):
    by = actor(coordinator, jss)
    with seeing(jss):
        people = [play(jss, by) for _each in range(3)]
        for number, person in enumerate(people):
            save_entry(entry=pain(person), changes={"pain": number}, by=by)
    dataset, _built = make([jss], tmp_path / "dataset.zip")
    content = dataset.files["forms/nrs.csv"]
    mapping = {"columns": {"subject": "subject", "visit": "visit", "pain": "nrs.pain"}}
    with seeing(jss):
        plan = plan_of(brought(jss, content, by, mapping, "nrs.csv"))
    assert plan.counts == {"new": 0, "changed": 0, "unchanged": 3, "refused": 0}
    assert len(list(csv.DictReader(content.decode().splitlines()))) == 3


@pytest.mark.requirement("P01")
def test_a_worker_that_is_killed_in_mid_import_writes_each_line_once(
    workshop, fresh_database, jss, coordinator, monkeypatch
):
    monkeypatch.setattr(services, "AT_ONCE", 0)
    by = actor(coordinator, jss)
    with seeing(jss):
        people = [play(jss, by) for _each in range(3)]
    entries = [_entry(jss, person) for person in people]
    with fresh_database.connect("owner") as gate:
        gate.execute("SELECT set_config('edc.sites', %s, true)", [f"{{{jss.pk}}}"])
        gate.execute("SELECT FROM crf_entry WHERE id = %s FOR UPDATE", [entries[1]])
        first = workshop.worker()
        with seeing(jss):
            record = brought(jss, listed(*((p.subject_number, "w0", 6) for p in people)), by)
            commit(record=record, shown=plan_of(record).digest, reason=REASON, by=by)
        job = Job.objects.get(kind="import")
        job_in(Job.State.RUNNING, job)
        until(lambda: _waits(fresh_database), "an import that waits for the second form")
        first.kill()
        gate.rollback()
    assert _answers(jss, entries) == [{"pain": 6}, {}, {}]
    with seeing(jss):
        assert Import.objects.get(pk=record.pk).finished_at is None
    lease_ends(job)
    workshop.worker()
    assert sweep() == [job.pk]
    until(lambda: sweep_again(job), "another worker")
    assert job_in(Job.State.DONE, job).attempt == 2
    assert _answers(jss, entries) == [{"pain": 6}] * 3
    with seeing(jss):
        done = Import.objects.get(pk=record.pk)
        assert done.counts == {"new": 3, "changed": 0, "unchanged": 0, "refused": 0}
        for entry in entries:
            assert Entry.history.filter(id=entry, history_source="import").count() == 1


def _entry(site, person):
    with seeing(site):
        return pain(person).pk


def _answers(site, entries):
    with seeing(site):
        found = dict(Entry.objects.filter(pk__in=entries).values_list("pk", "answers"))
    return [found[pk] for pk in entries]


def _waits(database):
    with database.connect("owner", autocommit=True) as looking:
        found = looking.execute(
            "SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE NOT l.granted AND a.datname = %s",
            [database.name],
        )
        return bool(found.fetchall())


@pytest.mark.browser
def test_a_coordinator_imports_a_list_and_sees_what_became_of_it(
    browser, server, coordinator, jss, tmp_path
):
    by = actor(coordinator, jss)
    with seeing(jss):
        person, other = play(jss, by), play(jss, by)
        save_entry(entry=pain(other), changes={"pain": 2}, by=by)
    path = tmp_path / "설문.xlsx"
    lines = [
        (person.subject_number, "0주(기저)", 6),
        (other.subject_number, "w0", 8),
        ("JSS-999", "w0", 8),
    ]
    path.write_bytes(xlsx(*lines, head=("대상자번호", "방문", "pain")))
    desk = Desk(browser, server, "coordinator")
    page = desk.menu("Import")
    page.locator("input[type=file]").set_input_files(path)
    desk.press("Next: the columns")
    chosen = [page.locator(f"[name=column_{n}]").input_value() for n in range(3)]
    assert chosen == ["subject", "visit", "nrs.pain"]
    desk.press("Next: look at every line")
    states = page.locator("#lines tbody tr")
    expect(states).to_have_count(3)
    assert [states.nth(n).get_attribute("data-state") for n in range(3)] == [
        "new",
        "changed",
        "refused",
    ]
    expect(states.nth(1).locator("del")).to_have_text("2")
    expect(states.nth(1).locator("ins")).to_have_text("8")
    desk.press("Write the answers")
    desk.says("Please say where these answers come from.")
    desk.fill("reason", REASON)
    desk.press("Write the answers")
    expect(page.locator(".subtitle")).to_contain_text(ko("written", "import"))
    expect(page.locator("#lines tbody tr")).to_have_count(1)  # what was refused is shown first
    assert _answers(jss, [_entry(jss, person), _entry(jss, other)]) == [{"pain": 6}, {"pain": 8}]
    assert desk.close() == []
