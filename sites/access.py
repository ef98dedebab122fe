"""Two locks on every row: the route's permission in Python, row-level security in PostgreSQL.

`page()`, `api()` and `public()` are the only makers of routes. They own the transaction: they ask
what the person may do here, tell the database which sites that is, run the view, render inside,
write down whose data were shown, and commit (DESIGN 2.6, 2.7). Views reach rows through `find`
and `rows`; `system` is the only wider context, for the jobs that are named here.
"""

from __future__ import annotations

import functools
import ipaddress
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connections, models, transaction
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from sites.audit import Actor
from sites.models import AccessLog, ApiToken, SecurityEvent, Site, Study, User
from sites.roles import Permission, Role, permissions

Row = TypeVar("Row", bound=models.Model)
View = Callable[..., HttpResponseBase]

READING = ("GET", "HEAD")
LOCKED = "EDC01"  # the SQLSTATE of the trigger that refuses writes to locked rows

# Who may see more than one person's sites: background work, named, each with its purpose.
JOBS = {
    "administrator": "invites the first administrator of a new installation",
    "up": "migrates, publishes the protocols of a new installation",
    "publish": "stores a protocol version and the sites that it names",
    "demo": "makes the demonstration accounts and participants",
    "simulate": "writes plausible participants through the services",
    "release": "builds a dataset of the sites that its requester may read",
    "documents": "prints casebooks of participants whose trail its requester may read",
    "sweep": "re-queues jobs that lost their lease",
    "import": "writes the lines of a list in the name of who said yes to it",
    "rescore": "recomputes stored scores and lists what differs",
    "handover": "finds the site of a code or link that a participant typed, and nothing else",
    "remind": "mails participants who agreed that questions are due",
    "work": "marks visits and forms as the days pass",
}


class Refused(Exception):
    """An act that is not possible now: a sentence for the person, and the field it is about."""

    def __init__(self, sentence: str, field: str | None = None) -> None:
        super().__init__(sentence)
        self.field = field


class Request(HttpRequest):
    """What views get: a request whose person, study and sites are settled."""

    user: User
    study: Study
    places: dict[str, Place]  # every study of this person, by code
    sites: dict[int, Site]  # where this person holds this route's permission, by id
    held: dict[int, frozenset[Permission]]  # every permission of this person, by site
    by: Actor
    shown: dict[int, set[int]]  # site → participants that this request shows

    def may(self, permission: Permission, site_id: int | None = None) -> bool:
        """Whether this person holds `permission` at the site, or at any site of the study."""
        raise NotImplementedError


def client_ip(request: HttpRequest) -> str | None:
    """The caller's address; `registry.proxy` has settled whose word on it counts."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None


_STUDY, _SITE = (
    [column.attname for column in model._meta.concrete_fields] for model in (Study, Site)
)
# One statement for every page: roles, studies and sites.
_ROLES_TODAY = f"""
SELECT m.role, {", ".join(f"st.{name}" for name in _STUDY)},
  {", ".join(f"s.{name}" for name in _SITE)}
FROM sites_membership m JOIN sites_study st ON st.id = m.study_id
JOIN sites_site s ON s.study_id = st.id AND (m.site_id = s.id OR m.site_id IS NULL)
WHERE m.user_id = %s
  AND m.since <= (now() AT TIME ZONE s.timezone)::date
  AND (m.until IS NULL OR m.until >= (now() AT TIME ZONE s.timezone)::date)
