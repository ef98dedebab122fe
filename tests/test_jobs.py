"""A job is done once, by whoever lives to do it, whatever happens to workers and to Redis."""

from __future__ import annotations

import datetime as dt
import hashlib
import signal
import uuid

import pytest
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from exports.models import Release
from exports.release import request_release
from registry import jobs, tasks
from registry.jobs import ATTEMPTS, Lost, claim, finishing, request_job, sweep
from registry.models import Job
from sites.access import Refused
from sites.audit import Actor, acting
from sites.models import Membership
from tests.cast import actor, seeing
from tests.story import play
from tests.workers import job_in, queue, sending_to, until, workshop

__all__ = ["queue", "workshop"]

REASON = "최종 분석"


@pytest.fixture
def by(datamanager, jss):
    return actor(datamanager, jss)


def ask(jss, by, reason=REASON):
    return request_release(study=jss.study, sites=[jss], reason=reason, by=by)


def lease_ends(job):
    """Time passes until the lease of a job has run out."""
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - dt.timedelta(seconds=1))


def sweep_again(job):
    """Time passes until a message that nobody answered is sent again; true once somebody works."""
    waiting = Job.objects.filter(pk=job.pk, state=Job.State.QUEUED)
    waiting.update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    sweep()
    return not waiting.exists()


# A real worker ------------------------------------------------------------------------------------


@pytest.mark.requirement("G08")
def test_a_worker_that_is_killed_in_mid_build_leaves_nothing_and_another_one_finishes_once(
    workshop, fresh_database, jss, by, coordinator
):
    with seeing(jss):
        play(jss, actor(coordinator, jss))
    with _blocked(fresh_database) as gate:
        first = workshop.worker()
        job = ask(jss, by)
        job_in(Job.State.RUNNING, job)
        until(lambda: _waits(fresh_database), "a build that waits for the table of events")
        assert [name for name in workshop.files() if name.endswith(".part")]  # half a file
        first.kill()
        gate.rollback()
    assert not [name for name in workshop.files() if name.endswith(".zip")]
    assert Release.objects.count() == 0
    assert sweep() == []  # the lease of the dead still counts
    lease_ends(job)
    workshop.worker()
    assert sweep() == [job.pk]
    done = job_in(Job.State.DONE, job)
    assert (done.attempt, done.progress, done.lease_until) == (2, 100, None)
    made = Release.objects.get(job=job)
    assert workshop.files() == [f"{made.sha256}.zip"]
    _is_whole(workshop)


def test_a_worker_that_was_thought_dead_cannot_finish_a_second_time(
    workshop, fresh_database, jss, by
):
    with _blocked(fresh_database) as gate:
        first = workshop.worker()
        job = ask(jss, by)
        job_in(Job.State.RUNNING, job)
        until(lambda: _waits(fresh_database), "a build that waits for the table of events")
        first.send(signal.SIGSTOP)  # asleep, as a machine that swaps or is suspended
        gate.rollback()
    lease_ends(job)
    workshop.worker()
    assert sweep() == [job.pk]
    # Redis may give the message to the sleeper, who still stands in line; the next one is not his.
    until(lambda: sweep_again(job), "another worker")
    assert job_in(Job.State.DONE, job).attempt == 2
    first.send(signal.SIGCONT)
    until(
        lambda: "lost its lease" in workshop.log.read_text(), "the end of the first worker's work"
    )
    assert Job.objects.get(pk=job.pk).attempt == 2
    made = Release.objects.get()
    assert workshop.files() == [f"{made.sha256}.zip"]
    _is_whole(workshop)


def test_a_job_whose_message_redis_has_lost_still_runs(workshop, jss, by):
    job = ask(jss, by)
    assert workshop.queue.llen("jobs") == 1
    workshop.queue.flushdb()
    workshop.worker()
    assert sweep() == [job.pk]
    assert job_in(Job.State.DONE, job).attempt == 1
    assert Release.objects.get().job_id == job.pk


# Redis away ---------------------------------------------------------------------------------------


