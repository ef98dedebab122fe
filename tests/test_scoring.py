"""Scores against published values: every one of them is a figure that a statistician can look up or
work out by hand.
"""

import csv
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crf.scoring import SCORES, canonical, compute, settings_for

KOREA = Path(__file__).parent / "data" / "eq5d5l_korea_3125.csv"

ten_items = st.lists(st.integers(0, 5), min_size=10, max_size=10)


def all_but(*missing, of=10, answer=2):
    return [None if position in missing else answer for position in range(1, of + 1)]


# Decimals


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1.000", "1"),
        ("0.730", "0.73"),
        ("-0.066", "-0.066"),
        ("35.5556", "35.5556"),
        ("100", "100"),
        ("1E+2", "100"),
        ("1E-3", "0.001"),
        ("-0.00", "0"),
        ("0E+3", "0"),
    ],
)
def test_a_decimal_has_one_text(number, text):
    assert canonical(Decimal(number)) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9))
def test_the_text_of_a_decimal_is_the_same_number_and_stable(number):
    text = canonical(number)
    assert Decimal(text) == number
    assert canonical(Decimal(text)) == text
    assert "e" not in text.lower()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_has_no_text(number):
    with pytest.raises(ValueError, match="not a number"):
        canonical(Decimal(number))


# NRS


@pytest.mark.parametrize("answer", [0, 5, 10, None])
def test_nrs_is_the_answer(answer):
    assert compute("nrs", [answer]) == {"nrs": answer}


# NDI


def test_ndi_16_points_are_32_per_cent():
    assert compute("ndi", [2, 2, 2, 2, 2, 2, 1, 1, 1, 1]) == {
        "ndi_total": "16",
        "ndi_percent": "32",
        "ndi_answered": 10,
        "ndi_band": "moderate",
    }


def test_ndi_with_one_missing_16_of_45_are_35_5556_per_cent():
    assert compute("ndi", [2, 2, 2, 2, 2, 2, 2, None, 1, 1]) == {
        "ndi_total": "17.7778",
        "ndi_percent": "35.5556",
        "ndi_answered": 9,
        "ndi_band": "moderate",
    }


def test_ndi_with_two_missing_is_missing_but_says_how_many_were_answered():
    assert compute("ndi", all_but(7, 8)) == {
        "ndi_total": None,
        "ndi_percent": None,
        "ndi_answered": 8,
        "ndi_band": None,
    }


def test_ndi_may_be_allowed_more_or_no_missing_items():
    assert compute("ndi", all_but(7, 8), max_missing=2)["ndi_total"] == "20"
    assert compute("ndi", all_but(8), max_missing=0)["ndi_total"] is None
    assert compute("ndi", all_but(*range(1, 11)), max_missing=10)["ndi_total"] is None


