"""EQ-5D-5L: the profile of five dimensions and the index by a country's published value set.

A value set belongs to the five-level version alone; those of the three-level version differ and are
not kept here. The EQ VAS is an item of its own, not part of this score.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from crf.scoring.base import Answers, Output, Score, Values, canonical, checked, rounded

DIMENSIONS = ("MO", "SC", "UA", "PD", "AD")
PLACES = 3
DATA = Path(__file__).parent.parent / "data" / "eq5d5l_value_sets.json"


@dataclass(frozen=True)
class ValueSet:
    """What is taken from 1: for any problem, for any of level 4 or 5, per dimension by level."""

    country: str
    source: str
    any_problem: Decimal
    any_severe: Decimal
    decrements: Mapping[str, tuple[Decimal, ...]]

    def index(self, levels: list[int]) -> Decimal:
        value = Decimal(1)
        if max(levels) > 1:
            value -= self.any_problem
        if max(levels) >= 4:
            value -= self.any_severe
        for dimension, level in zip(DIMENSIONS, levels, strict=True):
            value -= self.decrements[dimension][level - 1]
        return rounded(value, PLACES)


@cache
def value_sets() -> Mapping[str, ValueSet]:
    """The value sets that can be named in a study, by country code."""
    return {
        code: ValueSet(
            country=entry["country"],
            source=entry["source"],
            any_problem=Decimal(entry["any_problem"]),
            any_severe=Decimal(entry["any_severe"]),
            decrements={
                dimension: tuple(Decimal(step) for step in steps)
                for dimension, steps in entry["decrements"].items()
            },
        )
        for code, entry in json.loads(DATA.read_text(encoding="utf-8")).items()
    }


def eq5d5l(answers: Answers, *, value_set: str) -> Values:
    """Profile ("21232") and index, both missing as soon as one dimension is; never prorated.

    Korea: Kim SH, Ahn J, Ock M, et al. The EQ-5D-5L valuation study in Korea. Qual Life Res
    2016;25:1845-1852. doi:10.1007/s11136-015-1205-2 (PMID 26961008). The index is rounded to three
    places.
    """
    levels = checked(answers, low=1, high=5)
    if len(levels) < len(DIMENSIONS):
        return {"eq5d_profile": None, "eq5d_index": None}
    return {
        "eq5d_profile": "".join(map(str, levels)),
        "eq5d_index": canonical(value_sets()[value_set].index(levels)),
    }


SCORE = Score(
    name="eq5d5l",
    version="1",
    source="Kim 2016, doi:10.1007/s11136-015-1205-2",
    inputs=len(DIMENSIONS),
    function=eq5d5l,
    settings={"value_set": "KR"},
    accepts={"value_set": lambda value: isinstance(value, str) and value in value_sets()},
    outputs=(
        Output(
            name="eq5d_profile",
            kind="text",
            label={"ko": "EQ-5D-5L 건강상태", "en": "EQ-5D-5L profile"},
            derivation={
                "ko": (
                    "5개 차원(MO SC UA PD AD)의 수준을 이어 쓴 다섯 자리; 하나라도 무응답이면 결측."
                ),
                "en": (
                    "The levels of the five dimensions (MO SC UA PD AD) as five digits; missing "
                    "when any dimension is."
                ),
            },
        ),
        Output(
            name="eq5d_index",
            kind="decimal",
            label={"ko": "EQ-5D-5L 지수", "en": "EQ-5D-5L index"},
            derivation={
                "ko": (
                    "1에서 해당 국가(기본: 한국, Kim 2016) 가치평가표의 감점을 뺀 값을 소수 셋째 "
                    "자리로 반올림; 하나라도 무응답이면 결측."
                ),
                "en": (
                    "1 minus the decrements of the country's value set (default: Korea, Kim 2016), "
                    "rounded to three places; missing when any dimension is."
                ),
            },
            minimum=Decimal("-0.066"),
            maximum=Decimal(1),
            higher_is="better",
            decimals=PLACES,
        ),
    ),
)
