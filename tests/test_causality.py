"""WHO-UMC suggestions: every one of the 2,700 combinations of answers, in both modes, against the
table worked out beforehand.
"""

import csv
import gzip
from pathlib import Path

import pytest

from safety.causality import (
    CATEGORIES,
    FLAG_LABELS,
    NOT_EXCLUDED,
    QUESTIONS,
    RELATED,
    Category,
    Flag,
    related,
    suggest,
)
from safety.codes import choices, find

TABLE = Path(__file__).parent / "data" / "who_umc_decision_table.csv.gz"
ANSWERS = ("data", "time", "alt", "dech", "definitive", "rech")
SINGLE_DOSE = {Flag.WITHDRAWAL_WAIVED, Flag.WITHDRAWAL_NOT_ASSESSABLE}


@pytest.fixture(scope="module")
def table():
    with gzip.open(TABLE, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def sentences(flags):
    return " | ".join(FLAG_LABELS[flag]["en"] for flag in flags)


def test_the_table_holds_every_combination_of_answers_once(table):
    combinations = {tuple(row[name] for name in ANSWERS) for row in table}
    expected = 1
    for question in QUESTIONS:
        expected *= len(question.answers)
    assert len(combinations) == len(table) == expected == 2700


def test_every_combination_of_answers_gives_the_category_of_the_table(table):
    wrong = []
    for row in table:
        answers = [row[name] for name in ANSWERS]
        strict, once = suggest(*answers), suggest(*answers, single_dose=True)
        if strict.category.name != row["suggested_strict"]:
            wrong.append(("strict", answers, strict))
        if once.category.name != row["suggested_single_dose_precedent"]:
            wrong.append(("single dose", answers, once))
    assert wrong == []


def test_every_combination_of_answers_gives_the_flags_of_the_table(table):
    wrong = []
    for row in table:
        answers = [row[name] for name in ANSWERS]
        strict, once = suggest(*answers), suggest(*answers, single_dose=True)
        if sentences(once.flags) != row["flags"]:
            wrong.append(("single dose", answers, once))
        if strict.flags != tuple(flag for flag in once.flags if flag not in SINGLE_DOSE):
            wrong.append(("strict", answers, strict))
    assert wrong == []


def test_a_single_injection_can_be_certain_only_when_withdrawal_is_waived():
    answers = ("sufficient", "plausible", "excluded", "not_applicable", "Y", "not_done")
    assert suggest(*answers).category is Category.POSSIBLE
    once = suggest(*answers, single_dose=True)
    assert once.category is Category.CERTAIN
    assert once.flags == (Flag.WITHDRAWAL_WAIVED,)


@pytest.mark.parametrize("position", range(6))
def test_an_answer_that_is_not_offered_is_refused(position):
    answers = ["sufficient", "plausible", "excluded", "plausible", "Y", "positive"]
    answers[position] = "maybe"
    with pytest.raises(ValueError, match=f"'maybe' is no answer to {ANSWERS[position]}"):
        suggest(*answers)


def test_certain_probable_and_possible_are_related_unless_the_study_says_otherwise():
    assert [category for category in Category if related(category)] == [
        Category.CERTAIN,
        Category.PROBABLE,
        Category.POSSIBLE,
    ]
    assert [category for category in Category if not related(category, NOT_EXCLUDED)] == [
        Category.UNLIKELY
    ]
    assert related("certain", ["certain"])
    assert not related("possible", ["certain"])


@pytest.mark.parametrize(("category", "among"), [("likely", RELATED), ("certain", ["likely"])])
def test_an_unknown_category_is_refused(category, among):
    with pytest.raises(ValueError, match="'likely' is no WHO-UMC category"):
        related(category, among)


def test_categories_carry_the_labels_and_codes_of_the_korean_authority():
    assert [entry.code for entry in CATEGORIES] == list(Category)
    assert [(entry.e2b, entry.label["ko"]) for entry in CATEGORIES] == [
        ("1", "확실함"),
        ("2", "상당히 확실함"),
        ("3", "가능함"),
        ("4", "가능성 적음"),
        ("5", "평가곤란"),
        ("6", "평가불가"),
    ]
    assert find(CATEGORIES, "possible").label["en"] == "Possible"
    assert choices(CATEGORIES, "ko")[0] == ("certain", "확실함")
    with pytest.raises(ValueError, match="no 'likely' in this list"):
        find(CATEGORIES, "likely")


def test_every_question_answer_and_flag_is_in_both_languages():
    assert tuple(question.name for question in QUESTIONS) == ANSWERS
    labels = [*FLAG_LABELS.values()]
    for question in QUESTIONS:
        labels += [question.label, *question.answers.values()]
    assert set(FLAG_LABELS) == set(Flag)
    for label in labels:
        assert set(label) == {"ko", "en"}
        assert all(label.values())
