"""WHO-UMC causality: the six categories, and a suggestion from six answers.

The categories and their criteria are published ("The use of the WHO-UMC system for standardised
case causality assessment", Uppsala Monitoring Centre, as reproduced in PMC6039921 Box 2,
PMC11162198 and PMC7788217). The way from answers to a category is ours: the highest category all of
whose criteria are met, otherwise Possible. It is a suggestion only. The investigator decides, and
their own choice is stored beside it.

An injection that was given once can't be withdrawn, and read strictly no event after one could then
rise above Possible. For that case there is `single_dose`: where withdrawal is answered "not
applicable" its criterion is waived, as in the earlier WHO scheme for adverse events following
immunisation, which has the same categories without it (PMC5540963 Table 1, PMC5832019 Table 1).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from safety.codes import Code

# E2B(R3) MFDS extension G.k.9.i.2.r.2.KR.1: the method by which causality was judged
METHOD_WHO_UMC = "1"


class Category(StrEnum):
    CERTAIN = "certain"
    PROBABLE = "probable"
    POSSIBLE = "possible"
    UNLIKELY = "unlikely"
    CONDITIONAL = "conditional"
    UNASSESSABLE = "unassessable"


# Labels and codes of MFDS, E2B(R3) element G.k.9.i.2.r.3.KR.1
CATEGORIES = (
    Code(Category.CERTAIN, {"ko": "확실함", "en": "Certain"}, "1"),
    Code(Category.PROBABLE, {"ko": "상당히 확실함", "en": "Probable/Likely"}, "2"),
    Code(Category.POSSIBLE, {"ko": "가능함", "en": "Possible"}, "3"),
    Code(Category.UNLIKELY, {"ko": "가능성 적음", "en": "Unlikely"}, "4"),
    Code(Category.CONDITIONAL, {"ko": "평가곤란", "en": "Conditional/Unclassified"}, "5"),
    Code(Category.UNASSESSABLE, {"ko": "평가불가", "en": "Unassessable/Unclassifiable"}, "6"),
)

# The first is what is commonly counted as related; the second is Korean practice, which excludes
# Unlikely alone. A study chooses.
RELATED = frozenset({Category.CERTAIN, Category.PROBABLE, Category.POSSIBLE})
NOT_EXCLUDED = frozenset(Category) - {Category.UNLIKELY}


@dataclass(frozen=True)
class Question:
    """One of the six questions, with its answers in the order in which they are offered."""

    name: str
    label: Mapping[str, str]
    answers: Mapping[str, Mapping[str, str]]


QUESTIONS = (
    Question(
        "data",
        {"ko": "평가에 필요한 정보", "en": "Information for the assessment"},
        {
            "sufficient": {"ko": "충분함", "en": "Sufficient"},
            "pending": {"ko": "추가 자료 확인 중", "en": "More is needed or under examination"},
            "insufficient": {
                "ko": "부족하거나 상충하며 보완 불가",
                "en": "Insufficient or contradictory, can't be supplemented",
            },
        },
    ),
    Question(
        "time",
        {"ko": "시술과의 시간적 관계", "en": "Time relationship to the procedure"},
        {
            "plausible": {"ko": "타당함", "en": "Plausible"},
            "reasonable": {"ko": "합리적임", "en": "Reasonable"},
            "improbable": {"ko": "가능성 낮음", "en": "Improbable"},
            "unknown": {"ko": "알 수 없음", "en": "Unknown"},
        },
    ),
    Question(
        "alt",
        {"ko": "질환·약물 등 다른 원인", "en": "Another cause, such as disease or drugs"},
        {
            "excluded": {"ko": "배제됨", "en": "Excluded"},
            "unlikely": {"ko": "가능성 낮음", "en": "Unlikely"},
            "possible": {"ko": "가능함", "en": "Possible"},
            "plausible": {"ko": "타당한 설명이 됨", "en": "A plausible explanation"},
            "unknown": {"ko": "평가하지 않음", "en": "Not assessed"},
        },
    ),
    Question(
        "dech",
        {"ko": "중단 후 경과", "en": "Response to withdrawal"},
        {
            "plausible": {
                "ko": "약리학적·병리학적으로 타당함",
                "en": "Plausible pharmacologically or pathologically",
            },
            "reasonable": {"ko": "임상적으로 합리적임", "en": "Clinically reasonable"},
            "negative": {"ko": "호전되지 않음", "en": "Did not abate"},
            "unknown": {"ko": "알 수 없음", "en": "Unknown"},
            "not_applicable": {
                "ko": "해당 없음 (1회 시술)",
                "en": "Not applicable (given once)",
            },
        },
    ),
    Question(
        "definitive",
        {
            "ko": "약리학적·현상학적으로 특징적인 이상반응",
            "en": "Definitive pharmacologically or phenomenologically",
        },
        {
            "Y": {"ko": "예", "en": "Yes"},
            "N": {"ko": "아니오", "en": "No"},
            "U": {"ko": "알 수 없음", "en": "Unknown"},
        },
    ),
    Question(
        "rech",
        {"ko": "재시술 시 반응", "en": "Rechallenge"},
        {
            "positive": {"ko": "다시 나타남", "en": "Event came again"},
            "negative": {"ko": "나타나지 않음", "en": "Event did not come again"},
            "not_done": {"ko": "시행하지 않음", "en": "Not done"},
        },
    ),
)


class Flag(StrEnum):
    """What the person who decides should look at again."""

    TIME_UNKNOWN = "time_unknown"
    NO_ALTERNATIVE = "no_alternative"
    NEGATIVE_RECHALLENGE = "negative_rechallenge"
    NOT_ABATED = "not_abated"
    WITHDRAWAL_WAIVED = "withdrawal_waived"
    WITHDRAWAL_NOT_ASSESSABLE = "withdrawal_not_assessable"
    ALTERNATIVES_NOT_ASSESSED = "alternatives_not_assessed"


FLAG_LABELS: Mapping[Flag, Mapping[str, str]] = {
    Flag.TIME_UNKNOWN: {
        "ko": "시간적 관계를 알 수 없음",
        "en": "time relationship unknown",
    },
    Flag.NO_ALTERNATIVE: {
        "ko": "타당한 다른 원인이 기록되지 않음: WHO-UMC의 '가능성 적음'은 다른 원인도 필요함",
        "en": 'no plausible alternative recorded: WHO-UMC "Unlikely" also asks for one',
    },
    Flag.NEGATIVE_RECHALLENGE: {
        "ko": "재시술 시 나타나지 않음: 하향 여부 검토",
        "en": "negative rechallenge: review downwards",
    },
    Flag.NOT_ABATED: {
        "ko": "중단 후 호전되지 않음: 하향 여부 검토",
        "en": "event did not abate after stopping: review downwards",
    },
    Flag.WITHDRAWAL_WAIVED: {
        "ko": "1회 시술: 중단 기준 적용 제외 (WHO 예방접종 선례)",
        "en": "single administration: withdrawal criterion waived (WHO vaccine precedent)",
    },
    Flag.WITHDRAWAL_NOT_ASSESSABLE: {
        "ko": "1회 시술: 중단 후 경과를 평가할 수 없음",
        "en": "single administration: withdrawal response not assessable",
    },
    Flag.ALTERNATIVES_NOT_ASSESSED: {
        "ko": "다른 원인을 평가하지 않음",
        "en": "alternative causes not assessed",
    },
}


@dataclass(frozen=True)
class Suggestion:
    category: Category
    flags: tuple[Flag, ...] = ()


def suggest(
    data: str,
    time: str,
    alt: str,
    dech: str,
    definitive: str,
    rech: str,
    single_dose: bool = False,
) -> Suggestion:
    """The highest WHO-UMC category that the six answers support, with what to look at again."""
    answers = (data, time, alt, dech, definitive, rech)
    for question, answer in zip(QUESTIONS, answers, strict=True):
        if answer not in question.answers:
            raise ValueError(f"{answer!r} is no answer to {question.name}.")

    if data == "pending":
        return Suggestion(Category.CONDITIONAL)
    if data == "insufficient":
        return Suggestion(Category.UNASSESSABLE)
    if time == "unknown":
        return Suggestion(Category.UNASSESSABLE, (Flag.TIME_UNKNOWN,))
    if time == "improbable":
        explained = alt in ("possible", "plausible")
        return Suggestion(Category.UNLIKELY, () if explained else (Flag.NO_ALTERNATIVE,))

    given_once = single_dose and dech == "not_applicable"
    withdrawal = given_once or dech in ("plausible", "reasonable")
    if not withdrawal or alt not in ("excluded", "unlikely") or rech == "negative":
        category = Category.POSSIBLE
    elif (time, alt, definitive) == ("plausible", "excluded", "Y") and dech != "reasonable":
        category = Category.CERTAIN
    else:
        category = Category.PROBABLE

    flags = []
    if rech == "negative":
        flags.append(Flag.NEGATIVE_RECHALLENGE)
    if dech == "negative":
        flags.append(Flag.NOT_ABATED)
    if given_once:
        possible = category is Category.POSSIBLE
        flags.append(Flag.WITHDRAWAL_NOT_ASSESSABLE if possible else Flag.WITHDRAWAL_WAIVED)
    if alt == "unknown":
        flags.append(Flag.ALTERNATIVES_NOT_ASSESSED)
    return Suggestion(category, tuple(flags))


def related(category: str, among: Collection[str] = RELATED) -> bool:
    """Whether an event of this category counts as related; a study may name its own categories."""
    unknown = {category, *among} - set(Category)
    if unknown:
        raise ValueError(f"{min(unknown)!r} is no WHO-UMC category.")
    return category in among
