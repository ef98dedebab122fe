"""An amendment: who works under which version from when, what it makes due, and what it flags."""

from __future__ import annotations

import datetime as dt
import html
import re

import pytest
from django.core.management import CommandError, call_command
from django.urls import get_resolver, reverse
from django.utils import translation

from crf.amendment import differences
from crf.definitions import instrument_of
from crf.instrument import Broken, load
from crf.models import Lock, Query
from crf.services import save_entry, void_entry
from crf.spoken import spoken, vocabulary
from registry.models import ProtocolVersion, SiteApproval, Visit
from registry.protocol import NOT_STUDIES
from registry.services import (
    Changes,
    change_drivers,
    end_study,
    impact,
    mark_missed,
    record_visit,
    void_visit,
)
from tests.amendments import LABEL, approved, folder, published
from tests.cast import actor, seeing, working
from tests.protocols import USPP, broken_copy
from tests.story import play

pytestmark = pytest.mark.django_db


@pytest.fixture
def by(coordinator, jss):
    return actor(coordinator, jss)


@pytest.fixture
def amended(tmp_path, uspp):
    return published(tmp_path)


@pytest.fixture
def boss(admin, jss, djj):
    return actor(admin, jss, djj)


def form(person, visit, instrument):
    return person.entries.get(visit__code=visit, instrument=instrument, voided_at=None)


def fill(person, visit, instrument, by, **answers):
    saved = save_entry(entry=form(person, visit, instrument), changes=answers, by=by)
    assert not saved.errors
    return form(person, visit, instrument)


def due_at(person, visit):
    open_ones = person.entries.filter(visit__code=visit, voided_at=None, cancelled_at=None)
    return set(open_ones.values_list("instrument", flat=True))


# Which version an entry is written under ----------------------------------------------------------


@pytest.mark.requirement("G12")
@pytest.mark.requirement("G11")
def test_a_site_takes_up_a_version_by_its_own_approval_and_old_entries_keep_theirs(
    jss, djj, by, boss, coordinator2, amended
):
    with seeing(jss, djj):
        person, other = play(jss, by), play(djj, actor(coordinator2, djj))
        old = fill(person, "w0", "nrs", by, pain=7)
        approved(jss, amended, boss)
        old.refresh_from_db()
        assert old.version != amended
        assert not instrument_of(old).has("pain_at_night")
        assert save_entry(entry=old, changes={"pain": 6}, by=by).errors == {}
        record_visit(visit=person.visits.get(code="w4"), on=jss.today(), by=by)
        new = fill(person, "w4", "nrs", by, pain_at_night=3)
        assert new.version == amended
        record_visit(visit=other.visits.get(code="w4"), on=djj.today(), by=actor(coordinator2, djj))
        elsewhere = save_entry(
            entry=form(other, "w4", "nrs"),
            changes={"pain_at_night": 3},
            by=actor(coordinator2, djj),
        )
        assert elsewhere.errors.keys() == {"pain_at_night"}


def test_an_old_entry_opens_with_its_old_form_and_a_new_one_with_the_new(
    as_, coordinator, jss, by, boss, amended
):
    with seeing(jss):
        person = play(jss, by)
        old = fill(person, "w0", "nrs", by, pain=7)
        approved(jss, amended, boss)
        record_visit(visit=person.visits.get(code="w4"), on=jss.today(), by=by)
        new = form(person, "w4", "nrs")
    client = as_(coordinator)
    pages = [
        client.get(reverse("entry", args=["uspp", each.pk])).content.decode() for each in (old, new)
    ]
    assert ["밤 통증" in page for page in pages] == [False, True]
    assert client.get(reverse("participant_history", args=["uspp", person.pk])).status_code == 200
    assert "12주" in client.get(reverse("participant", args=["uspp", person.pk])).content.decode()
    assert "12주" in client.get(reverse("participants", args=["uspp"])).content.decode()


# What becomes due ---------------------------------------------------------------------------------


def test_what_is_open_is_planned_anew_and_what_was_done_stays(jss, by, boss, amended):
    with seeing(jss):
        person = play(jss, by, days_ago=30)
        w1 = person.visits.get(code="w1")
        record_visit(visit=w1, on=person.enrolled_on + dt.timedelta(days=7), by=by)
        mark_missed(visit=person.visits.get(code="w2"), reason="여행", by=by)
        before = due_at(person, "w1")
        assert "satisfaction" not in due_at(person, "w8")
        approved(jss, amended, boss)
        person.refresh_from_db()
        assert person.version == amended
        assert due_at(person, "w1") == before
        assert "satisfaction" in due_at(person, "w8")
        w8, w12 = (person.visits.get(code=code) for code in ("w8", "w12"))
        assert w8.closes_on == person.enrolled_on + dt.timedelta(days=56 + 21)
        assert w12.due_on == person.enrolled_on + dt.timedelta(days=84)
        assert due_at(person, "w12") == {"nrs", "ae_check"}
        assert person.visits.get(code="w2").missed_at is not None
        record = Visit.history.get(id=w12.pk)
        assert (record.history_change_reason, record.history_actor) == ("IRB JSS-2", boss.label)


