"""Participants answer themselves: what is handed over, what they reach, and who said what."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone, translation

from crf.asked import answerable, questions_of
from crf.history import entry_changes, participant_changes
from crf.instrument import Broken, load
from crf.models import Entry, Handover, Lock
from crf.services import complete, handovers, save_entry
from registry.models import Participant, Visit
from registry.services import end_study, mark_missed, record_visit, withdraw
from registry.views import patient
from sites.access import Refused, system
from sites.audit import Actor, acting
from sites.models import AccessLog, SecurityEvent, Site, User
from tests.cast import STUDIES, actor, seeing
from tests.handed import (
    FOLLOW_UP,
    again,
    english,
    entry_of,
    give,
    text,
    visit_of,
    with_code,
    with_link,
)

DAY = dt.timedelta(days=1)


@pytest.fixture
def person(participant: Callable[..., Participant], jss: Site) -> Participant:
    """Week 4 was planned two days ago; its window is open for five days more."""
    return participant(jss, days_ago=30)


@pytest.fixture
def visit(person: Participant) -> Visit:
    return visit_of(person)


@pytest.fixture
def by(coordinator: User, jss: Site) -> Actor:
    return actor(coordinator, jss)


# What can be handed over --------------------------------------------------------------------------


def test_the_protocol_says_what_a_participant_may_answer(visit, jss):
    with seeing(jss):
        assert [entry.instrument for entry in answerable(visit)] == FOLLOW_UP


def test_a_form_for_participants_has_no_code_lists_and_no_groups(tmp_path):
    folder = tmp_path / "uspp"
    (folder / "instruments").mkdir(parents=True)
    shared = STUDIES["uspp"]
    (folder / "protocol.yaml").write_text((shared / "protocol.yaml").read_text())
    screening = (shared / "instruments" / "screening.yaml").read_text()
    (folder / "instruments" / "screening.yaml").write_text(f"{screening}\npatient: {{}}\n")
    with pytest.raises(Broken, match="has no groups and no code lists"):
        load(folder)


def test_a_form_that_is_complete_or_of_the_site_is_not_handed_over(visit, by, jss):
    with seeing(jss):
        record_visit(visit=visit, on=jss.today(), by=by)
        nrs = visit.entries.get(instrument="nrs")
        save_entry(entry=nrs, changes={"pain": 3}, by=by)
        complete(entry=nrs, by=by)
        for codes in (["nrs"], ["concurrent"], []):
            with pytest.raises(Refused, match="서식"):
                handovers.hand_over(visit=visit, instruments=codes, way="tablet", by=by)


@pytest.mark.parametrize("gone", ["early", "late", "missed", "ended", "withdrew"])
def test_nothing_is_handed_over_of_a_visit_that_nobody_waits_for(person, by, jss, gone):
    visit = visit_of(person, {"early": "w8", "late": "w1"}.get(gone, "w4"))
    with seeing(jss):
        if gone == "missed":
            mark_missed(visit=visit, reason="이사", by=by)
        if gone == "ended":
            end_study(participant=person, on=jss.today(), end_reason="lost", by=by)
        if gone == "withdrew":
            withdraw(participant=person, scope="use", on=jss.today(), taken_by="김", by=by)
        visit = Visit.objects.select_related("participant__site").get(pk=visit.pk)
        if gone == "early":
            visit.opens_on = jss.today() + DAY
        with pytest.raises(Refused):
            handovers.hand_over(visit=visit, instruments=["nrs"], way="tablet", by=by)


def test_a_visit_that_was_held_late_gets_a_code_but_no_link(person, by, jss):
    visit = visit_of(person, "w1")
    with seeing(jss):
        record_visit(visit=visit, on=jss.today(), out_of_window_reason="휴가", by=by)
        handovers.hand_over(visit=visit, instruments=["nrs"], way="tablet", by=by)
        with pytest.raises(Refused, match="링크"):
            handovers.hand_over(visit=visit, instruments=["nrs"], way="link", by=by)


# A code on a tablet -------------------------------------------------------------------------------


@pytest.mark.requirement("E11")
def test_a_participant_answers_on_a_tablet_and_staff_complete_the_form(visit, by, jss, as_):
    handed, code = give(visit, by)
    tablet = with_code(f"{code[:4]}-{code[4:]}")
    page = tablet.get("/p/question/1/")
    assert "checked" not in text(page)
    assert page["Cache-Control"].count("no-store") == 1
    assert tablet.post("/p/question/1/", {"pain": "4", "then": "next"}).url == "/p/review/"
    assert "checked" in text(tablet.get("/p/question/1/"))
    assert tablet.post("/p/review/").url == "/p/done/"
    assert "Thank you" in text(tablet.get("/p/done/"))
    entry = entry_of(visit)
    assert (entry.answers, entry.meta) == ({"pain": 4}, {"pain": {"source": "patient"}})
    assert entry.completed_at is None
    assert again(handed, jss).state == "submitted"


def test_the_answers_of_the_hospital_are_not_shown_and_nothing_is_chosen(visit, by, jss):
    with seeing(jss):
        record_visit(visit=visit, on=jss.today(), by=by)
        save_entry(entry=entry_of(visit), changes={"pain": 9}, by=by)
    _handed, code = give(visit, by)
    assert "checked" not in text(with_code(code).get("/p/question/1/"))


def test_next_without_an_answer_says_so_and_back_keeps_what_was_chosen(visit, by):
    _handed, code = give(visit, by, *FOLLOW_UP)
    tablet = with_code(code)
    page = tablet.post("/p/question/1/", {"then": "next"})
    assert page.status_code == 422
    assert "Please choose an answer." in text(page)
    tablet.post("/p/question/1/", {"pain": "4", "then": "next"})
    assert tablet.post("/p/question/2/", {"ndi_01": "3", "then": "back"}).url == "/p/question/1/"
    assert 'value="3" checked' in text(tablet.get("/p/question/2/"))
    assert tablet.post("/p/question/1/", {"then": "back"}).url == "/p/start/"


def test_to_prefer_not_to_answer_is_offered_where_the_protocol_allows_it(visit, by):
    _handed, code = give(visit, by, "nrs", "ndi")
    tablet = with_code(code)
    assert "prefer not" not in text(tablet.get("/p/question/1/"))
    assert tablet.post("/p/question/1/", {"pain": "decline"}).status_code == 422
    assert tablet.post("/p/question/1/", {"pain": "5", "decline": "decline"}).status_code == 302
    assert "prefer not" in text(tablet.get("/p/question/2/"))
    tablet.post("/p/question/2/", {"ndi_01": "decline", "then": "next"})
    meta = entry_of(visit, "ndi").meta
    assert meta == {"ndi_01": {"missing": "refused", "source": "patient"}}
    assert "I prefer not to answer" in text(tablet.get("/p/review/"))
    tablet.post("/p/question/2/", {"ndi_01": "2", "then": "next"})
    assert entry_of(visit, "ndi").answers == {"ndi_01": 2}


def test_forms_are_sent_only_when_nothing_is_open(visit, by, jss):
    handed, code = give(visit, by, "nrs", "eq5d5l")
    tablet = with_code(code)
    assert "Answer what is open" in text(tablet.get("/p/review/"))
    assert tablet.post("/p/review/").status_code == 422
    tablet.post("/p/question/1/", {"pain": "4"})
    for number, item in enumerate(
        ("mobility", "self_care", "usual_activities", "pain_discomfort", "anxiety_depression"), 2
    ):
        tablet.post(f"/p/question/{number}/", {item: "1"})
    # A number that can't be is refused; the EQ VAS may stay empty, and be emptied again.
    assert tablet.post("/p/question/7/", {"eq_vas": "101"}).status_code == 422
    assert tablet.post("/p/question/7/", {"eq_vas": "80"}).status_code == 302
    assert tablet.post("/p/question/7/", {"eq_vas": ""}).status_code == 302
    assert "eq_vas" not in entry_of(visit, "eq5d5l").answers
    assert tablet.post("/p/review/").status_code == 302
    assert again(handed, jss).submitted_at


def test_a_change_from_the_review_leads_back_to_it(visit, by):
    _handed, code = give(visit, by, "nrs")
    tablet = with_code(code)
    tablet.post("/p/question/1/", {"pain": "4"})
    assert 'name="review"' in text(tablet.get("/p/question/1/?review"))
    assert tablet.post("/p/question/1/", {"pain": "6", "review": "1"}).url == "/p/review/"
    assert tablet.get("/p/question/99/").url == "/p/review/"


@pytest.mark.requirement("S02")
def test_the_session_reaches_its_own_forms_and_nothing_else(visit, by):
    _handed, code = give(visit, by, "nrs")
    tablet = with_code(code)
    tablet.post("/p/question/1/", {"pain": "4", "ndi_01": "3", "instrument": "ndi"})
    assert entry_of(visit, "ndi").answers == {}
    for path in ("/", "/uspp/", f"/uspp/entries/{entry_of(visit).pk}/"):
        assert "/account/login/" in tablet.get(path).url
    assert tablet.put("/p/question/1/").status_code == 405


def test_no_screen_names_the_participant(visit, by, person):
    _handed, code = give(visit, by, *FOLLOW_UP)
    tablet = with_code(code)
    for path in ("/p/start/", "/p/question/1/", "/p/review/"):
        shown = text(tablet.get(path))
        assert "홍길동" not in shown
        assert person.number not in shown
        assert str(person.birth_year) not in shown


def test_a_code_opens_once_and_only_for_a_while(visit, by, jss):
    handed, code = give(visit, by)
    with_code(code)
    assert "not valid" in text(english().post("/p/", {"code": code}))
    later, late = give(visit, by)
    _expire(later, jss)
    assert "not valid" in text(english().post("/p/", {"code": late}))
    assert again(handed, jss).state == "begun"
    assert again(later, jss).state == "expired"


def _expire(handover: Handover, site: Site) -> None:
    with seeing(site), acting(Actor.job("demo")):
        Handover.objects.filter(pk=handover.pk).update(expires_at=timezone.now() - DAY)


@pytest.mark.requirement("S04")
def test_codes_can_not_be_tried_out(visit, by):
    _handed, code = give(visit, by)
    tablet = english()
    for _ in range(20):
        assert tablet.post("/p/", {"code": "00000000"}).status_code == 422
    assert "Too many tries" in text(tablet.post("/p/", {"code": code}))
    assert SecurityEvent.objects.filter(detail="participant's code is wrong").count() == 20
    other = english()
    assert other.post("/p/", {"code": code}, REMOTE_ADDR="10.1.1.1").status_code == 302


def test_only_a_keyed_digest_of_code_and_link_is_stored(visit, by, jss):
    for way in ("tablet", "link"):
        handed, secret = give(visit, by, way=way)
        kept = again(handed, jss)
        assert secret not in str(vars(kept))
        assert secret.split(":")[0] not in str(vars(kept))
        assert len(kept.digest) == 64


def test_a_tablet_that_is_left_alone_locks_itself(visit, by, settings):
    _handed, code = give(visit, by)
    tablet = with_code(code)
    tablet.post("/p/question/1/", {"pain": "4"})
    session = tablet.session
    session["patient"] = session["patient"] | {"seen": 0}
    session.save()
    assert tablet.get("/p/question/1/").url == "/p/done/"
    assert "locked" in text(tablet.get("/p/done/"))
    assert tablet.get("/p/question/1/").url == "/p/done/"
    assert entry_of(visit).answers == {"pain": 4}


def test_taken_back_forms_are_closed_at_once_and_answers_stay(visit, by, jss):
    handed, code = give(visit, by)
    tablet = with_code(code)
    tablet.post("/p/question/1/", {"pain": "4"})
    with seeing(jss):
        handovers.revoke(handover=handed, by=by)
    assert tablet.post("/p/question/1/", {"pain": "9"}).url == "/p/done/"
    assert entry_of(visit).answers == {"pain": 4}


def test_a_participant_who_leaves_the_study_answers_nothing_more(visit, by, person, jss):
    _handed, code = give(visit, by)
    tablet = with_code(code)
    with seeing(jss):
        withdraw(participant=person, scope="visits", on=jss.today(), taken_by="김", by=by)
    assert tablet.post("/p/question/1/", {"pain": "9"}).url == "/p/done/"


def test_a_locked_site_takes_no_answers(visit, by, jss, datamanager):
    _handed, code = give(visit, by)
    tablet = with_code(code)
    with seeing(jss), acting(actor(datamanager, jss)):
        Lock.objects.create(site=jss, locked_by=datamanager)
    page = tablet.post("/p/question/1/", {"pain": "9"})
    assert page.status_code == 409
    assert "locked" in text(page)


# A link for home ----------------------------------------------------------------------------------


def test_a_link_asks_for_the_birth_date_resumes_and_is_used_up(visit, by, jss):
    handed, token = give(visit, by, way="link")
    phone = english()
    door = phone.get(f"/p/link/{token}/")
    assert door.url == "/p/birth/"
    assert phone.get("/p/question/1/").url == "/p/"
    shown = text(phone.get("/p/birth/"))
    assert "NRS" not in shown
    assert token not in shown
    assert phone.post("/p/birth/", {"born": "1980. 5. 6"}).status_code == 422
    assert phone.post("/p/birth/", {"born": "1980-05-05"}).url == "/p/start/"
    phone.post("/p/question/1/", {"pain": "7"})
    elsewhere = with_link(token, "１９８００５０５")
    assert "Go on where you left off" in text(elsewhere.get("/p/start/"))
    assert 'value="7" checked' in text(elsewhere.get("/p/question/1/"))
    assert elsewhere.post("/p/review/").url == "/p/done/"
    assert "close this window" in text(elsewhere.get("/p/done/"))
    assert phone.post("/p/question/1/", {"pain": "1"}).url == "/p/done/"
    used = english().get(f"/p/link/{token}/")
    assert used.status_code == 404
    assert "You have answered already" in text(used)
    assert entry_of(visit).answers == {"pain": 7}
    assert again(handed, jss).failures == 1


@pytest.mark.requirement("S04")
def test_after_five_wrong_birth_dates_a_link_is_closed(visit, by, jss):
    handed, token = give(visit, by, way="link")
    phone = english()
    phone.get(f"/p/link/{token}/")
    for _ in range(5):
        assert phone.post("/p/birth/", {"born": "19800506"}).status_code == 422
    assert phone.post("/p/birth/", {"born": "19800505"}).status_code == 404
    assert english().get(f"/p/link/{token}/").status_code == 404
    assert again(handed, jss).state == "blocked"
    wrong = SecurityEvent.objects.filter(detail="participant's birth date")
    assert wrong.count() == 5
    assert not SecurityEvent.objects.filter(path__contains=token[:20]).exists()


def test_links_that_are_forged_expired_revoked_or_of_the_other_kind_open_nothing(visit, by, jss):
    handed, token = give(visit, by, way="link")
    _tablet, code = give(visit, by)
    secret, _colon, signature = token.partition(":")
    wrong = [f"{secret}x:{signature}", f"{secret}:{signature[:-1]}x", secret, code, "x" * 500]
    for each in wrong:
        page = english().get(f"/p/link/{each}/")
        assert page.status_code == 404, each
        assert "no longer valid" in text(page)
    assert english().post("/p/", {"code": secret}).status_code == 422
    _expire(handed, jss)
    assert english().get(f"/p/link/{token}/").status_code == 404
    again_, other = give(visit, by, way="link")
    with seeing(jss):
        handovers.revoke(handover=again_, by=by)
    assert english().get(f"/p/link/{other}/").status_code == 404


def test_a_link_is_valid_until_its_window_ends_at_the_hospital(visit, by, jss):
    handed, _token = give(visit, by, way="link")
    ends = dt.datetime.combine(visit.closes_on + DAY, dt.time(), tzinfo=dt.UTC)
    assert handed.expires_at == ends - dt.timedelta(hours=9)


def test_when_forms_are_sent_their_other_links_are_closed(visit, by, jss):
    other, _token = give(visit, by, "nrs", "ndi", way="link")
    apart, _token = give(visit, by, "ndi", way="link")
    _handed, code = give(visit, by, "nrs")
    tablet = with_code(code)
    tablet.post("/p/question/1/", {"pain": "4"})
    tablet.post("/p/review/")
    assert again(other, jss).state == "revoked"
    assert again(apart, jss).state == "waiting"
    with seeing(jss), pytest.raises(Refused):
        handovers.revoke(handover=again(_handed, jss), by=by)


# Who sees what ------------------------------------------------------------------------------------


@pytest.mark.requirement("S01")
def test_a_participants_session_has_the_context_of_one_site(visit, by, participant, djj, settings):
    """What is asked in it can't reach another site's rows, whoever forgot a filter."""
    elsewhere = participant(djj, days_ago=30)
    seen: list[set[str]] = []

    def look(request, *args, **kwargs):
        seen.append({person.site.code for person in Participant.objects.select_related("site")})
        seen.append(
            {entry.instrument for q in questions_of(request.handover) for entry in [q.entry]}
        )
        return patient.redirect("patient_review")

    _handed, code = give(visit, by, "nrs")
    tablet = with_code(code)
    request = Client().get("/p/").wsgi_request
    request.session = tablet.session
    patient.answering(look)(request)
    assert seen == [{"JSS"}, {"nrs"}]
    assert elsewhere.site.code == "DJJ"


def test_only_the_named_job_asks_all_sites_for_a_code():
    with pytest.raises(PermissionDenied), system("patient", sites=[]):
        pass


@pytest.mark.requirement("E11")
def test_history_says_who_answered_and_who_changed_it(visit, by, person, jss):
    _handed, code = give(visit, by)
    tablet = with_code(code)
    tablet.post("/p/question/1/", {"pain": "4"})
    tablet.post("/p/question/1/", {"pain": "6"})
    tablet.post("/p/review/")
    with seeing(jss):
        record_visit(visit=visit, on=jss.today(), by=by)
        entry = entry_of(visit)
        refused = save_entry(entry=entry, changes={"pain": 5}, by=by)
        assert refused.needs_reason == ["pain"]
        save_entry(entry=entry, changes={"pain": 5}, reason="전화로 정정", by=by)
        translation.activate("ko")
        told = [(each.new, each.who, each.source) for each in entry_changes(entry, "pain")]
        assert [each[0] for each in told] == ["5", "6", "4"]
        assert told[0][1:] == ("coordinator", "")
        assert told[1][1:] == ("대상자", "대상자")
        row = entry.history.order_by("history_id")[1]
        assert row.history_actor == f"patient:{person.pk}"
        assert row.history_user_id is None
        whole = {(each.kind, each.who) for each in participant_changes(person, see_arm=False)}
        assert {("crf.Handover", "coordinator"), ("crf.Handover", "대상자")} <= whole
    assert entry_of(visit).meta == {}


def test_a_participant_who_sees_what_they_said_is_not_in_the_access_log(visit, by, jss):
    _handed, code = give(visit, by)
    assert with_code(code).get("/p/question/1/").status_code == 200
    with seeing(jss):
        assert not AccessLog.objects.exists()


# The coordinator's pages --------------------------------------------------------------------------


@pytest.fixture
def desk(as_, coordinator) -> Client:
    client = as_(coordinator)
    client.cookies["language"] = "en"
    return client


def test_a_coordinator_makes_a_code_that_a_tablet_takes(desk, visit):
    page = desk.get(f"/uspp/visits/{visit.pk}/handover/")
    assert text(page).count('name="instruments"') == len(FOLLOW_UP)
    made = desk.post(
        f"/uspp/visits/{visit.pk}/handover/", {"instruments": ["nrs"], "how": "tablet"}
    )
    tablet = with_code(made.context["code"])
    assert tablet.get("/p/start/").status_code == 200
    assert desk.get(f"/uspp/visits/{visit.pk}/").status_code == 200


def test_a_link_comes_with_a_qr_code_that_the_csp_allows(desk, visit):
    made = desk.post(
        f"/uspp/visits/{visit.pk}/handover/", {"instruments": FOLLOW_UP, "how": "link"}
    )
    shown = text(made)
    assert made.context["url"].startswith("http://")
    assert "<svg" in made.context["qr"]
    assert "style" not in made.context["qr"]
    assert made.context["url"] in shown


@pytest.mark.requirement("S07")
def test_starting_on_this_device_signs_the_coordinator_out(desk, visit, coordinator):
    before = desk.session.session_key
    answer = desk.post(
        f"/uspp/visits/{visit.pk}/handover/", {"instruments": ["nrs"], "how": "device"}
    )
    assert answer.url == "/p/start/"
    assert desk.session.session_key != before
    assert "/account/login/" in desk.get(f"/uspp/visits/{visit.pk}/").url
    desk.post("/p/question/1/", {"pain": "4"})
    desk.post("/p/review/")
    page = desk.get("/p/done/")
    assert f"next=/uspp/visits/{visit.pk}/" in text(page)
    assert SecurityEvent.objects.filter(
        kind="logout", user=coordinator, detail="handed over to a participant"
    ).exists()


def test_a_signed_in_person_never_answers_as_the_participant(visit, by, coordinator):
    _handed, code = give(visit, by)
    tablet = with_code(code)
    tablet.force_login(coordinator)
    assert tablet.post("/p/question/1/", {"pain": "4"}).url == "/p/"
    assert entry_of(visit).answers == {}


def test_no_form_chosen_and_nothing_to_choose(desk, visit, by, jss, person):
    page = desk.post(f"/uspp/visits/{visit.pk}/handover/", {"how": "tablet"})
    assert page.status_code == 422
    assert "at least one form" in text(page)
    early = visit_of(person, "w8")
    with seeing(jss):
        closed = Visit.objects.filter(pk=early.pk, opens_on__gt=jss.today()).exists()
    shown = text(desk.get(f"/uspp/visits/{early.pk}/handover/"))
    assert ("is not open yet" in shown) == closed


def test_the_participants_page_leads_to_the_visit_that_is_due(desk, person, visit, by, jss):
    path = f"/uspp/participants/{person.pk}/handover/"
    both = desk.get(path)
    assert "Of which visit?" in text(both)
    with seeing(jss):
        end_study(participant=person, on=jss.today(), end_reason="lost", by=by)
    assert "Nothing can be answered now" in text(desk.get(path))


def test_the_visit_shows_what_was_handed_over_and_takes_it_back(desk, visit, by, jss):
    handed, _token = give(visit, by, way="link")
    assert "Not opened yet".lower() in text(desk.get(f"/uspp/visits/{visit.pk}/")).lower()
    assert desk.get(f"/uspp/handovers/{handed.pk}/revoke/").status_code == 302
    assert again(handed, jss).state == "waiting"
    answer = desk.post(f"/uspp/handovers/{handed.pk}/revoke/", follow=True)
    assert "What was answered until now is kept." in text(answer)
    assert again(handed, jss).state == "revoked"


def test_the_entry_page_says_what_the_participant_answered(desk, visit, by, jss):
    _handed, code = give(visit, by)
    tablet = with_code(code)
    tablet.post("/p/question/1/", {"pain": "4"})
    tablet.post("/p/review/")
    waiting = desk.get(f"/uspp/visits/{visit.pk}/")
    assert "Please record the visit date, look the answers through" in text(waiting)
    path = f"/uspp/entries/{entry_of(visit).pk}/"
    assert "Please look the answers through" in text(desk.get(path))
    with seeing(jss):
        record_visit(visit=visit, on=jss.today(), by=by)
    page = text(desk.get(path))
    assert "A change needs a reason." in page
    desk.post(f"{path}complete/")
    page = text(desk.get(path)) + text(desk.get(f"/uspp/visits/{visit.pk}/"))
    assert "Please look the answers through" not in page
    assert entry_of(visit).completed_by.username == "coordinator"


@pytest.mark.requirement("S01")
def test_hand_overs_are_the_own_sites_and_of_those_who_enter(visit, by, as_, coordinator2, monitor):
    handed, _code = give(visit, by)
    for user, wanted in ((coordinator2, 404), (monitor, 403)):
        client = as_(user)
        for path in (f"visits/{visit.pk}/handover/", f"handovers/{handed.pk}/revoke/"):
            assert client.post(f"/uspp/{path}").status_code == wanted


def test_larger_letters_stay(visit, by):
    _handed, code = give(visit, by)
    tablet = with_code(code)
    assert tablet.post("/p/text/", {"next": "/p/question/1/"}).url == "/p/question/1/"
    assert 'class="patient large"' in text(tablet.get("/p/question/1/"))
    assert tablet.post("/p/text/", {"next": "https://evil.example/"}).url == "/p/start/"
    assert 'class="patient"' in text(tablet.get("/p/question/1/"))


def test_a_screen_asks_the_database_little(visit, by, django_assert_max_num_queries):
    _handed, code = give(visit, by, *FOLLOW_UP)
    tablet = with_code(code)
    tablet.get("/p/question/1/")
    with django_assert_max_num_queries(14):
        tablet.get("/p/question/5/")


def test_entries_that_are_void_or_no_longer_due_are_not_asked(visit, by, jss):
    handed, code = give(visit, by, "nrs", "ndi")
    with_code(code)
    with seeing(jss), acting(by):
        Entry.objects.filter(visit=visit, instrument="ndi").update(cancelled_at=timezone.now())
    with seeing(jss):
        held = Handover.objects.select_related("visit__participant__site").get(pk=handed.pk)
        assert {each.instrument.code for each in questions_of(held)} == {"nrs"}
