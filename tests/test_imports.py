"""A list from elsewhere: what it would change, the yes, and what became of each line."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from crf.models import Import, Lock, Query, Signature
from crf.services import complete, save_entry
from crf.services import imports as services
from crf.services.imports import Differs, commit, discard, plan_of, proposed, set_mapping, upload
from registry import tasks
from registry.models import Job
from sites.access import Refused
from sites.models import AccessLog, Membership
from tests.cast import actor, seeing, working
from tests.lists import MAP, brought, csv, shown, xlsx
from tests.story import play

pytestmark = pytest.mark.django_db
REASON = "11월 20일 설문 업체 목록"


@pytest.fixture
def by(coordinator, jss):
    return actor(coordinator, jss)


@pytest.fixture
def person(jss, by):
    with seeing(jss):
        return play(jss, by)


def pain(person, visit="w0"):
    return person.entries.get(instrument="nrs", visit__code=visit, voided_at=None)


def say_yes(record, by, reason=REASON, **options):
    return commit(record=record, shown=plan_of(record).digest, reason=reason, by=by, **options)


# What each line would change ----------------------------------------------------------------------


def test_each_line_is_new_changed_unchanged_or_refused_with_its_number(
    jss, djj, by, person, coordinator2
):
    with seeing(jss, djj):
        number = person.subject_number
        other, there = play(jss, by), play(djj, actor(coordinator2, djj))
        third = play(jss, by)
        save_entry(entry=pain(other), changes={"pain": 7}, by=by)
        save_entry(entry=pain(third), changes={"pain": 7}, by=by)
        record = brought(
            jss,
            csv(
                (number, "w0", "５"),
                (other.subject_number, "0주(기저)", 7),
                (third.subject_number, "Week 0 (baseline)", "미시행"),
                (number, "w0", 6),
                (number, "w4", 6),
                (number, "w99", 6),
                (there.subject_number, "w0", 6),
                ("", "w0", 6),
                (other.subject_number, "w0", 99),
                (other.subject_number, "w0", ""),
            ),
            by,
        )
        rows = plan_of(record).rows
    assert [(row.line, row.state) for row in rows] == [
        (2, "new"),
        (3, "unchanged"),
        (4, "changed"),
        (5, "refused"),
        (6, "refused"),
        (7, "refused"),
        (8, "refused"),
        (9, "refused"),
        (10, "refused"),
        (11, "unchanged"),
    ]
    assert rows[0].new == {"pain": 5}
    assert (rows[2].old, rows[2].new) == ({"pain": 7}, {"pain": {"missing": "not_done"}})
    assert all(row.sentence for row in rows[3:])


def test_labels_and_words_are_read_as_codes(jss, by, person):
    columns = {
        "s": "subject",
        "a": "baseline.care_setting",
        "b": "baseline.height",
        "c": "baseline.prior_treatment",
        "d": "baseline.allergy",
    }
    with seeing(jss):
        record = brought(
            jss,
            csv((person.subject_number, "외래", "１７０．５", "", "아니요"), head="sabcd"),
            by,
            {"visit": "w0", "columns": columns},
        )
        (row,) = plan_of(record).rows
    assert row.new == {"care_setting": "outpatient", "height": "170.5", "allergy": "no"}


def test_a_translation_of_the_map_comes_first(jss, by, person):
    mapping = {
        "visit": "w0",
        "columns": {"s": "subject", "a": {"to": "nrs.pain", "values": {"심함": "9"}}},
    }
    with seeing(jss):
        record = brought(jss, csv((person.subject_number, "심함"), head="sa"), by, mapping)
        assert plan_of(record).rows[0].new == {"pain": 9}


def test_a_plan_asks_the_same_number_of_questions_for_any_number_of_lines(
    jss, by, person, django_assert_max_num_queries
):
    with seeing(jss):
        people = [person, *(play(jss, by) for _each in range(3))]
        record = brought(jss, csv(*((p.subject_number, "w0", 3) for p in people)), by)
        plan_of(record)
        with django_assert_max_num_queries(14):
            assert len(plan_of(record).rows) == 4


# The yes ------------------------------------------------------------------------------------------


@pytest.mark.requirement("P08")
@pytest.mark.requirement("E01")
def test_what_is_written_has_source_reason_and_line_in_its_history(jss, by, person, coordinator):
    with seeing(jss):
        record = say_yes(brought(jss, csv((person.subject_number, "w0", 6)), by), by)
        entry = pain(person)
        assert entry.answers == {"pain": 6}
        assert entry.meta["pain"]["source"] == "import"
        assert entry.scores["nrs"] is not None
        last = entry.history.order_by("-history_id").first()
        assert (last.history_source, last.history_user_id) == ("import", coordinator.pk)
        assert last.history_change_reason == f"{REASON} [import {record.pk}:2]"
        record.refresh_from_db()
        assert record.content == ""
        assert record.counts == {"new": 1, "changed": 0, "unchanged": 0, "refused": 0}
        assert (record.sha256, record.lines) == (record.sha256, 1)
        assert record.parser.startswith("1 (openpyxl")
        assert (record.uploaded_by, record.committed_by) == (coordinator, coordinator)
        assert record.history.count() >= 3
        assert not record.history.filter(history_actor="").exists()


def test_an_unlikely_value_is_kept_and_questioned(jss, by, person):
    mapping = {"visit": "w0", "columns": {"s": "subject", "a": "baseline.height"}}
    with seeing(jss):
        record = brought(jss, csv((person.subject_number, 210), head="sa"), by, mapping)
        assert plan_of(record).rows[0].checks == ["unusual_height"]
        say_yes(record, by)
        assert Query.objects.filter(participant=person, check_code="unusual_height").exists()


def test_one_wrong_line_does_not_hold_up_the_others(jss, by, person):
    with seeing(jss):
        other = play(jss, by)
        record = brought(
            jss, csv((person.subject_number, "w0", 60), (other.subject_number, "w0", 6)), by
        )
        record = say_yes(record, by)
        assert pain(person).answers == {}
        assert pain(other).answers == {"pain": 6}
        assert record.counts["refused"] == 1
        assert [row["line"] for row in record.outcome if row["state"] == "refused"] == [2]


def test_what_changed_since_the_look_is_shown_again(jss, by, person):
    with seeing(jss):
        record = brought(jss, csv((person.subject_number, "w0", 6)), by)
        seen = plan_of(record).digest
        save_entry(entry=pain(person), changes={"pain": 3}, by=by)
        with pytest.raises(Differs):
            commit(record=record, shown=seen, reason=REASON, by=by)
        assert pain(person).answers == {"pain": 3}
        assert not Import.objects.get(pk=record.pk).committed_at


def test_what_changes_after_the_yes_is_left_alone(jss, by, person, monkeypatch):
    monkeypatch.setattr(services, "AT_ONCE", 0)
    with seeing(jss):
        record = say_yes(brought(jss, csv((person.subject_number, "w0", 6)), by), by)
        save_entry(entry=pain(person), changes={"pain": 3}, by=by)
    tasks.run_job(str(Job.objects.get(kind="import").pk))
    with seeing(jss):
        record.refresh_from_db()
        assert pain(person).answers == {"pain": 3}
        assert record.counts["refused"] == 1
        assert record.finished_at


def test_a_completed_form_is_changed_only_when_that_was_confirmed(jss, by, person):
    with seeing(jss):
        save_entry(entry=pain(person), changes={"pain": 3}, by=by)
        complete(entry=pain(person), by=by)
        record = brought(jss, csv((person.subject_number, "w0", 6)), by)
        assert plan_of(record).rows[0].complete
        with pytest.raises(Refused) as refused:
            say_yes(record, by)
        assert refused.value.field == "confirmed"
        say_yes(record, by, confirmed=True)
        assert pain(person).answers == {"pain": 6}
        assert pain(person).completed_at


def test_a_signed_form_is_marked(jss, by, person, investigator):
    with seeing(jss):
        save_entry(entry=pain(person), changes={"pain": 3}, by=by)
        complete(entry=pain(person), by=by)
    with working(investigator, jss):
        Signature.objects.create(
            site=jss,
            participant=person,
            meaning="approved",
            digest="0" * 64,
            signed_by=investigator,
            printed_name="x",
        )
    with seeing(jss):
        record = brought(jss, csv((person.subject_number, "w0", 6)), by)
        assert plan_of(record).rows[0].signed
        with pytest.raises(Refused):
            say_yes(record, by)


def test_a_locked_site_is_left_alone(jss, by, person, datamanager):
    with seeing(jss):
        record = brought(jss, csv((person.subject_number, "w0", 6)), by)
        seen = plan_of(record).digest
    with working(datamanager, jss):
        Lock.objects.create(site=jss, locked_by=datamanager)
    with seeing(jss):
        assert shown(record) == [(2, "refused")]
        with pytest.raises(Differs):
            commit(record=record, shown=seen, reason=REASON, by=by)
        with pytest.raises(Refused):
            say_yes(record, by)


def test_a_lock_that_comes_after_the_yes_refuses_the_rows(
    jss, by, person, datamanager, monkeypatch
):
    monkeypatch.setattr(services, "AT_ONCE", 0)
    with seeing(jss):
        record = say_yes(brought(jss, csv((person.subject_number, "w0", 6)), by), by)
    with working(datamanager, jss):
        Lock.objects.create(site=jss, locked_by=datamanager)
    tasks.run_job(str(Job.objects.get(kind="import").pk))
    with seeing(jss):
        record.refresh_from_db()
        assert record.counts["refused"] == 1
        assert pain(person).answers == {}


@pytest.mark.parametrize("reason", ["", "800505-2123456"])
def test_the_yes_needs_a_plain_reason(jss, by, person, reason):
    with seeing(jss):
        record = brought(jss, csv((person.subject_number, "w0", 6)), by)
        with pytest.raises(Refused) as refused:
            say_yes(record, by, reason=reason)
        assert refused.value.field == "reason"


# Twice --------------------------------------------------------------------------------------------


def test_a_second_yes_and_a_closed_list_are_refused(jss, by, person):
    with seeing(jss):
        record = brought(jss, csv((person.subject_number, "w0", 6)), by)
        seen = plan_of(record).digest
        commit(record=record, shown=seen, reason=REASON, by=by)
        for act in (
            lambda: commit(record=record, shown=seen, reason=REASON, by=by),
            lambda: set_mapping(record=record, mapping=MAP, by=by),
            lambda: discard(record=record, by=by),
        ):
            with pytest.raises(Refused):
                act()
        assert pain(person).history.filter(history_source="import").count() == 1


def test_the_same_file_changes_nothing_twice_and_not_what_was_corrected_since(jss, by, person):
    content = csv((person.subject_number, "w0", 6))
    with seeing(jss):
        say_yes(brought(jss, content, by), by)
        assert shown(brought(jss, content, by)) == [(2, "unchanged")]
        with pytest.raises(Refused):
            say_yes(brought(jss, content, by), by)
        save_entry(entry=pain(person), changes={"pain": 4}, by=by)
        again = brought(jss, content, by)
        assert shown(again) == [(2, "refused")]
        assert shown(brought(jss, csv((person.subject_number, "w0", 5)), by)) == [(2, "changed")]


def test_a_list_with_the_same_headings_is_read_in_the_same_way(jss, by, person):
    with seeing(jss):
        brought(jss, csv((person.subject_number, "w0", 6)), by)
        second = upload(site=jss, name="b.csv", content=csv(("x", "w1", 1)), by=by)
        assert proposed(second)["columns"]["통증"]["to"] == "nrs.pain"
        other = upload(
            site=jss, name="c.csv", content=csv(("x", 1), head=["Subject", "pain"]), by=by
        )
        assert proposed(other) == {
            "columns": {"Subject": {"to": "subject"}, "pain": {"to": "nrs.pain"}}
        }


# The lines are somebody's data --------------------------------------------------------------------


@pytest.mark.requirement("S16")
def test_lines_are_encrypted_until_they_are_written_or_thrown_away(jss, by, person):
    with seeing(jss):
        record = upload(
            site=jss,
            name="a.csv",
            by=by,
            content=csv((person.subject_number, "w0", 6, "홍길동"), head=["a", "b", "c", "이름"]),
        )
        with connection.cursor() as cursor:
            cursor.execute("SELECT row(i)::text FROM crf_import i WHERE id = %s", [record.pk])
            assert "홍길동" not in cursor.fetchone()[0]
            cursor.execute("SELECT row(h)::text FROM crf_historicalimport h")
            assert not [row for (row,) in cursor.fetchall() if record.content in row]
        discard(record=record, by=by)
        assert Import.objects.get(pk=record.pk).content == ""


# Pages --------------------------------------------------------------------------------------------


def send(client, content, site, name="list.csv"):
    file = SimpleUploadedFile(name, content)
    return client.post(reverse("imports", args=["uspp"]), {"site": site.pk, "file": file})


COLUMNS = {
    "column_0": "subject",
    "column_1": "visit",
    "column_2": "nrs.pain",
    "visit": "",
    "missing_not_done": "미시행",
}


def test_from_the_file_to_the_written_answer_by_pages(as_, coordinator, jss, person, uspp):
    client = as_(coordinator)
    answer = send(client, csv((person.subject_number, "w0", 6)), jss)
    with seeing(jss):
        record = Import.objects.get()
    assert answer.url == reverse("import_mapping", args=["uspp", record.pk])
    page = client.get(answer.url)
    assert page.context["form"]["column_0"].initial == "subject"
    answer = client.post(answer.url, COLUMNS)
    shown_page = client.get(answer.url)
    assert person.subject_number in shown_page.content.decode()
    digest = shown_page.context["form"].initial["shown"]
    empty = client.post(answer.url, {"shown": digest, "reason": ""})
    assert empty.context["form"].errors.keys() == {"reason"}
    done = client.post(answer.url, {"shown": digest, "reason": REASON})
    assert done.status_code == 302
    result = client.get(done.url)
    assert result.context["record"].counts["new"] == 1
    listed = client.get(reverse("imports", args=["uspp"])).content.decode()
    assert "list.csv" in listed
    with seeing(jss):
        assert pain(person).answers == {"pain": 6}
        assert AccessLog.objects.filter(
            participant_id=person.pk, route="import", action="enter"
        ).exists()
    yaml = client.get(reverse("import_map", args=["uspp", record.pk]))
    assert yaml["Content-Disposition"] == f'attachment; filename="map-{record.pk}.yaml"'
    assert "대상자번호: subject" in yaml.content.decode()


def test_a_page_that_is_out_of_date_is_shown_anew(as_, coordinator, jss, by, person):
    with seeing(jss):
        record = brought(jss, csv((person.subject_number, "w0", 6)), by)
        old = plan_of(record).digest
        save_entry(entry=pain(person), changes={"pain": 3}, by=by)
    url = reverse("import", args=["uspp", record.pk])
    answer = as_(coordinator).post(url, {"shown": old, "reason": REASON})
    assert answer.status_code == 409
    assert REASON in answer.content.decode()
    new = answer.context["form"].initial["shown"]
    assert new != old
    assert as_(coordinator).post(url, {"shown": new, "reason": REASON}).status_code == 302


def test_a_file_that_is_refused_says_why_at_its_field(as_, coordinator, jss, uspp):
    for content, name in ((b"", "a.csv"), (b"%PDF", "a.pdf")):
        answer = send(as_(coordinator), content, jss, name)
        assert answer.context["form"].errors.keys() == {"file"}
    with seeing(jss):
        assert not Import.objects.exists()
    answer = as_(coordinator).post(reverse("imports", args=["uspp"]), {"site": jss.pk})
    assert answer.context["form"].errors.keys() == {"file"}


def test_a_mapping_that_does_not_fit_keeps_what_was_chosen(as_, coordinator, jss, by, person):
    with seeing(jss):
        record = upload(
            site=jss, name="a.csv", content=csv((person.subject_number, "w0", 6)), by=by
        )
    url = reverse("import_mapping", args=["uspp", record.pk])
    answer = as_(coordinator).post(url, {"column_2": "nrs.pain"})
    assert answer.context["form"].errors
    assert answer.context["form"]["column_2"].value() == "nrs.pain"


def test_who_may_see_imports_and_who_may_write(
    as_,
    coordinator,
    coordinator2,
    investigator,
    monitor,
    datamanager,
    auditor,
    admin,
    jss,
    djj,
    by,
    person,
):
    with seeing(jss):
        record = brought(jss, csv((person.subject_number, "w0", 6)), by)
    listed, one = reverse("imports", args=["uspp"]), reverse("import", args=["uspp", record.pk])
    columns = reverse("import_mapping", args=["uspp", record.pk])
    for user in (datamanager, monitor, auditor):
        client = as_(user)
        assert client.get(listed).context["form"] is None
        assert person.subject_number not in client.get(one).content.decode()
        assert client.get(columns).status_code == 403
        assert send(client, csv(("a", "b", "c")), jss).status_code == 403
        assert client.post(one, {"shown": "x", "reason": REASON}).status_code == 403
    assert as_(admin).get(listed).status_code == 403
    # Monitor at this site, coordinator at another one: sees it, and may not write it.
    assert as_(coordinator2).get(one).status_code == 200
    assert as_(coordinator2).post(one, {"shown": "x", "reason": REASON}).status_code == 404
    assert as_(coordinator2).get(columns).status_code == 404
    assert send(as_(coordinator2), csv(("a", "b", "c")), jss).context["form"].errors
    assert as_(investigator).get(one).status_code == 200


def test_a_list_is_thrown_away(as_, coordinator, jss, by, person):
    with seeing(jss):
        record = brought(jss, csv((person.subject_number, "w0", 6)), by)
    client = as_(coordinator)
    assert client.post(reverse("import_discard", args=["uspp", record.pk])).status_code == 302
    assert client.get(reverse("import", args=["uspp", record.pk])).status_code == 200
    assert client.get(reverse("import_discard", args=["uspp", record.pk])).status_code == 302
    again = client.post(reverse("import_go_on", args=["uspp", record.pk]))
    assert again.status_code == 409


@pytest.mark.parametrize("name", ["imports", "import"])
def test_pages_stay_within_their_queries(
    as_, coordinator, jss, by, person, name, django_assert_max_num_queries
):
    with seeing(jss):
        people = [person, *(play(jss, by) for _each in range(3))]
        for _each in range(3):
            record = brought(jss, csv(*((p.subject_number, "w0", 3) for p in people)), by)
    client = as_(coordinator)
    url = reverse(name, args=["uspp"] if name == "imports" else ["uspp", record.pk])
    client.get(url)
    with django_assert_max_num_queries(12 if name == "imports" else 26):
        assert client.get(url).status_code == 200


# A worker -----------------------------------------------------------------------------------------


def test_many_rows_are_a_workers_and_the_page_shows_how_far_it_is(
    as_, coordinator, jss, by, person, monkeypatch
):
    monkeypatch.setattr(services, "AT_ONCE", 0)
    with seeing(jss):
        record = say_yes(brought(jss, csv((person.subject_number, "w0", 6)), by), by)
        assert pain(person).answers == {}
    url = reverse("import", args=["uspp", record.pk])
    assert as_(coordinator).get(url).context["going"]
    job = Job.objects.get(kind="import")
    tasks.run_job(str(job.pk))
    job.refresh_from_db()
    assert job.state == Job.State.DONE, job.error
    assert as_(coordinator).get(url).context["record"].counts["new"] == 1
    with seeing(jss):
        assert pain(person).answers == {"pain": 6}
        last = pain(person).history.order_by("-history_id").first()
        assert (last.history_source, last.history_role) == ("import", "coordinator")


@pytest.mark.requirement("P07")
def test_who_lost_the_right_meanwhile_writes_nothing_more(
    as_, coordinator, investigator, jss, by, person, monkeypatch
):
    monkeypatch.setattr(services, "AT_ONCE", 0)
    with seeing(jss):
        record = say_yes(brought(jss, csv((person.subject_number, "w0", 6)), by), by)
    with working(coordinator, jss):
        yesterday = timezone.localdate() - timezone.timedelta(days=2)
        Membership.objects.filter(user=coordinator).update(until=yesterday)
    job = Job.objects.get(kind="import")
    tasks.run_job(str(job.pk))
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    with seeing(jss):
        assert pain(person).answers == {}
    page = as_(investigator).get(reverse("import", args=["uspp", record.pk])).content.decode()
    assert job.error in page
    assert (
        as_(investigator).post(reverse("import_go_on", args=["uspp", record.pk])).status_code == 302
    )
    tasks.run_job(str(Job.objects.filter(kind="import").exclude(pk=job.pk).get().pk))
    with seeing(jss):
        assert pain(person).answers == {"pain": 6}


# The command --------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    def write(content, name="list.csv", text=None):
        (tmp_path / name).write_bytes(content)
        mapping = tmp_path / "map.yaml"
        mapping.write_text(
            text
            or (
                "study: uspp\ncolumns:\n  대상자번호: subject\n  방문: visit\n  통증: nrs.pain\n"
                "missing: {미시행: not_done}\n"
            ),
            encoding="utf-8",
        )
        return str(tmp_path / name), {"map": mapping}

    return write


def test_a_dry_run_tells_every_line_and_writes_nothing(jss, person, files, capsys):
    path, options = files(xlsx((person.subject_number, "w0", 6)), "list.xlsx")
    call_command("import_data", path, dry_run=True, **options)
    said = capsys.readouterr().out
    assert f"line 2: new | {person.subject_number} | w0 | nrs | pain: – → 6" in said
    assert "new: 1, changed: 0, unchanged: 0, refused: 0" in said
    with seeing(jss):
        assert pain(person).answers == {}
        assert not Import.objects.exists()


def test_refused_lines_are_listed_and_end_the_command_with_two(jss, person, files, capsys):
    path, options = files(csv((person.subject_number, "w0", 6), ("JSS-999", "w0", 6)))
    with pytest.raises(CommandError) as ended:
        call_command("import_data", path, dry_run=True, **options)
    assert ended.value.returncode == 2
    assert "line 3: refused | JSS-999" in capsys.readouterr().out
    with pytest.raises(CommandError) as ended:
        call_command("import_data", path, user="coordinator", reason=REASON, **options)
    assert ended.value.returncode == 2
    with seeing(jss):
        assert pain(person).answers == {"pain": 6}
        assert Import.objects.get().counts["refused"] == 1


def test_the_command_writes_in_the_name_of_somebody_who_may(
    jss, person, files, capsys, coordinator
):
    path, options = files(csv((person.subject_number, "w0", 6)))
    for bad in (
        {},
        {"user": "monitor"},
        {"user": "coordinator", "site": "DJJ"},
        {"user": "coordinator", "site": "XXX"},
        {"user": "coordinator"},
    ):
        with pytest.raises(CommandError) as ended:
            call_command("import_data", path, **options, **bad)
        assert ended.value.returncode == 1
    with seeing(jss):
        assert pain(person).answers == {}
    call_command("import_data", path, user="coordinator", reason=REASON, **options)
    assert "new: 1" in capsys.readouterr().out
    with seeing(jss):
        last = pain(person).history.order_by("-history_id").first()
        assert (last.history_source, last.history_user_id) == ("import", coordinator.pk)
    call_command("import_data", path, user="coordinator", reason=REASON, **options)
    assert "no line would change anything" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["columns: {}", "study: nothing", "- a", "study: uspp\ncolumns: {x: subject}", "a: ["]
)
def test_a_map_that_can_not_be_used_ends_the_command(jss, files, text, person):
    path, options = files(csv((person.subject_number, "w0", 6)), text=text)
    with pytest.raises(CommandError) as ended:
        call_command("import_data", path, dry_run=True, **options)
    assert ended.value.returncode == 1
