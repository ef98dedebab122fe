"""Signing and locking: bound to what was shown, held up by what is missing, kept for good."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse
from django.utils import timezone

from crf.models import Entry, Lock, Query, Signature
from crf.services import ask_query, blockers, save_entry, signature_state
from registry.models import Participant, Visit
from sites.audit import acting
from tests.cast import PASSWORD, actor, seeing

pytestmark = pytest.mark.django_db


def signing(client, person, **changes):
    url = reverse("sign", args=["uspp", person.pk])
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', client.get(url).content.decode())[1]
    form = {"digest": digest, "meaning": "approved", "number": person.number[-3:]}
    return client.post(url, form | {"password": PASSWORD} | changes)


def finish(site, by):
    """Whatever stands in the way of locking, done as if the site had done its work."""
    with seeing(site), acting(by, "for the test"):
        now = timezone.now()
        Visit.objects.filter(site=site, happened_on=None).update(
            missed_at=now, missed_reason="연락 두절"
        )
        Entry.objects.filter(site=site, completed_at=None).update(
            started_at=now, completed_at=now, completed_by=by.user_id
        )
        Query.objects.filter(site=site).update(state="closed", closed_at=now)
        Participant.objects.filter(site=site).update(ended_on=site.today(), end_reason="completed")


@pytest.mark.requirement("P10", "P13")
def test_a_signature_carries_name_time_and_meaning_and_shows_on_the_page(
    as_, investigator, participant, jss
):
    person = participant(jss)
    client = as_(investigator)
    assert signing(client, person).status_code == 302
    with seeing(jss):
        signature = Signature.objects.get()
    assert (signature.printed_name, signature.meaning) == (investigator.name, "approved")
    page = client.get(reverse("sign", args=["uspp", person.pk])).content.decode()
    assert signature.printed_name in page
    assert "+09:00" in page


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"password": "wrong"}, "password"),
        ({"number": "999"}, "number"),
        ({"meaning": "other"}, "meaning"),
        ({"digest": "0" * 64}, "__all__"),
    ],
)
@pytest.mark.requirement("P13")
def test_a_signature_is_refused_without_its_parts(
    as_, investigator, participant, jss, changes, field
):
    person = participant(jss)
    answer = signing(as_(investigator), person, **changes)
    assert field in answer.context["form"].errors
    with seeing(jss):
        assert not Signature.objects.exists()


@pytest.mark.requirement("P11", "F06")
def test_any_change_after_signing_shows_the_signature_as_stale(
    as_, investigator, coordinator, participant, jss
):
    person = participant(jss)
    signing(as_(investigator), person)
    with seeing(jss):
        assert signature_state([person.pk]) == {person.pk: True}
        entry = person.entries.filter(visit__happened_on__isnull=False, instrument="nrs").get()
        save_entry(entry=entry, changes={"pain": 6}, by=actor(coordinator, jss))
        assert signature_state([person.pk]) == {person.pk: False}
        assert Signature.objects.count() == 1  # the old one stays in the record


def test_what_changed_while_reading_can_not_be_signed(
    as_, investigator, coordinator, participant, jss
):
    person = participant(jss)
    client = as_(investigator)
    url = reverse("sign", args=["uspp", person.pk])
    digest = client.get(url).context["digest"]
    with seeing(jss):
        entry = person.entries.filter(visit__happened_on__isnull=False, instrument="nrs").get()
        save_entry(entry=entry, changes={"pain": 3}, by=actor(coordinator, jss))
    answer = signing(client, person, digest=digest)
    assert answer.context["form"].non_field_errors()


@pytest.mark.parametrize("username", ["coordinator", "monitor", "datamanager", "admin", "auditor"])
@pytest.mark.requirement("P14")
def test_only_an_investigator_of_the_site_signs(as_, participant, jss, request, username):
    person = participant(jss)
    client = as_(request.getfixturevalue(username))
    assert client.post(reverse("sign", args=["uspp", person.pk])).status_code == 403


def test_an_investigator_elsewhere_finds_nothing(as_, investigator, participant, djj):
    person = participant(djj)
    assert as_(investigator).get(reverse("sign", args=["uspp", person.pk])).status_code == 404


@pytest.mark.requirement("G08")
def test_a_site_is_locked_only_when_nothing_stands_in_the_way(
    as_, datamanager, investigator, coordinator, monitor, participant, jss
):
    person = participant(jss)
    client, url = as_(datamanager), reverse("lock_site", args=["uspp", jss.pk])
    with seeing(jss):
        entry = person.entries.filter(visit__happened_on__isnull=False, instrument="nrs").get()
        save_entry(entry=entry, changes={"pain": 8}, by=actor(coordinator, jss))
        entry.refresh_from_db()
        ask_query(entry=entry, item="pain", text="원자료를 확인해 주세요.", by=actor(monitor, jss))
        assert {b.code for b in blockers(jss)} == {
            "visits",
            "entries",
            "queries",
            "end",
            "signatures",
        }
    page = client.get(url).content.decode()
    assert person.number in page
    client.post(url, {"site_code": "JSS"})
    with seeing(jss):
        assert not Lock.objects.exists()
    finish(jss, actor(coordinator, jss))
    signing(as_(investigator), person)
    with seeing(jss):
        assert blockers(jss) == []
    assert client.post(url, {"site_code": "DJJ"}).context["form"].errors.keys() == {"site_code"}
    assert client.post(url, {"site_code": "jss"}).status_code == 302
    with seeing(jss):
        assert Lock.objects.get().locked_by == datamanager


@pytest.mark.requirement("G08", "P06")
def test_a_locked_site_takes_no_data_from_any_page(
    as_, datamanager, coordinator, investigator, participant, jss
):
    person = participant(jss)
    finish(jss, actor(coordinator, jss))
    signing(as_(investigator), person)
    as_(datamanager).post(reverse("lock_site", args=["uspp", jss.pk]), {"site_code": "JSS"})
    answer = as_(coordinator).post(
        reverse("void_participant", args=["uspp", person.pk]), {"reason": "잘못 등록"}
    )
    assert answer.status_code in (200, 409)
    with seeing(jss):
        assert Participant.objects.get(pk=person.pk).voided_at is None


def test_unlocking_needs_a_reason_and_keeps_the_lock_in_the_record(
    as_, datamanager, participant, jss
):
    with seeing(jss), acting(actor(datamanager, jss)):
        Lock.objects.create(site=jss, locked_by=datamanager)
    client, url = as_(datamanager), reverse("unlock_site", args=["uspp", jss.pk])
    assert client.post(url, {"reason": " "}).context["form"].errors
    assert client.post(url, {"reason": "추가 질의"}).status_code == 302
    with seeing(jss):
        held = Lock.objects.get()
    assert held.release_reason == "추가 질의"
    assert held.released_by == datamanager


def test_the_blockers_of_another_site_are_not_shown(as_, participant, jss, djj, needle_datamanager):
    participant(jss)
    client = as_(needle_datamanager)
    assert client.get(reverse("lock_site", args=["needle", jss.pk])).status_code == 404
    assert client.get(reverse("lock_site", args=["uspp", jss.pk])).status_code == 404
