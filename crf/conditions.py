"""Conditions as forms use them. They live in `registry.conditions`, since eligibility and the forms
due at a visit are decided there too, and `registry` may not import `crf`.
"""

from registry.conditions import (
    FACTS,
    FUNCTIONS,
    RESERVED,
    Condition,
    Invalid,
    compared,
    compile,
    decide,
    evaluate,
    known,
    rename,
)

__all__ = [
    "FACTS",
    "FUNCTIONS",
    "RESERVED",
    "Condition",
    "Invalid",
    "compared",
    "compile",
    "decide",
    "evaluate",
    "known",
    "rename",
]
