"""Mails to participants who agreed, through a real SMTP server: to whom, saying what, once."""

from __future__ import annotations

import datetime as dt
import email
import socket
from collections.abc import Callable, Iterator
from email.header import decode_header, make_header
from email.message import Message
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.conf import settings as configured
from django.test import Client
from django.utils import timezone

from crf.models import Handover, Lock, Reminder
from registry import reminders, tasks
from registry.models import Identity, Participant
from registry.services import end_study, mark_missed, record_visit, withdraw
from registry.services.reminders import agree_to_reminders, mail_address, stop_reminders
from sites.access import Refused
from sites.audit import Actor, acting
from sites.models import Site, User
from tests.cast import actor, seeing
from tests.handed import give, text, visit_of, with_link

DAY = dt.timedelta(days=1)
ADDRESS = "patient@example.org"


class Mailbox:
    """What a mail server took, message by message."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.answer = "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            self.raw.append(envelope.content)
        return self.answer

    @property
    def mails(self) -> list[Message]:
        return [email.message_from_bytes(raw) for raw in self.raw]


@pytest.fixture
def mailbox(settings: Any) -> Iterator[Mailbox]:
    box = Mailbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = port
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    yield box
    controller.stop()


@pytest.fixture
def by(coordinator: User, jss: Site) -> Actor:
    return actor(coordinator, jss)


@pytest.fixture
def person(participant: Callable[..., Participant], jss: Site, by: Actor) -> Participant:
    """Week 4 is due since two days, and weeks 1 and 2 are past; reminders are agreed."""
    made = participant(jss, days_ago=30)
    agree(made, by)
    return made


def agree(person: Participant, by: Actor, **changed: Any) -> None:
    with seeing(person.site):
        agree_to_reminders(
            **{
                "participant": person,
                "email": ADDRESS,
                "language": "ko",
                "on": person.site.today(),
                "by": by,
            }
            | changed
        )


def noon(day: dt.date) -> dt.datetime:
    """Twelve o'clock at the hospital."""
    return dt.datetime.combine(day, dt.time(3), tzinfo=dt.UTC)


def today(site: Site) -> dt.datetime:
    return noon(site.today())


def said(mail: Message) -> str:
    payload = mail.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


def token_of(mail: Message) -> str:
    return said(mail).split("/p/link/")[1].split("/")[0]


def kept_of(person: Participant) -> Identity:
    with seeing(person.site):
        return Identity.objects.get(participant=person)


# Who gets a mail, and what is in it ---------------------------------------------------------------


def test_one_mail_goes_out_when_a_visit_is_due_and_leads_to_its_questions(mailbox, person, jss):
    assert reminders.remind(today(jss)) == 1
    (mail,) = mailbox.mails
    assert mail["To"] == ADDRESS
    assert mail["Auto-Submitted"] == "auto-generated"
    phone = with_link(token_of(mail))
    phone.post("/p/question/1/", {"pain": "3"})
    assert "Go on" in text(phone.get("/p/start/"))
    with seeing(jss):
        sent = Reminder.objects.get()
        assert (sent.occasion, sent.attempts) == ("due", 1)
        assert sent.sent_at is not None
        row = sent.history.order_by("history_id").first()
        assert (row.history_actor, row.history_source) == ("job:remind", "job")


def test_a_mail_names_nobody_and_says_nothing_about_health(mailbox, person, jss):
    reminders.remind(today(jss))
    (mail,) = mailbox.mails
    subject = str(make_header(decode_header(mail["Subject"])))
    for secret in ("홍길동", person.number, "1980", "통증", "약침", "NRS", "척추"):
        assert secret not in subject + said(mail)
    assert subject == "설문 응답 안내"
    assert jss.name_ko in said(mail)


def test_the_mail_is_in_the_language_that_was_chosen(mailbox, person, by, jss):
    agree(person, by, language="en")
    reminders.remind(today(jss))
    (mail,) = mailbox.mails
    assert mail["Subject"] == "A questionnaire is waiting for you"
    assert "questionnaire that you agreed to answer" in said(mail)


def test_a_run_that_is_repeated_sends_nothing_twice(mailbox, person, jss):
    for hours in (0, 1, 2, 5):
        reminders.remind(today(jss) + dt.timedelta(hours=hours))
    assert len(mailbox.mails) == 1


