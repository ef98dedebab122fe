"""People: who is invited, which roles they get and lose, and what nobody may hold together."""

from __future__ import annotations

import datetime as dt
import re
from io import StringIO

import pytest
from django.core import mail
from django.core.management import call_command
from django.urls import reverse

from sites.models import ApiToken, Membership, SecurityEvent, User

pytestmark = pytest.mark.django_db
TODAY = dt.date.today()  # noqa: DTZ011 – roles count in days


def date_fields(name, day):
    return {f"{name}_year": day.year, f"{name}_month": day.month, f"{name}_day": day.day}


def role_form(role, site="", since=None):
    since = since or dt.date(2026, 11, 1)
    return {"role": role, "site": site, **date_fields("since", since)}


def test_an_administrator_invites_and_only_the_invited_person_gets_the_link(as_, admin):
    answer = as_(admin).post(
        reverse("invite", args=["uspp"]),
        {"username": "kim", "name": "김새봄", "email": "kim@example.org", "language": "ko"},
        follow=True,
    )
    user = User.objects.get(username="kim")
    assert answer.status_code == 200
    assert not user.has_usable_password()
    assert [message.to for message in mail.outbox] == [["kim@example.org"]]
    assert "/account/password/reset/key/" in mail.outbox[0].body
    made = user.history.get()
    assert (made.history_user_id, made.history_role) == (admin.pk, "administrator")


def test_the_mailed_link_sets_the_first_password_once(as_, client, admin):
    as_(admin).post(
        reverse("invite", args=["uspp"]),
        {"username": "kim", "name": "김새봄", "email": "kim@example.org", "language": "ko"},
    )
    path = re.search(r"http://[^/]+(/\S+)", mail.outbox[0].body)[1]
    form = client.get(path, follow=True)
    new = {"password1": "a-long-enough-phrase", "password2": "a-long-enough-phrase"}
    client.post(form.request["PATH_INFO"], new)
    user = User.objects.get(username="kim")
    assert user.check_password("a-long-enough-phrase")
    client.logout()
    again = client.get(path, follow=True)
    assert "password1" not in again.content.decode()


def test_the_first_administrator_comes_from_the_command_line(db):
    call_command("administrator", "uspp", "chief", "장관리", "chief@example.org", stdout=StringIO())
    user = User.objects.get(username="chief")
    membership = user.memberships.get()
    assert (membership.role, membership.site) == ("administrator", None)
    assert membership.history.get().history_actor == "job:administrator"
    assert [message.to for message in mail.outbox] == [["chief@example.org"]]


def test_a_user_name_is_never_given_twice(as_, admin, former):
    form = {"username": "FORMER", "name": "다른 사람", "email": "new@example.org", "language": "ko"}
    answer = as_(admin).post(reverse("invite", args=["uspp"]), form)
    assert answer.context["form"].errors.keys() == {"username"}
    assert "다른 사람" in answer.content.decode()  # nothing typed is lost
    assert not User.objects.filter(email="new@example.org").exists()


def test_a_role_is_given_ended_and_its_history_says_by_whom(as_, admin, nobody, jss):
    client = as_(admin)
    client.post(
        reverse("role_new", args=["uspp", nobody.pk]), role_form("coordinator", str(jss.pk))
    )
    membership = nobody.memberships.get()
    assert (membership.role, membership.site) == ("coordinator", jss)
    assert as_(nobody).get(reverse("people", args=["uspp"])).status_code == 200
    client.post(
        reverse("role_end", args=["uspp", membership.pk]),
        {**date_fields("until", dt.date(2026, 11, 2)), "reason": "퇴사"},
    )
    assert as_(nobody).get(reverse("people", args=["uspp"])).status_code == 404
    page = client.get(reverse("role_history", args=["uspp", membership.pk])).content.decode()
    assert "퇴사" in page
    assert "2026-11-02" in page
    assert "UTC+0900" in page
    assert admin.name in page