def test_a_request_succeeds_while_redis_is_away(workshop, as_, datamanager, jss):
    nowhere = "redis://127.0.0.1:1/0"
    with sending_to(nowhere):
        answer = as_(datamanager).post(
            reverse("releases", args=["uspp"]), {"sites": [jss.pk], "reason": REASON}
        )
    assert answer.status_code == 302
    job = Job.objects.get()
    assert (job.state, job.attempt, job.params["reason"]) == (Job.State.QUEUED, 0, REASON)
    assert workshop.queue.llen("jobs") == 0
    assert sweep() == [job.pk]  # Redis is back
    assert workshop.queue.llen("jobs") == 1


def test_the_message_carries_the_id_alone_and_only_after_the_commit(workshop, jss, by):
    with transaction.atomic():
        ask(jss, by)
        assert workshop.queue.llen("jobs") == 0
        transaction.set_rollback(True)
    assert workshop.queue.llen("jobs") == 0
    assert Job.objects.count() == 0
    job = ask(jss, by)
    (message,) = workshop.queue.lrange("jobs", 0, -1)
    assert str(job.pk).encode() in message
    assert REASON.encode() not in message


# Claim, lease, attempt ----------------------------------------------------------------------------


def test_a_job_is_claimed_by_one_worker_at_a_time(queue, db, jss, by):
    job = ask(jss, by)
    held = claim(job.pk)
    assert held.attempt == 1
    assert claim(job.pk) is None
    lease_ends(job)
    assert claim(job.pk).attempt == 2
    assert claim(uuid.uuid4()) is None


def test_nothing_is_registered_by_who_lost_the_lease(queue, db, jss, by):
    job = ask(jss, by)
    held = claim(job.pk)
    lease_ends(job)
    with pytest.raises(Lost), finishing(held):
        pytest.fail("it may not come so far")
    again = claim(job.pk)
    with pytest.raises(Lost), finishing(held):
        pytest.fail("the lease is another attempt's")
    with finishing(again):
        pass
    assert Job.objects.get(pk=job.pk).state == Job.State.DONE
    assert claim(job.pk) is None


def test_what_fails_while_it_is_registered_is_not_done(queue, db, jss, by):
    job = ask(jss, by)
    with pytest.raises(ZeroDivisionError), finishing(claim(job.pk)):
        raise ZeroDivisionError
    assert Job.objects.get(pk=job.pk).state == Job.State.RUNNING


def test_progress_is_stored_and_the_lease_renewed_while_the_work_goes_on(
    queue, fresh_database, jss, by, monkeypatch
):
    monkeypatch.setattr(jobs, "BEAT", 0.01)
    job = ask(jss, by)
    seen = []

    def work(held):
        Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() + dt.timedelta(seconds=5))
        held.advance(40)
        until(lambda: Job.objects.get(pk=job.pk).progress == 40, "the progress")
        left = Job.objects.get(pk=job.pk).lease_until - timezone.now()
        seen.append(left > dt.timedelta(seconds=30))
        with finishing(held):
            pass

    jobs.run(job.pk, {"release": work})
    assert seen == [True]
    done = Job.objects.get(pk=job.pk)
    assert (done.state, done.progress) == (Job.State.DONE, 100)


def test_a_worker_stops_working_once_it_has_lost_the_job(
    queue, fresh_database, jss, by, monkeypatch
):
    monkeypatch.setattr(jobs, "BEAT", 0.01)
    job = ask(jss, by)
    reached = []

    def work(held):
        lease_ends(job)
        assert held.lost.wait(timeout=30)
        held.advance(50)
        reached.append("the end")

    jobs.run(job.pk, {"release": work})
    assert reached == []
    assert Job.objects.get(pk=job.pk).state == Job.State.RUNNING  # for the sweeper


def test_a_refusal_ends_a_job_with_its_sentence_in_the_requesters_language(
    queue, fresh_database, jss, by, datamanager
):
    with acting(Actor.job("demo")):
        datamanager.language = "en"
        datamanager.save()
    job = ask(jss, by)
    with acting(Actor.job("demo")):
        Membership.objects.filter(user=datamanager).update(until=dt.date(2026, 1, 31))
    jobs.run(job.pk, tasks.KINDS)
    ended = Job.objects.get(pk=job.pk)
    assert ended.state == Job.State.FAILED
    assert ended.error == "You no longer have the right to this dataset, so it was not made."
    assert ended.finished_at
    assert Release.objects.count() == 0


