"""CTCAE terms by version, and the grade descriptions out of the workbook that a site downloads from
NCI.

A study fixes one version, since terms come and go between them and a grade may exist in one only.
What is kept here is what names an event: term, code, system organ class, and which grades there
are. See `data/README.md` for source and notices.
"""

import csv
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

VERSIONS = ("5.0", "6.0")
DATA = Path(__file__).parent / "data"

# CTCAE's general guideline: what a grade means where a term says nothing closer
GRADES: Mapping[int, Mapping[str, str]] = {
    1: {"ko": "경증", "en": "Mild"},
    2: {"ko": "중등증", "en": "Moderate"},
    3: {"ko": "중증", "en": "Severe"},
    4: {"ko": "생명을 위협", "en": "Life-threatening"},
    5: {"ko": "사망", "en": "Death"},
}

LONGEST = 100  # nobody types more into a search box

# The official workbooks have under a thousand rows and eleven columns; reading stops far beyond.
MOST_ROWS = 5_000
MOST_COLUMNS = 40


@dataclass(frozen=True)
class Term:
    """`code` is MedDRA's lowest level term; `ko` and `also` are ours, given for likely events."""

    code: str
    name: str
    ko: str | None
    also: tuple[str, ...]
    soc: str
    grades: tuple[int, ...]
    other_specify: bool


@cache
def _by_code(version: str) -> Mapping[str, Term]:
    if version not in VERSIONS:
        raise ValueError(f"There is no CTCAE {version!r} here; there are {', '.join(VERSIONS)}.")
    korean = {row["code"]: row for row in _rows(DATA / "ctcae_ko.csv")}
    none = {"ko": "", "also": ""}
    return {
        row["code"]: Term(
            code=row["code"],
            name=row["term"],
            ko=korean.get(row["code"], none)["ko"] or None,
            also=tuple(filter(None, korean.get(row["code"], none)["also"].split(";"))),
            soc=row["soc"],
            grades=tuple(int(grade) for grade in row["grades"]),
            other_specify=row["other_specify"] == "1",
        )
        for row in _rows(DATA / f"ctcae_{version}.csv")
    }


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def terms(version: str) -> tuple[Term, ...]:
    """All terms of a version in the order of the official list (by system organ class)."""
    return tuple(_by_code(version).values())


def term(version: str, code: str) -> Term:
    try:
        return _by_code(version)[code]
    except KeyError:
        raise ValueError(f"CTCAE {version} has no term {code}.") from None


def grades(version: str, code: str) -> tuple[int, ...]:
    """The grades that exist for a term; others can't be given."""
    return term(version, code).grades


def search(version: str, text: str, limit: int = 20) -> tuple[Term, ...]:
    """Terms with a name, English or Korean, in which every word of the text occurs, best first.

    A name that is the text comes before one that begins with it, before one with a word that does.
    Among equals the likely events, which have a Korean name, come first. Digits search the code.
    """
    wanted = _folded(text[:LONGEST])
    if wanted.isdecimal():
        return tuple(each for each in terms(version) if each.code.startswith(wanted))[:limit]
    found = []
    for entry, names in _names(version) if wanted else ():
        ranks = [rank for name in names if (rank := _rank(name, wanted)) is not None]
        if ranks:
            found.append(((min(ranks), entry.ko is None, len(entry.name), entry.name), entry))
    return tuple(entry for _, entry in sorted(found, key=lambda hit: hit[0])[:limit])


@cache
def _names(version: str) -> tuple[tuple[Term, tuple[str, ...]], ...]:
    return tuple(
        (entry, tuple(_folded(name) for name in (entry.name, entry.ko, *entry.also) if name))
        for entry in terms(version)
    )


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _rank(name: str, wanted: str) -> int | None:
    words, wanted_words = name.split(), wanted.split()
    if not wanted.isascii():  # Korean is typed with and without spaces
        name, wanted = name.replace(" ", ""), wanted.replace(" ", "")
    if not all(word in name for word in wanted_words):
        return None
    if name == wanted:
        return 0
    if name.startswith(wanted):
        return 1
    return 2 if any(word.startswith(wanted) for word in words) else 3


def load_workbook(path: Path, *, version: str | None = None) -> dict[str, dict[int, str]]:
    """NCI's official workbook as code → grade → description; absent grades are left out.

    With `version` the workbook must hold exactly the terms of that version, so that descriptions of
    one version are never shown beside the terms of another.
    """
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise ValueError(f"{path.name} can't be read as an Excel workbook.") from error
    try:
        # In v6.0 the sheet of tracked changes has the same columns and follows the clean copy.
        for sheet in book.worksheets:
            cells = sheet.iter_rows(max_row=MOST_ROWS, max_col=MOST_COLUMNS, values_only=True)
            columns = _columns(next(cells, ()))
            if columns:
                descriptions = _descriptions(cells, columns)
                break
        else:
            raise ValueError(f"{path.name} has no sheet with a code and the grades 1 to 5.")
    finally:
        book.close()
    if version is not None:
        differing = descriptions.keys() ^ _by_code(version).keys()
        if differing:
            raise ValueError(f"{path.name} is not CTCAE {version}: {len(differing)} terms differ.")
    return descriptions


def _text(cell: object) -> str:
    """The text of a cell; the official files pad with no-break spaces and write "-" for nothing."""
    text = "" if cell is None else " ".join(str(cell).split())
    return "" if text == "-" else text


def _columns(header: Sequence[object]) -> dict[str, int]:
    """Where the code and each grade stand, or nothing when this is not the sheet."""
    names = [_text(cell).casefold() for cell in header]
    columns = {
        "code": next((at for at, name in enumerate(names) if name.endswith("code")), -1),
        **{
            str(grade): next((at for at, name in enumerate(names) if name == f"grade {grade}"), -1)
            for grade in GRADES
        },
    }
    return {} if -1 in columns.values() else columns


def _descriptions(
    cells: Iterator[tuple[object, ...]], columns: Mapping[str, int]
) -> dict[str, dict[int, str]]:
    descriptions = {}
    for row in cells:
        code = _text(row[columns["code"]])
        if code:
            texts = {grade: _text(row[columns[str(grade)]]) for grade in GRADES}
            descriptions[code] = {grade: text for grade, text in texts.items() if text}
    return descriptions
