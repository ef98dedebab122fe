"""Oswestry Disability Index 2.1a: ten sections of 0 to 5, as per cent of what could be reached.

The originators let the denominator fall by 5 for each unanswered section and set no limit; common
software refuses a score when more than one is missing. The limit is therefore a setting
(`max_missing`, 1). Section 8 applies "if applicable", so that leaving it out is an answer of a
kind: the sections in `optional` (8) lower the denominator but do not count against the limit. A
study that wants the stricter reading sets `optional` to nothing.
"""

from collections.abc import Collection
from decimal import Decimal

from crf.scoring.base import (
    Answers,
    Output,
    Score,
    Values,
    band,
    canonical,
    checked,
    is_count,
    rounded,
)

ITEMS = 10
BANDS = {"minimal": 20, "moderate": 40, "severe": 60, "crippled": 80, "bed_bound": 100}
PLACES = 4


def odi(answers: Answers, *, max_missing: int, optional: Collection[int]) -> Values:
    """Per cent (100 × sum / (5 × sections answered)), number answered, band of disability.

    Fairbank JCT, Pynsent PB. The Oswestry Disability Index. Spine 2000;25:2940-2952.
    doi:10.1097/00007632-200011150-00017

    The per cent is kept to four places, rounded half up ("35.5556"). The bands are published for
    whole per cents, so it is rounded to a whole one for its band alone.
    """
    answered = checked(answers, low=0, high=5)
    missing = sum(
        answer is None and section not in optional
        for section, answer in enumerate(answers, start=1)
    )
    values: Values = {"odi_percent": None, "odi_answered": len(answered), "odi_band": None}
    if answered and missing <= max_missing:
        percent = Decimal(100 * sum(answered)) / (5 * len(answered))
        values["odi_percent"] = canonical(rounded(percent, PLACES))
        values["odi_band"] = band(percent, BANDS)
    return values


def _are_sections(value: object) -> bool:
    return (
        isinstance(value, Collection)
        and not isinstance(value, str)
        and all(is_count(section) and section in range(1, ITEMS + 1) for section in value)
    )


SCORE = Score(
    name="odi",
    version="1",
    source="Fairbank & Pynsent 2000, doi:10.1097/00007632-200011150-00017",
    inputs=ITEMS,
    function=odi,
    settings={"max_missing": 1, "optional": (8,)},
    accepts={"max_missing": is_count, "optional": _are_sections},
    outputs=(
        Output(
            name="odi_percent",
            kind="decimal",
            label={"ko": "ODI 백분율", "en": "ODI per cent"},
            derivation={
                "ko": (
                    "100 × 응답 문항의 합 / (5 × 응답 문항 수); 선택 문항(기본 8번)을 제외한 "
                    "무응답이 허용 개수(기본 1개)를 초과하면 결측."
                ),
                "en": (
                    "100 × sum of the answered sections / (5 × number answered); missing when more "
                    "sections are unanswered than allowed (default 1), not counting the optional "
                    "ones (default 8)."
                ),
            },
            unit="%",
            minimum=Decimal(0),
            maximum=Decimal(100),
            higher_is="worse",
            decimals=PLACES,
        ),
        Output(
            name="odi_answered",
            kind="integer",
            label={"ko": "ODI 응답 문항 수", "en": "ODI sections answered"},
            derivation={
                "ko": "10개 문항 중 응답한 문항의 수.",
                "en": "Number of the ten sections that were answered.",
            },
            minimum=Decimal(0),
            maximum=Decimal(ITEMS),
        ),
        Output(
            name="odi_band",
            kind="text",
            label={"ko": "ODI 장애 정도", "en": "ODI disability band"},
            derivation={
                "ko": "정수로 반올림한 백분율의 구간: 0~20, 21~40, 41~60, 61~80, 81~100.",
                "en": (
                    "Band of the per cent rounded to a whole one: 0-20, 21-40, 41-60, 61-80, "
                    "81-100."
                ),
            },
            codes={
                "minimal": {"ko": "최소 장애", "en": "Minimal disability"},
                "moderate": {"ko": "중등도 장애", "en": "Moderate disability"},
                "severe": {"ko": "중증 장애", "en": "Severe disability"},
                "crippled": {"ko": "매우 심한 장애", "en": "Crippled (very severe)"},
                "bed_bound": {"ko": "와상 또는 과장 응답", "en": "Bed-bound or exaggerating"},
            },
        ),
    ),
)