@pytest.mark.requirement("K04")
def test_the_worker_asks_again_whether_the_account_is_still_open(workshop, jss, by, datamanager):
    job = ask(jss, by)
    with acting(Actor.job("demo")):
        datamanager.is_active = False
        datamanager.save()
    jobs.run(job.pk, tasks.KINDS)
    assert Job.objects.get(pk=job.pk).state == Job.State.FAILED
    assert workshop.files() == []


def test_a_fault_is_tried_again_and_gives_up_in_the_end(queue, fresh_database, jss, by, caplog):
    def broken(held):
        raise ZeroDivisionError("some fault of ours")

    job = ask(jss, by)
    for attempt in range(1, ATTEMPTS + 1):
        jobs.run(job.pk, {"release": broken})
        now = Job.objects.get(pk=job.pk)
        assert now.attempt == attempt
        assert now.state == (Job.State.QUEUED if attempt < ATTEMPTS else Job.State.FAILED)
        assert sweep() == []  # not at once
        lease_ends(job)
    assert now.error
    assert "fault of ours" not in now.error
    assert "fault of ours" in caplog.text


def test_a_job_over_which_every_worker_dies_is_given_up(queue, db, jss, by):
    job = ask(jss, by)
    for _attempt in range(ATTEMPTS):
        assert claim(job.pk)
        lease_ends(job)
    assert sweep() == []
    ended = Job.objects.get(pk=job.pk)
    assert (ended.state, bool(ended.error)) == (Job.State.FAILED, True)


def test_a_waiting_job_is_not_sent_again_and_again(queue, db, jss, by):
    job = ask(jss, by)
    assert sweep() == [job.pk]
    assert sweep() == []
    lease_ends(job)
    assert sweep() == [job.pk]


def test_two_sweepers_do_not_hand_out_one_job_twice(queue, fresh_database, jss, by):
    job = ask(jss, by)
    with fresh_database.connect() as other:
        other.execute("SELECT FROM registry_job FOR UPDATE")
        assert sweep() == []
    assert sweep() == [job.pk]


def test_asking_twice_is_asking_once_and_too_much_is_refused(queue, db, jss, by):
    job = ask(jss, by)
    assert ask(jss, by) == job
    for number in range(2, jobs.AT_ONCE + 1):
        assert ask(jss, by, reason=f"{REASON} {number}") != job
    with pytest.raises(Refused):
        ask(jss, by, reason="noch eines")
    Job.objects.update(state=Job.State.FAILED)
    assert ask(jss, by) != job


def test_the_params_are_known_by_their_digest(queue, db, uspp, by):
    job = request_job(study=uspp, kind="release", params={"b": 1, "a": "가"}, by=by)
    assert job.params_sha256 == hashlib.sha256('{"a": "가", "b": 1}'.encode()).hexdigest()


# The clock ----------------------------------------------------------------------------------------


def test_beat_sweeps_and_makes_the_months_of_the_access_log(db, settings):
    names = {each["task"] for each in settings.CELERY_BEAT_SCHEDULE.values()}
    assert names == {
        "registry.tasks.sweep",
        "registry.tasks.remind",
        "registry.tasks.access_partitions",
    }
    tasks.sweep()
    tasks.access_partitions()
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('sites_accesslog_' || to_char(now(), 'YYYYMM'))")
        assert cursor.fetchone()[0]


# A gate in the middle of a build ------------------------------------------------------------------


def _blocked(database):
    """Holds a table that a build reads late, so that it stands still in its middle."""
    gate = database.connect("owner")
    gate.execute("LOCK TABLE safety_adverseevent IN ACCESS EXCLUSIVE MODE")
    return gate


def _waits(database):
    with database.connect("owner", autocommit=True) as looking:
        found = looking.execute(
            "SELECT FROM pg_locks WHERE NOT granted AND relation = 'safety_adverseevent'::regclass"
        )
        return bool(found.fetchall())


def _is_whole(workshop):
    for name in workshop.files():
        content = (workshop.artefacts / "releases" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == name.removesuffix(".zip")