def test_a_visit_whose_window_was_over_before_the_approval_is_not_made(jss, by, boss, amended):
    with seeing(jss):
        person = play(jss, by, days_ago=120)
        approved(jss, amended, boss)
        assert not person.visits.filter(code="w12").exists()


def test_visits_held_since_the_day_of_the_approval_get_the_new_forms(jss, by, boss, amended):
    with seeing(jss):
        person = play(jss, by, days_ago=60)
        on = jss.today() - dt.timedelta(days=4)
        record_visit(visit=person.visits.get(code="w8"), on=on, by=by)
        approved(jss, amended, boss, days_ago=10)
        assert "satisfaction" in due_at(person, "w8")


def test_nothing_becomes_due_for_who_left_or_failed(jss, by, boss, amended):
    with seeing(jss):
        gone, failed = play(jss, by), play(jss, by, stage="consented")
        end_study(participant=gone, on=jss.today(), end_reason="lost", by=by)
        approved(jss, amended, boss)
        assert not gone.visits.filter(code="w12").exists()
        failed.refresh_from_db()
        assert failed.version != amended


def test_an_older_version_that_is_approved_later_changes_nothing(jss, by, boss, tmp_path):
    second = published(tmp_path / "second")
    third = published(tmp_path / "third", label="3.0")
    with seeing(jss):
        person = play(jss, by)
        approved(jss, third, boss)
        approved(jss, second, boss)
        person.refresh_from_db()
        assert person.version == third


def test_a_change_of_region_keeps_what_each_visit_asked_for(jss, by, boss, amended):
    with seeing(jss):
        person = play(jss, by, days_ago=30)
        approved(jss, amended, boss)
        person.refresh_from_db()
        found = impact(person, Changes(cohort="lumbar"))
        assert {code for _visit, code in found.due} == {"odi"}
        change_drivers(
            participant=person, changes=Changes(cohort="lumbar"), reason="잘못 골랐음", by=by
        )
        assert "satisfaction" not in due_at(person, "w0")
        assert {"satisfaction", "odi"} <= due_at(person, "w8")
        assert due_at(person, "w12") == {"nrs", "ae_check"}


def test_a_visit_that_an_amendment_drops_is_no_longer_due_and_keeps_its_name(
    as_, coordinator, jss, by, boss, tmp_path
):
    text = (USPP / "protocol.yaml").read_text(encoding="utf-8")
    start = text.index("  - code: w2\n")
    w2 = text[start : text.index("  - code: w4\n")]
    ends = [line + "\n" for line in text.splitlines() if "to_visit: w2" in line]
    edits = (("protocol.yaml", w2, ""), *(("protocol.yaml", line, "") for line in ends))
    dropped = folder(tmp_path, edits)
    call_command("publish", "uspp", folder=dropped, verbosity=0)
    version = ProtocolVersion.objects.get(label=LABEL)
    with seeing(jss):
        person, held = play(jss, by, days_ago=16), play(jss, by, days_ago=16)
        record_visit(visit=held.visits.get(code="w2"), on=jss.today() - dt.timedelta(days=2), by=by)
        fill(held, "w2", "nrs", by, pain=5)
        approved(jss, version, boss)
        assert person.visits.get(code="w2").cancelled_at is not None
        assert due_at(person, "w2") == set()
        kept = held.visits.get(code="w2")
        assert kept.cancelled_at is None
        assert "nrs" in due_at(held, "w2")
        held.refresh_from_db()
        change_drivers(
            participant=held, changes=Changes(cohort="lumbar"), reason="잘못 골랐음", by=by
        )
        assert "odi" in due_at(held, "w2")  # asked under the version of its day
    page = as_(coordinator).get(reverse("participant", args=["uspp", held.pk])).content.decode()
    assert "2주" in page
    with seeing(jss):
        void_visit(visit=kept, reason="다른 대상자의 방문", by=by)
        assert not held.visits.valid().filter(code="w2").exists()


