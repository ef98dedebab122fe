"""The participant's own screens: one question each, and nothing else of the registry.

A session that a code or a link has opened knows one hand-over, is never a staff session, and ends
with the forms. Each request sets the context to the participant's site, asks again whether the
hand-over is still open, and reaches its forms alone. These pages show nobody's name and need no
script; they are not in the access log, since the participant sees only what they say themselves.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from crf.asked import Question, questions_of
from crf.display import answer_text
from crf.forms.layout import layout_of
from crf.models import Handover
from crf.services import handovers
from crf.values import Invalid, parse
from registry.forms.entry import typed_value
from registry.limits import may_try
from registry.models import Identity
from registry.services.reminders import stop_reminders
from sites.access import READING, Refused, context, log_event, refusal, set_sites
from sites.accounts import CHECKED_EVERY
from sites.audit import Actor
from sites.models import SecurityEvent

CODE_TRIES = {"most": 20, "seconds": 600}
LINK_TRIES = {"most": 30, "seconds": 600}
# What the session holds: who answers, which link was opened, why it ended, larger letters.
PATIENT, DOOR, ENDED, LARGE = "patient", "door", "ended", "large_text"


class Answering(HttpRequest):
    """A request of a participant whose hand-over is open."""

    handover: Handover
    by: Actor


View = Callable[..., HttpResponse]


def answering(view: View) -> Callable[..., HttpResponseBase]:
    """Views for the participant alone: their session, their site, their open hand-over."""

    @functools.wraps(view)
    def wrapped(http_request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request = cast(Answering, http_request)
        if request.method not in (*READING, "POST"):
            return HttpResponseNotAllowed([*READING, "POST"])
        here = request.session.get(PATIENT)
        if here is None or request.user.is_authenticated:
            return redirect("patient_done" if ENDED in request.session else "patient_code")
        try:
            with context():
                set_sites([here["site"]])
                found = Handover.objects.select_related("participant__site__study", "visit", "site")
                request.handover = found.get(pk=here["handover"])
                # One object, so that what is asked of it is asked once.
                request.handover.visit.participant = request.handover.participant
                if why := _why_over(request, here):
                    return end(request, why)
                request.by = handovers.participant_of(request.handover)
                return view(request, *args, **kwargs)
        except (Refused, DatabaseError) as error:
            sentence = refusal(error)
            if sentence is None:
                raise
            return render(request, "patient/refused.html", {"sentence": sentence}, status=409)

    return never_cache(wrapped)


def _why_over(request: Answering, here: dict[str, Any]) -> str:
    """Why this session ends now: empty while it goes on."""
    now = int(time.time())
    if now - here["seen"] > 60 * settings.SESSION_IDLE_MINUTES:
        return "idle"
    if request.handover.state != "begun" or handovers.why_not(request.handover.visit):
        return "closed"
    if now - here["seen"] >= CHECKED_EVERY:
        request.session[PATIENT] = here | {"seen": now}
    return ""


def start_session(request: HttpRequest, handover: Handover, *, back: str = "") -> None:
    """From here on this browser is the participant's: whoever was signed in is signed out."""
    if request.user.is_authenticated:
        kind = SecurityEvent.Kind.LOGOUT
        log_event(request, kind, user_id=request.user.pk, detail="handed over to a participant")
    request.session.flush()
    request.session[PATIENT] = {
        "handover": handover.pk,
        "site": handover.site_id,
        "seen": int(time.time()),
        "way": handover.way,
        "back": back,
    }


def end(request: HttpRequest, why: str) -> HttpResponse:
    """Lock the screen: nothing of the session stays but why it ended, and where staff go on."""
    here = request.session.get(PATIENT, {})
    request.session.flush()
    kept = {"why": why, "way": here.get("way", ""), "back": here.get("back", "")}
    request.session[ENDED] = kept
    return redirect("patient_done")


# The two doors ----------------------------------------------------------------------------------


@never_cache
@sensitive_post_parameters("code")
def code(request: HttpRequest) -> HttpResponse:
    """The tablet's door: a code that a coordinator has just made."""
    error = ""
    if request.method == "POST":
        if not may_try(request, "code", **CODE_TRIES):
            error = _("Too many tries. Please wait ten minutes.")
        elif found := handovers.by_code(request.POST.get("code", "")):
            return _enter(request, found)
        else:
            log_event(request, SecurityEvent.Kind.REFUSED, detail="participant's code is wrong")
            error = _("This code is not valid. Please check it, or ask for a new one.")
    shown = {"error": error, "has_errors": bool(error)}
    return render(request, "patient/code.html", shown, status=422 if error else 200)


