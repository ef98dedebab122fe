"""Numerical rating scale of pain, 0 (no pain) to 10 (worst imaginable). The recall window is a
matter of the form, not of the score.
"""

from decimal import Decimal

from crf.scoring.base import Answers, Output, Score, Values, checked


def nrs(answers: Answers) -> Values:
    """The answer itself, a whole number from 0 to 10.

    Jensen MP, Karoly P, Braver S. The measurement of clinical pain intensity: a comparison of six
    methods. Pain 1986;27:117-126. doi:10.1016/0304-3959(86)90228-9
    """
    answered = checked(answers, low=0, high=10)
    return {"nrs": answered[0] if answered else None}


SCORE = Score(
    name="nrs",
    version="1",
    source="Jensen 1986, doi:10.1016/0304-3959(86)90228-9",
    inputs=1,
    function=nrs,
    outputs=(
        Output(
            name="nrs",
            kind="integer",
            label={"ko": "통증 NRS", "en": "Pain NRS"},
            derivation={
                "ko": "0(통증 없음)~10(상상할 수 있는 최악의 통증)의 응답값 그대로.",
                "en": "The answer as given, 0 (no pain) to 10 (worst imaginable pain).",
            },
            minimum=Decimal(0),
            maximum=Decimal(10),
            higher_is="worse",
        ),
    ),
)