def test_a_form_that_the_new_version_lacks_is_due_anew_under_its_own(jss, by, boss, tmp_path):
    text = (USPP / "protocol.yaml").read_text(encoding="utf-8")
    line = next(each for each in text.splitlines() if "instrument: satisfaction, score" in each)
    edits = (
        ("protocol.yaml", line + "\n", ""),
        ("protocol.yaml", "      - instrument: satisfaction\n", ""),
    )
    call_command("publish", "uspp", folder=folder(tmp_path, edits), verbosity=0)
    version = ProtocolVersion.objects.get(label=LABEL)
    with seeing(jss):
        person = play(jss, by)
        record_visit(
            visit=person.visits.get(code="w4"), on=jss.today() - dt.timedelta(days=1), by=by
        )
        entry = form(person, "w4", "satisfaction")
        item = instrument_of(entry).items[0]
        saved = save_entry(entry=entry, changes={item.code: item.options[0].code}, by=by)
        assert saved.accepted
        approved(jss, version, boss)
        entry.refresh_from_db()
        assert entry.cancelled_at is None
        void_entry(entry=entry, reason="잘못 입력함", by=by)
        again = form(person, "w4", "satisfaction")
        assert instrument_of(again).code == "satisfaction"


def test_an_approval_at_a_locked_site_is_refused_whole(as_, admin, jss, by, amended, datamanager):
    with seeing(jss):
        play(jss, by)
    with working(datamanager, jss):
        Lock.objects.create(site=jss, locked_by=datamanager)
    day = jss.today()
    answer = as_(admin).post(
        reverse("approve", args=["uspp", jss.pk]),
        {"version": amended.pk, "approved_on": day.isoformat(), "reference": "JSS-2"},
    )
    assert answer.status_code == 409
    with seeing(jss):
        assert not SiteApproval.objects.filter(version=amended).exists()


# What it would flag -------------------------------------------------------------------------------


def test_a_dry_run_names_the_entries_that_the_new_checks_flag_and_writes_nothing(
    jss, by, tmp_path, capsys
):
    with seeing(jss):
        person, fine = play(jss, by), play(jss, by)
        fill(person, "w0", "baseline", by, height="140")
        fill(fine, "w0", "baseline", by, height="170")
        versions, queries = ProtocolVersion.objects.count(), Query.objects.count()
    call_command("publish", "uspp", folder=folder(tmp_path), dry_run=True)
    said = capsys.readouterr().out
    (line,) = [each for each in said.splitlines() if person.subject_number in each]
    assert line.startswith(f"JSS {person.subject_number} | 0주(기저) | ")
    assert " | height | unusual_height | " in line
    assert fine.subject_number not in said
    assert "밤 통증" in said
    assert "1 finding(s) in existing entries" in said
    assert ProtocolVersion.objects.count() == versions
    with seeing(jss):
        assert Query.objects.count() == queries


def test_a_dry_run_names_values_beyond_a_narrower_limit(jss, by, tmp_path, capsys):
    edits = (("instruments/baseline.yaml", "        max: 250\n", "        max: 180\n"),)
    with seeing(jss):
        person = play(jss, by)
        fill(person, "w0", "baseline", by, height="190")
    call_command("publish", "uspp", folder=folder(tmp_path, edits), dry_run=True)
    said = capsys.readouterr().out
    (line,) = [each for each in said.splitlines() if person.subject_number in each]
    assert "| height | - |" in line
    assert "180" in line


def test_a_dry_run_of_what_is_published_or_new_says_so(capsys, tmp_path):
    call_command("publish", "uspp", dry_run=True)
    assert "was published before" in capsys.readouterr().out
    fresh = broken_copy(tmp_path, "protocol.yaml", "code: needle\n", "code: needle_two\n")
    call_command("publish", "needle_two", folder=fresh, dry_run=True)
    assert "The study is new" in capsys.readouterr().out


def test_a_dry_run_refuses_what_publishing_would_refuse(tmp_path):
    label = load(USPP).protocol.version
    with pytest.raises(CommandError, match=label):
        call_command("publish", "uspp", folder=folder(tmp_path, label=label), dry_run=True)


def test_the_page_of_a_version_lists_flagged_entries_of_ones_own_sites(
    as_,
    coordinator,
    coordinator2,
    datamanager,
    admin,
    jss,
    djj,
    by,
    amended,
    django_assert_max_num_queries,
):
    with seeing(jss, djj):
        people = [play(jss, by) for _each in range(3)]
        for person in people:
            fill(person, "w0", "baseline", by, height="140")
        there = play(djj, actor(coordinator2, djj))
        fill(there, "w0", "baseline", actor(coordinator2, djj), height="141")
    url = reverse("protocol_flags", args=["uspp", amended.number])
    page = as_(coordinator).get(url).content.decode()
    assert all(person.subject_number in page for person in people)
    assert there.subject_number not in page
    client = as_(datamanager)
    client.get(url)
    with django_assert_max_num_queries(12):
        page = client.get(url).content.decode()
    assert there.subject_number in page
    assert as_(admin).get(url).status_code == 403
    empty = as_(datamanager).get(reverse("protocol_flags", args=["uspp", 1])).content.decode()
    assert people[0].subject_number not in empty