@pytest.mark.parametrize(
    ("holds", "gets", "allowed"),
    [
        ("monitor", "data_manager", True),
        ("monitor", "coordinator", False),
        ("datamanager", "investigator", False),
        ("coordinator", "administrator", False),
        ("coordinator", "investigator", True),
    ],
)
@pytest.mark.requirement("E09")
def test_nobody_gets_a_pair_of_roles_that_excludes_itself(as_, admin, jss, holds, gets, allowed):
    user = User.objects.get(username=holds)
    answer = as_(admin).post(
        reverse("role_new", args=["uspp", user.pk]), role_form(gets, str(jss.pk))
    )
    assert Membership.objects.filter(user=user, role=gets).exists() is allowed
    if not allowed:
        assert answer.context["form"].errors.keys() == {"role"}


def test_a_pair_is_forbidden_at_one_site_not_at_two(as_, admin, coordinator, jss, djj):
    client = as_(admin)
    url = reverse("role_new", args=["uspp", coordinator.pk])
    client.post(url, role_form("monitor", str(djj.pk)))
    assert coordinator.memberships.filter(role="monitor").get().site == djj
    client.post(url, role_form("monitor", ""))
    assert not coordinator.memberships.filter(role="monitor", site=None).exists()


def test_nobody_gives_a_role_to_themselves(as_, admin):
    as_(admin).post(reverse("role_new", args=["uspp", admin.pk]), role_form("auditor"))
    assert not admin.memberships.filter(role="auditor").exists()


def test_a_token_is_shown_once_and_stored_as_digest(as_, coordinator, jss):
    client = as_(coordinator)
    url = reverse("tokens", args=["uspp"])
    form = {
        "site": jss.pk,
        "purpose": "검사실 연동",
        **date_fields("expires_on", jss.today() + dt.timedelta(days=30)),
    }
    page = client.post(url, form).content.decode()
    key = re.search(r"edc_[\w-]+", page)[0]
    assert ApiToken.objects.get().digest == ApiToken.digest_of(key)
    assert key not in client.get(url).content.decode()


def test_a_token_of_somebody_else_can_not_be_revoked(as_, coordinator, coordinator2, jss):
    from sites.services import make_token
    from tests.cast import actor

    token, _key = make_token(
        user=coordinator,
        site=jss,
        purpose="x",
        expires_on=jss.today() + dt.timedelta(days=2),
        by=actor(coordinator, jss),
    )
    url = reverse("token_revoke", args=["uspp", token.pk])
    assert as_(coordinator2).post(url).status_code == 404
    as_(coordinator).post(url)
    token.refresh_from_db()
    assert token.revoked_at


def test_an_administrator_of_one_study_finds_nobody_of_another(as_, admin):
    user = User.objects.get(username="needle_coordinator")
    assert as_(admin).get(reverse("person", args=["uspp", user.pk])).status_code == 404
    assert (
        "needle coordinator"
        not in as_(admin).get(reverse("people", args=["uspp"])).content.decode()
    )


def test_log_ins_failures_and_log_outs_are_kept(client, coordinator):
    from tests.cast import PASSWORD

    url = reverse("account_login")
    client.post(url, {"login": "coordinator", "password": "wrong"})
    client.post(url, {"login": "coordinator", "password": PASSWORD})
    client.post(reverse("account_logout"))
    kinds = list(SecurityEvent.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == ["login_failed", "login", "logout"]


@pytest.mark.requirement("K05")
def test_a_session_ends_when_idle_and_after_a_working_day(client, coordinator, settings):
    client.force_login(coordinator)
    page = reverse("people", args=["uspp"])
    assert client.get(page).status_code == 200
    for name, ago in (("seen", settings.SESSION_IDLE_MINUTES * 60), ("since", 24 * 3600)):
        client.force_login(coordinator)
        client.get(page)
        session = client.session
        session[name] -= ago + 1
        session.save()
        answer = client.get(page)
        assert answer.status_code == 302
        assert answer["Location"].startswith(reverse("account_login"))


def test_the_people_page_takes_as_many_queries_for_many_as_for_few(
    as_, admin, django_assert_max_num_queries
):
    client = as_(admin)
    client.get(reverse("people", args=["uspp"]))
    with django_assert_max_num_queries(12):
        client.get(reverse("people", args=["uspp"]))
