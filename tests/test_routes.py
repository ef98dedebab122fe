"""Every route says who may use it, and does it: the cast × every route → status code.

`tests/access_matrix.csv` is a reviewed file. After a change of routes or roles, write it anew and
read the difference:

    make test PYTEST="tests/test_routes.py --write-access-matrix"

Each cell is the answer to GET and to an empty POST (or PATCH, where that is how a route is written
to) about objects of the first site of `uspp`.
A new kind of object in a route needs a line in `made_at` below.
"""

import csv
import re
from pathlib import Path

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, get_resolver

from crf.models import SecondLook
from crf.services import ask_query, save_entry
from crf.services.handovers import hand_over
from sites.audit import Actor, acting
from sites.models import ApiToken, Site, User
from sites.roles import Permission
from tests import lists
from tests.cast import CAST, actor, seeing
from tests.samples import document, release
from tests.story import play

MATRIX = Path(__file__).parent / "access_matrix.csv"
PEOPLE = ("anonymous", *CAST)

# Routes that `page()`, `api()` and `public()` did not make, each with its reason.
OTHERS = {
    "account_login": "the log-in itself",
    "account_logout": "ends the own session",
    "account_inactive": "tells a person that the account has ended",
    "account_reauthenticate": "asks for the own password again",
    "account_change_password": "the own password; needs a session",
    "account_set_password": "the own password; needs a session",
    "account_reset_password": "answers the same for every address",
    "account_reset_password_done": "a sentence, nothing else",
    "account_reset_password_from_key": "needs the key from the mail",
    "account_reset_password_from_key_done": "a sentence, nothing else",
}


def routes(resolver=None, before=""):
    """Every route: (its path with placeholders, the pattern)."""
    for pattern in (resolver or get_resolver("registry.urls")).url_patterns:
        path = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, path)
        else:
            yield path, pattern


ROUTES = {pattern.name: (path, pattern.callback) for path, pattern in routes()}
OURS = {name: found for name, found in ROUTES.items() if hasattr(found[1], "access")}


def methods(name):
    """How a route is read and how it is written to: a page by POST, some of the API by PATCH."""
    endpoint = getattr(OURS[name][1], "cls", None)
    patched = hasattr(endpoint, "patch") and not hasattr(endpoint, "post")
    return ("GET", "PATCH" if patched else "POST")


def takes(name, method):
    endpoint = getattr(OURS[name][1], "cls", None)
    return endpoint is None or hasattr(endpoint, method.lower())


def needs(name):
    """What a route asks of who reads and of who writes, as the matrix prints it."""
    access = OURS[name][1].access
    if "public" in access:
        return f"public: {access['public']}"
    return f"{access['read']} / {access['write'] or '-'}"


@pytest.mark.requirement("P04")
def test_every_route_says_who_may_use_it():
    assert len(ROUTES) == len(list(routes())), "two routes have one name, or one has none"
    assert ROUTES.keys() - OURS.keys() == OTHERS.keys()
    for name, (path, view) in OURS.items():
        if "public" in view.access:
            assert len(view.access["public"]) > 5, name
        else:
            assert isinstance(view.access["read"], Permission), name
            assert view.access["write"] is None or isinstance(view.access["write"], Permission)
            if view.access["read"] is not Permission.SIGNED_IN:
                assert "<slug:study>/" in path, f"{name}: no study says where the permission holds"


# Where the objects are ----------------------------------------------------------------------------


def made_at(site, user):
    """An object of every kind that a route may name, by the word before it in the path."""
    by = actor(user, site)
    with seeing(site):
        person = play(site, by)
        visit = person.visits.exclude(happened_on=None).get()
        entry = visit.entries.get(instrument="nrs")
        saved = save_entry(entry=entry, changes={"pain": 7}, by=by)
        assert not saved.errors
        entry.refresh_from_db()
        query = ask_query(text="확인 부탁드립니다.", entry=entry, by=by)
        with acting(Actor.job("demo")):
            event = person.adverse_events.create(
                site=site,
                number=1,
                symptom="멍",
                onset=visit.happened_on.isoformat(),
                grade=1,
                causality="possible",
                outcome="1",
                aware_on=visit.happened_on,
            )
            token = ApiToken.objects.create(
                user=user,
                site=site,
                purpose="test",
                digest=ApiToken.digest_of(f"{user.pk}"),
                expires_on=site.today(),
            )
            dataset, _download = release(site, user)
            about = {"site": site, "participant": person}
            look = SecondLook.objects.create(entry=entry, **about)
            paper = document(site, user, person)
        consent = person.consents.first()
        head = ("subject", "visit", "pain")
        told = {"columns": {"subject": "subject", "visit": "visit", "pain": "nrs.pain"}}
        content = lists.csv((person.subject_number, "w0", 3), head=head)
        listed = lists.brought(site, content, by, told)
        handed, _code = hand_over(visit=visit, instruments=["nrs"], way="tablet", by=by)
    return {
        "imports": listed.pk,
        "participants": person.pk,
        "visits": visit.pk,
        "entries": entry.pk,
        "forms": "procedure",
        "instruments": "nrs",
        "codes": "kcd",
        "history": "pain",
        "about": "pain",
        "events": event.pk,
        "queries": query.pk,
        "consents": consent.pk,
        "handovers": handed.pk,
        "link": "no-such-link",
        "question": 1,
        "releases": dataset.number,
        "datasets": dataset.number,
        "jobs": dataset.job_id,
        "documents": paper.job_id,
        "lock": site.pk,
        "looks": look.pk,
        "sites": site.pk,
        "protocol": 1,
        "people": user.pk,
        "roles": user.memberships.order_by("pk").first().pk,
        "tokens": token.pk,
    }


