"""Simulated participants: the same for the same seed, plausible, and made as people make them."""

import datetime as dt
from collections import Counter
from statistics import mean

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from crf.models import Entry, Query, Signature
from crf.services import blockers, close_query, lock, sign, signature_digest
from registry.management.commands import demo
from registry.models import Allocation, Consent, Participant, Prescreen, Visit
from registry.models import Counter as Counted
from registry.services import protocol_of
from registry.simulation import simulate
from safety.models import AdverseEvent
from sites.access import system
from sites.models import User
from tests.cast import PASSWORD, actor, seeing

pytestmark = pytest.mark.django_db


def simulated(study, participants, seed, sites=None, **options):
    """Simulate at these sites of the study, or at all of them, in the context of a job."""
    sites = sites or list(study.sites.all())
    with system("simulate", sites=[site.pk for site in sites]) as by:
        return simulate(
            study=study, sites=sites, participants=participants, seed=seed, by=by, **options
        )


def written(study):
    """Everything that people said, without keys and clock."""
    with seeing(*study.sites.all()):
        return [
            (
                entry.participant.screening_number,
                entry.visit.code if entry.visit else "",
                str(entry.visit.happened_on) if entry.visit else "",
                entry.instrument,
                entry.number,
                entry.answers,
                {item: about.get("missing") for item, about in entry.meta.items()},
                entry.completed_at is None,
            )
            for entry in Entry.objects.select_related("participant", "visit").order_by(
                "participant__screening_number", "id"
            )
        ]


def rehearsed(study, participants, seed):
    """What a simulation writes; nothing of it stays."""
    with transaction.atomic():
        simulated(study, participants, seed)
        said = written(study)
        transaction.set_rollback(True)
    return said


def test_the_same_seed_says_the_same(uspp):
    first = rehearsed(uspp, 3, seed=7)
    assert len(first) > 30
    assert rehearsed(uspp, 3, seed=7) == first
    assert rehearsed(uspp, 3, seed=8) != first


def test_it_looks_like_a_registry(uspp):
    states = simulated(uspp, 26, seed=11)
    sites = list(uspp.sites.all())
    assert states.total() == 26
    with seeing(*sites):
        people = list(Participant.objects.select_related("site"))
        assert {person.site.code for person in people} == {site.code for site in sites}
        failed = [person for person in people if person.state == "failed"]
        assert len(failed) == 2
        assert all(person.failed_criteria for person in failed)
        assert all(19 <= person.age < 70 for person in people if person.enrolled_at)
        assert {person.cohort for person in people if person.enrolled_at} == {"cervical", "lumbar"}
        assert Prescreen.objects.count() >= 2 * len(sites)
        sharing = Counter(Consent.objects.filter(kind="sharing").values_list("given", flat=True))
        assert min(sharing[True], sharing[False]) > 0

        visits = list(Visit.objects.select_related("participant"))
        held = [visit for visit in visits if visit.happened_on]
        for visit in held:
            assert visit.participant.consented_on <= visit.happened_on <= sites[0].today()
            inside = visit.opens_on <= visit.happened_on <= visit.closes_on
            assert inside == (visit.out_of_window_reason == "")
        assert any(visit.out_of_window_reason for visit in held)
        assert any(visit.missed_at for visit in visits)
        assert Visit.objects.open().exists()

        def scored(name, week):
            forms = Entry.objects.filter(scores__has_key=name, visit__code=week)
            return mean(float(form.scores[name]) for form in forms if form.scores[name] is not None)

        assert 6 <= scored("nrs", "w0") <= 8.5
        assert scored("nrs", "w0") - scored("nrs", "w4") > 1.5
        assert scored("eq5d_index", "w4") > scored("eq5d_index", "w0")
        assert 15 <= scored("satisfaction_total", "w4") <= 28
        assert any(
            "missing" in about for form in Entry.objects.all() for about in form.meta.values()
        )
        assert Query.objects.filter(check_code="").exists()
        assert Query.objects.exclude(check_code="").exists()

        events = list(AdverseEvent.objects.all())
        assert 1 <= len(events) <= len(held) / 5
        reported = {event.participant_id for event in events}
        said = Entry.objects.filter(answers__ae_occurred="yes")
        assert {form.participant_id for form in said} <= reported