# What it changes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("ko", ("1.0 이후 달라진 점", "밤 통증", "12주", "84일", "키가 통상 범위")),
        ("en", ("What changed since 1.0", "Pain at night", "Week 12", "day 84", "Height ≥ 150")),
    ],
)
def test_the_protocol_page_tells_the_difference(as_, datamanager, amended, language, words):
    client = as_(datamanager)
    client.cookies["language"] = language
    page = html.unescape(
        client.get(reverse("protocol", args=["uspp", amended.number])).content.decode()
    )
    assert [word for word in words if word not in page] == []
    first = client.get(reverse("protocol", args=["uspp", 1])).content.decode()
    assert words[0] not in html.unescape(first)


def test_differences_are_told_one_by_one(tmp_path):
    old, new = load(USPP), load(folder(tmp_path))
    with translation.override("en"):
        found = {(each.kind, each.what): each for each in differences(old, new)}
    assert ("added", "Question “Pain at night”") in found
    assert found["added", "Week 12"].after == "day 84, window 79 to 98"
    assert found["changed", "Week 8"].before == "day 56, window 42 to 70"
    added = {what for kind, what in found if kind == "added"}
    assert [what for what in added if what.startswith("Week 8: ")]
    rules = [each for each in found.values() if "150" in each.after]
    assert len(rules) == 1
    assert "130" in rules[0].before
    with translation.override("en"):
        back = {(each.kind, each.what) for each in differences(new, old)}
    assert ("removed", "Question “Pain at night”") in back
    assert ("removed", "Week 12") in back
    assert differences(old, old) == []


@pytest.mark.parametrize(
    ("file", "was", "written", "what"),
    [
        ("protocol.yaml", "fatal_days: 7", "fatal_days: 5", "Rules for adverse events"),
        ("protocol.yaml", "years: 3", "years: 5", "Rules for sharing data"),
        ("protocol.yaml", "en: Evidently not eligible", "en: Not eligible", "ineligible"),
        ("protocol.yaml", "age < 70", "age < 75", "I1"),
        ("instruments/nrs.yaml", "critical: true", "critical: false", "Question"),
        ("instruments/nrs.yaml", "최근 3일", "최근 7일", "Layout or headings"),
        ("instruments/nrs.yaml", "          - 9\n", "", "Question"),
    ],
)
def test_no_change_is_left_untold(tmp_path, file, was, written, what):
    new = load(folder(tmp_path, ((file, was, written),)))
    with translation.override("en"):
        (found, *more) = differences(load(USPP), new)
    assert what in found.what
    assert not more


def test_the_protocol_page_says_rules_in_words_with_the_code_beside(as_, monitor):
    page = as_(monitor).get(reverse("protocol", args=["uspp", 1])).content.decode()
    assert "<code>cohort == &#x27;cervical&#x27;</code>" in page
    assert "경추" in page


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("cohort == 'cervical'", "Region = Cervical (neck)"),
        ("age >= 19 && age < 70", "Age at consent ≥ 19 and Age at consent < 70"),
        ("!(sex == 'male' || age > 5)", "not (Sex = male or Age at consent > 5)"),
        ("consent_date != null", "Consent date is answered"),
        ("visit in ['w0', 'w8']", "Visit is one of: Week 0 (baseline), Week 8"),
        ("days(consent_date, today) > 3", ""),
        ("nobody == 1", ""),
        ("age >= 19 &&", ""),
    ],
)
def test_an_expression_is_said_or_left_as_code(source, said):
    with translation.override("en"):
        found = spoken(source, vocabulary(load(USPP)))
    assert found == said


# Codes that no study may have ---------------------------------------------------------------------


def test_no_study_may_be_called_like_an_address_of_the_software(tmp_path):
    path = broken_copy(tmp_path, "protocol.yaml", "code: needle\n", "code: api\n")
    with pytest.raises(Broken) as refused:
        load(path)
    (problem,) = refused.value.problems
    lines = (path / "protocol.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[problem.line - 1] == "code: api"
    assert problem.file.endswith("protocol.yaml")
    assert problem.message == "“api” is an address of the software and can't be a study's code."


def test_everything_that_stands_first_in_an_address_is_reserved():
    first = {str(each.pattern).split("/")[0] for each in get_resolver().url_patterns}
    assert {name for name in first if re.fullmatch(r"[a-z][a-z0-9_]*", name)} <= NOT_STUDIES
