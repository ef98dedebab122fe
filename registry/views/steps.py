"""What can be done with a participant now: the next step in words, and the menu of acts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from crf.definitions import instrument_of
from crf.workflow import Around, Status, due_state
from registry.display import visit_title
from registry.models import Consent, Participant, ProtocolVersion
from registry.protocol import ConsentDefinition, Text
from registry.services import protocol_of
from registry.work import Next, Step, renewal
from sites.access import Request
from sites.roles import Permission as P


@dataclass(frozen=True)
class Shown:
    """The next step as a sentence, and where it is taken by whoever may take it."""

    text: str
    tone: str = "info"
    label: str = ""
    url: str = ""
    post: bool = False


def step_shown(request: Request, person: Participant, following: Next, around: Around) -> Shown:
    """A sentence for everybody; a button for who may act, while the site is not locked."""
    shown, permission = _STEPS[following.step](request, person, following, around)
    if around.locked or not request.may(permission, person.site_id):
        return Shown(shown.text, shown.tone)
    return shown


def _url(request: Request, name: str, *keys: Any) -> str:
    return reverse(name, args=[request.study.code, *keys])


def _screen(request: Request, person: Participant, step: Next, around: Around) -> tuple[Shown, P]:
    text, label = _("Fill in the screening form."), _("Open the screening form")
    if step.entry:
        return Shown(text, "info", label, _url(request, "entry", step.entry.pk)), P.ENTER
    screening = protocol_of(person.version_id).screening
    return Shown(
        text, "info", label, _url(request, "entry_new", person.pk, screening), True
    ), P.ENTER


def _decide(request: Request, person: Participant, step: Next, around: Around) -> tuple[Shown, P]:
    text = _("The screening form is complete: decide on eligibility.")
    url = _url(request, "screening_decision", person.pk)
    return Shown(text, "warn", _("Decide on eligibility"), url), P.ENTER


def _enrol(request: Request, person: Participant, step: Next, around: Around) -> tuple[Shown, P]:
    text = _("Eligible, and not enrolled yet.")
    return Shown(text, "warn", _("Enrol"), _url(request, "enrol", person.pk)), P.ENTER


def _allocate(request: Request, person: Participant, step: Next, around: Around) -> tuple[Shown, P]:
    text = _("Enrolled, and not allocated to an arm yet.")
    return Shown(text, "warn", _("Allocate"), _url(request, "allocate", person.pk)), P.ALLOCATE


def _visit(request: Request, person: Participant, step: Next, around: Around) -> tuple[Shown, P]:
    visit = step.visit
    assert visit is not None
    said = {"visit": visit_title(protocol_of(person.version_id), visit), "day": visit.closes_on}
    if due_state(visit, around.today) == Status.OVERDUE:
        text, tone = _("%(visit)s is overdue: its window closed on %(day)s.") % said, "late"
    else:
        text, tone = _("%(visit)s is due, until %(day)s.") % said, "warn"
    return Shown(text, tone, _("Record the visit"), _url(request, "visit", visit.pk)), P.ENTER


def _fill(request: Request, person: Participant, step: Next, around: Around) -> tuple[Shown, P]:
    entry = step.entry
    assert entry is not None
    form = instrument_of(entry).short.get(get_language() or "ko")
    where = visit_title(protocol_of(person.version_id), step.visit) if step.visit else ""
    text = (
        _("%(visit)s: “%(form)s” is not complete.") % {"visit": where, "form": form}
        if where
        else _("“%(form)s” is not complete.") % {"form": form}
    )
    return Shown(text, "info", _("Open the form"), _url(request, "entry", entry.pk)), P.ENTER


def _answer(request: Request, person: Participant, step: Next, around: Around) -> tuple[Shown, P]:
    text = ngettext(
        "%(number)d query is not closed.", "%(number)d queries are not closed.", step.number
    ) % {"number": step.number}
    wanted = urlencode({"participant": person.number, "state": "unresolved"})
    url = f"{_url(request, 'queries')}?{wanted}"
    return Shown(text, "warn", _("Open the queries"), url), P.SEE_DATA


def _end(request: Request, person: Participant, step: Next, around: Around) -> tuple[Shown, P]:
    text = _("All visits are done. Record the end of the study.")
    url = _url(request, "end_study", person.pk)
    return Shown(text, "info", _("Record the end of the study"), url), P.ENTER


def _sign(request: Request, person: Participant, step: Next, around: Around) -> tuple[Shown, P]:
    text = _("Everything is complete. The investigator's signature is still needed.")
    return Shown(text, "sign", _("Read and sign"), _url(request, "sign", person.pk)), P.SIGN


def _wait(request: Request, person: Participant, step: Next, around: Around) -> tuple[Shown, P]:
    visit = step.visit
    assert visit is not None
    said = {"visit": visit_title(protocol_of(person.version_id), visit), "day": visit.opens_on}
    return Shown(_("Nothing is due now. %(visit)s opens on %(day)s.") % said, "ok"), P.SEE_DATA


def _nothing(request: Request, person: Participant, step: Next, around: Around) -> tuple[Shown, P]:
    return Shown(_("Nothing is left to do."), "ok"), P.SEE_DATA


_STEPS = {
    Step.SCREEN: _screen,
    Step.DECIDE: _decide,
    Step.ENROL: _enrol,
    Step.ALLOCATE: _allocate,
    Step.VISIT: _visit,
    Step.FILL: _fill,
    Step.ANSWER: _answer,
    Step.END: _end,
    Step.SIGN: _sign,
    Step.WAIT: _wait,
    Step.NOTHING: _nothing,
}


READ = ("identity", "consents", "participant_history", "casebook")  # acts that only show


@dataclass(frozen=True)
class Menu:
    """One entry of the menu of acts; `grave` ones stand apart at its end."""

    name: str
    label: str
    icon: str
    url: str
    grave: bool = False


def acts(request: Request, person: Participant, *, allocated: bool, locked: bool) -> list[Menu]:
    """What this person may do with the participant as they stand now."""
    return [
        Menu(name, label, icon, _url(request, name, person.pk), grave)
        for name, label, icon, permission, possible, grave in _acts(person, allocated)
        if possible
        and request.may(permission, person.site_id)
        and (permission not in (P.ENTER, P.ALLOCATE) or not locked)
    ]


def _acts(person: Participant, allocated: bool) -> Iterator[tuple[str, str, str, P, bool, bool]]:
    state, protocol = person.state, protocol_of(person.version_id)
    here = state != "void"
    arms = bool(protocol.arms) and not allocated
    unscheduled = protocol.unscheduled is not None
    yield "identity", _("Who this is"), "user", P.SEE_IDENTITY, True, False
    yield "consents", _("Consents"), "consent", P.SEE_DATA, True, False
    yield "participant_history", _("History"), "history", P.SEE_TRAIL, True, False
    yield "casebook", _("Casebook (PDF)"), "print", P.SEE_TRAIL, True, False
    yield "reminders", _("Reminders by e-mail"), "mail", P.SEE_IDENTITY, here, False
    yield (
        "handover_choose",
        _("Let the participant answer"),
        "user",
        P.ENTER,
        state == "enrolled",
        False,
    )
    yield (
        "visit_new",
        _("Add an unscheduled visit"),
        "plus",
        P.ENTER,
        (state == "enrolled" and unscheduled),
        False,
    )
    decided = state in ("consented", "screened", "failed")
    yield "screening_decision", _("Decide on eligibility"), "check", P.ENTER, decided, False
    yield "enrol", _("Enrol"), "flag", P.ENTER, state == "screened", False
    yield "allocate", _("Allocate"), "grid", P.ALLOCATE, state == "enrolled" and arms, False
    yield "sign", _("Read and sign"), "sign", P.SIGN, bool(person.enrolled_at) and here, False
    yield "drivers", _("Change what decides the schedule"), "edit", P.ENTER, here, False
    yield "end_study", _("Record the end of the study"), "flag", P.ENTER, state == "enrolled", True
    yield "withdraw", _("Record a withdrawal"), "undo", P.ENTER, here, True
    yield "void_participant", _("Entered in error…"), "trash", P.ENTER, here, True


def end_reason(person: Participant) -> Text | None:
    """What the protocol calls the way in which the participant left the study."""
    reasons = protocol_of(person.version_id).end_of_study.reasons
    return next((each.label for each in reasons if each.code == person.end_reason), None)


@dataclass(frozen=True)
class ConsentShown:
    """A kind of consent: its newest valid answer, and whether a newer version waits for one."""

    definition: ConsentDefinition
    latest: Consent | None
    renew: str


def consents_shown(person: Participant, version: ProtocolVersion | int) -> list[ConsentShown]:
    """Each kind of consent that `version`, in force at the site, asks for, in its order."""
    given = {each.kind: each for each in person.consents.filter(voided_at=None)}
    shown = []
    for definition in protocol_of(version).consents:
        latest = given.get(definition.kind)
        renew = renewal(person, definition, latest, person.site.today())
        shown.append(ConsentShown(definition, latest, renew.version if renew else ""))
    return shown
