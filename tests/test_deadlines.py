"""When a serious adverse event is due, and the lists with which it is described."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.codes import ACTIONS, OUTCOMES, SERIOUSNESS, choices, find
from safety.deadlines import CRITERIA, Deadline, Rules, deadline

AWARE = date(2026, 3, 2)


@pytest.mark.parametrize("criterion", ["died", "life_threatening"])
def test_death_and_threat_to_life_are_due_in_7_days_with_a_follow_up_in_8_more(criterion):
    assert deadline([criterion], aware_on=AWARE) == Deadline(date(2026, 3, 9), date(2026, 3, 17))


@pytest.mark.parametrize(
    "criterion", ["hospitalisation", "disability", "congenital", "other_important"]
)
def test_other_serious_events_are_due_in_15_days(criterion):
    assert deadline([criterion], aware_on=AWARE) == Deadline(date(2026, 3, 17), None)


def test_of_several_criteria_the_strictest_counts():
    both = deadline(["hospitalisation", "life_threatening"], aware_on=AWARE)
    assert both == deadline(["life_threatening"], aware_on=AWARE)


def test_what_is_not_serious_has_no_deadline():
    assert deadline([], aware_on=AWARE) is None


def test_days_are_calendar_days_over_the_turn_of_a_year_and_a_leap_day():
    assert deadline(["died"], aware_on=date(2027, 12, 28)) == Deadline(
        date(2028, 1, 4), date(2028, 1, 12)
    )
    assert deadline(["disability"], aware_on=date(2028, 2, 20)) == Deadline(date(2028, 3, 6))


def test_a_study_or_site_may_have_its_own_days():
    own = Rules(fatal_days=1, followup_days=14, serious_days=5)
    assert deadline(["died"], aware_on=AWARE, rules=own) == Deadline(
        date(2026, 3, 3), date(2026, 3, 17)
    )
    assert deadline(["congenital"], aware_on=AWARE, rules=own) == Deadline(date(2026, 3, 7))


def test_an_unknown_criterion_is_refused():
    with pytest.raises(ValueError, match="no seriousness criterion 'severe'"):
        deadline(["died", "severe"], aware_on=AWARE)


def test_a_moment_is_not_a_day():
    with pytest.raises(ValueError, match="the site's own day"):
        deadline(["died"], aware_on=datetime(2026, 3, 2, 23, 30, tzinfo=UTC))


@given(
    st.sets(st.sampled_from(sorted(CRITERIA)), min_size=1),
    st.sampled_from(sorted(CRITERIA)),
    st.dates(max_value=date(9999, 1, 1)),
)
def test_a_further_criterion_never_gives_more_time(criteria, further, aware_on):
    before = deadline(criteria, aware_on=aware_on)
    after = deadline(criteria | {further}, aware_on=aware_on)
    assert before is not None
    assert after is not None
    assert aware_on < after.report_by <= before.report_by <= aware_on + timedelta(days=15)


def test_the_lists_carry_the_elements_and_codes_of_e2b_r3():
    assert [entry.e2b for entry in SERIOUSNESS] == [f"E.i.3.2{letter}" for letter in "abcdef"]
    assert {entry.code: entry.label["ko"] for entry in OUTCOMES} == {
        "1": "회복됨",
        "2": "회복중",
        "3": "회복되지 않았음",
        "4": "회복했지만 후유증 있음",
        "5": "사망",
        "0": "알려지지 않음",
    }
    assert [entry.code for entry in ACTIONS] == ["1", "2", "3", "4", "0", "9"]
    assert find(ACTIONS, "9").label == {"ko": "해당사항 없음", "en": "Not applicable"}
    assert choices(OUTCOMES, "en")[4] == ("5", "Fatal")
    for entry in (*SERIOUSNESS, *OUTCOMES, *ACTIONS):
        assert set(entry.label) == {"ko", "en"}
        assert all(entry.label.values())
