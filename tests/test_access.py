"""What `page()`, `api()` and `public()` let through, what they answer otherwise, what they keep.

The routes are throw-away ones (`tests/access_urls.py`), so that this is about the frame alone;
the real routes have their table in `tests/test_routes.py`.
"""

import datetime as dt
import uuid
from ipaddress import ip_network

import pytest
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse

from registry.models import Participant, SiteApproval
from sites.access import page
from sites.audit import Actor, acting
from sites.models import AccessLog, ApiToken, Membership, SecurityEvent, Site, User
from sites.roles import Permission
from tests.cast import seeing, working
from tests.samples import participant

pytestmark = pytest.mark.urls("tests.access_urls")


@pytest.fixture(autouse=True)
def _bare_pages(settings):
    """The pages of a refusal without the frame around them, which knows the real routes."""
    pages = {"403.html": "403", "404.html": "404", "refused.html": "{{ sentence }}"}
    loaders = [("django.template.loaders.locmem.Loader", pages)]
    backend = "django.template.backends.django.DjangoTemplates"
    settings.TEMPLATES = [{"BACKEND": backend, "OPTIONS": {"loaders": loaders}}]


def url(name, *args, study="uspp"):
    return reverse(f"t_{name}", args=[study, *args])


def person_at(site):
    """A participant of a site, as its coordinator would have made one."""
    with seeing(site), acting(Actor.job("demo")):
        return participant(site)


def log(*sites):
    with seeing(*sites):
        return list(AccessLog.objects.order_by("id"))


def refusals():
    return list(SecurityEvent.objects.filter(kind="refused").order_by("id"))


def birth_year(person):
    with seeing(person.site):
        return Participant.objects.get(pk=person.pk).birth_year


@pytest.fixture
def here(coordinator, jss):
    return person_at(jss)


@pytest.fixture
def there(coordinator, djj):
    return person_at(djj)


# Signing in ---------------------------------------------------------------------------------------


@pytest.mark.requirement("P04")
def test_a_stranger_is_sent_to_the_log_in_and_back(client, here):
    answer = client.get(url("one", here.pk))
    assert answer.status_code == 302
    assert answer["Location"] == f"{reverse('account_login')}?next={url('one', here.pk)}"
    assert client.post(url("one", here.pk)).status_code == 302
    assert birth_year(here) == 1980


@pytest.mark.requirement("P04")
def test_a_script_of_a_page_is_told_that_the_session_has_ended(client, here):
    answer = client.post(url("one", here.pk), headers={"X-Requested-With": "fetch"})
    assert answer.status_code == 401
    assert answer.json()["error"] == "signed_out"


@pytest.mark.requirement("P04")
def test_the_api_asks_for_a_token(client, here):
    for header in ({}, {"Authorization": "Token wrong"}, {"Authorization": "Basic eDp5"}):
        answer = client.get(url("api_one", here.pk), headers=header)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == "Token"
    assert len(refusals()) == 3


def test_a_session_is_no_key_to_the_api(as_, coordinator, here):
    assert as_(coordinator).get(url("api_one", here.pk)).status_code == 401


def test_a_public_route_needs_nobody(client, db):
    assert client.get("/t/open/").content == b"hello"


@pytest.mark.requirement("G14")
def test_who_is_deactivated_is_out_with_the_next_request(as_, coordinator, here):
    browser = as_(coordinator)
    assert browser.get(url("one", here.pk)).status_code == 200
    with acting(Actor.job("demo"), "has left"):
        User.objects.filter(pk=coordinator.pk).update(is_active=False)
    assert browser.get(url("one", here.pk)).status_code == 302


# Permission, study, site --------------------------------------------------------------------------


