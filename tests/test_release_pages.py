"""Datasets in the browser: asking, watching, and taking out for a reason that is kept."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.urls import reverse

from exports.models import Download, Release
from registry import jobs, tasks
from registry.models import Job
from sites.audit import Actor, acting
from sites.models import AccessLog, Membership
from tests.cast import actor, seeing
from tests.datasets import Dataset
from tests.story import play
from tests.workers import queue, workshop

__all__ = ["queue", "workshop"]

REASON = "최종 분석을 위한 자료"


def url(name, *args):
    return reverse(name, args=["uspp", *args])


@pytest.fixture
def of_one_site(nobody, jss):
    """A data manager of one site alone."""
    with acting(Actor.job("demo")):
        Membership.objects.create(
            user=nobody, study=jss.study, site=jss, role="data_manager", since=dt.date(2026, 1, 1)
        )
    return nobody


@pytest.fixture
def made(workshop, as_, datamanager, coordinator, jss, djj):
    """Asks for a dataset in the browser and lets it be built here; gives its release."""

    def make(*sites, client=None):
        client = client or as_(datamanager)
        chosen = [site.pk for site in sites or (jss,)]
        client.post(url("releases"), {"sites": chosen, "reason": REASON})
        job = Job.objects.latest("requested_at")
        jobs.run(job.pk, tasks.KINDS)
        return Release.objects.get(job=job)

    with seeing(jss):
        play(jss, actor(coordinator, jss))
    return make


def test_asking_leads_to_the_progress_and_from_there_to_the_dataset(
    workshop, as_, datamanager, jss
):
    client = as_(datamanager)
    page = client.get(url("releases"))
    assert page.context["releases"] == []
    answer = client.post(url("releases"), {"sites": [jss.pk], "reason": REASON})
    job = Job.objects.get()
    assert answer["Location"] == url("job", job.pk)
    waiting = client.get(answer["Location"])
    assert b'hx-trigger="load delay:1s"' in waiting.content
    assert REASON in waiting.content.decode()
    assert REASON in client.get(url("releases")).content.decode()
    part = client.get(answer["Location"], headers={"HX-Request": "true"})
    assert b"<html" not in part.content
    jobs.run(job.pk, tasks.KINDS)
    finished = client.get(answer["Location"], headers={"HX-Request": "true"})
    assert b"hx-get" not in finished.content  # it asks no more
    assert url("release", 1) in finished.content.decode()


def test_a_job_that_failed_says_why(workshop, as_, datamanager, jss):
    client = as_(datamanager)
    client.post(url("releases"), {"sites": [jss.pk], "reason": REASON})
    Job.objects.update(state=Job.State.FAILED, error="권한이 없습니다.")
    page = client.get(url("job", Job.objects.get().pk)).content.decode()
    assert "권한이 없습니다." in page
    assert "hx-get" not in page


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"reason": REASON}, "sites"),
        ({"sites": ["JSS"], "reason": REASON}, "sites"),
        ({"sites": [10**9], "reason": REASON}, "sites"),
        ({"sites": "all", "reason": "  "}, "reason"),
        ({"sites": "all", "reason": "주민번호 800101-1234567"}, "reason"),
        ({"sites": "all", "reason": "가" * 5000}, "reason"),
    ],
)
def test_a_request_that_is_not_complete_keeps_what_was_typed(
    db, as_, datamanager, jss, typed, field
):
    if typed.get("sites") == "all":
        typed = {**typed, "sites": [jss.pk]}
    page = as_(datamanager).post(url("releases"), typed)
    assert page.status_code == 200
    assert page.context["form"].errors.keys() == {field}
    assert Job.objects.count() == 0
    if typed["reason"].strip():
        assert typed["reason"] in page.content.decode()


@pytest.mark.requirement("G08")
def test_the_page_shows_rows_digests_state_and_who_took_it(made, as_, datamanager, jss):
    release = made()
    client = as_(datamanager)
    page = client.get(url("release", release.number)).content.decode()
    assert release.sha256 in page
    for file in release.manifest["files"]:
        assert file["name"] in page
        assert file["sha256"] in page
    assert "JSS" in page  # not locked, so it may still change
    assert page.count("tone-warn")
    client.post(url("release_download", release.number), {"reason": "IRB 보고"}).close()
    page = client.get(url("release", release.number)).content.decode()
    assert "IRB 보고" in page
    assert datamanager.name in page
    listed = client.get(url("releases")).context["releases"]
    assert [(each.number, each.taken) for each, _scope in listed] == [(1, 1)]


@pytest.mark.requirement("K03")
def test_a_download_needs_a_reason_and_is_logged_for_everybody_in_it(
    made, as_, datamanager, jss, coordinator, tmp_path
):
    with seeing(jss):
        later = play(jss, actor(coordinator, jss), stage="consented")
    release = made()
    with seeing(jss):
        play(jss, actor(coordinator, jss), stage="consented")  # is not in it
    client = as_(datamanager)
    refused = client.post(url("release_download", release.number), {"reason": " "})
    assert refused.status_code == 422
    assert (Download.objects.count(), refused.streaming) == (0, False)
    answer = client.post(url("release_download", release.number), {"reason": "통계 분석"})
    assert answer["Content-Disposition"] == 'attachment; filename="uspp-001.zip"'
    path = tmp_path / "taken.zip"
    path.write_bytes(b"".join(answer.streaming_content))
    taken = Dataset(path)
    assert taken.sha256 == release.sha256
    download = Download.objects.get()
    assert (download.by, download.reason, download.release) == (datamanager, "통계 분석", release)
    assert download.history.get().history_actor == f"user:{datamanager.pk}"
    with seeing(jss):
        logged = AccessLog.objects.filter(route="release_download", action="download")
        assert {entry.user_id for entry in logged} == {datamanager.pk}
        people = {entry.participant_id for entry in logged}
    assert later.pk in people
    assert len(people) == len(taken.rows("participants.csv")) == 2


def test_a_mere_look_downloads_nothing(made, as_, datamanager):
    release = made()
    answer = as_(datamanager).get(url("release_download", release.number))
    assert answer["Location"] == url("release", release.number)
    assert Download.objects.count() == 0


def test_a_file_that_is_gone_is_said_and_not_recorded(made, as_, datamanager, workshop):
    release = made()
    for path in (workshop.artefacts / "releases").iterdir():
        path.unlink()
    answer = as_(datamanager).post(url("release_download", release.number), {"reason": "통계 분석"})
    assert answer.status_code == 422
    assert Download.objects.count() == 0


def test_the_same_state_made_again_is_shown_as_the_same_file(made, as_, datamanager):
    first, second = made(), made()
    assert (first.number, second.number) == (1, 2)
    assert (first.sha256, first.key) == (second.sha256, second.key)
    page = as_(datamanager).get(url("release", 2))
    assert page.context["same"] == [1]


@pytest.mark.requirement("P04")
def test_who_manages_one_site_has_no_part_in_datasets_of_others(
    made, as_, of_one_site, jss, djj, datamanager
):
    own, both, other = made(jss), made(jss, djj), made(djj)
    client = as_(of_one_site)
    page = client.get(url("releases"))
    assert [each for each, _scope in page.context["releases"]] == [own]
    assert "DJJ" not in page.content.decode()
    assert str(djj.pk) not in {
        str(pk) for pk, _label in page.context["form"].fields["sites"].choices
    }
    for release in (both, other):
        assert client.get(url("release", release.number)).status_code == 404
        answer = client.post(url("release_download", release.number), {"reason": "분석"})
        assert answer.status_code == 404
        assert client.get(url("job", release.job_id)).status_code == 404
    foreign = client.post(url("releases"), {"sites": [djj.pk], "reason": REASON})
    assert foreign.context["form"].errors.keys() == {"sites"}
    assert client.get(url("release", own.number)).status_code == 200


@pytest.mark.parametrize("name", ["coordinator", "investigator", "monitor", "safety", "auditor"])
def test_only_a_data_manager_makes_and_takes_datasets(db, as_, request, name):
    client = as_(request.getfixturevalue(name))
    assert client.get(url("releases")).status_code == 403
    assert client.post(url("releases"), {"reason": REASON}).status_code == 403
    assert client.post(url("release_download", 1), {"reason": REASON}).status_code == 403


def test_another_study_has_numbers_of_its_own(made, as_, needle_datamanager, datamanager):
    made()
    client = as_(needle_datamanager)
    assert client.get(reverse("release", args=["needle", 1])).status_code == 404
    assert client.get(url("releases")).status_code == 404


def test_the_pages_need_the_same_few_queries_for_many_datasets(
    made, as_, datamanager, django_assert_max_num_queries
):
    client = as_(datamanager)
    for _number in range(3):
        made(client=client)
    client.get(url("releases"))
    with django_assert_max_num_queries(12):
        client.get(url("releases"))
    with django_assert_max_num_queries(12):
        page = client.get(url("release", 2)).content.decode()
    assert re.search(r"<h1>[^<]*2", page)
