"""What an expression means: true, false or undecided, and never more than is known."""

import pytest

from crf.conditions import Invalid, compared, compile, decide, known, rename


@pytest.mark.parametrize(
    ("source", "context", "expected"),
    [
        ("nrs >= 5", {"nrs": 5}, True),
        ("nrs >= 5", {"nrs": 4}, False),
        ("nrs >= 5", {"nrs": None}, None),
        # CEL alone calls these false and true; nobody has answered, so neither is known.
        ("pregnant == 'yes'", {"pregnant": None}, None),
        ("smoking != 'never'", {"smoking": None}, None),
        ("'other' in treated", {"treated": None}, None),
        ("!(a == 1)", {"a": None}, None),
        # What is decided without the unknown part is decided.
        ("age < 19 || nrs < 5", {"age": 17, "nrs": None}, True),
        ("nrs < 5 || age < 19", {"age": 17, "nrs": None}, True),
        ("age < 19 || nrs < 5", {"age": 30, "nrs": None}, None),
        ("sex == 'female' && pregnant == 'yes'", {"sex": "male", "pregnant": None}, False),
        ("pregnant == 'yes' && sex == 'female'", {"sex": "male", "pregnant": None}, False),
        ("sex == 'female' && pregnant == 'yes'", {"sex": "female", "pregnant": None}, None),
        # Asking whether something was answered.
        ("lot != null", {"lot": None}, False),
        ("lot != null", {"lot": "A1"}, True),
        ("null == lot", {"lot": None}, True),
        ("lot == null || lot == 'A1'", {"lot": None}, True),
        # Text, lists, codes.
        ("code.startsWith('M')", {"code": "M54.5"}, True),
        ("code.startsWith('M')", {"code": None}, None),
        ("'x' in given && size(given) == 1", {"given": ["x"]}, True),
        ("region in ['cervical', 'lumbar']", {"region": "lumbar"}, True),
        ("[a, b].exists(x, x == 'M')", {"a": "M", "b": "S"}, True),
        # Decimals.
        ("volume > 10", {"volume": 10.5}, True),
        ("(a == null ? 0.0 : a) + (b == null ? 0.0 : b) <= 20.0", {"a": 12.5, "b": None}, True),
        ("(a == null ? 0.0 : a) + (b == null ? 0.0 : b) <= 20.0", {"a": 12.5, "b": 8.0}, False),
    ],
)
def test_three_values(source: str, context: dict[str, object], expected: bool | None) -> None:
    assert decide(compile(source), context) is expected


@pytest.mark.parametrize(
    ("source", "first", "last", "expected"),
    [
        ("last >= first", "2026-02-28", "2026-03-01", True),
        ("last >= first", "2026-10-01", "2026-09-30", False),
        ("days(first, last) == 1", "2024-02-28", "2024-02-29", True),
        ("days(first, last) == 1", "2026-02-28", "2026-03-01", True),
        ("days(first, last) < 0", "2026-03-01", "2026-02-28", True),
        ("days(first, last) < 0", None, "2026-02-28", None),
    ],
)
def test_dates_compare_and_differ(
    source: str, first: str | None, last: str, expected: bool | None
) -> None:
    assert decide(compile(source), {"first": first, "last": last}) is expected


def test_a_name_that_the_context_lacks_is_a_mistake_and_no_unknown_answer() -> None:
    with pytest.raises(KeyError, match="nrs"):
        decide(compile("nrs >= 5"), {"pain": 3})


def test_arithmetic_that_fails_leaves_it_undecided() -> None:
    assert decide(compile("10 / n > 1"), {"n": 0}) is None


def test_what_is_no_truth_value_is_undecided() -> None:
    assert decide(compile("n + 1"), {"n": 1}) is None


def test_variables_leave_out_what_the_expression_binds_itself() -> None:
    assert compile("[a, b].exists(x, x == c)").variables == {"a", "b", "c"}


def test_an_expression_is_compiled_once() -> None:
    assert compile("nrs >= 5") is compile("nrs >= 5")


@pytest.mark.parametrize("source", ["nrs >=", "nrs = 5", "(nrs", "nrs 5", "'open"])
def test_a_wrong_expression_is_told_with_its_place(source: str) -> None:
    with pytest.raises(Invalid, match=r"is not a valid expression: at character \d+, "):
        compile(source)


def test_facts_that_are_empty_are_unknown() -> None:
    facts = known({"cohort": "", "age": 0})
    assert (facts["cohort"], facts["age"], facts["arm"]) == (None, 0, None)


def test_constants_are_found_wherever_a_name_is_compared() -> None:
    found = compared("a == 'x' || 'y' in b || c in ['1', 2] || 5 != d || e >= 3")
    assert found == [("a", "x"), ("b", "y"), ("c", "1"), ("c", 2), ("d", 5)]


def test_renaming_leaves_texts_alone() -> None:
    renamed = rename("product in ['product'] && products == product", {"product": "product_2"})
    assert renamed == "product_2 in ['product'] && products == product_2"