def test_a_coordinator_reads_and_writes_at_the_own_site(as_, coordinator, here):
    browser = as_(coordinator)
    assert browser.get(url("one", here.pk)).json()["number"] == here.number
    assert browser.post(url("one", here.pk), {"reason": "typing error"}).status_code == 200
    assert birth_year(here) == 1990
    with seeing(here.site):
        record = here.history.first()
    assert (record.history_user_id, record.history_role, record.history_change_reason) == (
        coordinator.pk,
        "coordinator",
        "typing error",
    )
    assert record.history_source == "entry"
    assert uuid.UUID(record.history_request) in {row.request for row in log(here.site)}


def test_a_page_that_writes_nothing_takes_no_post(as_, coordinator, here):
    browser = as_(coordinator)
    for verb in ("post", "put", "patch", "delete", "options"):
        answer = getattr(browser, verb)(url("seen", here.pk))
        assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
    assert birth_year(here) == 1980


@pytest.mark.requirement("S01")
@pytest.mark.parametrize("role", ["monitor", "datamanager", "safety", "auditor"])
def test_who_may_read_but_not_write_gets_403_and_is_written_down(request, as_, here, role):
    user = request.getfixturevalue(role)
    browser = as_(user)
    assert browser.get(url("one", here.pk)).status_code == 200
    assert browser.post(url("one", here.pk), REMOTE_ADDR="192.0.2.7").status_code == 403
    assert birth_year(here) == 1980
    [event] = refusals()
    assert (event.user, event.path, event.ip, event.detail) == (
        user,
        url("one", here.pk),
        "192.0.2.7",
        "no permission",
    )


@pytest.mark.requirement("E09")
def test_an_administrator_sees_no_clinical_page(as_, admin, here):
    browser = as_(admin)
    for name, args in (("one", [here.pk]), ("many", []), ("lazy", []), ("identity", [])):
        assert browser.get(url(name, *args)).status_code == 403
    assert browser.get(url("mine")).status_code == 200


def test_nobody_and_who_has_left_find_nothing(as_, nobody, former, here):
    for user in (nobody, former):
        for name, args in (("one", [here.pk]), ("many", []), ("mine", [])):
            assert as_(user).get(url(name, *args)).status_code == 404


@pytest.mark.requirement("S01")
def test_another_study_does_not_exist(as_, coordinator, needle_coordinator, here):
    assert as_(coordinator).get(url("many", study="needle")).status_code == 404
    assert as_(coordinator).get(url("many", study="none")).status_code == 404
    assert as_(needle_coordinator).get(url("one", here.pk)).status_code == 404
    assert as_(needle_coordinator).get(url("one", here.pk, study="needle")).status_code == 404
    assert as_(needle_coordinator).get(url("many", study="needle")).json() == {"numbers": []}


@pytest.mark.requirement("S01")
def test_a_row_of_another_site_looks_like_one_that_does_not_exist(as_, coordinator, here, there):
    browser = as_(coordinator)
    theirs, none = (browser.get(url("one", pk)) for pk in (there.pk, 10**9))
    assert theirs.status_code == none.status_code == 404
    assert there.number not in theirs.text
    assert [(e.user, e.path, e.detail) for e in refusals()] == [
        (coordinator, url("one", pk), "not found or not theirs") for pk in (there.pk, 10**9)
    ]
    assert log(here.site, there.site) == []


@pytest.mark.requirement("S01")
def test_a_coordinator_who_is_monitor_elsewhere_writes_at_one_and_reads_at_both(
    as_, coordinator2, here, there
):
    browser = as_(coordinator2)
    assert browser.get(url("one", here.pk)).status_code == 200
    assert browser.get(url("one", there.pk)).status_code == 200
    assert set(browser.get(url("many")).json()["numbers"]) == {here.number, there.number}
    assert browser.post(url("one", there.pk)).status_code == 200
    assert browser.post(url("one", here.pk)).status_code == 404
    assert (birth_year(there), birth_year(here)) == (1990, 1980)
    with seeing(there.site):
        assert there.history.first().history_role == "coordinator"


