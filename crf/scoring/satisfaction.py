"""Patient satisfaction with the treatment: six items of 1 to 5, as the registry's record defines
it.
"""

from decimal import Decimal

from crf.scoring.base import Answers, Output, Score, Values, checked

ITEMS = 6


def satisfaction(answers: Answers) -> Values:
    """Sum of the six items, 6 to 30; missing as soon as one item is, since the record gives no rule
    for a missing one.

    Source: record of the registry, ClinicalTrials.gov NCT07543692 (secondary outcome; no paper, no
    DOI).
    """
    answered = checked(answers, low=1, high=5)
    return {"satisfaction_total": sum(answered) if len(answered) == ITEMS else None}


SCORE = Score(
    name="satisfaction",
    version="1",
    source="ClinicalTrials.gov NCT07543692",
    inputs=ITEMS,
    function=satisfaction,
    outputs=(
        Output(
            name="satisfaction_total",
            kind="integer",
            label={"ko": "만족도 총점", "en": "Satisfaction total"},
            derivation={
                "ko": "6개 문항(각 1~5)의 합; 하나라도 무응답이면 결측.",
                "en": "Sum of six items (1-5); missing when any item is.",
            },
            unit="points",
            minimum=Decimal(6),
            maximum=Decimal(30),
            higher_is="better",
        ),
    ),
)
