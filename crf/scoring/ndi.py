"""Neck Disability Index: ten items of 0 to 5, reported as points of 50 and as per cent.

The 1991 paper says nothing of missing items. Vernon replaces one missing item by the mean of the
others, which is the same as prorating the sum; beyond that there is no published rule, so that the
number allowed is a setting (`max_missing`, 1).
"""

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
BANDS = {"none": 4, "mild": 14, "moderate": 24, "severe": 34, "complete": 50}
PLACES = 4


def ndi(answers: Answers, *, max_missing: int) -> Values:
    """Points of 50 (prorated), per cent of what could be reached, number answered, band.

    Vernon H, Mior S. The Neck Disability Index: a study of reliability and validity. J Manipulative
    Physiol Ther 1991;14:409-415 (PMID 1834753). Bands and the rule for one missing item: Vernon H.
    The Neck Disability Index: state-of-the-art, 1991-2008. J Manipulative Physiol Ther
    2008;31:491-502. doi:10.1016/j.jmpt.2008.08.006

    Both figures are rounded half up to four places, each from the exact value. The bands are
    published for whole points, so a prorated total is rounded to a whole point for its band alone.
    """
    answered = checked(answers, low=0, high=5)
    values: Values = {
        "ndi_total": None,
        "ndi_percent": None,
        "ndi_answered": len(answered),
        "ndi_band": None,
    }
    if answered and ITEMS - len(answered) <= max_missing:
        total = Decimal(sum(answered) * ITEMS) / len(answered)
        values["ndi_total"] = canonical(rounded(total, PLACES))
        values["ndi_percent"] = canonical(rounded(total * 2, PLACES))
        values["ndi_band"] = band(total, BANDS)
    return values


SCORE = Score(
    name="ndi",
    version="1",
    source="Vernon & Mior 1991, PMID 1834753; Vernon 2008, doi:10.1016/j.jmpt.2008.08.006",
    inputs=ITEMS,
    function=ndi,
    settings={"max_missing": 1},
    accepts={"max_missing": is_count},
    outputs=(
        Output(
            name="ndi_total",
            kind="decimal",
            label={"ko": "NDI 총점", "en": "NDI total"},
            derivation={
                "ko": (
                    "10개 문항(각 0~5)의 합; 무응답이 허용 개수(기본 1개) 이내이면 응답 문항 "
                    "평균×10, 초과하면 결측."
                ),
                "en": (
                    "Sum of ten items (0-5); with no more missing than allowed (default 1) the "
                    "mean of the answered items × 10, else missing."
                ),
            },
            unit="points",
            minimum=Decimal(0),
            maximum=Decimal(50),
            higher_is="worse",
            decimals=PLACES,
        ),
        Output(
            name="ndi_percent",
            kind="decimal",
            label={"ko": "NDI 백분율", "en": "NDI per cent"},
            derivation={
                "ko": (
                    "100 × 응답 문항의 합 / (5 × 응답 문항 수); 무응답이 허용 개수를 초과하면 결측."
                ),
                "en": (
                    "100 × sum of the answered items / (5 × number answered); missing when more "
                    "are unanswered than allowed."
                ),
            },
            unit="%",
            minimum=Decimal(0),
            maximum=Decimal(100),
            higher_is="worse",
            decimals=PLACES,
        ),
        Output(
            name="ndi_answered",
            kind="integer",
            label={"ko": "NDI 응답 문항 수", "en": "NDI items answered"},
            derivation={
                "ko": "10개 문항 중 응답한 문항의 수.",
                "en": "Number of the ten items that were answered.",
            },
            minimum=Decimal(0),
            maximum=Decimal(ITEMS),
        ),
        Output(
            name="ndi_band",
            kind="text",
            label={"ko": "NDI 장애 정도", "en": "NDI disability band"},
            derivation={
                "ko": "정수로 반올림한 총점의 구간: 0~4, 5~14, 15~24, 25~34, 35~50.",
                "en": "Band of the total rounded to a whole point: 0-4, 5-14, 15-24, 25-34, 35-50.",
            },
            codes={
                "none": {"ko": "장애 없음", "en": "No disability"},
                "mild": {"ko": "경도 장애", "en": "Mild disability"},
                "moderate": {"ko": "중등도 장애", "en": "Moderate disability"},
                "severe": {"ko": "중증 장애", "en": "Severe disability"},
                "complete": {"ko": "완전 장애", "en": "Complete disability"},
            },
        ),
    ),
)