def test_a_list_keeps_to_the_sites_of_the_route_s_permission(
    as_, coordinator, monitor, here, there
):
    assert as_(coordinator).get(url("many")).json() == {"numbers": [here.number]}
    assert set(as_(monitor).get(url("many")).json()["numbers"]) == {here.number, there.number}


def test_a_route_without_a_study_shows_no_study_data(as_, coordinator, here):
    assert as_(coordinator).get("/t/nowhere/").status_code == 403


def test_the_database_is_told_only_the_sites_of_this_permission(as_, coordinator2, there, djj):
    told = as_(coordinator2).post(url("one", there.pk)).json()["context"]
    assert told == {"sites": f"{{{djj.pk}}}"}, "nobody is acting outside the write itself"


# Days ---------------------------------------------------------------------------------------------


@pytest.mark.requirement("G14")
@pytest.mark.parametrize(
    ("since", "until", "status"),
    [(-9, None, 200), (-9, 0, 200), (0, 0, 200), (-9, -1, 404), (1, None, 404), (1, 9, 404)],
)
def test_a_role_holds_from_its_first_to_its_last_day(as_, nobody, jss, uspp, since, until, status):
    give(nobody, jss, since, until)
    assert as_(nobody).get(url("many")).status_code == status


def give(user, site, since, until=None, role="coordinator", today=None):
    today = today or site.today()
    with acting(Actor.job("demo")):
        Membership.objects.create(
            user=user,
            study=site.study,
            site=site,
            role=role,
            since=today + dt.timedelta(days=since),
            until=None if until is None else today + dt.timedelta(days=until),
        )


def test_today_is_the_day_at_the_site(as_, nobody, jss, djj):
    """Between these two clocks there are 25 hours: it is never the same day at both."""
    with acting(Actor.job("demo")):
        Site.objects.filter(pk=jss.pk).update(timezone="Pacific/Kiritimati")
        Site.objects.filter(pk=djj.pk).update(timezone="Pacific/Pago_Pago")
    jss.refresh_from_db()
    for site in (jss, djj):
        give(nobody, site, 0, today=jss.today())
    assert as_(nobody).get(url("mine")).json() == {"sites": ["JSS"]}


# What is kept -------------------------------------------------------------------------------------


@pytest.mark.requirement("K01")
def test_whose_data_were_shown_is_kept(as_, coordinator, here):
    as_(coordinator).get(url("one", here.pk), REMOTE_ADDR="192.0.2.7")
    [row] = log(here.site)
    assert (row.user, row.site, row.participant_id) == (coordinator, here.site, here.pk)
    assert (row.action, row.route, row.ip) == ("view", "t_one", "192.0.2.7")


@pytest.mark.requirement("K01")
def test_what_was_done_with_them_is_kept(as_, coordinator, here):
    browser = as_(coordinator)
    browser.post(url("one", here.pk))
    b"".join(browser.get(url("file", here.pk)))
    browser.head(url("one", here.pk))
    assert [(row.action, row.route) for row in log(here.site)] == [
        ("enter", "t_one"),
        ("download", "t_file"),
        ("view", "t_one"),
    ]


@pytest.mark.requirement("K01")
def test_a_list_is_kept_with_everybody_on_it_once_per_request(as_, monitor, here, there):
    as_(monitor).get(url("many"))
    as_(monitor).get(url("many"))
    rows = log(here.site, there.site)
    assert len({row.request for row in rows}) == 2
    assert sorted((row.site_id, row.participant_id) for row in rows) == sorted(
        2 * [(here.site_id, here.pk), (there.site_id, there.pk)]
    )
    with seeing(here.site):
        assert {row.site for row in AccessLog.objects.all()} == {here.site}


def test_who_sees_nobody_leaves_no_row(as_, coordinator, here):
    as_(coordinator).get(url("mine"))
    assert log(here.site) == []


