"""Mails to participants who agreed: once when a visit is due, once before its window closes.

A `Reminder` is written down and committed before its mail is sent, and unique per visit and
occasion, so that two runs at once, or one after the other, send one mail. What a killed worker or
a mail server that was away left unsent is tried again after an hour, three times in all: a worker
that dies between the server's word and writing it down makes one mail go out twice (under one
Message-ID, so that mail programs show one). Never is a mail sent to somebody who has left the
study, withdrew, or no longer agrees: that is asked again each time.
"""

from __future__ import annotations

import datetime as dt
import logging
from smtplib import SMTPException
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Prefetch
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from crf.asked import answerable
from crf.models import Handover, Reminder
from crf.services import is_locked
from crf.services.handovers import hand_over, why_not
from registry.models import Identity, Visit
from registry.services.reminders import mail_address
from sites.access import system
from sites.audit import acting
from sites.models import Site

AWAKE = range(9, 20)  # hours of the site's day at which a mail may arrive
AGAIN = dt.timedelta(hours=1)
ATTEMPTS = 3
DAY = dt.timedelta(days=1)

logger = logging.getLogger(__name__)


def remind(now: dt.datetime | None = None) -> int:
    """Send what is due at every site; how many mails went out."""
    now = now or timezone.now()
    sites = Site.objects.select_related("study").order_by("pk")
    return sum(_remind_at(site, now) for site in sites)


def _remind_at(site: Site, now: dt.datetime) -> int:
    local = now.astimezone(ZoneInfo(site.timezone))
    if local.hour not in AWAKE:
        return 0
    with system("remind", sites=[site.pk]):
        due = [] if is_locked(site) else _due(site, local.date())
    return sum(_one(site, visit, occasion, now) for visit, occasion in due)


def _due(site: Site, today: dt.date) -> list[tuple[int, str]]:
    """Visit → occasion of the mail that it is time for. The first visit is at the hospital."""
    visits = (
        Visit.objects.open()
        .filter(site=site, due_on__lte=today, closes_on__gte=today, day__gt=0)
        .filter(participant__identity__reminders_since__isnull=False)
        .filter(participant__identity__reminders_until=None)
        .prefetch_related(Prefetch("reminders", Reminder.objects.order_by("claimed_at")))
        .order_by("closes_on", "pk")
    )
    return [(visit.pk, occasion) for visit in visits if (occasion := _occasion(visit, today))]


def _occasion(visit: Visit, today: dt.date) -> str:
    sent = {each.occasion: each for each in visit.reminders.all()}
    first = sent.get(Reminder.Occasion.DUE)
    if first is None or first.sent_at is None:
        return Reminder.Occasion.DUE
    last = sent.get(Reminder.Occasion.CLOSING)
    assert visit.closes_on is not None
    near = today >= visit.closes_on - DAY
    zone = ZoneInfo(visit.site.timezone)
    if near and first.sent_at.astimezone(zone).date() < today and not (last and last.sent_at):
        return Reminder.Occasion.CLOSING
    return ""


def _one(site: Site, visit_id: int, occasion: str, now: dt.datetime) -> int:
    """Write one mail down, send it, and write down that it was sent."""
    with system("remind", sites=[site.pk]) as by:
        visit = Visit.objects.select_related("participant__site__study", "site").get(pk=visit_id)
        codes = _unanswered(visit)
        kept = Identity.objects.get(participant=visit.participant)
        if why_not(visit) or not codes or not kept.reminded:
            return 0
        with acting(by):
            reminder = _claimed(visit, occasion, now)
        if reminder is None:
            return 0
        way = Handover.Way.LINK
        _made, token = hand_over(visit=visit, instruments=codes, way=way, by=by)
        mail = _mail(visit, kept, reminder, token)
    try:
        mail.send()
    except (OSError, SMTPException) as error:
        logger.warning("reminder %s was not sent: %s", reminder.pk, type(error).__name__)
        return 0
    with system("remind", sites=[site.pk]) as by, acting(by):
        Reminder.objects.filter(pk=reminder.pk).update(sent_at=now)
    return 1


def _unanswered(visit: Visit) -> list[str]:
    """The forms that the participant may answer and has not sent."""
    sent: set[str] = set()
    for instruments in visit.handovers.exclude(submitted_at=None).values_list(
        "instruments", flat=True
    ):
        sent |= set(instruments)
    return [entry.instrument for entry in answerable(visit) if entry.instrument not in sent]


def _claimed(visit: Visit, occasion: str, now: dt.datetime) -> Reminder | None:
    """The reminder in the hands of this run alone; None when another has it, or had it too often.

    The caller is `acting`.
    """
    fresh = {
        "site_id": visit.site_id,
        "participant_id": visit.participant_id,
        "claimed_at": now,
    }
    reminder, made = Reminder.objects.get_or_create(visit=visit, occasion=occasion, defaults=fresh)
    if made:
        return reminder
    held = Reminder.objects.select_for_update().get(pk=reminder.pk)
    if held.sent_at or held.attempts >= ATTEMPTS or held.claimed_at > now - AGAIN:
        return None
    held.claimed_at, held.attempts = now, held.attempts + 1
    held.save(update_fields=["claimed_at", "attempts"])
    return held


def _mail(visit: Visit, kept: Identity, reminder: Reminder, token: str) -> EmailMessage:
    """Neither subject nor text says who it is, what they have, or what the study is about."""
    told = {
        "site": visit.site,
        "url": f"{settings.SITE_URL}{reverse('patient_link', args=[token])}",
        "closes_on": visit.closes_on,
        "closing": reminder.occasion == Reminder.Occasion.CLOSING,
    }
    with translation.override(kept.mail_language):
        subject = _("A questionnaire is waiting for you")
        text = render_to_string("handovers/reminder.txt", told)
    headers = {
        "Message-ID": f"<reminder-{reminder.pk}@{urlsplit(settings.SITE_URL).hostname}>",
        "Auto-Submitted": "auto-generated",
    }
    return EmailMessage(subject, text, None, [mail_address(kept)], headers=headers)