ORDER BY st.code, s.position, s.code, m.role
"""  # noqa: S608


@dataclass
class Place:
    """A study in which a person has something to do today, and their roles at each of its sites."""

    study: Study
    sites: dict[int, Site] = field(default_factory=dict)
    roles: dict[int, list[str]] = field(default_factory=dict)

    @property
    def study_id(self) -> int:
        return self.study.pk

    @property
    def code(self) -> str:
        return self.study.code

    @property
    def name(self) -> str:
        return str(self.study)

    @property
    def distinct_roles(self) -> list[Role]:
        return sorted({Role(role) for held in self.roles.values() for role in held})


def places_of(user_id: int) -> dict[str, Place]:
    """Study code → place, for the studies in which a person holds a role today (the site's day)."""
    places: dict[str, Place] = {}
    with connections["default"].cursor() as cursor:
        cursor.execute(_ROLES_TODAY, [user_id])
        for role, *values in cursor.fetchall():
            study = Study.from_db("default", _STUDY, values[: len(_STUDY)])
            place = places.setdefault(study.code, Place(study))
            site = Site.from_db("default", _SITE, values[len(_STUDY) :])
            site.study = place.study
            place.sites.setdefault(site.pk, site)
            place.roles.setdefault(site.pk, []).append(role)
    return places


def roles_of(user_id: int, study_id: int) -> dict[int, list[str]]:
    """Site id → the roles that a person holds in one study today."""
    for place in places_of(user_id).values():
        if place.study_id == study_id:
            return place.roles
    return {}


def set_sites(sites: Iterable[int], *, using: str = "default") -> None:
    """Tell PostgreSQL which sites' rows this transaction may touch."""
    ids = "{" + ",".join(str(site) for site in sites) + "}"
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT set_config('edc.sites', %s, true)", [ids])


@contextmanager
def context(*, using: str = "default") -> Iterator[None]:
    """A transaction whose sites are forgotten at its end, also inside another one.

    What set_config(…, true) sets inside a savepoint outlives its release; a rollback takes it away.
    """
    connection = connections[using]
    before = None
    if connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute("SELECT coalesce(current_setting('edc.sites', true), '')")
            (before,) = cursor.fetchone()
    with transaction.atomic(using=using):
        yield
        if before is not None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('edc.sites', %s, true)", [before])


@contextmanager
def system(job: str, *, sites: Iterable[int], using: str = "default") -> Iterator[Actor]:
    """A transaction of background work over `sites`, in the name of an allowed job."""
    if job not in JOBS:
        raise PermissionDenied(f"{job!r} is not in the list of jobs (sites.access.JOBS)")
    with context(using=using):
        set_sites(sites, using=using)
        yield Actor.job(job)


# Rows -------------------------------------------------------------------------------------------


def rows(request: Request, source: type[Row] | models.QuerySet[Row]) -> models.QuerySet[Row]:
    """The rows of a site-scoped model at the sites where this route's permission is held."""
    queryset = source if isinstance(source, models.QuerySet) else source._default_manager.all()
    return queryset.filter(site_id__in=list(request.sites))


def find(request: Request, source: type[Row] | models.QuerySet[Row], **lookup: Any) -> Row:
    """One such row, or 404: a row elsewhere looks like one that does not exist."""
    # The default order would be the order of its parents, and join them.
    found = list(rows(request, source).filter(**lookup).order_by()[:1])
    row = found[0] if found else None
    if row is None:
        raise Http404
    show(request, [row])
    return row


def show(request: Request, records: Iterable[Any]) -> None:
    """Note whose data this request shows: participants, or rows that name a participant."""
    for record in records:
        participant = getattr(record, "participant_id", None) or (
            record.pk if record._meta.label == "registry.Participant" else None
        )
        if participant:
            request.shown.setdefault(record.site_id, set()).add(participant)


def downloaded(request: Request) -> None:
    """What this request shows leaves the system as a file."""
    request.access_action = AccessLog.Action.DOWNLOAD  # type: ignore[attr-defined]


def _log_access(request: Request) -> None:
    if not request.shown:
        return
    pairs = [(s, p) for s, people in request.shown.items() for p in sorted(people)]
    fallback = AccessLog.Action.VIEW if request.method in READING else AccessLog.Action.ENTER
    action = getattr(request, "access_action", fallback)
    match = request.resolver_match
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO sites_accesslog (at, user_id, site_id, participant_id, action, route, ip,"
            " request) SELECT now(), %s, site, participant, %s, %s, %s, %s"
            " FROM unnest(%s::bigint[], %s::bigint[]) AS shown(site, participant)",
            [
                request.user.pk,
                action,
                match.view_name if match else "",
                client_ip(request),
                request.by.request,
                [site for site, _participant in pairs],
                [participant for _site, participant in pairs],
            ],
        )


def log_event(
    request: HttpRequest,
    kind: SecurityEvent.Kind,
    *,
    user_id: int | None = None,
    detail: str = "",
    path: str = "",
) -> None:
    """Keep a log-in, log-out or refusal, whatever becomes of the request itself.

    `path` stands for an address that holds a secret.
    """
    SecurityEvent.objects.create(
        kind=kind,
        user_id=user_id,
        path=path or request.path[:500],
        ip=client_ip(request),
        detail=detail,
    )


# Routes -----------------------------------------------------------------------------------------


def page(
    route: str, view: View, *, read: Permission, write: Permission | None = None, name: str
) -> URLPattern:
    """A page: GET needs `read`, POST needs `write`; without `write`, POST is 405."""
    return path(route, never_cache(_guarded(view, read, write, _session_user)), name=name)


def api(
    route: str, view: View, *, read: Permission, write: Permission | None = None, name: str
) -> URLPattern:
    """An API route: like a page, for the bearer of a token that is bound to a person and a site."""
    return path(
        route, csrf_exempt(never_cache(_guarded(view, read, write, _token_user))), name=name
    )


def public(route: str, view: View, *, name: str, why: str) -> URLPattern:
    """A route without log-in; `why` is its reason, which the access matrix prints."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return view(request, *args, **kwargs)

    wrapped.access = {"public": why}  # type: ignore[attr-defined]
    return path(route, wrapped, name=name)


def _session_user(request: HttpRequest) -> HttpResponseBase | None:
    """None when somebody is signed in, else the answer that sends them to the log-in."""
    if request.user.is_authenticated:
        return None
    if request.headers.get("X-Requested-With") == "fetch":
        return JsonResponse(
            {"error": "signed_out", "detail": _("Please sign in again.")}, status=401
        )
    return redirect_to_login(request.get_full_path(), settings.LOGIN_URL)


def _token_user(request: Request) -> HttpResponseBase | None:
    scheme, _space, key = request.headers.get("Authorization", "").partition(" ")
    token = (
        ApiToken.objects.select_related("user", "site__study")
        .filter(digest=ApiToken.digest_of(key.strip()), revoked_at=None, user__is_active=True)
        .first()
        if scheme.lower() in ("token", "bearer") and key
        else None
    )
    if token is None or token.expires_on < token.site.today():
        log_event(request, SecurityEvent.Kind.REFUSED, detail="API token missing, wrong or ended")
        return JsonResponse(
            {"detail": _("A valid API token is needed.")},
            status=401,
            headers={"WWW-Authenticate": "Token"},
        )
    request.user = token.user
    request.api_token = token  # type: ignore[attr-defined]
    return None


def _guarded(
    view: View,
    read: Permission,
    write: Permission | None,
    sign_in: Callable[[Request], HttpResponseBase | None],
) -> View:
    @functools.wraps(view)
    def wrapped(http_request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request = cast(Request, http_request)
        wanted = read if request.method in READING else write
        allowed = _methods(view, write)
        if wanted is None or request.method not in allowed:
            return HttpResponseNotAllowed(allowed)
        answer = sign_in(request)
        if answer is not None:
            return answer
        try:
            with context():
                _settle(request, wanted, kwargs.pop("study", None))
                response = view(request, *args, **kwargs)
                if hasattr(response, "render") and callable(response.render):
                    response = response.render()
                if isinstance(response, StreamingHttpResponse) and not isinstance(
                    response, FileResponse
                ):
                    raise TypeError("a streamed answer would be rendered outside its transaction")
                _log_access(request)
            return response
        except PermissionDenied:
            _log_refusal(request, "no permission")
            if sign_in is _token_user:
                return JsonResponse({"detail": _("You may not do this.")}, status=403)
            return render(request, "403.html", status=403)
        except Http404:
            _log_refusal(request, "not found or not theirs")
            if sign_in is _token_user:
                return JsonResponse({"detail": _("Not found.")}, status=404)
            return render(request, "404.html", status=404)
        except (Refused, DatabaseError) as error:
            sentence = refusal(error)
            if sentence is None:
                raise
            return _refused(request, sentence, as_json=sign_in is _token_user)

    wrapped.access = {"read": read, "write": write}  # type: ignore[attr-defined]
    return wrapped


def _methods(view: View, write: Permission | None) -> list[str]:
    """What a view can be asked: a page by GET and POST, an endpoint of the API by what it takes."""
    endpoint = getattr(view, "cls", None)
    taken = ["GET", "POST"]
    if endpoint:
        taken = [each for each in ("GET", "POST", "PATCH") if hasattr(endpoint, each.lower())]
    return [
        *(READING if "GET" in taken else ()),
        *(each for each in taken if each != "GET" and write),
    ]


def refusal(error: Exception) -> str | None:
    """The sentence for a refused act; None when the error is a fault of ours."""
    if isinstance(error, Refused):
        return str(error)
    if getattr(error.__cause__, "sqlstate", None) == LOCKED:
        return _("The data of this site are locked. Nothing was changed.")
    return None


def _refused(request: Request, sentence: str, *, as_json: bool) -> HttpResponse:
    if as_json or request.headers.get("X-Requested-With") == "fetch":
        return JsonResponse({"error": "refused", "detail": sentence}, status=409)
    return render(request, "refused.html", {"sentence": sentence}, status=409)


def _log_refusal(request: Request, why: str) -> None:
    log_event(request, SecurityEvent.Kind.REFUSED, user_id=request.user.pk, detail=why)


def _settle(request: Request, wanted: Permission, study_code: str | None) -> None:
    """Work out study, sites and roles for this request and tell the database."""
    request.shown, request.sites, request.held = {}, {}, {}
    request.places = places_of(request.user.pk)
    token = getattr(request, "api_token", None)
    request.by = Actor(
        label=f"user:{request.user.pk}",
        user_id=request.user.pk,
        request=str(uuid.uuid4()),
        source="API" if token else "entry",
    )
    request.may = functools.partial(_may, request)  # type: ignore[method-assign]
    if study_code is None:
        set_sites([])
        if wanted is not Permission.SIGNED_IN:
            raise PermissionDenied
        return
    place = request.places.get(study_code)
    if place is None:
        raise Http404
    request.study = place.study
    roles = {
        site: held for site, held in place.roles.items() if token is None or token.site_id == site
    }
    request.held = {
        site: permissions(held) | {Permission.SIGNED_IN} for site, held in roles.items()
    }
    request.sites = {
        pk: site for pk, site in place.sites.items() if wanted in request.held.get(pk, ())
    }
    if not request.sites:
        raise PermissionDenied if request.held else Http404
    through = {
        site: next(r for r in roles[site] if wanted in {*permissions([r]), Permission.SIGNED_IN})
        for site in request.sites
    }
    request.by = replace(request.by, roles=through)
    set_sites(request.sites)


def _may(request: Request, permission: Permission, site_id: int | None = None) -> bool:
    if site_id is not None:
        return permission in request.held.get(site_id, ())
    return any(permission in held for held in request.held.values())
