"""Code lists: diagnoses (KCD), acupuncture points, products and Chuna techniques, found by code or
by name.

A list is a CSV of our own columns (code, ko, en, also: other names that people type) under
`crf/lists/`. The version is stored beside every coded value, since next year's list may give the
code another meaning.
"""

import csv
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LONGEST = 100  # nobody types more into a search box
FOLDER = Path(__file__).parent / "lists"
LISTS = {
    "kcd": ("kcd.csv", "KCD-8 (spine subset)"),
    # EX-B2 is one point of WHO's list; here also by level, C1 to C7 beyond WHO's T1 to L5.
    "acupoint": ("acupoints.csv", "WHO 2008, extra points WHO 1991, EX-B2 by level"),
    "product": ("products.csv", "Registry list 1"),
    "site": ("sites.csv", "Registry list 1"),
    "structure": ("structures.csv", "Registry list 1"),
    "chuna": ("chuna.csv", "NHI 2019-04"),
}


@dataclass(frozen=True)
class Coded:
    code: str
    ko: str
    en: str

    def label(self, lang: str) -> str:
        return self.en if lang.startswith("en") else self.ko


@dataclass(frozen=True)
class _Row:
    """A code with what it is searched by: bare code, names, the names without spaces, and each
    name that alone says which entry is meant.
    """

    coded: Coded
    code: str
    names: tuple[str, ...]
    squashed: str
    whole: frozenset[str]


def version(name: str) -> str:
    return LISTS[name][1]


def codes(name: str) -> tuple[str, ...]:
    """Every code of a list, in its order."""
    return tuple(row.coded.code for row in _rows(name))


def find(name: str, code: str) -> Coded | None:
    """The entry of a code, written with or without dot, in either case, full-width or not."""
    row = _by_code(name).get(_bare(code))
    return row.coded if row else None


def named(name: str, text: str) -> Coded | None:
    """The one entry that has exactly this name, in whichever language or spelling."""
    wanted = _folded(text[:LONGEST])
    found = [row.coded for row in _rows(name) if wanted and wanted in row.whole]
    return found[0] if len(found) == 1 else None


def entries(name: str) -> list[Coded]:
    """The whole list, in its order."""
    return [row.coded for row in _rows(name)]


def search(name: str, text: str, limit: int = 20) -> list[Coded]:
    """The best matches: the code itself, codes that begin so, names with words that begin so, names
    that contain it.
    """
    words, bare = _folded(text[:LONGEST]).split(), _bare(text[:LONGEST])
    if not words or not bare:
        return []
    ranked = [
        (rank, row.coded) for row in _rows(name) if (rank := _rank(row, bare, words)) is not None
    ]
    return [coded for _, coded in sorted(ranked, key=lambda each: each[0])[:limit]]


def _rank(row: _Row, bare: str, words: list[str]) -> int | None:
    if row.code.startswith(bare):
        return 0 if row.code == bare else 1
    if not all(word in row.squashed for word in words):
        return None
    if any(name.startswith(" ".join(words)) for name in row.names):
        return 2
    for name in row.names:
        starts = name.split()
        if all(any(start.startswith(word) for start in starts) for word in words):
            return 3
    return 4


def _folded(text: str) -> str:
    """Composed Hangul, half-width, lower case, and words apart: commas and brackets are no part of
    a word.
    """
    return re.sub(r"[\s,()\[\]·/]+", " ", unicodedata.normalize("NFKC", text).casefold()).strip()


def _bare(code: str) -> str:
    return re.sub(r"[\s.\-]+", "", unicodedata.normalize("NFKC", code)).upper()


@cache
def _rows(name: str) -> tuple[_Row, ...]:
    rows = []
    with (FOLDER / LISTS[name][0]).open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            names = tuple(_folded(line[column]) for column in ("ko", "en", "also") if line[column])
            coded = Coded(line["code"], line["ko"], line["en"])
            squashed = "|".join(names).replace(" ", "")
            each = (line["ko"], line["en"], *line["also"].split())
            whole = frozenset(_folded(word) for word in each)
            rows.append(_Row(coded, _bare(coded.code), names, squashed, whole))
    return tuple(rows)


@cache
def _by_code(name: str) -> dict[str, _Row]:
    return {row.code: row for row in _rows(name)}
