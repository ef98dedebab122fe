"""What the analysis tables are made of: scores by visit, and how often a log was written.

A form that is no longer due (say, the other region's index after a correction) keeps its row in
its own file but gives no score here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crf.instrument import DateItem, Definition, Instrument
from crf.scoring.base import Output
from exports.tables.columns import name, text
from exports.tables.forms import HELD, instruments, score_outputs

COUNTED = f"{HELD} AND e.cancelled_at IS NULL"
# Every entry that counts, with its planned visit; and every entry that has a visit at all.
AT_PLANNED = (
    "FROM crf_entry e JOIN registry_visit v ON v.id = e.visit_id\n"
    f"  WHERE e.site_id = ANY({{sites}}) AND v.site_id = ANY({{sites}}) AND {COUNTED}\n"
    "  AND v.voided_at IS NULL AND v.due_on IS NOT NULL"
)
AT_VISITS = (
    f"FROM crf_entry e WHERE e.site_id = ANY({{sites}}) AND {COUNTED} AND e.visit_id IS NOT NULL"
)


@dataclass(frozen=True)
class Scored:
    """A column that a form of a visit computes: an output, its score, and its key in `scores`."""

    instrument: str
    output: Output
    score: str
    key: str

    def slot(self, visit: str = "") -> str:
        """Its name inside a query; a dot keeps it apart from every column's."""
        return name(".".join(part for part in (self.instrument, self.key, visit) if part))


@dataclass(frozen=True)
class Counted:
    """A log whose entries have a day, such as treatments: how many there were until a visit."""

    instrument: Instrument
    item: str


Picks = Sequence[tuple[Scored, str]]  # a score, and at which visit ("": whichever the row is of)


def scored(definitions: Sequence[Definition]) -> list[Scored]:
    """Every output of every form that belongs to a visit, in the order of the forms."""
    at_visits = {
        form.instrument
        for each in definitions
        for forms in (
            *(visit.forms for visit in each.protocol.visits),
            each.protocol.unscheduled or (),
        )
        for form in forms
    }
    return [
        Scored(code, output, score, key)
        for code, versions in instruments(definitions).items()
        if code in at_visits
        for key, (output, score) in score_outputs(versions.values()).items()
    ]


def counted(definitions: Sequence[Definition]) -> list[Counted]:
    """The logs of the newest protocol whose entries are dated: by the first full date they ask."""
    newest = definitions[-1]
    found = []
    for log in newest.protocol.logs:
        instrument = newest.instruments[log.instrument]
        dates = [
            item.code
            for item in instrument.items
            if isinstance(item, DateItem) and not item.partial
        ]
        if dates:
            found.append(Counted(instrument, dates[0]))
    return found


def pivot(alias: str, key: str, row: str, picks: Picks, entries: str) -> str:
    """A join that gives each `row` its scores, one column a pick; `key` groups the entries.

    One pass over the entries, however many forms and visits there are.
    """
    columns = ",\n    ".join(
        f"{_picked(each, visit)} AS {each.slot(visit)}" for each, visit in picks
    )
    forms = listed(each.instrument for each, _visit in picks)
    return (
        f"LEFT JOIN (SELECT {key},\n    {columns}\n  {entries}\n  AND e.instrument IN ({forms})"
        f" GROUP BY 1) {alias} ON {alias}.{key.removeprefix('e.')} = {row}"
    )


def _picked(each: Scored, visit: str) -> str:
    """An aggregate that picks the one score among all entries of a group."""
    at = f"v.code = {text(visit)} AND " if visit else ""
    here = f"{at}e.instrument = {text(each.instrument)}"
    return f"max(e.scores ->> {text(each.key)}) FILTER (WHERE {here})"


def listed(codes: Iterable[str]) -> str:
    return ", ".join(text(code) for code in dict.fromkeys(codes))


def days(log: Counted, alias: str) -> str:
    """A join that gives each participant the days of the entries in a log, as `<alias>.days`."""
    day = f"e.answers ->> {text(log.item)}"
    return (
        f"LEFT JOIN (SELECT e.participant_id, array_agg({day}) AS days\n"
        f"  FROM crf_entry e WHERE e.site_id = ANY({{sites}})"
        f" AND e.instrument = {text(log.instrument.code)} AND {COUNTED}\n"
        f"  AND {day} IS NOT NULL GROUP BY 1) {alias} ON {alias}.participant_id = p.id"
    )


def difference(after: str, before: str) -> str:
    """The exact difference of two decimals that are stored as text."""
    return f"trim_scale({after}::numeric - {before}::numeric)"