def fill(path, objects, study="uspp"):
    """The path with objects in the places of its placeholders."""
    path = path.replace("<slug:study>", study)
    for word in re.findall(r"([a-z_]+)/<[^>]+>", path):
        assert word in objects, f"say in made_at() which object follows {word!r} in {path}"
        path = re.sub(rf"{word}/<[^>]+>", f"{word}/{objects[word]}", path)
    assert "<" not in path, f"a placeholder follows no word in {path}"
    return f"/{path}"


@pytest.fixture
def objects(coordinator, jss):
    return made_at(jss, coordinator)


@pytest.fixture
def elsewhere(coordinator2, djj):
    return made_at(djj, coordinator2)


def browser_of(username):
    """A browser with a session and, for the API, a token of this person at the first site."""
    browser = Client(raise_request_exception=False)
    if username == "anonymous":
        return browser
    user = User.objects.get(username=username)
    study = CAST[username][0].study if CAST[username] else "uspp"
    key = ApiToken.new_key()
    site = Site.objects.filter(study__code=study).order_by("position", "pk").first()
    with acting(Actor.job("demo")):
        ApiToken.objects.create(
            user=user,
            site=site,
            purpose="matrix",
            digest=ApiToken.digest_of(key),
            expires_on=site.today(),
        )
    browser.force_login(user)
    browser.defaults["HTTP_AUTHORIZATION"] = f"Token {key}"
    return browser


def answer(browser, method, path):
    """The status of one request, whose effect is taken back."""
    with transaction.atomic():
        response = browser.generic(method, path)
        if response.streaming:
            b"".join(response)
        transaction.set_rollback(True)
    return response.status_code


# The matrix ---------------------------------------------------------------------------------------


def read_matrix():
    with MATRIX.open(encoding="utf-8", newline="") as file:
        return {(row["route"], row["method"]): row for row in csv.DictReader(file)}


def write_column(username, column):
    """Puts the answers to one person into the file; routes that are gone go."""
    kept = read_matrix() if MATRIX.exists() else {}
    with MATRIX.open("w", encoding="utf-8", newline="") as file:
        names = ["route", "method", "needs: read / write", *PEOPLE]
        writer = csv.DictWriter(file, names, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        for (name, method), status in column.items():
            row = kept.get((name, method), {}) | {"route": name, "method": method}
            row |= {"needs: read / write": needs(name), username: status}
            writer.writerow(row)


@pytest.mark.requirement("P04")
@pytest.mark.requirement("P07")
@pytest.mark.requirement("S02")
@pytest.mark.parametrize("username", PEOPLE)
def test_each_of_the_cast_gets_the_answer_of_the_reviewed_file(request, objects, username):
    browser = browser_of(username)
    column = {
        (name, method): str(answer(browser, method, fill(path, objects)))
        for name, (path, _view) in OURS.items()
        for method in methods(name)
    }
    assert not [cell for cell, status in column.items() if status >= "500"]
    if request.config.getoption("write_access_matrix"):
        write_column(username, column)
    expected = {cell: row[username] for cell, row in read_matrix().items()}
    assert column == expected, "see the head of this file for how to write the matrix anew"


def test_the_reviewed_file_names_what_each_route_needs():
    assert [(row["route"], row["needs: read / write"]) for row in read_matrix().values()] == [
        (name, needs(name)) for name in OURS for _method in methods(name)
    ]


@pytest.mark.requirement("S01")
@pytest.mark.parametrize(
    "username", ["anonymous", "nobody", "former", "needle_coordinator", "needle_datamanager"]
)
def test_who_has_no_role_in_the_study_gets_nowhere_in_it(objects, username):
    browser = browser_of(username)
    for name, (path, view) in OURS.items():
        if "<slug:study>" not in path:
            continue
        reads, writes = methods(name)
        for method, wanted in ((reads, view.access["read"]), (writes, view.access["write"])):
            status = answer(browser, method, fill(path, objects))
            allowed = {401, 302} if username == "anonymous" else {404}
            answers = allowed if wanted and takes(name, method) else {405}
            assert status in answers, f"{method} {name}"


# Objects that are not of a site: people and what surrounds them are of the study, and a participant
# reaches questions by a session of their own.
OF_THE_STUDY = {"people", "roles", "sites", "protocol", "instruments", "codes"}
OF_THE_STUDY |= {"link", "question"}


@pytest.mark.requirement("S01")
@pytest.mark.parametrize("username", ["coordinator", "investigator"])
def test_objects_of_another_site_do_not_exist(objects, elsewhere, username):
    """They get the same answer as numbers that nobody ever had, whatever the method."""
    browser = browser_of(username)
    nobodys = "0" * 8 + "-0000" * 3 + "-" + "0" * 12
    nothing = dict.fromkeys(elsewhere, 10**9) | {"jobs": nobodys, "documents": nobodys}
    for name, (path, _view) in OURS.items():
        words = set(re.findall(r"([a-z_]+)/<[^>]+>", path.replace("<slug:study>", "uspp")))
        if not words or words <= OF_THE_STUDY:
            continue
        for method in methods(name):
            theirs = answer(browser, method, fill(path, elsewhere))
            none = answer(browser, method, fill(path, nothing))
            assert theirs == none, f"{method} {name}"
            assert theirs in {403, 404, 405}, f"{method} {name}"


@pytest.mark.requirement("E12")
def test_an_auditor_changes_nothing(objects):
    """Nothing that needs a permission to write answers an auditor with anything but a refusal."""
    browser = browser_of("auditor")
    for name, (path, view) in OURS.items():
        wanted = view.access.get("write")
        if wanted and wanted not in (Permission.SIGNED_IN, view.access["read"]):
            assert answer(browser, methods(name)[1], fill(path, objects)) == 403, name
