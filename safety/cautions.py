"""What is unlikely about an event as reported: kept, shown to the site and to who reviews it.

Nothing here refuses anything. A caution is computed from the event as it is, so that it goes by
itself when the site corrects what it is about.
"""

from __future__ import annotations

import datetime as dt

from django.utils.translation import gettext as _

from crf.definitions import definition_of, instrument_of
from crf.instrument import DateItem
from crf.models import Entry
from registry.models import Participant
from safety.models import AdverseEvent
from safety.services import before

FATAL, DEATH = "5", 5
RECOVERED = ("1", "4")
ONGOING = ("2", "3")


def treatments(participant: Participant) -> list[tuple[str, Entry]]:
    """The treatments to which causality is judged, as (day, entry), in the order of their days."""
    log = definition_of(participant.version_id).protocol.safety.procedure
    if log is None:
        return []
    entries = participant.entries.filter(instrument=log, voided_at=None, started_at__isnull=False)
    dated = [(_day(entry), entry) for entry in entries]
    return sorted(((day, entry) for day, entry in dated if day), key=lambda pair: pair[0])


def _day(entry: Entry) -> str:
    items = instrument_of(entry).items
    item = next((item for item in items if isinstance(item, DateItem)), None)
    return str(entry.answers.get(item.code, "")) if item else ""


def cautions(event: AdverseEvent, *, consented_on: dt.date, treated: list[str]) -> list[str]:
    """Sentences about what should be looked at again; `treated` are the days of treatments."""
    found = []
    if before(event.onset, consented_on.isoformat()):
        found.append(_("The onset lies before the consent (%(day)s).") % {"day": consented_on})
    elif treated and before(event.onset, min(treated)):
        found.append(
            _("The onset lies before the first treatment (%(day)s).") % {"day": min(treated)}
        )
    died = "died" in event.seriousness
    if len({event.grade == DEATH, event.outcome == FATAL, died}) == 2:
        found.append(_("Grade 5, a fatal outcome and death as a criterion belong together."))
    if event.grade >= 4 and not event.serious:
        found.append(_("Grade 4 or 5, but not marked as serious."))
    if event.outcome in RECOVERED and not event.ended:
        found.append(_("Recovered, but without an end date."))
    if event.outcome in ONGOING and event.ended:
        found.append(_("There is an end date, but the outcome says that it goes on."))
    return found