@pytest.mark.parametrize(
    ("total", "band"),
    [
        (0, "none"),
        (4, "none"),
        (5, "mild"),
        (14, "mild"),
        (15, "moderate"),
        (24, "moderate"),
        (25, "severe"),
        (34, "severe"),
        (35, "complete"),
        (50, "complete"),
    ],
)
def test_ndi_bands_begin_and_end_where_vernon_put_them(total, band):
    answers = [total // 10 + (position < total % 10) for position in range(10)]
    assert compute("ndi", answers)["ndi_total"] == str(total)
    assert compute("ndi", answers)["ndi_band"] == band


def test_a_prorated_ndi_is_banded_on_the_nearest_whole_point():
    four_of_nine = [1, 1, 1, 1, 0, 0, 0, None, 0, 0]
    assert compute("ndi", four_of_nine)["ndi_total"] == "4.4444"
    assert compute("ndi", four_of_nine)["ndi_band"] == "none"
    thirteen_of_nine = [2, 2, 2, 2, 1, 1, 1, None, 1, 1]
    assert compute("ndi", thirteen_of_nine)["ndi_total"] == "14.4444"
    assert compute("ndi", thirteen_of_nine)["ndi_band"] == "mild"


@given(ten_items, st.integers(0, 9))
def test_prorating_ndi_is_imputing_the_mean_of_the_other_items(answers, missing):
    others = [answer for position, answer in enumerate(answers) if position != missing]
    given_answers = [None if position == missing else a for position, a in enumerate(answers)]
    imputed = sum(others) + Decimal(sum(others)) / 9
    total = compute("ndi", given_answers)["ndi_total"]
    assert abs(Decimal(str(total)) - imputed) <= Decimal("0.00005")


# ODI


def test_odi_16_of_50_are_32_per_cent():
    assert compute("odi", [2, 2, 2, 2, 2, 2, 1, 1, 1, 1]) == {
        "odi_percent": "32",
        "odi_answered": 10,
        "odi_band": "moderate",
    }


def test_odi_without_the_optional_section_16_of_45_are_35_5556_per_cent():
    assert compute("odi", [2, 2, 2, 2, 2, 2, 2, None, 1, 1]) == {
        "odi_percent": "35.5556",
        "odi_answered": 9,
        "odi_band": "moderate",
    }


def test_the_optional_odi_section_does_not_use_up_the_one_that_may_be_missing():
    both = compute("odi", all_but(3, 8))
    assert both == {"odi_percent": "40", "odi_answered": 8, "odi_band": "moderate"}
    two_and_the_optional_one = compute("odi", all_but(3, 4, 8))
    assert two_and_the_optional_one == {
        "odi_percent": None,
        "odi_answered": 7,
        "odi_band": None,
    }


def test_a_study_may_count_every_odi_section_or_allow_another_number():
    assert compute("odi", all_but(3, 8), optional=())["odi_percent"] is None
    assert compute("odi", all_but(8), optional=[])["odi_percent"] == "40"
    assert compute("odi", all_but(3), max_missing=0)["odi_percent"] is None
    assert compute("odi", all_but(1, 2, 3, 4, 8), max_missing=4)["odi_percent"] == "40"


def test_an_odi_of_nothing_is_missing():
    assert compute("odi", [None] * 10, max_missing=10) == {
        "odi_percent": None,
        "odi_answered": 0,
        "odi_band": None,
    }


@pytest.mark.parametrize(
    ("points", "band"),
    [
        (0, "minimal"),
        (10, "minimal"),
        (11, "moderate"),
        (20, "moderate"),
        (21, "severe"),
        (30, "severe"),
        (31, "crippled"),
        (40, "crippled"),
        (41, "bed_bound"),
        (50, "bed_bound"),
    ],
)
def test_odi_bands_begin_and_end_where_fairbank_put_them(points, band):
    answers = [points // 10 + (position < points % 10) for position in range(10)]
    assert compute("odi", answers)["odi_percent"] == str(points * 2)
    assert compute("odi", answers)["odi_band"] == band


def test_odi_is_stored_unrounded_and_banded_on_the_whole_per_cent():
    ten_of_45 = compute("odi", [2, 1, 1, 1, 1, 1, 1, None, 1, 1])
    assert (ten_of_45["odi_percent"], ten_of_45["odi_band"]) == ("22.2222", "moderate")
    thirty_seven_of_45 = compute("odi", [5, 4, 4, 4, 4, 4, 4, None, 4, 4])
    assert (thirty_seven_of_45["odi_percent"], thirty_seven_of_45["odi_band"]) == (
        "82.2222",
        "bed_bound",
    )


@pytest.mark.parametrize(("score", "output"), [("ndi", "ndi_percent"), ("odi", "odi_percent")])
@given(answers=ten_items, position=st.integers(0, 9))
def test_a_worse_answer_never_gives_a_better_score(score, output, answers, position):
    worse = list(answers)
    worse[position] = min(5, worse[position] + 1)
    before = Decimal(str(compute(score, answers)[output]))
    after = Decimal(str(compute(score, worse)[output]))
    assert 0 <= before <= after <= 100


# EQ-5D-5L


def test_all_3125_states_have_the_published_korean_index():
    with KOREA.open(encoding="utf-8", newline="") as file:
        published = {row["state"]: row["index_kr"] for row in csv.DictReader(file)}
    assert len(published) == 3125
    computed = {state: compute("eq5d5l", [int(level) for level in state]) for state in published}
    assert {state: values["eq5d_profile"] for state, values in computed.items()} == {
        state: state for state in published
    }
    assert {state: values["eq5d_index"] for state, values in computed.items()} == {
        state: canonical(Decimal(index)) for state, index in published.items()
    }
    assert sum(str(values["eq5d_index"]).startswith("-") for values in computed.values()) == 4


@pytest.mark.parametrize(
    ("state", "index"),
    [
        ("11111", "1"),
        ("11112", "0.871"),
        ("11121", "0.862"),
        ("11211", "0.883"),
        ("12345", "0.44"),
        ("21232", "0.751"),
        ("22222", "0.73"),
        ("33333", "0.646"),
        ("44444", "0.247"),
        ("55554", "-0.031"),
        ("55555", "-0.066"),
    ],
)
def test_korean_anchors(state, index):
    assert compute("eq5d5l", [int(level) for level in state], value_set="KR")["eq5d_index"] == index


@pytest.mark.parametrize("missing", range(5))
def test_an_incomplete_eq5d_has_neither_profile_nor_index(missing):
    answers = [None if position == missing else 1 for position in range(5)]
    assert compute("eq5d5l", answers) == {"eq5d_profile": None, "eq5d_index": None}


levels = st.lists(st.integers(1, 5), min_size=5, max_size=5)


@given(levels, st.integers(0, 4))
def test_a_worse_level_always_lowers_the_index(state, dimension):
    worse = list(state)
    worse[dimension] = min(5, worse[dimension] + 1)
    before = Decimal(str(compute("eq5d5l", state)["eq5d_index"]))
    after = Decimal(str(compute("eq5d5l", worse)["eq5d_index"]))
    assert after == before if worse == state else after < before


# Satisfaction


@pytest.mark.parametrize(
    ("answers", "total"),
    [([1] * 6, 6), ([5] * 6, 30), ([1, 2, 3, 4, 5, 5], 20), ([5, 5, 5, None, 5, 5], None)],
)
def test_satisfaction_is_the_sum_of_six_or_missing(answers, total):
    assert compute("satisfaction", answers) == {"satisfaction_total": total}


# Bad input and the registry


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("nrs", [11]),
        ("nrs", [-1]),
        ("nrs", [True]),
        ("nrs", ["5"]),
        ("ndi", [6] + [0] * 9),
        ("odi", [0] * 9 + [-1]),
        ("eq5d5l", [1, 1, 1, 1, 0]),
        ("eq5d5l", [1, 1, 1, 1, 6]),
        ("satisfaction", [0, 1, 1, 1, 1, 1]),
        ("satisfaction", [2.5, 1, 1, 1, 1, 1]),
    ],
)
def test_an_answer_that_cannot_be_is_refused_with_its_position(name, answers):
    with pytest.raises(ValueError, match=r"Item \d+ must be"):
        compute(name, answers)