def test_a_view_that_fails_showed_nothing_and_wrote_nothing(as_, coordinator, here):
    browser = as_(coordinator)
    with pytest.raises(ZeroDivisionError):
        browser.get(url("broken", here.pk))
    browser.raise_request_exception = False
    assert browser.post(url("broken", here.pk)).status_code == 500
    assert log(here.site) == []


@pytest.mark.parametrize(("how", "status"), [("not", 404), ("may", 403), ("now", 409)])
def test_a_refusal_takes_back_what_was_written_and_is_itself_kept(
    as_, coordinator, here, how, status
):
    answer = as_(coordinator).post(f"{url('mind', here.pk)}?{how}")
    assert answer.status_code == status
    assert birth_year(here) == 1980
    assert log(here.site) == []
    assert len(refusals()) == (0 if how == "now" else 1)


def test_a_refused_act_is_a_sentence(as_, coordinator, here):
    browser = as_(coordinator)
    assert "Not today." in browser.post(url("mind", here.pk)).text
    answer = browser.post(url("mind", here.pk), headers={"X-Requested-With": "fetch"})
    assert (answer.status_code, answer.json()["detail"]) == (409, "Not today.")


def test_a_locked_site_is_said_in_a_sentence(as_, coordinator, datamanager, here, jss):
    with working(datamanager, jss):
        jss.locks.create(locked_by=datamanager)
    answer = as_(coordinator).post(
        url("one", here.pk), headers={"X-Requested-With": "fetch", "Accept-Language": "en"}
    )
    assert answer.status_code == 409
    assert answer.json()["error"] == "refused"
    assert birth_year(here) == 1980


@pytest.mark.requirement("S16")
def test_what_cannot_be_logged_is_not_shown(fresh_database, as_, coordinator, jss):
    here = person_at(jss)
    with fresh_database.connect("owner") as owner:
        owner.execute("REVOKE INSERT ON sites_accesslog FROM edc_app")
    browser = as_(coordinator)
    browser.raise_request_exception = False
    assert browser.get(url("one", here.pk)).status_code == 500
    assert browser.post(url("one", here.pk)).status_code == 500
    assert birth_year(here) == 1980


# Answers ------------------------------------------------------------------------------------------


def test_a_lazy_answer_is_rendered_inside(as_, coordinator, here):
    answer = as_(coordinator).get(url("lazy"))
    assert answer.text == f"[{here.number}]"


def test_a_streamed_answer_is_refused(as_, coordinator, here):
    with pytest.raises(TypeError, match="outside its transaction"):
        as_(coordinator).get(url("streamed"))


@pytest.mark.requirement("S08")
def test_no_cache_keeps_an_answer(as_, coordinator, here):
    for path in (url("one", here.pk), url("one", 0)):
        assert "no-store" in as_(coordinator).get(path)["Cache-Control"]


def test_a_page_insists_on_the_token_against_forged_forms(coordinator, here):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(coordinator)
    assert browser.post(url("one", here.pk)).status_code == 403
    assert birth_year(here) == 1980


def test_the_context_is_gone_after_the_request(as_, coordinator, here):
    as_(coordinator).get(url("one", here.pk))
    as_(coordinator).get(url("one", 0))
    with pytest.raises(DatabaseError, match="no site context"), transaction.atomic():
        Participant.objects.count()


def test_the_context_is_gone_after_a_committed_request(fresh_database, as_, coordinator, jss):
    here = person_at(jss)
    as_(coordinator).post(url("one", here.pk))
    assert not connection.in_atomic_block
    with pytest.raises(DatabaseError, match="no site context"):
        SiteApproval.objects.count()
    with fresh_database.connect("backup") as other:
        assert other.execute("SELECT count(*) FROM sites_accesslog").fetchone() == (1,)


# Where from ---------------------------------------------------------------------------------------


