"""A dataset holds what was entered, all of it, from one moment, and nothing else."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import zipfile
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from crf.instrument import load
from crf.models import Lock
from crf.services import (
    add_entry,
    answer_query,
    ask_query,
    complete,
    confirm_copied,
    copy_last,
    save_entry,
    void_entry,
)
from exports.release import build, codebook
from exports.tables import tables
from registry.models import ProtocolVersion
from registry.services import (
    allocate,
    end_study,
    mark_missed,
    record_visit,
    void_participant,
    void_visit,
    withdraw,
)
from safety.models import AdverseEvent
from safety.services import report_event, void_event
from tests import amendments, events
from tests.cast import STUDIES, actor, seeing, working
from tests.datasets import make
from tests.story import play


def uspp_alone():
    return [load(STUDIES["uspp"])]


REASON = "다른 대상자의 것을 잘못 입력함"


@pytest.fixture
def by(coordinator, jss):
    return actor(coordinator, jss)


@pytest.fixture
def dataset(jss, tmp_path):
    """Builds the dataset of the first site as it is now."""

    def built(*sites, name="dataset.zip"):
        return make(sites or [jss], tmp_path / name)[0]

    return built


def fill(person, visit, form, by, missing=None, **answers):
    entry = person.entries.get(instrument=form, visit__code=visit, voided_at=None)
    saved = save_entry(entry=entry, changes=answers, missing=missing or {}, by=by)
    assert not saved.errors
    entry.refresh_from_db()
    return entry


def log(person, form, by, **answers):
    entry = add_entry(participant=person, instrument=form, by=by)
    saved = save_entry(entry=entry, changes=answers, by=by)
    assert not saved.errors
    return entry


# What was entered ---------------------------------------------------------------------------------


def test_a_form_is_a_file_with_its_answers_scores_and_missing_reasons(
    fresh_database, jss, by, dataset
):
    with seeing(jss):
        person = play(jss, by)
        fill(person, "w0", "nrs", by, pain=8)
        answers = {f"ndi_{n:02}": 3 for n in range(1, 10)}
        ndi = fill(person, "w0", "ndi", by, missing={"ndi_10": "refused"}, **answers)
        complete(entry=ndi, by=by)
        log(
            person,
            "procedure",
            by,
            performed_on=person.enrolled_on.isoformat(),
            purpose=["guiding", "screening"],
            product_1="SBV",
            volume_1="0.50",
        )
    found = dataset()
    nrs = found.row("forms/nrs.csv")
    assert (nrs["study"], nrs["site"], nrs["subject"]) == ("uspp", "JSS", "JSS-001")
    assert (nrs["visit"], nrs["pain"], nrs["nrs"], nrs["status"]) == ("w0", "8", "8", "started")
    assert nrs["visit_date"] == person.enrolled_on.isoformat()
    ndi = found.row("forms/ndi.csv")
    assert (ndi["ndi_01"], ndi["ndi_10"], ndi["ndi_10_missing"]) == ("3", "", "refused")
    assert (ndi["ndi_total"], ndi["ndi_answered"], ndi["ndi_band"]) == ("30", "9", "severe")
    assert (ndi["status"], ndi["protocol"]) == ("complete", "1.0")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", ndi["completed_at"])
    done = found.row("forms/procedure.csv")
    assert (done["number"], done["purpose"]) == ("1", "screening;guiding")
    assert (done["purpose_screening"], done["purpose_guiding"]) == ("1", "1")
    assert (done["target_site_1"], done["target_side_1"], done["target_1"]) == ("", "", "")
    assert done["copied_from"] == ""
    assert (done["product_1"], done["product_1_list"]) == ("SBV", "Registry list 1")
    assert done["volume_1"] == "0.5"
    assert "visit" not in done


def test_a_treatment_says_from_which_one_its_answers_were_copied(fresh_database, jss, by, dataset):
    with seeing(jss):
        person = play(jss, by)
        day = person.enrolled_on.isoformat()
        log(person, "procedure", by, performed_on=day, product_1="SBV", target_site_1="L4-L5")
        second = add_entry(participant=person, instrument="procedure", by=by)
        copy_last(entry=second, by=by)
        confirm_copied(entry=second, by=by)
    rows = dataset().rows("forms/procedure.csv")
    kept = ("number", "performed_on", "product_1", "target_site_1", "copied_from")
    assert [[row[name] for name in kept] for row in rows] == [
        ["1", day, "SBV", "L4-L5", ""],
        ["2", "", "SBV", "L4-L5", "1"],
    ]


def test_long_and_wide_have_each_score_at_each_visit_and_the_change(
    fresh_database, jss, by, dataset
):
    with seeing(jss):
        person = play(jss, by, days_ago=30)
        day = person.enrolled_on
        for code, after, pain in (("w0", 0, 8), ("w1", 9, 5), ("w4", 28, 3)):
            visit = person.visits.get(code=code)
            record_visit(visit=visit, on=day + dt.timedelta(days=after), by=by)
            fill(person, code, "nrs", by, pain=pain)
        mark_missed(visit=person.visits.get(code="w2"), reason="연락이 되지 않음", by=by)
        for after in (0, 9, 20):
            performed = (day + dt.timedelta(days=after)).isoformat()
            log(person, "procedure", by, performed_on=performed)
    found = dataset()
    rows = {row["visit"]: row for row in found.rows("long.csv")}
    assert list(rows) == ["w0", "w1", "w2", "w4", "w8"]
    kept = ("status", "visit_day", "study_day", "procedure_count", "nrs", "nrs_base", "nrs_change")
    assert {visit: [row[name] for name in kept] for visit, row in rows.items()} == {
        "w0": ["held", "0", "0", "1", "8", "8", "0"],
        "w1": ["held", "7", "9", "2", "5", "8", "-3"],
        "w2": ["missed", "14", "", "", "", "8", ""],
        "w4": ["held", "28", "28", "3", "3", "8", "-5"],
        "w8": ["expected", "56", "", "", "", "8", ""],
    }
    assert {row["cohort"] for row in rows.values()} == {"cervical"}
    wide = found.row("wide.csv")
    assert [wide[f"nrs_{visit}"] for visit in rows] == ["8", "5", "", "3", ""]
    assert (wide["nrs_w4_change"], wide["nrs_w1_change"], wide["nrs_w8_change"]) == ("-5", "-3", "")
    assert (wide["procedure_count"], wide["study_day_w1"]) == ("3", "9")


def test_decimals_are_subtracted_exactly(fresh_database, jss, by, dataset):
    levels = ("mobility", "self_care", "usual_activities", "pain_discomfort", "anxiety_depression")
    with seeing(jss):
        person = play(jss, by)
        fill(person, "w0", "eq5d5l", by, **dict.fromkeys(levels, 3))
        after = person.enrolled_on + dt.timedelta(days=7)
        record_visit(visit=person.visits.get(code="w1"), on=after, by=by)
        fill(person, "w1", "eq5d5l", by, **dict.fromkeys(levels, 1))
    wide = dataset().row("wide.csv")
    assert wide["eq5d_index_w1"] == "1"
    assert Decimal(wide["eq5d_w1_change"]) == 1 - Decimal(wide["eq5d_index_w0"])


def test_adverse_events_are_listed_as_reported(fresh_database, jss, by, dataset):
    with seeing(jss):
        person = play(jss, by)
        onset = person.enrolled_on + dt.timedelta(days=2)
        report_event(participant=person, facts=events.facts(onset, **events.SERIOUS), by=by)
        report_event(
            participant=person, facts=events.facts(onset, onset=f"{onset:%Y-%m}", ended=""), by=by
        )
    serious, mild = dataset().rows("adverse_events.csv")
    assert (serious["number"], serious["grade"], serious["serious"]) == ("1", "3", "yes")
    assert serious["seriousness"] == "hospitalisation"
    assert (serious["serious_hospitalisation"], serious["serious_died"]) == ("1", "0")
    assert (serious["onset_day"], serious["review"]) == ("2", "")
    assert (mild["onset"], mild["onset_day"]) == (f"{onset:%Y-%m}", "")
    assert mild["seriousness"] == ""


def test_every_fact_of_an_event_is_in_the_file():
    left_out = {
        "id",
        "site",
        "participant",
        "causality_answers",
        "digest",
        "reported_by",
        "review_state",
    }
    left_out |= {"voided_at", "void_reason"}
    fields = {field.name for field in AdverseEvent._meta.concrete_fields} - left_out
    (table,) = [each for each in tables(uspp_alone()) if each.name == "adverse_events.csv"]
    assert fields <= {column.name for column in table.columns}


def test_queries_are_listed_with_their_answer(fresh_database, jss, by, dataset, monitor):
    with seeing(jss):
        person = play(jss, by)
        entry = fill(person, "w0", "nrs", by, pain=8)
        query = ask_query(
            text="원자료와 같습니까?", entry=entry, item="pain", by=actor(monitor, jss)
        )
        answer_query(query=query, text="네, 같습니다.", by=by)
    row = dataset().row("queries.csv", item="pain")
    assert (row["visit"], row["form"], row["status"]) == ("w0", "nrs", "answered")
    assert (row["question"], row["answer"]) == ("원자료와 같습니까?", "네, 같습니다.")


@pytest.mark.requirement("S10")
def test_texts_come_back_exactly_as_they_were_entered(fresh_database, jss, by, dataset):
    text = '=HYPERLINK("http://example.org";"열기"), \'@SUM\'\n-1+1\t"끝"'
    with seeing(jss):
        person = play(jss, by)
        log(person, "procedure", by, performed_on=person.enrolled_on.isoformat(), remark=text)
    found = dataset()
    raw = found.files["forms/procedure.csv"]
    assert found.row("forms/procedure.csv")["remark"] == text
    assert not raw.startswith(b"\xef\xbb\xbf")
    head, first = raw.split(b"\r\n")[:2]
    assert b"\n" not in head
    assert b"\n" in first  # inside the quoted text alone
    assert "exact" in found.manifest["format"]["values"]


# Whose data, and whose not ------------------------------------------------------------------------


@pytest.mark.requirement("P04")
def test_other_sites_are_not_in_it(fresh_database, jss, djj, by, dataset, coordinator2):
    with seeing(jss):
        play(jss, by)
    with seeing(djj):
        play(djj, actor(coordinator2, djj))
    alone, both = dataset(name="one.zip"), dataset(jss, djj, name="two.zip")
    assert {row["site"] for row in alone.rows("participants.csv")} == {"JSS"}
    assert not any(b"DJJ" in content for content in alone.files.values())
    assert {row["site"] for row in both.rows("participants.csv")} == {"JSS", "DJJ"}


@pytest.mark.requirement("D01")
def test_no_name_chart_number_or_birth_date_is_in_it(fresh_database, jss, by, dataset):
    with seeing(jss):
        play(jss, by, name="독고비밀", birth_date=dt.date(1971, 4, 17))
    everything = b"".join(dataset().files.values())
    for secret in ("독고비밀", "C-0000", "1971-04-17", "김설명"):
        assert secret.encode() not in everything
    assert dataset(name="2.zip").row("participants.csv")["birth_year"] == "1971"


def test_what_was_entered_in_error_is_in_a_file_of_its_own(fresh_database, jss, by, dataset):
    with seeing(jss):
        kept, wrong = play(jss, by), play(jss, by)
        fill(wrong, "w0", "nrs", by, pain=9)
        void_participant(participant=wrong, reason=REASON, by=by)
        void_entry(entry=fill(kept, "w0", "nrs", by, pain=1), reason=REASON, by=by)
        visit = kept.visits.get(code="w1")
        record_visit(visit=visit, on=kept.enrolled_on + dt.timedelta(days=7), by=by)
        fill(kept, "w1", "nrs", by, pain=2)
        void_visit(visit=visit, reason=REASON, by=by)
        event = report_event(participant=kept, facts=events.facts(kept.enrolled_on), by=by)
        void_event(event=event, reason=REASON, by=by)
    found = dataset()
    voided = found.rows("voided.csv")
    forms = ("nrs", "ndi", "eq5d5l", "concurrent", "ae_check")
    assert {(row["subject"], row["kind"], row["visit"], row["form"]) for row in voided} == {
        ("JSS-001", "visit", "w1", ""),
        ("JSS-001", "form", "w0", "nrs"),
        *(("JSS-001", "form", "w1", form) for form in forms),  # with their visit
        ("JSS-001", "adverse_event", "", ""),
        ("JSS-002", "participant", "", ""),
    }
    assert {row["reason"] for row in voided} == {REASON}
    assert [row["subject"] for row in found.rows("participants.csv")] == ["JSS-001"]
    assert found.rows("forms/nrs.csv") == []
    assert found.rows("adverse_events.csv") == []
    assert [row["status"] for row in found.rows("visits.csv") if row["visit"] == "w1"] == [
        "expected"
    ]


def test_who_withdrew_the_use_of_the_data_is_there_as_a_number_alone(
    fresh_database, jss, by, dataset
):
    with seeing(jss):
        stays, leaves, keeps = play(jss, by), play(jss, by), play(jss, by)
        for person in (stays, leaves, keeps):
            fill(person, "w0", "nrs", by, pain=4)
        day = jss.today()
        withdraw(participant=leaves, scope="use", on=day, taken_by="김간호", by=by)
        withdraw(participant=keeps, scope="visits", on=day, taken_by="김간호", by=by)
        withdraw(participant=keeps, scope="sharing", on=day, taken_by="김간호", by=by)
    found = dataset()
    assert found.rows("withdrawn.csv") == [
        {"study": "uspp", "site": "JSS", "subject": "JSS-002", "withdrawn_on": day.isoformat()}
    ]
    elsewhere = b"".join(
        content for name, content in found.files.items() if name != "withdrawn.csv"
    )
    assert b"JSS-002" not in elsewhere
    row = found.row("participants.csv", subject="JSS-003")
    assert row["withdrew_visits_on"] == row["withdrew_sharing_on"] == day.isoformat()
    assert len(found.rows("forms/nrs.csv")) == 2


def test_a_screen_failure_is_kept_with_its_criteria(fresh_database, jss, by, dataset):
    with seeing(jss):
        play(
            jss,
            by,
            stage="screened",
            answers={"screening_nrs": 3, "unsuitable": "yes", "unsuitable_reason": "장기 출국"},
        )
    found = dataset()
    row = found.row("participants.csv")
    assert (row["subject"], row["status"], row["failed_criteria"]) == (
        "JSS-S001",
        "failed",
        "I3;E4",
    )
    assert row["enrolled_on"] == ""
    assert found.row("forms/screening.csv")["screening_nrs"] == "3"
    assert found.rows("long.csv") == found.rows("wide.csv") == []


def test_two_studies_share_nothing_but_their_shape(
    fresh_database, jss, nda, by, tmp_path, needle_coordinator, needle_investigator
):
    with seeing(jss):
        play(jss, by)
    with seeing(nda):
        other = play(nda, actor(needle_coordinator, nda))
        allocate(participant=other, arm="DN", by=actor(needle_investigator, nda))
    needle = make([nda], tmp_path / "needle.zip")[0]
    assert [row["subject"] for row in needle.rows("participants.csv")] == [other.subject_number]
    assert "forms/session.csv" in needle.files
    assert "forms/nrs.csv" not in needle.files
    assert not any(b"uspp" in content or b"JSS" in content for content in needle.files.values())
    # The arm has a permission of its own.
    assert not any("arm" in needle.columns(name) for name in needle.files if name[-4:] == ".csv")
    assert "session_count" in needle.columns("long.csv")
    assert "odi_m3_change" in needle.columns("wide.csv")


# One moment, one sequence of bytes ----------------------------------------------------------------


@pytest.mark.requirement("G08")
def test_the_same_state_gives_the_same_bytes_and_another_state_another_key(
    fresh_database, jss, by, tmp_path
):
    with seeing(jss):
        person = play(jss, by)
        entry = fill(person, "w0", "nrs", by, pain=8)
    first, said = make([jss], tmp_path / "1.zip")
    again, said_again = make([jss], tmp_path / "2.zip")
    assert first.path.read_bytes() == again.path.read_bytes()
    assert said == said_again
    assert said.sha256 == first.sha256
    with seeing(jss):
        save_entry(entry=entry, changes={"pain": 7}, by=by)
    changed, said_now = make([jss], tmp_path / "3.zip")
    assert said_now.key != said.key
    assert changed.sha256 != first.sha256
    before, after = (each.manifest["trail"]["crf_entry"] for each in (first, changed))
    assert after["last"] > before["last"]
    assert after["rows"] == before["rows"] + 1


@pytest.mark.requirement("G08")
def test_the_manifest_names_every_file_with_rows_and_digest(fresh_database, jss, by, dataset):
    with seeing(jss):
        play(jss, by)
    found = dataset()
    manifest, files = found.manifest, found.files
    assert {each["name"] for each in manifest["files"]} == files.keys() - {"manifest.json"}
    for each in manifest["files"]:
        content = files[each["name"]]
        assert each["bytes"] == len(content)
        assert each["sha256"] == hashlib.sha256(content).hexdigest()
        if each["name"].endswith(".csv"):
            assert each["rows"] == len(found.rows(each["name"]))
            assert each["columns"] == len(found.columns(each["name"]))
    version = ProtocolVersion.objects.get(study=jss.study)
    assert manifest["protocol_versions"] == [
        {"number": 1, "label": "1.0", "sha256": version.sha256}
    ]
    assert [site["code"] for site in manifest["sites"]] == ["JSS"]
    assert manifest["trail"]["registry_participant"]["rows"] == 3  # consented, screened, enrolled
    assert manifest["builder"].startswith("2 ")


def test_no_clock_and_no_owner_is_in_the_archive(fresh_database, jss, dataset):
    with zipfile.ZipFile(dataset().path) as archive:
        for each in archive.infolist():
            assert each.date_time == (1980, 1, 1, 0, 0, 0)
            assert each.external_attr >> 16 == 0o644
            assert each.extra == b"" or each.extra[:2] == b"\x01\x00"  # sizes alone


def test_all_files_are_of_one_moment(fresh_database, jss, by, tmp_path):
    with seeing(jss):
        person = play(jss, by)
        fill(person, "w0", "nrs", by, pain=8)
    changed = []

    def meanwhile(percent):
        if not changed:  # before the first table: the snapshot is already taken
            with fresh_database.connect() as other:
                other.execute(
                    "SELECT set_config('edc.sites', %s, true), set_config('edc.actor', 'x', true)",
                    [f"{{{jss.pk}}}"],
                )
                changed.append(other.execute("UPDATE registry_participant SET age = 99").rowcount)
                other.execute("""UPDATE crf_entry SET answers = '{"pain": 0}'""")

    before = make([jss], tmp_path / "before.zip")[0]
    build(jss.study, [jss.pk], tmp_path / "during.zip", meanwhile)
    assert changed == [1]
    assert (tmp_path / "during.zip").read_bytes() == before.path.read_bytes()
    assert make([jss], tmp_path / "after.zip")[0].row("participants.csv")["age"] == "99"


def test_it_says_whether_the_sites_were_locked(fresh_database, jss, djj, tmp_path, datamanager):
    with working(datamanager, jss):
        Lock.objects.create(site=jss, locked_by=datamanager)
    one, said = make([jss], tmp_path / "1.zip")
    two, said_of_two = make([jss, djj], tmp_path / "2.zip")
    assert (said.locked, one.manifest["locked"]) == (True, True)
    assert (said_of_two.locked, two.manifest["locked"]) == (False, False)
    assert [bool(site["locked_at"]) for site in two.manifest["sites"]] == [False, True]


# The shape, from the protocol alone ---------------------------------------------------------------


def test_the_codebook_describes_every_column_of_every_file_in_both_languages(
    fresh_database, jss, dataset
):
    found = dataset()
    described = [(row["file"], row["column"]) for row in found.rows("codebook.csv")]
    there = [
        (name, column)
        for name in found.files
        if name.endswith(".csv") and name not in ("codebook.csv", "code_lists.csv")
        for column in found.columns(name)
    ]
    assert sorted(described) == sorted(there)
    for row in found.rows("codebook.csv"):
        assert row["label_ko"], row
        assert row["label_en"], row
        assert row["type"], row
    nrs = found.row("codebook.csv", file="forms/nrs.csv", column="pain")
    assert (nrs["item"], nrs["type"]) == ("pain", "code")
    assert nrs["codes_en"].startswith("0=No pain | 1=1 | ")
    index = found.row("codebook.csv", file="forms/eq5d5l.csv", column="eq5d_index")
    assert "10.1007/s11136-015-1205-2" in index["source"]
    assert "가치평가" in index["derivation_ko"]
    kcd = [row for row in found.rows("code_lists.csv") if row["list"] == "kcd"]
    assert len(kcd) > 1000


def test_column_names_suit_every_statistics_program():
    for table in tables(uspp_alone()):
        names = [column.name for column in table.columns]
        assert len(names) == len({name.lower() for name in names}), table.name
        for name in names:
            assert re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name), (table.name, name)


def test_two_versions_of_a_form_are_one_file_with_the_columns_of_both():
    (older,) = uspp_alone()
    content = json.loads(older.model_dump_json())
    items = content["instruments"]["nrs"]["sections"][0]["items"]
    items[0]["options"] = [
        *items[0]["options"][:10],
        {"code": 11, "label": {"ko": "새 응답", "en": "New answer"}},
    ]
    items.append({**items[0], "code": "pain_at_night", "kind": "integer"} | {"options": None})
    for key in ("options", "display"):
        items[-1].pop(key)
    content["protocol"]["version"] = "9.0"
    newer = type(older).from_content(content)
    (table,) = [each for each in tables([older, newer]) if each.name == "forms/nrs.csv"]
    columns = {column.name: column for column in table.columns}
    assert {"pain", "pain_at_night", "nrs"} <= columns.keys()
    assert [code for code, _label in columns["pain"].codes] == [*map(str, range(10)), "11", "10"]
    (alone,) = [each for each in tables([older]) if each.name == "forms/nrs.csv"]
    assert "pain_at_night" not in {column.name for column in alone.columns}


@pytest.mark.requirement("G11")
def test_a_dataset_tells_what_was_not_asked_from_what_is_missing(
    fresh_database, jss, by, admin, dataset, tmp_path
):
    amended = amendments.published(tmp_path)
    with seeing(jss):
        person = play(jss, by)
        fill(person, "w0", "nrs", by, pain=7)
        amendments.approved(jss, amended, actor(admin, jss))
        record_visit(visit=person.visits.get(code="w4"), on=jss.today(), by=by)
        save_entry(
            entry=person.entries.get(instrument="nrs", visit__code="w4"),
            changes={"pain": 5},
            missing={"pain_at_night": "refused"},
            by=by,
        )
    found = dataset()
    rows = {row["visit"]: row for row in found.rows("forms/nrs.csv")}
    assert rows["w0"]["pain_at_night"] == rows["w4"]["pain_at_night"] == ""
    assert rows["w0"]["pain_at_night_missing"] == "not_asked"
    assert rows["w4"]["pain_at_night_missing"] == "refused"
    assert rows["w0"]["pain_missing"] == ""
    book = {(row["file"], row["column"]): row for row in found.rows("codebook.csv")}
    new, old = book["forms/nrs.csv", "pain_at_night"], book["forms/nrs.csv", "pain"]
    label = uspp_alone()[0].protocol.version
    assert (new["since_version"], new["until_version"]) == ("2.0", "")
    assert (old["since_version"], old["until_version"]) == (label, "")
    assert "not_asked=" in book["forms/nrs.csv", "pain_at_night_missing"]["codes_en"]


def test_an_item_named_like_a_column_of_the_registry_gets_another_name():
    (older,) = uspp_alone()
    content = json.loads(older.model_dump_json())
    content["instruments"]["nrs"]["sections"][0]["items"].append(
        {"kind": "integer", "code": "protocol", "label": {"ko": "가", "en": "a"}}
    )
    changed = type(older).from_content(content)
    (table,) = [each for each in tables([changed]) if each.name == "forms/nrs.csv"]
    column = next(each for each in table.columns if each.item == "protocol")
    assert column.name == "protocol_2"
    assert any(row[1:3] == ("protocol_2", "protocol") for row in codebook([table]))


# The command --------------------------------------------------------------------------------------


def test_the_command_writes_the_same_file_as_the_job(fresh_database, jss, by, tmp_path):
    with seeing(jss):
        play(jss, by)
    said = StringIO()
    call_command("export", study="uspp", out=tmp_path, sites=["JSS"], stdout=said)
    same = make([jss], tmp_path / "same.zip")[0]
    assert (tmp_path / "uspp.zip").read_bytes() == same.path.read_bytes()
    assert same.sha256 in said.getvalue()
    call_command("export", study="uspp", out=tmp_path, stdout=said)  # once more, over the first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["same.zip", "uspp.zip"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"study": "none"}, "no study"), ({"study": "uspp", "sites": ["XYZ"]}, "no site XYZ")],
)
def test_the_command_says_what_it_does_not_know(db, tmp_path, options, sentence):
    with pytest.raises(CommandError, match=sentence):
        call_command("export", out=tmp_path, **options)


def test_an_ended_participant_is_in_it_with_the_reason(fresh_database, jss, by, dataset):
    with seeing(jss):
        person = play(jss, by)
        end_study(participant=person, on=jss.today(), end_reason="lost", note="전화 불통", by=by)
    row = dataset().row("participants.csv")
    assert (row["status"], row["end_reason"], row["end_note"]) == ("ended", "lost", "전화 불통")
    assert {row["status"] for row in dataset(name="2.zip").rows("visits.csv")} == {
        "held",
        "cancelled",
    }
