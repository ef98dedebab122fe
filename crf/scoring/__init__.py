"""The scores that an instrument may name, and the one call that computes them.

A score that its own rule declares missing is None; input that can't be right (a wrong count, an
answer out of range, an unknown setting) is a ValueError with a sentence. Imports nothing of Django,
so that it can be checked and reused alone.
"""

from collections.abc import Mapping

from crf.scoring import eq5d5l, ndi, nrs, odi, satisfaction
from crf.scoring.base import Answers, Output, Score, Value, Values, canonical

__all__ = ["SCORES", "Output", "Score", "Value", "canonical", "compute", "settings_for"]

SCORES: dict[str, Score] = {
    module.SCORE.name: module.SCORE for module in (nrs, ndi, odi, eq5d5l, satisfaction)
}


def compute(name: str, answers: Answers, /, **settings: object) -> Values:
    """The outputs of a score for its items in their order, None for an item without an answer."""
    given = settings_for(name, settings)
    score = SCORES[name]
    if len(answers) != score.inputs:
        raise ValueError(f"Score {name} takes {score.inputs} answers, not {len(answers)}.")
    return score.function(answers, **given)


def settings_for(name: str, given: Mapping[str, object]) -> dict[str, object]:
    """A score's settings with its defaults filled in; publishing asks this before any answer."""
    if name not in SCORES:
        raise ValueError(f"There is no score {name!r}; there are {', '.join(SCORES)}.")
    score = SCORES[name]
    for setting, value in given.items():
        if setting not in score.settings:
            raise ValueError(f"Score {name} has no setting {setting!r}.")
        if not score.accepts[setting](value):
            raise ValueError(f"Score {name} can't take {value!r} as {setting}.")
    return {**score.settings, **given}
