"""Who works in the study: invitations, roles with their dates and history, API tokens."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Prefetch, Q
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from registry.forms import put
from registry.forms.people import EndRoleForm, InviteForm, RoleForm, TokenForm
from registry.invitation import mail_invitation
from sites.access import Refused, Request
from sites.audit import changes
from sites.models import ApiToken, Membership, Site, User
from sites.roles import PERMISSIONS, Permission, Role
from sites.services import end_role, give_role, invite, make_token, revoke_token


def _memberships(request: Request) -> Any:
    """Roles in this study at the sites that this person may see, and those at all sites."""
    return Membership.objects.filter(study=request.study).filter(
        Q(site=None) | Q(site__in=list(request.sites))
    )


def people(request: Request) -> HttpResponse:
    memberships = _memberships(request).select_related("site").order_by("role", "site__position")
    users = (
        User.objects.filter(Q(memberships__in=memberships) | Q(memberships=None, is_active=True))
        .distinct()
        .prefetch_related(Prefetch("memberships", memberships, to_attr="roles_here"))
        .order_by("name")
    )
    if not request.may(Permission.MANAGE_PEOPLE):
        users = users.exclude(memberships=None)
    return render(
        request,
        "people/people.html",
        {
            "users": users,
            "today": timezone.localdate(),
            "matrix": _matrix(),
            "may_manage": request.may(Permission.MANAGE_PEOPLE),
        },
    )


def _matrix() -> dict[str, Any]:
    """The table of `sites.roles`, as the page shows it."""
    roles = list(Role)
    wanted = [permission for permission in Permission if permission is not Permission.SIGNED_IN]
    return {
        "roles": roles,
        "rows": [(p.label, [p in PERMISSIONS[role] for role in roles]) for p in wanted],
    }


def new_person(request: Request) -> HttpResponse:
    form = InviteForm(request.POST or None, initial={"language": "ko"})
    if request.method == "POST" and form.is_valid():
        try:
            user = invite(**form.cleaned_data, by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            mail_invitation(user)
            messages.success(request, _("Invited. A link to set the password was mailed."))
            return redirect("role_new", request.study.code, user.pk)
    return render(request, "people/invite.html", {"form": form})


def person(request: Request, pk: int) -> HttpResponse:
    user = _find_person(request, pk)
    memberships = _memberships(request).filter(user=user).select_related("site").order_by("since")
    return render(
        request,
        "people/person.html",
        {
            "person": user,
            "memberships": memberships,
            "today": timezone.localdate(),
            "may_manage": request.may(Permission.MANAGE_PEOPLE),
        },
    )


def _find_person(request: Request, pk: int) -> User:
    """Somebody with a role that may be seen here; administrators also find those without any."""
    user = get_object_or_404(User, pk=pk)
    known = _memberships(request).filter(user=user).exists()
    if not known and not (request.may(Permission.MANAGE_PEOPLE) and not user.memberships.exists()):
        raise Http404
    return user


def new_role(request: Request, pk: int) -> HttpResponse:
    user = _find_person(request, pk)
    everywhere = Site.objects.filter(study=request.study).count() == len(request.sites)
    form = RoleForm(
        request.POST or None,
        sites=list(request.sites.values()),
        whole_study=everywhere,
        initial={"since": timezone.localdate()},
    )
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        site = request.sites[int(chosen["site"])] if chosen["site"] else None
        try:
            give_role(
                user=user,
                study=request.study,
                site=site,
                role=chosen["role"],
                since=chosen["since"],
                until=chosen["until"],
                by=request.by,
            )
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(request, _("The role is given."))
            return redirect("person", request.study.code, user.pk)
    return render(request, "people/role_new.html", {"form": form, "person": user})


def stop_role(request: Request, pk: int) -> HttpResponse:
    membership = get_object_or_404(_memberships(request).select_related("user", "site"), pk=pk)
    if membership.site_id is None and len(request.sites) < request.study.sites.count():
        raise Http404
    form = EndRoleForm(request.POST or None, initial={"until": timezone.localdate()})
    if request.method == "POST" and form.is_valid():
        try:
            end_role(membership=membership, by=request.by, **form.cleaned_data)
        except Refused as refused:
            put(form, refused)
        else:
            messages.success(request, _("The role ends on that day."))
            return redirect("person", request.study.code, membership.user_id)
    return render(request, "people/role_end.html", {"form": form, "membership": membership})


def role_history(request: Request, pk: int) -> HttpResponse:
    membership = get_object_or_404(_memberships(request).select_related("user", "site"), pk=pk)
    names = {
        "role": _("Role"),
        "site": _("Site"),
        "since": _("From"),
        "until": _("Until"),
    }
    sites = {site.pk: site.short for site in request.study.sites.all()}

    def text(field: str, value: Any) -> str:
        if field == "site":
            return sites.get(value, _("all sites"))
        return str(Role(value).label) if field == "role" and value else str(value or "")

    context = {"membership": membership, "changes": changes(membership, names, text)}
    return render(request, "people/role_history.html", context)


def tokens(request: Request) -> HttpResponse:
    """A person's own API tokens; the key is shown once, on the page that answers the request."""
    form = TokenForm(request.POST or None, sites=list(request.sites.values()))
    key = ""
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        try:
            _token, key = make_token(
                user=request.user,
                site=request.sites[int(chosen["site"])],
                purpose=chosen["purpose"],
                expires_on=chosen["expires_on"],
                by=request.by,
            )
        except Refused as refused:
            put(form, refused)
        else:
            form = TokenForm(sites=list(request.sites.values()))
    mine = ApiToken.objects.filter(user=request.user, site__study=request.study)
    context = {"form": form, "key": key, "tokens": mine.select_related("site").order_by("-pk")}
    return render(request, "people/tokens.html", context)


def revoke(request: Request, pk: int) -> HttpResponse:
    token = get_object_or_404(ApiToken, pk=pk, user=request.user, site__study=request.study)
    revoke_token(token=token, by=request.by)
    messages.success(request, _("The token is revoked."))
    return redirect("tokens", request.study.code)
