"""What a table of a dataset is: columns with their labels and codes, and the SQL of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from registry.protocol import Text

# `partial_date`: YYYY, YYYY-MM or YYYY-MM-DD; `codes`: several, separated by ";"; `moment`: UTC.
Type: TypeAlias = Literal[
    "text", "integer", "decimal", "date", "partial_date", "moment", "code", "codes"
]
Codes: TypeAlias = tuple[tuple[str, Text], ...]

LONGEST = 32  # the longest name that Stata and SAS take
YES_NO: Codes = (("yes", Text(ko="예", en="Yes")), ("no", Text(ko="아니요", en="No")))
ONE_ZERO: Codes = (
    ("1", Text(ko="선택함", en="Chosen")),
    ("0", Text(ko="선택하지 않음", en="Not chosen")),
)


@dataclass(frozen=True)
class Column:
    """One column. `item` is the question whose answer it holds, `source` where it comes from.

    `since` and `until` are the first and the last version of the protocol that has it; the last is
    empty while it is still asked.
    """

    name: str
    type: Type
    label: Text
    sql: str
    codes: Codes = ()
    unit: Text | None = None
    derivation: Text | None = None
    source: str = ""
    item: str = ""
    since: str = ""
    until: str = ""


@dataclass(frozen=True)
class Table:
    """One file. `rows` is everything of its query from FROM to ORDER BY, with `{sites}` in it."""

    name: str
    title: Text
    columns: tuple[Column, ...]
    rows: str

    def query(self, sites: Iterable[int]) -> str:
        """The SELECT for these sites. Row-level security says the same; the planner is told."""
        scope = f"'{{{','.join(str(int(site)) for site in sorted(sites))}}}'::bigint[]"
        selected = ",\n  ".join(f"{column.sql} AS {name(column.name)}" for column in self.columns)
        return f"WITH people AS ({PEOPLE})\nSELECT {selected}\n{self.rows}".replace(
            "{sites}", scope
        )


# Whose data are in a dataset: nobody entered in error, and nobody who withdrew the use of the data.
PEOPLE = """
  SELECT p.*, s.code AS site, coalesce(p.subject_number, p.screening_number) AS subject
  FROM registry_participant p JOIN sites_site s ON s.id = p.site_id
  WHERE p.site_id = ANY({sites}) AND p.voided_at IS NULL AND NOT EXISTS (
    SELECT FROM registry_withdrawal w
    WHERE w.participant_id = p.id AND w.site_id = p.site_id AND w.scope = 'use')
"""


def text(value: str) -> str:
    """A text as an SQL literal; names and codes of a protocol are letters, digits, _ . - alone."""
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    """A name as an SQL identifier."""
    return '"' + value.replace('"', '""') + '"'


def moment(sql: str) -> str:
    """A moment to the second in UTC, "2026-11-21 05:03:22"; to_char costs ten times more."""
    return f"date_trunc('second', {sql} AT TIME ZONE 'UTC')"


def yes_no(sql: str) -> str:
    return f"CASE WHEN {sql} THEN 'yes' ELSE 'no' END"


def joined(sql: str) -> str:
    """A JSON list of codes as one text: a;b;c. Codes hold no commas, quotes, brackets or spaces."""
    return f"""translate({sql}::text, ',[]" ', ';')"""


class Names:
    """Gives every column of a table a name of its own that statistics programs take."""

    def __init__(self, taken: Sequence[str] = ()) -> None:
        self._taken = set(taken)

    def take(self, wanted: str) -> str:
        given, count = wanted[:LONGEST], 1
        while given in self._taken:
            count += 1
            end = f"_{count}"
            given = wanted[: LONGEST - len(end)] + end
        self._taken.add(given)
        return given


def both(ko: str, en: str) -> Text:
    return Text(ko=ko, en=en)


def keys(study: str, people: str = "p") -> tuple[Column, ...]:
    """The columns by which rows of different files are joined; `people` is their alias in SQL."""
    return (
        Column("study", "text", both("연구", "Study"), text(study)),
        Column("site", "text", both("기관 코드", "Site code"), f"{people}.site"),
        Column(
            "subject",
            "text",
            both(
                "대상자 번호(등록 전에는 스크리닝 번호)",
                "Subject number (screening number before enrolment)",
            ),
            f"{people}.subject",
        ),
    )


def visit_keys(
    visits: Codes, sql: tuple[str, str, str] = ("v.code", "v.number", "v.happened_on")
) -> tuple[Column, ...]:
    """The columns that say which visit a row belongs to, from these expressions."""
    code, number, date = sql
    return (
        Column("visit", "code", both("방문", "Visit"), code, codes=visits),
        Column(
            "visit_number",
            "integer",
            both(
                "방문 순번(예정에 없던 방문만 1을 넘음)",
                "Number (above 1 at unscheduled visits alone)",
            ),
            number,
        ),
        Column("visit_date", "date", both("방문일", "Date of the visit"), date),
    )