def test_each_act_is_of_somebody_in_a_role(uspp, jss, djj, coordinator):
    simulated(uspp, 4, seed=3, sites=[jss, djj])
    with seeing(jss, djj):
        for model, role in ((Entry, "coordinator"), (Visit, "coordinator")):
            lines = list(model.history.all())
            assert {line.history_role for line in lines} == {role}
            assert {line.history_request for line in lines} == {"simulate 3"}
        done = Entry.objects.filter(completed_at__isnull=False)
        assert {entry.completed_by_id for entry in done if entry.site_id == jss.pk} == {
            coordinator.pk
        }
        captured = Entry.history.exclude(history_captured_at=None).filter(visit__isnull=False)
        for line in captured.select_related("visit"):
            assert line.history_captured_at.date() - line.visit.happened_on <= dt.timedelta(days=1)


def test_only_the_given_sites_get_anybody(uspp, jss, djj):
    simulated(uspp, 2, seed=3, sites=[jss])
    with seeing(*uspp.sites.all()):
        assert {person.site_id for person in Participant.objects.all()} == {jss.pk}


def test_a_settled_site_can_nearly_be_locked(uspp, jss, investigator, monitor, datamanager):
    simulated(uspp, 3, seed=5, sites=[jss], settled=["JSS"], password=PASSWORD)
    with seeing(jss):
        left = blockers(jss)
        assert {blocker.code: blocker.count for blocker in left} == {"queries": 1, "signatures": 1}
        (query,) = Query.objects.unresolved()
        close_query(query=query, by=actor(monitor, jss))
        signed = Signature.objects.values_list("participant_id", flat=True)
        (unsigned,) = Participant.objects.enrolled().exclude(pk__in=list(signed))
        sign(
            participant=unsigned,
            meaning="approved",
            shown_digest=signature_digest(unsigned),
            password=PASSWORD,
            signer=investigator,
            by=actor(investigator, jss),
        )
        assert lock(site=jss, by=actor(datamanager, jss)).released_at is None


def test_another_study_is_simulated_without_code(needle, uspp):
    simulated(needle, 6, seed=2)
    with seeing(*needle.sites.all(), *uspp.sites.all()):
        people = list(Participant.objects.select_related("version", "site"))
        assert {person.site.study_id for person in people} == {needle.pk}
        enrolled = [person for person in people if person.enrolled_at]
        arms = {arm.code for arm in protocol_of(people[0].version).arms}
        allocated = Allocation.objects.values_list("arm", flat=True)
        assert len(allocated) == len(enrolled) > 0
        assert set(allocated) <= arms
        assert Entry.objects.filter(instrument="session", completed_at__isnull=False).exists()


def test_who_is_invented_can_sign_in_only_where_everybody_may(uspp, djj):
    """Without a demonstration password the accounts are there for the trail alone."""
    simulated(uspp, 1, seed=1, sites=[djj])
    assert not User.objects.get(username="investigator_djj").has_usable_password()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"study": "nowhere"}, "There is no study"),
        ({"settled": ["XXX"]}, "has no site XXX"),
    ],
)
def test_the_command_says_what_is_wrong(database, options, said):
    with pytest.raises(CommandError, match=said):
        call_command("simulate", participants=1, seed=1, **options)


def test_nobody_is_invented_in_production(database, settings):
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="production"):
        call_command("simulate", participants=1, seed=1)


def test_more_than_the_cap_is_nobody_at_all(needle, capsys):
    Counted.objects.filter(study=needle, site=None, name="enrolled").update(cap=1)
    with pytest.raises(CommandError, match="Nobody was simulated"):
        call_command("simulate", participants=3, seed=1, study="needle")
    with seeing(*needle.sites.all()):
        assert not Participant.objects.exists()


def test_the_demonstration_is_made_once(uspp, jss, settings, monkeypatch, capsys):
    settings.DEMO, settings.DEMO_PASSWORD = True, PASSWORD
    monkeypatch.setattr(demo, "PARTICIPANTS", 2)
    call_command("demo")
    call_command("demo")
    with seeing(*uspp.sites.all()):
        assert Participant.objects.count() == 3
        to_try = Participant.objects.latest("pk")
        assert (to_try.site, to_try.state) == (jss, "screened")
    assert User.objects.get(username="coordinator_bcj").check_password(PASSWORD)
