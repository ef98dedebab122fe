"""The table that a model of repeated measures starts from: a row per participant and visit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crf.instrument import Definition
from exports.tables.columns import YES_NO, Column, Names, Table, both, keys, visit_keys
from exports.tables.forms import score_column
from exports.tables.pivots import (
    AT_PLANNED,
    AT_VISITS,
    Counted,
    Scored,
    counted,
    days,
    difference,
    listed,
    pivot,
    scored,
)
from exports.tables.spine import (
    OUT_OF_WINDOW,
    STUDY_DAY,
    VISIT_STATE,
    VISIT_STATES,
    person_columns,
    visit_codes,
)


def long(study: str, definitions: Sequence[Definition]) -> Table:
    """One row for each enrolled participant and visit, also where the visit was missed."""
    visit, number, date = visit_keys(visit_codes(definitions))
    columns = [
        *keys(study),
        *person_columns(definitions),
        visit,
        number,
        Column("status", "code", both("방문 상태", "State"), VISIT_STATE, codes=VISIT_STATES),
        Column("visit_day", "integer", both("계획된 연구일", "Planned day of the study"), "v.day"),
        date,
        Column(
            "study_day",
            "integer",
            both("등록일로부터의 일수", "Days from enrolment"),
            STUDY_DAY,
            derivation=both(
                "방문일 − 등록일(등록일은 0일).", "Visit date minus enrolment (day 0)."
            ),
        ),
        Column(
            "out_of_window",
            "code",
            both("허용 범위 이탈", "Out of window"),
            OUT_OF_WINDOW,
            codes=YES_NO,
        ),
    ]
    names, joins = Names([column.name for column in columns]), []
    for place, log in enumerate(counted(definitions)):
        joins.append(days(log, f"l{place}"))
        columns.append(_count_until(log, f"l{place}", names))
    outputs = scored(definitions)
    bases = _bases(definitions, outputs)
    if outputs:
        picks = [(each, "") for each in outputs]
        joins.append(pivot("x", "e.visit_id", "v.id", picks, AT_VISITS))
    if bases:
        at = f"{AT_PLANNED} AND v.code IN ({listed(visit for _each, visit in bases.values())})"
        joins.append(pivot("b", "e.participant_id", "p.id", list(bases.values()), at))
    for each in outputs:
        wanted = names.take(each.key)
        column = score_column(each.output, each.score, wanted, f"x.{each.slot()}")
        columns.append(column)
        if each.slot() in bases:
            columns += _against_base(column, *bases[each.slot()], names)
    return Table(
        "long.csv",
        both("분석용 자료: 대상자 × 방문", "For analysis: participant × visit"),
        tuple(columns),
        "FROM registry_visit v JOIN people p ON p.id = v.participant_id\n"
        + "\n".join(joins)
        + "\nWHERE v.site_id = ANY({sites}) AND v.voided_at IS NULL AND p.enrolled_at IS NOT NULL\n"
        "ORDER BY p.site, p.id, v.day, v.number, v.id",
    )


def _count_until(log: Counted, alias: str, names: Names) -> Column:
    title, date = log.instrument.title, log.instrument.item(log.item).label
    return Column(
        names.take(f"{log.instrument.code}_count"),
        "integer",
        both(f"{title.ko}: 방문일까지의 횟수", f"{title.en}: number up to the visit"),
        f"CASE WHEN v.happened_on IS NOT NULL THEN (SELECT count(*) FROM unnest({alias}.days) AS d"
        " WHERE d <= v.happened_on::text) END",
        derivation=both(
            f"‘{date.ko}’이(가) 방문일 또는 그 이전인 기록의 수. 방문이 없으면 비어 있음.",
            f"Entries whose “{date.en}” is on or before the visit date; empty without a visit.",
        ),
        source=f"form {log.instrument.code}",
        item=log.item,
    )


def _bases(
    definitions: Sequence[Definition], outputs: Sequence[Scored]
) -> dict[str, tuple[Scored, str]]:
    """Slot → a score whose change is an endpoint, and the visit from which it is counted."""
    from_visit = {
        (endpoint.instrument, endpoint.score): endpoint.from_visit
        for endpoint in definitions[-1].protocol.endpoints
    }
    found = {}
    for each in outputs:
        visit = from_visit.get((each.instrument, each.key))
        if visit and each.output.kind != "text":
            found[each.slot()] = (each, visit)
    return found


def _against_base(column: Column, each: Scored, visit: str, names: Names) -> list[Column]:
    """The score at the first visit, and the change from it, beside the score itself."""
    base = f"b.{each.slot(visit)}"
    label = column.label
    return [
        replace(
            column,
            name=names.take(f"{each.key}_base"),
            label=both(f"{label.ko}: {visit} 값", f"{label.en}: at {visit}"),
            sql=base,
        ),
        replace(
            column,
            name=names.take(f"{each.key}_change"),
            type="decimal",
            label=both(f"{label.ko}: {visit} 대비 변화", f"{label.en}: change from {visit}"),
            sql=difference(column.sql, base),
            derivation=both(
                f"이 방문의 값 − {visit} 값.", f"Value at this visit minus value at {visit}."
            ),
        ),
    ]