@pytest.mark.requirement("S17")
@pytest.mark.parametrize(
    ("peer", "forwarded", "kept"),
    [
        ("192.0.2.7", None, "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),  # forged: no proxy of ours
        ("10.0.0.2", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.2", "203.0.113.9, 198.51.100.1", "198.51.100.1"),  # the first is hearsay
        ("10.0.0.2", "198.51.100.1, 10.0.0.3", "198.51.100.1"),
        ("10.0.0.2", None, "10.0.0.2"),
        ("10.0.0.2", "nonsense", "10.0.0.2"),
        ("10.0.0.2", "2001:db8::7", "2001:db8::7"),
    ],
)
def test_the_address_is_the_proxy_s_word_or_none(
    as_, settings, coordinator, here, peer, forwarded, kept
):
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/24")]
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    as_(coordinator).get(url("one", here.pk), headers=headers, REMOTE_ADDR=peer)
    [row] = log(here.site)
    assert row.ip == kept


# Tokens -------------------------------------------------------------------------------------------


@pytest.fixture
def token(jss):
    """Makes a token: for whom, at which site, with what else in its row."""

    def make(user, site=jss, **fields):
        key = ApiToken.new_key()
        fields = {"expires_on": site.today() + dt.timedelta(days=1)} | fields
        with acting(Actor.job("demo")):
            ApiToken.objects.create(
                user=user, site=site, purpose="test", digest=ApiToken.digest_of(key), **fields
            )
        return {"Authorization": f"Token {key}"}

    return make


@pytest.mark.requirement("P08")
def test_a_token_reads_and_writes_as_its_person_at_its_site(client, coordinator, token, here):
    header = token(coordinator)
    assert client.get(url("api_one", here.pk), headers=header).json()["number"] == here.number
    assert client.post(url("api_one", here.pk), headers=header).status_code == 200
    assert birth_year(here) == 1990
    with seeing(here.site):
        record = here.history.first()
    assert (record.history_source, record.history_user_id) == ("API", coordinator.pk)
    assert [(row.user, row.action) for row in log(here.site)] == [
        (coordinator, "view"),
        (coordinator, "enter"),
    ]


@pytest.mark.requirement("P08")
def test_a_token_is_good_for_its_own_site_alone(client, monitor, needle, token, here, there):
    header = token(monitor)
    assert client.get(url("api_many"), headers=header).json() == {"numbers": [here.number]}
    assert client.get(url("api_one", there.pk), headers=header).status_code == 404
    answer = client.post(url("api_one", here.pk), headers=header)
    assert (answer.status_code, answer["Content-Type"]) == (403, "application/json")
    assert client.get(url("api_many", study="needle"), headers=header).status_code == 404


@pytest.mark.requirement("P15")
def test_a_token_ends(client, coordinator, former, token, here, jss):
    ended = token(coordinator, expires_on=jss.today() - dt.timedelta(days=1))
    revoked = token(coordinator, revoked_at=dt.datetime.now(dt.UTC))
    assert client.get(url("api_many"), headers=ended).status_code == 401
    assert client.get(url("api_many"), headers=revoked).status_code == 401
    assert client.get(url("api_many"), headers=token(former)).status_code == 404
    last_day = token(coordinator, expires_on=jss.today())
    assert client.get(url("api_many"), headers=last_day).status_code == 200
    with acting(Actor.job("demo")):
        User.objects.filter(pk=coordinator.pk).update(is_active=False)
    assert client.get(url("api_many"), headers=last_day).status_code == 401


# Making routes ------------------------------------------------------------------------------------


def test_a_route_cannot_be_made_without_saying_who_may_use_it():
    with pytest.raises(TypeError, match="read"):
        page("x/", lambda request: None, name="x")


def test_a_view_may_refuse_by_itself(rf, coordinator):
    route = page("x/", _refuses, read=Permission.SIGNED_IN, name="x")
    request = rf.get("/x/")
    request.user = coordinator
    assert route.callback(request).status_code == 403


def _refuses(request):
    raise PermissionDenied