def test_one_more_goes_out_the_day_before_the_window_closes(mailbox, person, by, jss):
    visit = visit_of(person)
    reminders.remind(today(jss))
    _pretend(visit, jss, closes_on=jss.today() + DAY)
    assert reminders.remind(today(jss)) == 0  # not twice on one day
    with seeing(jss), acting(Actor.job("remind")):
        Reminder.objects.update(sent_at=timezone.now() - 3 * DAY)
    assert reminders.remind(today(jss)) == 1
    assert reminders.remind(today(jss)) == 0
    assert "까지만 응답하실 수 있습니다" in said(mailbox.mails[1])


def _pretend(visit: Any, site: Site, **values: Any) -> None:
    with seeing(site), acting(Actor.job("demo")):
        type(visit).objects.filter(pk=visit.pk).update(**values)


@pytest.mark.parametrize(
    "why",
    ["ended", "withdrew", "stopped", "missed", "held", "sent", "locked", "night", "void", "early"],
)
def test_no_mail_goes_out_when_there_is_nothing_to_remind_of(mailbox, person, by, jss, why):
    visit, at = visit_of(person), today(jss)
    with seeing(jss):
        match why:
            case "ended":
                end_study(participant=person, on=jss.today(), end_reason="lost", by=by)
            case "withdrew":
                withdraw(participant=person, scope="visits", on=jss.today(), taken_by="김", by=by)
            case "stopped":
                stop_reminders(participant=person, by=by)
            case "missed":
                mark_missed(visit=visit, reason="이사", by=by)
            case "held":
                record_visit(visit=visit, on=jss.today(), by=by)
            case "locked":
                with acting(by):
                    Lock.objects.create(site=jss, locked_by_id=by.person)
            case "void":
                with acting(by, "x"):
                    Participant.objects.filter(pk=person.pk).update(
                        voided_at=timezone.now(), void_reason="다른 사람"
                    )
    if why == "sent":
        _made, link = give(visit, by, "nrs", "ndi", "eq5d5l", "satisfaction", way="link")
        phone = with_link(link)
        codes = [1, *range(2, 12), *range(12, 17), *range(18, 24)]
        for number in codes:
            page = phone.get(f"/p/question/{number}/")
            phone.post(f"/p/question/{number}/", {page.context["q"].item.code: "1"})
        assert phone.post("/p/review/").url == "/p/done/"
    if why == "night":
        at += dt.timedelta(hours=9)
    if why == "early":
        _pretend(visit, jss, due_on=jss.today() + DAY)
    assert reminders.remind(at) == 0
    assert mailbox.mails == []


def test_participants_who_never_agreed_get_nothing(mailbox, participant, jss):
    participant(jss, days_ago=30)
    assert reminders.remind(today(jss)) == 0


def test_a_link_from_a_mail_stops_the_mails(mailbox, person, jss):
    reminders.remind(today(jss))
    phone = with_link(token_of(mailbox.mails[0]))
    assert "no more mails" in text(phone.get("/p/start/"))
    assert phone.post("/p/no-reminders/").url == "/p/start/?stopped"
    assert "You will get no more mails" in text(phone.get("/p/start/?stopped"))
    kept = kept_of(person)
    assert kept.reminders_until == jss.today()
    with seeing(jss):
        row = kept.history.order_by("-history_id").first()
    assert row.history_actor == f"patient:{person.pk}"


# When sending fails -------------------------------------------------------------------------------


def test_what_the_mail_server_refused_is_tried_again_three_times_in_all(mailbox, person, jss):
    mailbox.answer = "451 later"
    start = today(jss) - dt.timedelta(hours=2)
    hours = (0, 0.5, 1, 2, 3, 4)
    sent = [reminders.remind(start + dt.timedelta(hours=each)) for each in hours]
    assert sent == [0] * len(hours)
    with seeing(jss):
        assert Reminder.objects.get().attempts == 3
        assert Reminder.objects.get().sent_at is None
    mailbox.answer = "250 OK"
    assert reminders.remind(start + dt.timedelta(hours=6)) == 0


