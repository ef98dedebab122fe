"""Throw-away routes: the smallest views that can be right or wrong."""

from django.core.exceptions import PermissionDenied
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import include, path

from registry.models import Participant
from sites.access import Refused, api, downloaded, find, page, public, rows, show
from sites.audit import acting
from sites.roles import Permission as P
from tests.test_acting import context


def one(request, pk):
    """Shows a participant; a POST writes one."""
    person = find(request, Participant, pk=pk)
    if request.method == "POST":
        with acting(request.by, request.POST.get("reason", "")):
            Participant.objects.filter(pk=pk).update(birth_year=1990)
    return JsonResponse({"number": person.number, "context": context()})


def many(request):
    found = list(rows(request, Participant))
    show(request, found)
    return JsonResponse({"numbers": [person.number for person in found]})


def lazy(request):
    """Its rows are read only when the answer is rendered."""
    template = engines["django"].from_string("{% for p in found %}[{{ p.number }}]{% endfor %}")
    return TemplateResponse(request, template, {"found": rows(request, Participant)})


def streamed(request):
    return StreamingHttpResponse(person.number for person in rows(request, Participant))


def artefact(request, pk):
    show(request, [find(request, Participant, pk=pk)])
    downloaded(request)
    return FileResponse(iter([b"finished"]), filename="a.zip")


def broken(request, pk):
    find(request, Participant, pk=pk)
    raise ZeroDivisionError


def changes_its_mind(request, pk):
    """Writes first and refuses then, in the way that its query says."""
    find(request, Participant, pk=pk)
    with acting(request.by):
        Participant.objects.filter(pk=pk).update(birth_year=1990)
        if "not" in request.GET:
            find(request, Participant, pk=0)
        if "may" in request.GET:
            raise PermissionDenied
        raise Refused("Not today.")


def mine(request):
    return JsonResponse({"sites": sorted(s.code for s in request.sites.values())})


def open_to_all(request):
    return HttpResponse("hello")


SEE, ENTER = {"read": P.SEE_DATA}, {"read": P.SEE_DATA, "write": P.ENTER}

urlpatterns = [
    path("account/", include("allauth.account.urls")),
    page("t/<slug:study>/one/<int:pk>/", one, **ENTER, name="t_one"),
    page("t/<slug:study>/seen/<int:pk>/", one, **SEE, name="t_seen"),
    page("t/<slug:study>/identity/", mine, read=P.SEE_IDENTITY, name="t_identity"),
    page("t/<slug:study>/lock/", mine, read=P.SEE_DATA, write=P.LOCK, name="t_lock"),
    page("t/<slug:study>/mine/", mine, read=P.SIGNED_IN, name="t_mine"),
    page("t/<slug:study>/many/", many, **SEE, name="t_many"),
    page("t/<slug:study>/lazy/", lazy, **SEE, name="t_lazy"),
    page("t/<slug:study>/streamed/", streamed, **SEE, name="t_streamed"),
    page("t/<slug:study>/file/<int:pk>/", artefact, **SEE, name="t_file"),
    page("t/<slug:study>/broken/<int:pk>/", broken, **ENTER, name="t_broken"),
    page("t/<slug:study>/mind/<int:pk>/", changes_its_mind, **ENTER, name="t_mind"),
    page("t/nowhere/", many, **SEE, name="t_nowhere"),
    api("t/api/<slug:study>/one/<int:pk>/", one, **ENTER, name="t_api_one"),
    api("t/api/<slug:study>/many/", many, **SEE, name="t_api_many"),
    public("t/open/", open_to_all, name="t_open", why="a test"),
]