@never_cache
def link(request: HttpRequest, token: str) -> HttpResponse:
    """The door at home. The token leaves the address at once: it is in no later one, and so in no
    log and no browser's history but this.
    """
    found = handovers.by_token(token)
    if found is None or found.state not in ("waiting", "begun"):
        kind = SecurityEvent.Kind.REFUSED
        log_event(request, kind, detail="participant's link is not valid", path="/p/link/")
        shown = {"sent": found is not None and found.state == "submitted"}
        return render(request, "patient/closed.html", shown, status=404)
    request.session[DOOR] = {"handover": found.pk, "site": found.site_id}
    return redirect("patient_birth")


@never_cache
@sensitive_post_parameters("born")
def birth(request: HttpRequest) -> HttpResponse:
    """A second fact, before a link shows anything."""
    door = request.session.get(DOOR)
    if door is None:
        return redirect("patient_code")
    found = handovers.at_site(door["handover"], door["site"])
    if found.state not in ("waiting", "begun"):
        return render(request, "patient/closed.html", {"sent": False}, status=404)
    error = ""
    if request.method == "POST":
        if not may_try(request, "link", **LINK_TRIES):
            error = _("Too many tries. Please wait ten minutes.")
        elif _knows(found, request.POST.get("born", "")):
            return _enter(request, found)
        else:
            log_event(request, SecurityEvent.Kind.REFUSED, detail="participant's birth date")
            error = _("This is not right. After five wrong tries the link is closed.")
    shown = {"error": error, "has_errors": bool(error)}
    return render(request, "patient/link.html", shown, status=422 if error else 200)


def _knows(found: Handover, born: str) -> bool:
    with context():
        set_sites([found.site_id])
        return handovers.knows_birth_date(handover=found, typed=born)


def _enter(request: HttpRequest, found: Handover) -> HttpResponse:
    with context():
        set_sites([found.site_id])
        try:
            begun = handovers.begin(handover=found, by=handovers.participant_of(found))
        except Refused:
            return render(request, "patient/closed.html", {"sent": False}, status=404)
    start_session(request, begun)
    return redirect("patient_start")


# The questions ----------------------------------------------------------------------------------


@answering
def start(request: Answering) -> HttpResponse:
    """What awaits the participant, and where they left off."""
    asked = questions_of(request.handover)
    waiting = [each for each in asked if not each.answered and each.item.required]
    begun = any(each.answered for each in asked)
    kept = Identity.objects.filter(participant_id=request.handover.participant_id).first()
    shown: dict[str, Any] = {
        "site": request.handover.site,
        "number": len(asked),
        "begun": begun,
        "first": waiting[0].number if waiting and begun else asked[0].number if asked else None,
        "all_answered": begun and not waiting,
        "may_stop": kept is not None
        and kept.reminded
        and request.handover.way == Handover.Way.LINK,
        "stopped": "stopped" in request.GET,
    }
    return render(request, "patient/start.html", _around(request) | shown)


@answering
def question(request: Answering, number: int) -> HttpResponse:
    """One question: nothing is chosen beforehand, and nothing moves on by itself."""
    asked = questions_of(request.handover)
    place = next((n for n, each in enumerate(asked) if each.number >= number), None)
    if place is None:
        return redirect("patient_review")
    if asked[place].number != number:  # one that does not apply (any more)
        return redirect("patient_question", asked[place].number)
    here, error = asked[place], ""
    if request.method == "POST":
        error = _keep(request, here)
        if not error:
            return _onward(request, here)
    return _question_page(request, asked, place, error)