@pytest.mark.parametrize("name", list(SCORES))
def test_a_wrong_number_of_answers_is_refused(name):
    for count in (0, SCORES[name].inputs - 1, SCORES[name].inputs + 1):
        with pytest.raises(ValueError, match=f"takes {SCORES[name].inputs} answers, not {count}"):
            compute(name, [1] * count)


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("sf36", {}, "no score 'sf36'"),
        ("nrs", {"max_missing": 1}, "no setting 'max_missing'"),
        ("ndi", {"max_missing": -1}, "can't take -1"),
        ("ndi", {"max_missing": "1"}, "can't take '1'"),
        ("ndi", {"max_missing": True}, "can't take True"),
        ("odi", {"optional": (11,)}, "can't take"),
        ("odi", {"optional": "8"}, "can't take '8'"),
        ("eq5d5l", {"value_set": "XX"}, "can't take 'XX'"),
        ("eq5d5l", {"value_set": ["KR"]}, "can't take"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_any_answer(name, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        settings_for(name, settings)


def test_defaults_are_filled_in():
    assert settings_for("odi", {"max_missing": 2}) == {"max_missing": 2, "optional": (8,)}
    assert settings_for("eq5d5l", {}) == {"value_set": "KR"}


@pytest.mark.parametrize("name", list(SCORES))
def test_every_score_says_where_it_comes_from_and_describes_each_output(name):
    score = SCORES[name]
    assert score.name == name
    assert score.version
    assert "doi:" in score.source or "NCT" in score.source
    assert set(score.accepts) == set(score.settings)
    for output in score.outputs:
        for text in (output.label, output.derivation, *output.codes.values()):
            assert set(text) == {"ko", "en"}
            assert all(text.values())


@given(st.data())
def test_every_score_gives_exactly_its_outputs_with_their_kind_and_range(data):
    score = data.draw(st.sampled_from(list(SCORES.values())))
    low, high = {"nrs": (0, 10), "ndi": (0, 5), "odi": (0, 5)}.get(score.name, (1, 5))
    item = st.none() | st.integers(low, high)
    answers = data.draw(st.lists(item, min_size=score.inputs, max_size=score.inputs))
    values = compute(score.name, answers)
    assert list(values) == [output.name for output in score.outputs]
    for output in score.outputs:
        value = values[output.name]
        if value is None:
            continue
        assert isinstance(value, int if output.kind == "integer" else str)
        if output.codes:
            assert value in output.codes
        if output.kind == "decimal":
            assert value == canonical(Decimal(value))
            assert -Decimal(value).as_tuple().exponent <= output.decimals
        if output.minimum is not None and output.maximum is not None:
            assert output.minimum <= Decimal(value) <= output.maximum
