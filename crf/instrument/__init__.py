"""What is collected: instruments, and with the protocol they make the definition of a study."""

from crf.instrument.definition import Definition, canonical
from crf.instrument.items import (
    MISSING,
    Check,
    ChoiceItem,
    CodeItem,
    DateItem,
    DecimalItem,
    Group,
    Instrument,
    IntegerItem,
    Item,
    LongTextItem,
    MissingReason,
    MultiItem,
    Option,
    ScoreUse,
    Section,
    TextItem,
    YesNoItem,
)
from crf.instrument.judgement import Judgement, judge
from crf.instrument.source import Broken, Problem, load

__all__ = [
    "MISSING",
    "Broken",
    "Check",
    "ChoiceItem",
    "CodeItem",
    "DateItem",
    "DecimalItem",
    "Definition",
    "Group",
    "Instrument",
    "IntegerItem",
    "Item",
    "Judgement",
    "LongTextItem",
    "MissingReason",
    "MultiItem",
    "Option",
    "Problem",
    "ScoreUse",
    "Section",
    "TextItem",
    "YesNoItem",
    "canonical",
    "judge",
    "load",
]
