"""Saved views: named by their owner, who alone renames and deletes them."""

from __future__ import annotations

from django.utils.translation import gettext as _

from registry.models import SavedView
from sites.access import Refused
from sites.audit import Actor, acting
from sites.models import Study


def save_view(*, study: Study, query: str, name: str, shared: bool, by: Actor) -> SavedView:
    """Keep filters under a name; the same name again replaces what it stood for."""
    if not query:
        raise Refused(_("Choose a filter first: a view of everything is the list itself."))
    with acting(by):
        view, _made = SavedView.objects.update_or_create(
            study=study,
            user_id=by.person,
            name=name,
            defaults={"query": query, "shared": shared},
        )
    return view


def rename_view(*, study: Study, pk: str, name: str, shared: bool, by: Actor) -> SavedView:
    with acting(by):
        view = _own(study, pk, by)
        same = SavedView.objects.filter(study=study, user_id=by.person, name=name)
        if same.exclude(pk=view.pk).exists():
            raise Refused(_("You have another view with this name."), "name")
        view.name, view.shared = name, shared
        view.save(update_fields=["name", "shared"])
    return view


def delete_view(*, study: Study, pk: str, by: Actor) -> None:
    with acting(by):
        _own(study, pk, by).delete()


def _own(study: Study, pk: str, by: Actor) -> SavedView:
    found = SavedView.objects.select_for_update().filter(study=study, user_id=by.person)
    view = found.filter(pk=pk).first() if pk.isdecimal() and len(pk) < 18 else None
    if view is None:
        raise Refused(_("This view is not yours, or it was deleted."))
    return view