def _keep(request: Answering, here: Question) -> str:
    """Store what was chosen; a sentence when it can't be stored, or nothing was chosen."""
    typed = typed_value(here.item, request.POST)
    declined = "decline" in request.POST or typed == "decline"
    if declined and here.may_decline:
        typed = ""
    else:
        declined = False
    try:
        value = parse(here.item, typed, today=here.entry.site.today())
    except Invalid as invalid:
        return str(invalid)
    takes_back = here.answered and not here.item.required
    if value is None and not declined and not takes_back:
        free = request.POST.get("then") == "back" or not here.item.required
        return "" if free else _("Please choose an answer.")
    saved = handovers.answer(
        handover=request.handover,
        question=here,
        typed="" if value is None else typed,
        declined=declined,
        by=request.by,
    )
    return next(iter(saved.errors.values()), "")


def _onward(request: Answering, here: Question) -> HttpResponse:
    """To the question that was asked for; answers may have changed which ones apply."""
    asked = questions_of(request.handover)
    if request.POST.get("then") == "back":
        before = [each.number for each in asked if each.number < here.number]
        return redirect("patient_question", before[-1]) if before else redirect("patient_start")
    after = [each for each in asked if each.number > here.number]
    if "review" in request.POST:  # straight back, but past nothing that the change made due
        after = [each for each in asked if each.open]
    if after:
        return redirect("patient_question", after[0].number)
    return redirect("patient_review")


def _question_page(
    request: Answering, asked: list[Question], place: int, error: str
) -> HttpResponse:
    here, lang = asked[place], get_language() or "ko"
    field = layout_of(here.entry.version_id, here.instrument.code, lang)[here.item.code]
    shown = {
        "f": field,
        "q": here,
        "chosen": _chosen(request, here, error),
        "decline_chosen": here.declined if not error else "decline" in request.POST,
        "recall": here.instrument.recall,
        "title": here.instrument.title,
        "licence": here.instrument.licence,
        "place": place + 1,
        "number": len(asked),
        "error": error,
        "has_errors": bool(error),
        "review": "review" in request.GET or "review" in request.POST,
    }
    status = 422 if error else 200
    return render(request, "patient/question.html", _around(request) | shown, status=status)


def _chosen(request: Answering, here: Question, error: str) -> list[str]:
    """What is marked on the screen: the participant's own answer, or what they just typed."""
    value = typed_value(here.item, request.POST) if error else here.value
    if value in (None, ""):
        return []
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


@answering
def review(request: Answering) -> HttpResponse:
    """All answers on one screen, each with the way back to it; then they are sent."""
    asked, refused = questions_of(request.handover), ""
    if request.method == "POST":
        try:
            handovers.submit(handover=request.handover, by=request.by)
        except Refused as error:
            refused = str(error)
        else:
            return end(request, "sent")
    lang = get_language() or "ko"
    forms: dict[str, dict[str, Any]] = {}
    for each in asked:
        form = forms.setdefault(each.instrument.code, {"title": each.instrument.title, "rows": []})
        layout = layout_of(each.entry.version_id, each.instrument.code, lang)
        said = "" if each.value is None else answer_text(each.item, each.value)
        form["rows"].append({"q": each, "label": layout[each.item.code]["label"], "said": said})
    missing = [each for each in asked if each.open]
    shown = {
        "forms": list(forms.values()),
        "missing": missing,
        "last": asked[-1].number if asked else None,
        "error": refused,
        "has_errors": bool(refused),
    }
    status = 422 if refused else 200
    return render(request, "patient/review.html", _around(request) | shown, status=status)


@never_cache
def done(request: HttpRequest) -> HttpResponse:
    """Thanks, and a locked screen: whoever wants to go on signs in or types another code."""
    ended = request.session.get(ENDED)
    if ended is None:
        return redirect("patient_code")
    back = ended["back"]
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}):
        back = ""
    return render(request, "patient/done.html", {"ended": ended, "back": back})


# What stands around a question ------------------------------------------------------------------


@answering
def text_size(request: Answering) -> HttpResponse:
    """Larger letters, or the usual ones again."""
    if request.method == "POST":
        request.session[LARGE] = not request.session.get(LARGE, False)
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}):
        back = reverse("patient_start")
    return redirect(back)


@answering
def no_reminders(request: Answering) -> HttpResponse:
    """The participant wants no more mails."""
    if request.method == "POST":
        person = request.handover.participant
        stop_reminders(participant=person, by=request.by)
        return redirect(f"{reverse('patient_start')}?stopped")
    return redirect("patient_start")


def _around(request: Answering) -> dict[str, Any]:
    return {"large": request.session.get(LARGE, False), "answering": True}
