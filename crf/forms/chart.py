"""The body chart beside the rows of places: where everything lies on it, in pixels.

Seen from behind, so that the person's left is on the left; the front is the other way round. Every
field is at least 44 pixels each way, and each stands for a place of the code list and a side, so
that the chart and the rows say the same. Fields lie in rows and columns, by which the arrow keys
go from one to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from crf import codelists

FIELD = 44
LIST = "site"
BACK, FRONT = "back", "front"


@dataclass(frozen=True)
class Field:
    site: str
    side: str
    x: int
    y: int
    width: int
    label: str


# Places on the figures: (place, how far from the midline its fields begin, y).
_ON_BACK = (
    ("SHOULDER", 14, 66),
    ("SCAPULA", 10, 114),
    ("FLANK", 8, 166),
    ("SIJ", 2, 214),
    ("BUTTOCK", 6, 262),
)
_ON_FRONT = (("NECK-ANT", 4, 50), ("GROIN", 4, 246))
_MIDDLE = 80  # x of the midline of a figure
_LEVEL = 48  # width of a field of the spine
_NAMES = 56  # width of the names before the fields of the spine
_HEAD = 26  # height of the words left and right
PANELS = (("neck", "C"), ("low_back", "L"), ("upper_back", "T"))


def _figure(places: tuple[tuple[str, int, int], ...], lang: str, mirrored: bool) -> dict[str, Any]:
    rows = []
    for site, away, y in places:
        low, high = _MIDDLE - away - FIELD, _MIDDLE + away
        left, right = (high, low) if mirrored else (low, high)
        label = _label(site, lang)
        fields = [
            Field(site, "left", left, y, FIELD, label),
            Field(site, "right", right, y, FIELD, label),
        ]
        rows.append({"label": label, "y": y, "fields": sorted(fields, key=lambda each: each.x)})
    return {"width": 2 * _MIDDLE + 4, "height": 330, "rows": rows}


def _levels(letter: str, lang: str) -> dict[str, Any]:
    """A part of the spine: for each level its left, its middle and its right."""
    codes = [code for code in codelists.codes(LIST) if _part(code) == letter]
    rows = []
    for n, site in enumerate(codes):
        label, y = _label(site, lang), _HEAD + n * FIELD
        fields = [
            Field(site, side, _NAMES + place * _LEVEL, y, _LEVEL, label)
            for place, side in enumerate(("left", "midline", "right"))
        ]
        rows.append({"label": label, "y": y, "fields": fields})
    return {"width": _NAMES + 3 * _LEVEL, "height": _HEAD + len(codes) * FIELD + 2, "rows": rows}


def _part(code: str) -> str:
    """The part of the spine that a level is shown in: T12–L1 and the sacrum with the low back."""
    if code in ("T12-L1", "S1"):
        return "L"
    return code[0] if code[1:2].isdigit() else ""


def _label(site: str, lang: str) -> str:
    coded = codelists.find(LIST, site)
    return coded.label(lang) if coded else site


@lru_cache(maxsize=8)
def body_chart(lang: str) -> dict[str, Any]:
    """Everything that is drawn, in this language."""
    return {
        "field": FIELD,
        "middle": _MIDDLE,
        "back": _figure(_ON_BACK, lang, mirrored=False),
        "front": _figure(_ON_FRONT, lang, mirrored=True),
        **{name: _levels(letter, lang) for name, letter in PANELS},
    }