def test_a_worker_killed_before_it_wrote_that_it_sent_repeats_one_mail_under_one_id(
    mailbox, person, jss, monkeypatch
):
    class Killed(BaseException):
        pass

    really = reminders.EmailMessage.send

    def send_and_die(self: Any, *args: Any, **kwargs: Any) -> int:
        really(self, *args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(reminders.EmailMessage, "send", send_and_die)
        with pytest.raises(Killed):
            reminders.remind(today(jss))
    assert reminders.remind(today(jss)) == 0  # for an hour it counts as under way
    assert reminders.remind(today(jss) + dt.timedelta(hours=1)) == 1
    assert reminders.remind(today(jss) + dt.timedelta(hours=4)) == 0
    first, second = mailbox.mails
    assert first["Message-ID"] == second["Message-ID"]
    with_link(token_of(first))  # the link of either works
    with_link(token_of(second))


def test_beat_reminds_every_hour(mailbox, person, jss, monkeypatch):
    at = today(jss)
    monkeypatch.setattr(reminders.timezone, "now", lambda: at)
    entry = configured.CELERY_BEAT_SCHEDULE["reminders"]
    assert entry["task"] == tasks.remind.name
    tasks.remind()
    assert len(mailbox.mails) == 1


# The agreement ------------------------------------------------------------------------------------


@pytest.fixture
def desk(as_: Callable[[User], Client], coordinator: User) -> Client:
    client = as_(coordinator)
    client.cookies["language"] = "en"
    return client


def test_a_coordinator_records_changes_and_ends_the_agreement(desk, participant, jss):
    person = participant(jss, days_ago=30)
    path = f"/uspp/participants/{person.pk}/reminders/"
    assert "None yet." in text(desk.get(path))
    sent = {"email": ADDRESS, "language": "en", "agreed_on": jss.today().isoformat()}
    assert desk.post(path, sent).status_code == 302
    kept = kept_of(person)
    assert ADDRESS not in kept.email
    assert (mail_address(kept), kept.mail_language, kept.reminded) == (ADDRESS, "en", True)
    assert ADDRESS in text(desk.get(path))
    desk.post(path, {"stop": "1"})
    assert not kept_of(person).reminded
    assert "withdrawn on" in text(desk.get(path))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"email": "no-address"}, "valid email"),
        ({"email": "800505-1234567@example.org"}, "resident registration number"),
        ({"agreed_on": "2090-01-01"}, "between consent and today"),
        ({"language": "fr"}, "fr"),
    ],
)
def test_an_agreement_that_can_not_be_is_refused_and_what_was_typed_is_kept(
    desk, participant, jss, wrong, said
):
    person = participant(jss, days_ago=30)
    sent = {"email": ADDRESS, "language": "en", "agreed_on": jss.today().isoformat()} | wrong
    page = desk.post(f"/uspp/participants/{person.pk}/reminders/", sent)
    assert page.status_code == 422
    assert said in text(page)
    assert sent["email"] in text(page)


def test_the_service_refuses_what_the_page_does(participant, jss, by):
    person = participant(jss, days_ago=30)
    for changed in (
        {"on": jss.today() + DAY},
        {"language": "fr"},
        {"email": "8005051234567@example.org"},
    ):
        with pytest.raises(Refused):
            agree(person, by, **changed)


@pytest.mark.requirement("S01")
def test_the_address_is_the_own_sites(as_, person, coordinator2, monitor, datamanager):
    path = f"/uspp/participants/{person.pk}/reminders/"
    for user, status in ((coordinator2, 404), (monitor, 403), (datamanager, 403)):
        assert as_(user).get(path).status_code == status
        assert as_(user).post(path, {"stop": "1"}).status_code == status
    assert kept_of(person).reminded


def test_history_shows_that_the_address_changed_and_not_to_what(desk, person, by):
    page = text(desk.get(f"/uspp/participants/{person.pk}/history/"))
    assert ADDRESS not in page
    assert "•••" in page


def test_a_hand_over_by_mail_is_the_jobs(mailbox, person, jss):
    reminders.remind(today(jss))
    with seeing(jss):
        (made,) = Handover.objects.all()
    assert (made.created_by_id, made.way) == (None, "link")
