"""Reminders by e-mail: whether a participant agreed to them, since when, and no longer.

Address and agreement stand in `Identity`: encrypted, visible to the own site alone, never exported.
"""

from __future__ import annotations

import datetime as dt

from django.utils.translation import gettext as _

from registry import identity
from registry.models import LANGUAGES, Identity, Participant
from sites.access import Refused
from sites.audit import Actor, acting


def agree_to_reminders(
    *, participant: Participant, email: str, language: str, on: dt.date, by: Actor
) -> Identity:
    """Record that the participant agreed, on a day, to be reminded at this address."""
    if participant.state == "void":
        raise Refused(_("This participant was entered in error and is void."))
    if not participant.consented_on <= on <= participant.site.today():
        raise Refused(_("The date must lie between consent and today."), "agreed_on")
    if language not in dict(LANGUAGES):
        raise Refused(_("Please choose a language."), "language")
    if identity.has_resident_number(email):
        raise Refused(
            _("This looks like a resident registration number, which must not be stored."), "email"
        )
    with acting(by):
        kept = Identity.objects.select_for_update().get(participant=participant)
        if identity.decrypt(kept.email) != email:  # each encryption of one text differs
            kept.email = identity.encrypt(email)
        kept.mail_language = language
        kept.reminders_since, kept.reminders_until = on, None
        kept.save()
    return kept


def stop_reminders(*, participant: Participant, by: Actor) -> Identity:
    """From now on no mail is sent; the address stays with the record of what was sent to it."""
    with acting(by):
        kept = Identity.objects.select_for_update().get(participant=participant)
        if kept.reminded:
            kept.reminders_until = participant.site.today()
            kept.save(update_fields=["reminders_until"])
    return kept


def mail_address(kept: Identity) -> str:
    """The decrypted address; empty without one."""
    return identity.decrypt(kept.email)
