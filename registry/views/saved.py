"""Views that people save: filters of the list of participants under a name, with their numbers."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from registry.forms import put
from registry.forms.saved import ViewForm
from registry.models import SavedView
from registry.services.saved import delete_view, rename_view, save_view
from registry.views.filters import (
    Chosen,
    chosen_of,
    listed_of,
    need_choices,
    state_choices,
)
from registry.work import Number
from sites.access import Refused, Request
from sites.models import Study

SHOWN = 8  # with their numbers, above the list; all of them stand on their own page


def _visible(request: Request) -> list[SavedView]:
    """One's own, then those for all of the study."""
    found = SavedView.objects.filter(study=request.study).select_related("user")
    own = [view for view in found if view.user_id == request.user.pk]
    return [*own, *(view for view in found if view.shared and view not in own)]


def tabs_of(request: Request, chosen: Chosen) -> list[dict[str, Any]]:
    """Saved views as tabs with how many each has now, all counted in one statement."""
    views = _visible(request)[:SHOWN]
    base, here = reverse("participants", args=[request.study.code]), chosen.query
    if not views:
        return []
    asked = [chosen_of(request, QueryDict(view.query)) for view in views]
    lists: dict[str, Any] = {
        f"n{n}": Number(listed_of(request, each).order_by().values("pk"))
        for n, each in enumerate(asked)
    }
    numbers: dict[str, Any] = Study.objects.filter(pk=request.study.pk).values(**lists).get()  # type: ignore[assignment]
    return [
        {
            "label": view.name,
            "url": f"{base}?{view.query}",
            "count": numbers[f"n{n}"],
            "current": view.query == here,
        }
        for n, view in enumerate(views)
    ]


def saved_views(request: Request) -> HttpResponse:
    """One's views to rename and delete; a POST saves the filters of the list under a name."""
    act = request.POST.get("do", "")
    form = ViewForm(request.POST if act in ("save", "rename") else None)
    if request.method == "POST":
        try:
            if _done(request, act, form):
                return redirect("saved_views", request.study.code)
        except Refused as refused:
            if not form.is_bound:
                raise
            put(form, refused)
    chosen = chosen_of(request, request.GET)
    context = {
        "form": form,
        "query": chosen.query,
        "filters": _in_words(chosen),
        "views": _visible(request),
        "list_url": reverse("participants", args=[request.study.code]),
    }
    return render(request, "participants/views.html", context, status=422 if form.errors else 200)


def _in_words(chosen: Chosen) -> list[str]:
    """What a view would show, as the list says it."""
    states, needs = dict(state_choices()), dict(need_choices())
    sites = [chosen.sites[0].short] if chosen.site else []
    return [
        str(each) for each in (*sites, states.get(chosen.state), needs.get(chosen.need)) if each
    ]


def _done(request: Request, act: str, form: ViewForm) -> bool:
    """Whether it is done; a refusal is raised, and what is mistyped stands in the form."""
    told: dict[str, Any] = {"by": request.by}
    if act == "delete":
        delete_view(study=request.study, pk=request.POST.get("view", ""), **told)
        messages.success(request, _("The view is deleted."))
        return True
    if not form.is_valid():
        return False
    told |= {"name": form.cleaned_data["name"], "shared": form.cleaned_data["shared"]}
    if act == "rename":
        rename_view(study=request.study, pk=request.POST.get("view", ""), **told)
    else:
        save_view(study=request.study, query=chosen_of(request, request.GET).query, **told)
    messages.success(request, _("The view is saved."))
    return True
