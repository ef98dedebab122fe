"""What a form is: its kinds of items, groups, and what its answers mean as they stand."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from crf.instrument import Definition, Instrument, ScoreUse, judge, load
from tests.protocols import NEEDLE, USPP

LABEL = {"ko": "가", "en": "A"}


def instrument(*items: dict[str, Any], **more: Any) -> Instrument:
    labelled = [{"label": LABEL, **item} if item["kind"] != "group" else item for item in items]
    section = {"code": "one", "title": LABEL, "items": labelled}
    return Instrument.model_validate(
        {"code": "form", "title": LABEL, "short": LABEL, "sections": [section], **more}
    )


@pytest.fixture(scope="module")
def session() -> Instrument:
    return load(NEEDLE).instruments["session"]


@pytest.fixture(scope="module")
def uspp() -> Definition:
    return load(USPP)


# Items ------------------------------------------------------------------------------------------


def test_codes_that_look_like_numbers_are_numbers() -> None:
    form = instrument({"kind": "choice", "code": "a", "options": [0, "1", "-2", "007", "x"]})
    item: Any = form.item("a")
    assert [option.code for option in item.options] == [0, 1, -2, "007", "x"]
    assert [option.label.ko for option in item.options] == ["0", "1", "-2", "007", "x"]
    assert item.option(1).label.en == "1"


def test_an_item_may_be_marked_missing_for_any_reason_unless_it_says_otherwise() -> None:
    form = instrument(
        {"kind": "text", "code": "a"}, {"kind": "text", "code": "b", "missing": ["refused"]}
    )
    assert form.item("a").missing == ("not_done", "refused", "not_applicable", "unknown")
    assert form.item("b").missing == ("refused",)
    with pytest.raises(ValidationError, match="literal_error"):
        instrument({"kind": "text", "code": "a", "missing": ["forgotten"]})


def test_limits_are_kept_exactly() -> None:
    item: Any = instrument(
        {"kind": "decimal", "code": "a", "min": 0.1, "max": "12.50", "places": 2, "unit": "mL"}
    ).item("a")
    assert (item.min, item.max) == (Decimal("0.1"), Decimal("12.50"))
    assert (item.unit.ko, item.unit.en) == ("mL", "mL")


@pytest.mark.parametrize(
    "item",
    [
        {"kind": "choice", "code": "a", "options": [True, False]},
        {"kind": "choice", "code": "a", "options": [1]},
        {"kind": "integer", "code": "a", "min": 2, "max": 1},
        {"kind": "text", "code": "Not_a_code"},
        {"kind": "text", "code": "a", "colour": "red"},
        {"kind": "slider", "code": "a"},
    ],
)
def test_an_item_that_makes_no_sense_is_refused(item: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        instrument(item)


# Groups -----------------------------------------------------------------------------------------


def test_a_group_becomes_numbered_items_in_the_order_of_its_copies(session: Instrument) -> None:
    assert [item.code for item in session.items] == [
        "treated_on",
        *("muscle_1", "depth_1", "twitch_1"),
        *("muscle_2", "depth_2", "twitch_2"),
        *("muscle_3", "depth_3", "twitch_3"),
    ]
    assert session.item("depth_2").label.ko == "깊이 2"
    assert session.has("depth_3")
    assert not session.has("depth")


def test_only_the_first_copy_of_a_group_is_asked_for(session: Instrument) -> None:
    leads = [session.item(f"muscle_{n}").required for n in (1, 2, 3)]
    assert leads == [True, False, False]


@pytest.mark.parametrize(
    ("answers", "shown"),
    [
        ({}, ["muscle_1", "depth_1"]),
        ({"muscle_1": "QL"}, ["muscle_1", "depth_1", "muscle_2"]),
        (
            {"muscle_1": "QL", "depth_1": "12.5"},
            ["muscle_1", "depth_1", "twitch_1", "muscle_2"],
        ),
        (
            {"muscle_1": "QL", "depth_1": "9.5", "muscle_2": "MF", "depth_2": "10"},
            ["muscle_1", "depth_1", "muscle_2", "depth_2", "twitch_2", "muscle_3"],
        ),
        # Without its lead the rest of a copy is not asked for, and no further copy is offered.
        ({"muscle_2": "MF", "depth_2": "30"}, ["muscle_1", "depth_1"]),
    ],
)
def test_a_further_copy_is_offered_once_the_one_before_it_is_begun(
    session: Instrument, answers: dict[str, Any], shown: list[str]
) -> None:
    judgement = judge(session, answers, {})
    assert [item.code for item in session.items if item.code in judgement.shown] == [
        "treated_on",
        *shown,
    ]


# What answers mean ------------------------------------------------------------------------------


def test_what_a_hidden_item_holds_counts_as_unanswered() -> None:
    form = instrument(
        {"kind": "yesno", "code": "smokes"},
        {"kind": "integer", "code": "daily", "when": "smokes == 'yes'"},
        {"kind": "text", "code": "advice", "when": "daily > 20"},
        checks=[{"code": "many", "ok": "daily <= 60", "items": ["daily"], "message": LABEL}],
    )
    open_form = judge(form, {"smokes": "yes", "daily": 70}, {})
    assert open_form.shown == {"smokes", "daily", "advice"}
    assert [check.code for check in open_form.broken] == ["many"]
    closed = judge(form, {"smokes": "no", "daily": 70}, {})
    assert closed.shown == {"smokes"}
    assert closed.broken == ()
    assert closed.context["daily"] is None


def test_a_check_is_broken_only_by_what_is_known(session: Instrument) -> None:
    def broken(answers: dict[str, Any], facts: dict[str, Any]) -> list[str]:
        return [check.code for check in judge(session, answers, facts).broken]

    consented = {"consent_date": "2026-03-02"}
    assert broken({"treated_on": "2026-03-01"}, consented) == ["before_consent"]
    assert broken({"treated_on": "2026-03-02"}, consented) == []
    assert broken({"treated_on": None}, consented) == []
    assert broken({"treated_on": "2026-03-01"}, {"consent_date": ""}) == []


def test_a_date_known_in_part_decides_nothing() -> None:
    form = instrument(
        {"kind": "date", "code": "onset", "partial": True},
        checks=[{"code": "c", "ok": "onset <= consent_date", "items": ["onset"], "message": LABEL}],
    )
    for onset, expected in (("2026-03", 0), ("2026", 0), ("2026-03-03", 1), ("2026-03-01", 0)):
        judgement = judge(form, {"onset": onset}, {"consent_date": "2026-03-02"})
        assert len(judgement.broken) == expected, onset


def test_an_empty_list_or_text_is_no_answer() -> None:
    form = instrument(
        {"kind": "multi", "code": "a", "options": ["x", "y"]},
        {"kind": "text", "code": "b", "when": "a != null"},
    )
    assert judge(form, {"a": []}, {}).shown == {"a"}
    assert judge(form, {"a": ["x"]}, {}).shown == {"a", "b"}


def test_a_score_may_have_a_prefix() -> None:
    plain = ScoreUse(score="nrs", items=("pain",))
    left = ScoreUse(score="nrs", items=("pain",), prefix="left")
    assert (plain.column("nrs"), left.column("nrs")) == ("nrs", "left_nrs")


# The forms of the first registry ----------------------------------------------------------------


def found(uspp: Definition, form: str, answers: dict[str, Any], **facts: Any) -> list[str]:
    judgement = judge(uspp.instruments[form], answers, facts)
    assert answers.keys() <= judgement.shown, answers.keys() - judgement.shown
    return [check.code for check in judgement.broken]


@pytest.mark.parametrize(
    ("form", "answers", "broken"),
    [
        ("procedure", {"performed_on": "2026-03-01"}, ["before_consent"]),
        ("procedure", {"performed_on": "2026-03-02"}, []),
        ("procedure", {"max_insertion": "60", "point_1": "BL23"}, []),
        ("procedure", {"max_insertion": "60.1", "point_1": "BL23"}, ["deep_insertion"]),
        (
            "procedure",
            {"max_insertion": "41", "needle_length": "40", "point_1": "BL23"},
            ["deeper_than_needle"],
        ),
        ("procedure", {"max_insertion": "20"}, ["no_target"]),
        ("procedure", {"max_insertion": "20", "target_site_1": "L4-L5"}, []),
        ("procedure", {"max_insertion": "3.5", "point_1": "BL23"}, ["shallow_insertion"]),
        (
            "procedure",
            {"product_1": "SHINBARO1", "volume_1": "12", "product_2": "ANTIINF", "volume_2": "8"},
            [],
        ),
        (
            "procedure",
            {"product_1": "SHINBARO1", "volume_1": "12", "product_2": "ANTIINF", "volume_2": "8.5"},
            ["large_total_volume"],
        ),
        (
            "procedure",
            {"product_1": "BV", "skin_test": "positive"},
            ["venom_after_positive_test"],
        ),
        ("screening", {"region": "cervical", "diagnosis": "M51.2"}, ["lumbar_code_in_cervical"]),
        ("screening", {"region": "lumbar", "diagnosis": "M51.2"}, []),
        ("baseline", {"height": "17.2"}, ["unusual_height"]),
        (
            "baseline",
            {"onset_date": "2026-02-20", "pain_duration": "chronic"},
            ["duration_against_onset"],
        ),
        ("baseline", {"onset_date": "2025-02", "pain_duration": "acute"}, []),
        ("baseline", {"comorbidity": ["none", "diabetes"]}, ["comorbidity_none_alone"]),
        ("concurrent", {"chuna": "yes", "chuna_count": 31}, ["many_chunas"]),
        ("eq5d5l", {"mobility": 5, "usual_activities": 1}, ["activities_without_mobility"]),
        ("eq5d5l", {"eq_vas": 96, "pain_discomfort": 5}, ["vas_against_levels"]),
        (
            "deviation",
            {"occurred_on": "2026-03-05", "noticed_on": "2026-03-04"},
            ["noticed_before_occurrence"],
        ),
        ("ndi", {f"ndi_{n:02d}": 5 for n in range(1, 11)}, ["all_at_worst"]),
        ("odi", {f"odi_{n:02d}": 5 for n in range(1, 10)}, []),
    ],
)
def test_soft_checks_find_what_is_unlikely(
    uspp: Definition, form: str, answers: dict[str, Any], broken: list[str]
) -> None:
    assert found(uspp, form, answers, consent_date="2026-03-02", sex="female", age=45) == broken


@pytest.mark.parametrize(
    ("products", "asked"),
    [
        ({}, False),
        ({"product_1": "SHINBARO1"}, False),
        ({"product_1": "SBV"}, True),
        ({"product_1": "SHINBARO1", "product_2": "BV"}, True),
    ],
)
def test_venom_products_ask_for_a_skin_test(
    uspp: Definition, products: dict[str, Any], asked: bool
) -> None:
    shown = judge(uspp.instruments["procedure"], products, {}).shown
    assert ("skin_test" in shown, "venom_allergy" in shown) == (asked, asked)


@pytest.mark.parametrize(("sex", "asked"), [("female", True), ("male", False), ("", False)])
def test_pregnancy_is_asked_of_women(uspp: Definition, sex: str, asked: bool) -> None:
    assert ("pregnancy" in judge(uspp.instruments["screening"], {}, {"sex": sex}).shown) is asked


def test_the_pain_scale_is_one_line_with_words_at_its_ends(uspp: Definition) -> None:
    item: Any = uspp.instruments["nrs"].item("pain")
    assert item.display == "scale"
    assert [option.code for option in item.options] == list(range(11))
    assert item.options[0].label.ko == "통증 없음"
    assert item.options[10].label.en == "Worst pain imaginable"
    assert uspp.instruments["nrs"].recall is not None


def test_a_deviation_takes_its_categories_from_the_protocol(uspp: Definition) -> None:
    item: Any = uspp.instruments["deviation"].item("category")
    categories = [category.code for category in uspp.protocol.deviation_categories]
    assert [option.code for option in item.options] == categories


@pytest.mark.parametrize("form", ["ndi", "odi", "eq5d5l"])
def test_licensed_questionnaires_show_numbers_instead_of_their_wording(
    uspp: Definition, form: str
) -> None:
    instrument = uspp.instruments[form]
    assert instrument.licence is not None
    for item in instrument.items:
        assert len(item.label.en) <= 30
        for option in getattr(item, "options", ()):
            assert option.label.en == str(option.code)
