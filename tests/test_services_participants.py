"""From consent to the end of the study: what the services do, and what they refuse and why."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import connections
from django.utils.translation import gettext

from crf.models import Entry
from crf.services import complete, save_entry
from registry import identity
from registry.models import (
    Consent,
    Counter,
    Identity,
    Participant,
    PersonKey,
    Prescreen,
    SiteApproval,
    Visit,
)
from registry.services import (
    Changes,
    ConsentGiven,
    NewParticipant,
    add_consent,
    add_visit,
    allocate,
    assess,
    change_drivers,
    consent,
    end_study,
    enrol,
    impact,
    mark_missed,
    prescreen,
    protocol_of,
    record_visit,
    screen,
    version_at,
    void_consent,
    void_participant,
    void_visit,
    withdraw,
)
from registry.services.participants import person_of
from sites.access import Refused
from sites.audit import Actor
from sites.models import Site, User
from tests.cast import actor, seeing
from tests.story import ELIGIBLE, play

DAY = dt.timedelta(days=1)
HONG = NewParticipant("홍길동", dt.date(1980, 5, 5), "female", "A-100", "010-1234-5678")


@pytest.fixture
def by(coordinator: User, jss: Site) -> Iterator[Actor]:
    with seeing(jss):
        yield actor(coordinator, jss)


@pytest.fixture
def needle_by(needle_coordinator: User, nda: Site) -> Iterator[Actor]:
    with seeing(nda):
        yield actor(needle_coordinator, nda)


def given(site: Site, on: dt.date | None = None, **answers: bool) -> list[ConsentGiven]:
    """Every consent of the study, signed on a day; `answers` kind → given or declined."""
    day = on or site.today()
    return [
        ConsentGiven(each.kind, form.version, answers.get(each.kind, True), day, "이정훈")
        for each in protocol_of(version_at(site)).consents
        if (form := each.valid_on(day))
    ]


def refused(act: Callable[..., Any], **told: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        act(**told)
    return caught.value


def used(site: Site | None, name: str, study: Any = None) -> int:
    return Counter.objects.get(study=study or site.study, site=site, name=name).used


# Consent -----------------------------------------------------------------------------------------


@pytest.mark.requirement("P06")
def test_consent_makes_the_participant_and_nothing_is_kept_without_it(by, jss):
    said = refused(consent, site=jss, person=HONG, consents=given(jss, study=False), by=by)
    assert said.field == "study_given"
    said = refused(consent, site=jss, person=HONG, consents=given(jss)[1:], by=by)
    assert said.field == "study_given"
    assert not Participant.objects.exists()
    assert not Identity.objects.exists()
    assert used(jss, "screening") == 0
    person = consent(site=jss, person=HONG, consents=given(jss, sharing=False), by=by).participant
    assert (person.screening_number, person.subject_number) == ("JSS-S001", None)
    assert person.state == "consented"
    assert {c.kind: c.given for c in person.consents.all()} == {"study": True, "sharing": False}
    assert not person.visits.exists()


@pytest.mark.requirement("D01")
def test_who_it_is_stands_encrypted_apart(by, jss):
    person = consent(site=jss, person=HONG, consents=given(jss), by=by).participant
    kept = Identity.objects.get(participant=person)
    stored = [kept.name, kept.birth_date, kept.chart_number, kept.contact, kept.chart_digest]
    assert not any(secret in "".join(stored) for secret in ("홍길동", "1980", "A-100", "010"))
    assert person_of(person) == HONG
    assert (person.birth_year, person.sex) == (1980, "female")
    assert kept.chart_digest == identity.chart_digest(jss.pk, "ａ１００")  # as it may be typed


def test_a_consent_date_in_the_future_or_before_its_form_is_refused(by, jss):
    tomorrow = [replace(each, signed_on=jss.today() + DAY) for each in given(jss)]
    assert refused(consent, site=jss, person=HONG, consents=tomorrow, by=by).field == (
        "study_signed_on"
    )
    early = [replace(each, signed_on=dt.date(2025, 12, 31)) for each in given(jss)]
    assert refused(consent, site=jss, person=HONG, consents=early, by=by).field == (
        "study_form_version"
    )
    unknown = [replace(each, form_version="9.9") for each in given(jss)]
    assert refused(consent, site=jss, person=HONG, consents=unknown, by=by).field == (
        "study_form_version"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("birth_date", dt.date(2999, 1, 1)),
        ("birth_date", dt.date(1899, 12, 31)),
        ("name", "홍길동 800505-2234567"),
        ("chart_number", "8005052234567"),
        ("contact", "８００５０５－２２３４５６７"),
    ],
)
@pytest.mark.requirement("K06")
def test_an_impossible_birth_date_and_resident_numbers_are_refused(by, jss, field, value):
    person = replace(HONG, **{field: value})
    assert refused(consent, site=jss, person=person, consents=given(jss), by=by).field == field
    assert not Participant.objects.exists()


def test_who_was_born_on_29_february_is_a_year_older_on_1_march(by, jss):
    leap = replace(HONG, birth_date=dt.date(2000, 2, 29))
    for day, age in ((dt.date(2026, 2, 28), 25), (dt.date(2026, 3, 1), 26)):
        made = consent(site=jss, person=leap, consents=given(jss, day), by=by).participant
        assert made.age == age


def test_the_same_person_in_the_study_is_noticed_without_saying_where(by, jss, djj, coordinator2):
    assert not consent(site=jss, person=HONG, consents=given(jss), by=by).seen_before
    again = replace(HONG, name="홍 길동", chart_number="Z-9")
    with seeing(djj):
        there = actor(coordinator2, djj)
        made = consent(site=djj, person=again, consents=given(djj), by=there)
        assert made.seen_before
        void_participant(participant=made.participant, reason="참여 중인 사람", by=there)
    assert PersonKey.objects.get().participants == 1
    other = replace(HONG, birth_date=dt.date(1981, 5, 5))
    assert not consent(site=jss, person=other, consents=given(jss), by=by).seen_before


def test_a_further_consent_is_recorded_once_per_version_and_can_be_void(by, jss):
    person = consent(site=jss, person=HONG, consents=given(jss)[:1], by=by).participant
    sharing = given(jss)[1]
    made = add_consent(participant=person, given=sharing, by=by)
    assert refused(add_consent, participant=person, given=sharing, by=by).field == "form_version"
    assert refused(void_consent, consent=made, reason=" ", by=by).field == "reason"
    void_consent(consent=made, reason="다른 대상자의 서식", by=by)
    add_consent(participant=person, given=replace(sharing, given=False), by=by)
    assert [c.given for c in Consent.objects.filter(kind="sharing", voided_at=None)] == [False]
    assert Consent.objects.filter(kind="sharing").count() == 2


def test_before_consent_only_a_day_and_a_reason_are_kept(by, jss):
    prescreen(site=jss, on=jss.today(), reason="no_time", by=by)
    assert refused(prescreen, site=jss, on=jss.today(), reason="x", by=by).field == "reason"
    tomorrow = jss.today() + DAY
    assert refused(prescreen, site=jss, on=tomorrow, reason="no_time", by=by).field == "on"
    kept = {field.name for field in Prescreen._meta.concrete_fields}
    assert kept == {"id", "site", "on", "reason"}
    assert Prescreen.objects.count() == 1


@pytest.mark.requirement("G12")
def test_a_site_without_approval_records_nothing(by, jss):
    before = SiteApproval.objects.get(site=jss).approved_on - DAY
    assert "IRB" in str(refused(version_at, site=jss, on=before))


# Screening and enrolment -------------------------------------------------------------------------


def test_enrolment_needs_a_passed_screening(by, jss):
    person = play(jss, by, stage="consented")
    refused(enrol, participant=person, by=by)
    screened = play(jss, by, stage="screened")
    assert refused(enrol, participant=screened, on=jss.today() + DAY, by=by).field == "on"
    before_consent = screened.consented_on - DAY
    assert refused(enrol, participant=screened, on=before_consent, by=by).field == "on"
    assert used(jss, "subject") == used(None, "enrolled", jss.study) == 0
    enrolled = enrol(participant=screened, by=by)
    assert (enrolled.subject_number, enrolled.enrolled_on) == ("JSS-001", jss.today())
    refused(enrol, participant=enrolled, by=by)
    refused(screen, participant=enrolled, failed=[], cohort="cervical", by=by)


def test_enrolment_makes_every_visit_and_form_that_is_due(by, jss):
    person = play(jss, by, stage="enrolled", days_ago=0)
    today = jss.today()
    planned = [(v.code, (v.due_on - today).days, (v.closes_on - v.opens_on).days)
               for v in person.visits.order_by("day")]  # fmt: skip
    assert planned == [("w0", 0, 0), ("w1", 7, 6), ("w2", 14, 6), ("w4", 28, 14), ("w8", 56, 28)]
    forms = Entry.objects.filter(participant=person, visit__code="w4")
    assert set(forms.values_list("instrument", flat=True)) == {
        "nrs", "ndi", "eq5d5l", "satisfaction", "concurrent", "ae_check",
    }  # fmt: skip
    assert not Entry.objects.filter(participant=person, instrument="odi").exists()


def test_a_screen_failure_is_kept_with_its_reasons_and_takes_no_number(by, jss):
    person = play(
        jss,
        by,
        stage="screened",
        answers={"screening_nrs": 4, "severe_disease": "yes", "severe_disease_name": "암"},
    )
    assert person.state == "failed"
    assert set(person.failed_criteria) == {"I3", "E3"}
    refused(enrol, participant=person, by=by)
    assert used(jss, "subject") == 0
    # A form filled in wrongly may be decided anew.
    screen(participant=person, failed=[], cohort="cervical", reason="NRS 정정", by=by)
    assert enrol(participant=person, by=by).subject_number == "JSS-001"


@pytest.mark.parametrize(
    ("answers", "not_allowed"),
    [
        ({}, set()),
        ({"diagnosis": "G43.9"}, {"I2"}),
        ({"diagnosis": "S13.4"}, set()),
        ({"region": "neither"}, {"I3"}),
        ({"screening_nrs": 5}, set()),
        ({"procedure_planned": "no"}, {"I4"}),
        ({"consent_difficulty": "yes"}, {"E1"}),
        ({"pregnancy": "yes"}, {"E2"}),
        ({"unsuitable": "yes"}, {"E4"}),
    ],
)
def test_each_criterion_of_the_record_decides(by, jss, answers, not_allowed):
    person = play(jss, by, stage="consented")
    verdict = assess(protocol_of(person.version), ELIGIBLE["uspp"] | answers, person)
    assert {code for code, allows in verdict.items() if not allows} == not_allowed


@pytest.mark.parametrize(
    ("age_on_consent", "allowed"), [(18, False), (19, True), (69, True), (70, False)]
)
def test_age_at_consent_decides_from_19_to_under_70(by, jss, age_on_consent, allowed):
    today = jss.today()
    born = dt.date(today.year - age_on_consent, 1, 1)
    person = replace(HONG, birth_date=born)
    made = consent(site=jss, person=person, consents=given(jss), by=by).participant
    assert made.age == age_on_consent
    assert assess(protocol_of(made.version), ELIGIBLE["uspp"], made)["I1"] is allowed


def test_an_unanswered_criterion_neither_admits_nor_excludes(by, jss):
    person = play(jss, by, stage="consented")
    verdict = assess(protocol_of(person.version), {"screening_nrs": 7}, person)
    assert verdict["I1"] is True
    assert verdict["I2"] is verdict["E3"] is None


def test_a_man_is_not_asked_about_pregnancy(by, jss):
    person = play(jss, by, stage="consented", sex="male")
    answers = {key: value for key, value in ELIGIBLE["uspp"].items() if key != "pregnancy"}
    assert all(assess(protocol_of(person.version), answers, person).values())


# Numbers and the cap -----------------------------------------------------------------------------


def test_numbers_have_no_gap_and_each_site_its_own(by, jss, djj, coordinator2):
    numbers = [play(jss, by, stage="enrolled").subject_number for _ in range(2)]
    refused(consent, site=jss, person=HONG, consents=[], by=by)
    play(jss, by, stage="screened", answers={"screening_nrs": 0})
    numbers.append(play(jss, by, stage="enrolled").subject_number)
    assert numbers == ["JSS-001", "JSS-002", "JSS-003"]
    screening = Participant.objects.filter(site=jss).order_by("pk")
    assert [p.screening_number for p in screening] == [f"JSS-S00{n}" for n in (1, 2, 3, 4)]
    with seeing(djj):
        there = play(djj, actor(coordinator2, djj), stage="enrolled")
    assert (there.screening_number, there.subject_number) == ("DJJ-S001", "DJJ-001")
    assert used(None, "enrolled", jss.study) == 4


def test_the_cap_of_a_site_holds_before_the_study_is_full(needle_by, nda):
    Counter.objects.filter(site=nda, name="enrolled").update(used=12)
    Counter.objects.filter(study=nda.study, site=None, name="enrolled").update(used=12)
    person = play(nda, needle_by, stage="screened")
    said = gettext("This site has enrolled all of its participants.")
    assert str(refused(enrol, participant=person, by=needle_by)) == said
    assert used(None, "enrolled", nda.study) == 12
    assert used(nda, "subject") == 0


def _at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    """Run every act in a thread and a connection of its own, all starting together."""
    results: list[Any] = [None] * len(acts)
    gate = threading.Barrier(len(acts))

    def run(place: int, act: Callable[[], Any]) -> None:
        try:
            gate.wait(60)
            results[place] = act()
        except Exception as error:
            results[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def _enrolling(person: Participant, site: Site, by: Actor) -> Callable[[], str | None]:
    def act() -> str | None:
        with seeing(site):
            found = Participant.objects.select_related("site__study").get(pk=person.pk)
            return enrol(participant=found, by=by).subject_number

    return act


@pytest.mark.requirement("S03")
def test_fifty_clients_at_six_sites_share_the_last_place_of_600(
    fresh_database, uspp, coordinator, django_db_blocker
):
    sites = list(uspp.sites.all())
    by = Actor(f"user:{coordinator.pk}", coordinator.pk, {s.pk: "coordinator" for s in sites})
    waiting = []
    for n in range(50):
        site = sites[n % len(sites)]
        with seeing(site):
            waiting.append((play(site, by, stage="screened"), site))
    Counter.objects.filter(study=uspp, site=None, name="enrolled").update(used=599)
    results = _at_once([_enrolling(person, site, by) for person, site in waiting])
    refusals = [each for each in results if isinstance(each, Refused)]
    numbers = [each for each in results if isinstance(each, str)]
    assert len(refusals) == 49, [each for each in results if not isinstance(each, Refused)]
    assert {str(each) for each in refusals} == {
        gettext("The study has enrolled all of its participants.")
    }
    assert len(numbers) == 1
    assert used(None, "enrolled", uspp) == 600
    with seeing(*sites):
        assert Participant.objects.enrolled().count() == 1
        assert Participant.objects.enrolled().get().subject_number == numbers[0]
        assert Visit.objects.count() == 5  # a refused enrolment leaves nothing behind
    assert sum(used(site, "subject") for site in sites) == 1


def test_twenty_at_once_get_twenty_numbers_without_a_gap(fresh_database, jss, coordinator):
    by = actor(coordinator, jss)
    with seeing(jss):
        waiting = [play(jss, by, stage="screened") for _ in range(20)]
    numbers = _at_once([_enrolling(person, jss, by) for person in waiting])
    assert sorted(numbers) == [f"JSS-{n:03}" for n in range(1, 21)]
    assert used(None, "enrolled", jss.study) == used(jss, "enrolled") == 20


def test_a_void_participant_gives_the_place_back_but_not_the_number(by, jss):
    person = play(jss, by, stage="enrolled")
    Counter.objects.filter(study=jss.study, site=None, name="enrolled").update(used=600)
    waiting = play(jss, by, stage="screened")
    refused(enrol, participant=waiting, by=by)
    assert refused(void_participant, participant=person, reason="", by=by).field == "reason"
    void_participant(participant=person, reason="중복 등록", by=by)
    refused(void_participant, participant=person, reason="again", by=by)
    assert used(None, "enrolled", jss.study) == 599
    assert enrol(participant=waiting, by=by).subject_number == "JSS-002"
    person.refresh_from_db()
    assert (person.state, person.subject_number) == ("void", "JSS-001")
    assert not Participant.objects.valid().filter(pk=person.pk).exists()


# Visits ------------------------------------------------------------------------------------------


def visit_of(person: Participant, code: str) -> Visit:
    return person.visits.valid().get(code=code)


def test_a_visit_lies_between_consent_and_today(by, jss):
    person = play(jss, by, stage="enrolled", days_ago=10)
    first = visit_of(person, "w0")
    told = {"out_of_window_reason": "휴가", "by": by}
    said = refused(record_visit, visit=first, on=person.consented_on - DAY, **told)
    assert (said.field, str(person.consented_on) in str(said)) == ("happened_on", True)
    assert refused(record_visit, visit=first, on=jss.today() + DAY, **told).field == "happened_on"
    assert record_visit(visit=first, on=person.consented_on, by=by).happened_on


def test_a_visit_outside_its_window_needs_a_reason(by, jss):
    person = play(jss, by, stage="begun", days_ago=20)
    week1 = visit_of(person, "w1")
    late = week1.closes_on + DAY
    assert refused(record_visit, visit=week1, on=late, by=by).field == "out_of_window_reason"
    assert record_visit(visit=week1, on=week1.closes_on, by=by).out_of_window_reason == ""
    record_visit(visit=week1, on=late, out_of_window_reason="대상자 출장", reason="정정", by=by)
    assert week1.out_of_window_reason == "대상자 출장"


def test_correcting_a_date_needs_a_reason_once_a_form_is_complete(by, jss):
    person = play(jss, by, stage="begun", days_ago=20)
    week1 = record_visit(visit=visit_of(person, "w1"), on=jss.today() - 13 * DAY, by=by)
    record_visit(visit=week1, on=jss.today() - 12 * DAY, by=by)
    form = week1.entries.get(instrument="nrs")
    save_entry(entry=form, changes={"pain": 4}, by=by)
    form.refresh_from_db()
    complete(entry=form, by=by)
    assert refused(record_visit, visit=week1, on=jss.today() - 13 * DAY, by=by).field == "reason"
    record_visit(visit=week1, on=jss.today() - 13 * DAY, reason="오기", by=by)
    assert week1.history.first().history_change_reason == "오기"


def test_a_missed_visit_needs_a_reason_and_can_still_take_place(by, jss):
    person = play(jss, by, stage="begun", days_ago=20)
    week1 = visit_of(person, "w1")
    assert refused(mark_missed, visit=week1, reason=" ", by=by).field == "missed_reason"
    mark_missed(visit=week1, reason="연락되지 않음", by=by)
    refused(save_entry, entry=week1.entries.get(instrument="nrs"), changes={"pain": 3}, by=by)
    refused(mark_missed, visit=week1, reason="again", by=by)
    held = record_visit(visit=week1, on=week1.due_on, by=by)
    assert (held.missed_at, held.missed_reason) == (None, "")
    refused(mark_missed, visit=held, reason="held", by=by)


def test_a_void_planned_visit_is_due_anew_and_its_forms_are_kept(by, jss):
    person = play(jss, by, stage="begun", days_ago=20)
    first = visit_of(person, "w0")
    save_entry(entry=first.entries.get(instrument="nrs"), changes={"pain": 8}, by=by)
    assert refused(void_visit, visit=first, reason="", by=by).field == "reason"
    void_visit(visit=first, reason="다른 대상자의 방문", by=by)
    refused(void_visit, visit=first, reason="again", by=by)
    again = visit_of(person, "w0")
    assert (again.happened_on, again.due_on) == (None, first.due_on)
    assert again.entries.count() == first.entries.count() == 6
    assert first.entries.get(instrument="nrs").answers == {"pain": 8}
    assert all(entry.voided_at for entry in first.entries.all())


def test_an_unscheduled_visit_has_the_forms_of_the_protocol(by, jss, nda, needle_coordinator):
    person = play(jss, by, stage="begun", days_ago=20)
    assert refused(add_visit, participant=person, on=jss.today() + DAY, by=by).field == (
        "happened_on"
    )
    one, two = (add_visit(participant=person, on=jss.today(), by=by) for _ in range(2))
    assert (one.number, two.number, one.day) == (1, 2, 20)
    assert set(two.entries.values_list("instrument", flat=True)) == {
        "nrs", "concurrent", "ae_check",
    }  # fmt: skip
    with seeing(nda):
        there = actor(needle_coordinator, nda)
        other = play(nda, there, stage="enrolled")
        refused(add_visit, participant=other, on=nda.today(), by=there)


# Leaving -----------------------------------------------------------------------------------------


def test_the_end_of_the_study_stops_what_is_due_and_keeps_what_was_entered(by, jss):
    person = play(jss, by, stage="begun", days_ago=20)
    today = jss.today()
    told = {"participant": person, "by": by}
    assert refused(end_study, on=today, end_reason="x", **told).field == "end_reason"
    assert refused(end_study, on=today + DAY, end_reason="lost", **told).field == "on"
    end_study(on=today, end_reason="lost", note="전화 3회", **told)
    assert person.state == "ended"
    assert not person.visits.open().exists()
    assert visit_of(person, "w0").happened_on
    expected = Entry.objects.incomplete().filter(participant=person)
    assert set(expected.values_list("visit__code", flat=True)) == {"w0"}  # held: still to enter
    refused(end_study, on=today, end_reason="completed", **told)
    refused(add_visit, participant=person, on=today, by=by)


@pytest.mark.parametrize(
    ("scope", "still_expected"), [("visits", False), ("use", False), ("sharing", True)]
)
def test_a_withdrawal_has_scope_date_and_person(by, jss, scope, still_expected):
    person = play(jss, by, stage="begun", days_ago=20)
    told = {"participant": person, "scope": scope, "taken_by": "김은지", "by": by}
    assert refused(withdraw, on=jss.today() + DAY, **told).field == "withdrawn_on"
    assert refused(withdraw, on=person.consented_on - DAY, **told).field == "withdrawn_on"
    made = withdraw(on=jss.today(), **told)
    assert (made.scope, made.taken_by, made.withdrawn_on) == (scope, "김은지", jss.today())
    assert person.visits.open().exists() is still_expected
    assert refused(withdraw, on=jss.today(), **told).field == "scope"


def test_who_withdrew_is_not_enrolled(by, jss):
    person = play(jss, by, stage="screened")
    withdraw(participant=person, scope="visits", on=jss.today(), taken_by="김은지", by=by)
    refused(enrol, participant=person, by=by)


# Drivers -----------------------------------------------------------------------------------------


def test_another_region_shows_and_then_changes_what_is_due_and_deletes_nothing(by, jss):
    person = play(jss, by, stage="begun", days_ago=20)
    ndi = visit_of(person, "w0").entries.get(instrument="ndi")
    save_entry(entry=ndi, changes={"ndi_01": 2}, by=by)
    found = impact(person, Changes(cohort="lumbar"))
    assert {code for _visit, code in found.due} == {"odi"}
    gone = {(visit.code, code): data for visit, code, data in found.no_longer_due}
    assert gone == {(w, "ndi"): w == "w0" for w in ("w0", "w1", "w2", "w4", "w8")}
    person.refresh_from_db()
    assert person.cohort == "cervical"
    assert Entry.objects.filter(participant=person, instrument="odi").count() == 0
    told = {"participant": person, "changes": Changes(cohort="lumbar"), "by": by}
    assert refused(change_drivers, reason=" ", **told).field == "reason"
    change_drivers(reason="원자료 확인", **told)
    ndi.refresh_from_db()
    assert ndi.answers == {"ndi_01": 2}
    assert ndi.cancelled_at
    assert (
        Entry.objects.filter(participant=person, instrument="odi", cancelled_at=None).count() == 5
    )
    person.refresh_from_db()
    change_drivers(participant=person, changes=Changes(cohort="cervical"), reason="복원", by=by)
    ndi.refresh_from_db()
    assert (ndi.cancelled_at, ndi.answers) == (None, {"ndi_01": 2})


def test_another_birth_date_shows_who_is_no_longer_eligible(by, jss):
    person = play(jss, by, stage="begun", days_ago=20)
    child = Changes(birth_date=dt.date(jss.today().year - 10, 1, 1))
    assert impact(person, child).ineligible == ["I1"]
    future = Changes(birth_date=jss.today() + DAY)
    told = {"participant": person, "reason": "정정", "by": by}
    assert refused(change_drivers, changes=future, **told).field == "birth_date"
    after = change_drivers(changes=Changes(birth_date=dt.date(1979, 1, 2)), **told)
    assert (after.birth_year, person_of(after).birth_date) == (1979, dt.date(1979, 1, 2))
    assert after.age == identity.age_on(dt.date(1979, 1, 2), after.consented_on)


def test_a_later_consent_date_shows_the_visits_before_it(by, jss):
    person = play(jss, by, stage="begun", days_ago=20)
    later = Changes(consented_on=jss.today() - 19 * DAY)
    assert [visit.code for visit in impact(person, later).before_consent] == ["w0"]
    tomorrow = Changes(consented_on=jss.today() + DAY)
    told = {"participant": person, "reason": "정정", "by": by}
    assert refused(change_drivers, changes=tomorrow, **told).field == "consented_on"
    after = change_drivers(changes=later, **told)
    signed = after.consents.get(kind="study").signed_on
    assert (after.consented_on, signed) == (later.consented_on, later.consented_on)


def test_a_group_that_the_protocol_does_not_know_is_refused(by, jss, nda, needle_coordinator):
    person = play(jss, by, stage="enrolled")
    told = {"reason": "정정", "by": by}
    changes = Changes(cohort="thoracic")
    assert refused(change_drivers, participant=person, changes=changes, **told).field == "cohort"
    with seeing(nda):
        there = actor(needle_coordinator, nda)
        told = {"participant": play(nda, there, stage="enrolled"), "reason": "정정", "by": there}
        changes = Changes(cohort="cervical")
        assert refused(change_drivers, changes=changes, **told).field == "cohort"


# Arms --------------------------------------------------------------------------------------------


def test_an_arm_is_given_once_and_makes_its_forms_due(needle_by, nda):
    person = play(nda, needle_by, stage="enrolled")
    month1 = visit_of(person, "m1")
    assert "fear_avoidance" not in set(month1.entries.values_list("instrument", flat=True))
    assert refused(allocate, participant=person, arm="XX", by=needle_by).field == "arm"
    allocate(participant=person, arm="DN", by=needle_by)
    assert "fear_avoidance" in set(month1.entries.values_list("instrument", flat=True))
    refused(allocate, participant=person, arm="INF", by=needle_by)
    screened = play(nda, needle_by, stage="screened")
    refused(allocate, participant=screened, arm="DN", by=needle_by)


def test_a_study_without_arms_allocates_nobody(by, jss):
    person = play(jss, by, stage="enrolled")
    assert refused(allocate, participant=person, arm="DN", by=by).field == "arm"
