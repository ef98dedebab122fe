"""Sites, approvals, protocol versions, and whose data were seen by whom."""

from __future__ import annotations

import datetime as dt

import pytest
from django.urls import reverse

from registry.models import ProtocolVersion, SiteApproval
from sites.models import AccessLog
from tests.cast import seeing

pytestmark = pytest.mark.django_db


def new_version(study):
    old = study.versions.last()
    return ProtocolVersion.objects.create(
        study=study,
        number=old.number + 1,
        label="9.9",
        content=old.content,
        sha256="0" * 64,
        published_by="job:publish",
    )


@pytest.mark.requirement("G12")
def test_a_site_uses_a_new_version_from_its_recorded_approval_on(as_, admin, uspp, jss):
    from registry.services import version_at

    version = new_version(uspp)
    with seeing(jss):
        assert version_at(jss) != version
    answer = as_(admin).post(
        reverse("approve", args=["uspp", jss.pk]),
        {
            "version": version.pk,
            "approved_on_year": "2026",
            "approved_on_month": "11",
            "approved_on_day": "1",
            "reference": "JSS-IRB-2",
        },
    )
    assert answer.status_code == 302
    with seeing(jss):
        assert version_at(jss) == version
        assert version_at(jss, dt.date(2026, 10, 31)) != version
        record = SiteApproval.objects.get(version=version).history.get()
    assert (record.history_user_id, record.history_role) == (admin.pk, "administrator")


def test_an_approval_in_the_future_is_refused_at_its_field(as_, admin, uspp, jss):
    version = new_version(uspp)
    form = {
        "version": version.pk,
        "approved_on_year": "2999",
        "approved_on_month": "1",
        "approved_on_day": "1",
        "reference": "JSS-IRB-2",
    }
    answer = as_(admin).post(reverse("approve", args=["uspp", jss.pk]), form)
    assert answer.context["form"].errors.keys() == {"approved_on"}
    assert "JSS-IRB-2" in answer.content.decode()


def test_the_protocol_page_shows_visits_and_forms_of_the_published_version(as_, monitor):
    page = as_(monitor).get(reverse("protocol", args=["uspp", 1])).content.decode()
    assert "EQ-5D-5L" in page
    assert "NCT07543692" in page


def test_the_other_study_has_no_page_here(as_, monitor, needle):
    assert as_(monitor).get(reverse("protocol", args=["needle", 1])).status_code == 404


@pytest.mark.requirement("K01")
def test_the_access_log_names_whose_data_were_seen(
    as_, auditor, investigator, participant, jss, djj
):
    person = participant(jss)
    other = participant(djj)
    as_(investigator).get(reverse("sign", args=["uspp", person.pk]))
    client = as_(auditor)
    page = client.get(
        reverse("access_log", args=["uspp"]), {"number": person.subject_number}
    ).content.decode()
    assert person.subject_number in page
    assert investigator.name in page
    assert other.subject_number not in page
    with seeing(jss):
        seen = AccessLog.objects.filter(participant_id=person.pk, user=investigator).get()
    assert (seen.action, seen.route) == ("view", "sign")


def test_the_access_log_filters_by_person(as_, auditor, investigator, participant, jss):
    person = participant(jss)
    as_(investigator).get(reverse("sign", args=["uspp", person.pk]))
    url = reverse("access_log", args=["uspp"])
    assert person.number in as_(auditor).get(url, {"user": investigator.pk}).content.decode()
    answer = as_(auditor).get(url, {"user": 0})
    assert not answer.context["page_obj"].object_list


@pytest.mark.parametrize("name", ["study_sites", "access_log", "locks"])
def test_pages_of_the_study_stay_within_twelve_queries(
    as_, admin, datamanager, participant, jss, name, django_assert_max_num_queries
):
    for _each in range(3):
        participant(jss)
    client = as_(datamanager if name == "locks" else admin)
    client.get(reverse(name, args=["uspp"]))
    # Locking asks nine questions of all sites together; two are the test's own transaction.
    with django_assert_max_num_queries(20 if name == "locks" else 12):
        client.get(reverse(name, args=["uspp"]))
