"""Signing a participant's data, and locking a site's."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from crf.casebook import casebook
from crf.definitions import instrument_of
from crf.models import Entry, Lock
from crf.services import (
    blocker_counts,
    blockers,
    lock,
    sign,
    signature_digest,
    signature_state,
    unlock,
)
from registry.display import visit_title
from registry.forms import put
from registry.forms.locking import LockForm, SignForm, UnlockForm
from registry.models import Participant, Visit
from registry.services import protocol_of
from sites.access import Refused, Request, find, rows, show
from sites.models import Site


def sign_participant(request: Request, pk: int) -> HttpResponse:
    """Everything that the signature covers on one page, then the signature itself."""
    participant = find(request, Participant.objects.select_related("site"), pk=pk)
    # Taken before anything is read: what changes while the page is made can't be signed unseen.
    digest = signature_digest(participant)
    form = SignForm(request.POST or None, initial={"digest": digest})
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        if chosen["number"] != participant.number[-3:]:
            form.add_error("number", _("These are not the last three digits of this number."))
        else:
            try:
                sign(
                    participant=participant,
                    meaning=chosen["meaning"],
                    shown_digest=chosen["digest"],
                    password=chosen["password"],
                    signer=request.user,
                    by=request.by,
                )
            except Refused as refused:
                put(form, refused)
            else:
                messages.success(request, _("Signed."))
                return redirect("participant", request.study.code, participant.pk)
    if form.is_bound:
        form.data = request.POST.copy()
        form.data["digest"] = digest  # what this page shows, not what an earlier one did
    protocol = protocol_of(participant.version_id)
    language = get_language() or "ko"
    context = {
        "form": form,
        "participant": participant,
        "digest": digest,
        "consents": [
            (consent, protocol.consent(consent.kind).label.get(language))
            for consent in participant.consents.all()
        ],
        "book": casebook(participant),
        "signatures": participant.signatures.all(),
        "fits": signature_state([participant.pk]).get(participant.pk),
    }
    return render(request, "signing/sign.html", context)


def locks(request: Request) -> HttpResponse:
    """Each site with its lock, and what stands in the way where there is none."""
    held = {each.site_id: each for each in rows(request, Lock).filter(released_at=None)}
    counts = blocker_counts(list(request.sites.values()))
    lines = [
        {"site": site, "lock": held.get(pk), "count": counts[pk]}
        for pk, site in request.sites.items()
    ]
    return render(request, "locking/locks.html", {"lines": lines})


def lock_site(request: Request, pk: int) -> HttpResponse:
    site = _site(request, pk)
    form = LockForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["site_code"].strip().upper() != site.code:
            form.add_error("site_code", _("This is not the code of this site."))
        else:
            try:
                lock(site=site, reason=form.cleaned_data["reason"], by=request.by)
            except Refused as refused:
                put(form, refused)
            else:
                messages.success(request, _("%(site)s is locked.") % {"site": site})
                return redirect("locks", request.study.code)
    in_the_way = blockers(site)
    for blocker in in_the_way:
        show(request, blocker.records)
        for record in blocker.records:
            record.title = _title(record)
    context = {
        "form": form,
        "site": site,
        "blockers": in_the_way,
        "held": Lock.objects.filter(site=site, released_at=None).first(),
        "earlier": Lock.objects.filter(site=site).order_by("-locked_at"),
    }
    return render(request, "locking/lock.html", context)


def unlock_site(request: Request, pk: int) -> HttpResponse:
    site = _site(request, pk)
    form = UnlockForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            unlock(site=site, reason=form.cleaned_data["reason"], by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(request, _("%(site)s is open again.") % {"site": site})
            return redirect("lock_site", request.study.code, site.pk)
    return render(request, "locking/unlock.html", {"form": form, "site": site})


def _title(record: Any) -> str:
    """What a record that stands in the way is called: its form, its visit, or nothing more."""
    if isinstance(record, Entry):
        return instrument_of(record).short.get(get_language() or "ko")
    if isinstance(record, Visit):
        protocol = protocol_of(record.participant.version_id)
        return visit_title(protocol, record)
    return ""


def _site(request: Request, pk: int) -> Site:
    site = request.sites.get(pk)
    if site is None:
        raise Http404
    return site
