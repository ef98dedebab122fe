"""The table with one row for each participant: every score at every planned visit, endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crf.instrument import Definition
from exports.tables.columns import Column, Names, Table, both, keys, text
from exports.tables.forms import score_column
from exports.tables.pivots import AT_PLANNED, counted, days, difference, pivot, scored
from exports.tables.spine import endings, person_columns
from registry.protocol import Endpoint, Text

_DAYS = (
    "LEFT JOIN (SELECT v.participant_id, jsonb_object_agg(v.code, v.happened_on) AS days\n"
    "  FROM registry_visit v WHERE v.site_id = ANY({sites}) AND v.voided_at IS NULL\n"
    "  AND v.happened_on IS NOT NULL AND v.due_on IS NOT NULL GROUP BY 1) d"
    " ON d.participant_id = p.id"
)


def wide(study: str, definitions: Sequence[Definition]) -> Table:
    """One row for each enrolled participant."""
    columns = [
        *keys(study),
        *person_columns(definitions),
        Column(
            "enrolled_on", "date", both("등록일(0일)", "Date of enrolment (day 0)"), "p.enrolled_on"
        ),
        Column("ended_on", "date", both("연구 종료일", "End of the study"), "p.ended_on"),
        Column(
            "end_reason",
            "code",
            both("종료 사유", "Why it ended"),
            "nullif(p.end_reason, '')",
            codes=endings(definitions),
        ),
    ]
    names, joins = Names([column.name for column in columns]), [_DAYS]
    for place, log in enumerate(counted(definitions)):
        alias, title = f"l{place}", log.instrument.title
        joins.append(days(log, alias))
        columns.append(
            Column(
                names.take(f"{log.instrument.code}_count"),
                "integer",
                both(f"{title.ko}: 횟수", f"{title.en}: number"),
                f"coalesce(cardinality({alias}.days), 0)",
                source=f"form {log.instrument.code}",
                item=log.item,
            )
        )
    visits = {visit.code: visit for each in definitions for visit in each.protocol.visits}
    for code, visit in visits.items():
        wanted = names.take(f"study_day_{code}")
        label = both(
            f"등록일로부터의 일수, {visit.label.ko}", f"Days from enrolment, {visit.label.en}"
        )
        sql = f"(d.days ->> {text(code)})::date - p.enrolled_on"
        columns.append(Column(wanted, "integer", label, sql))
    due = {
        (visit.code, form.instrument)
        for each in definitions
        for visit in each.protocol.visits
        for form in visit.forms
    }
    picks = [
        (each, code)
        for each in scored(definitions)
        for code in visits
        if (code, each.instrument) in due
    ]
    if picks:
        joins.append(pivot("x", "e.participant_id", "p.id", picks, AT_PLANNED))
    values: dict[tuple[str, str, str], str] = {}
    for each, code in picks:
        sql = values[each.instrument, each.key, code] = f"x.{each.slot(code)}"
        column = score_column(each.output, each.score, names.take(f"{each.key}_{code}"), sql)
        label, at = column.label, visits[code].label
        label = both(f"{label.ko}, {at.ko}", f"{label.en}, {at.en}")
        columns.append(replace(column, label=label))
    columns += _changes(definitions[-1].protocol.endpoints, values, names)
    return Table(
        "wide.csv",
        both("분석용 자료: 대상자당 한 행", "For analysis: one row for each participant"),
        tuple(columns),
        "FROM people p\n"
        + "\n".join(joins)
        + "\nWHERE p.enrolled_at IS NOT NULL\nORDER BY p.site, p.id",
    )


def _changes(
    endpoints: Sequence[Endpoint], values: dict[tuple[str, str, str], str], names: Names
) -> list[Column]:
    """The endpoints that are a change between two visits."""
    found = []
    for endpoint in endpoints:
        score, first, last = endpoint.score, endpoint.from_visit or "", endpoint.to_visit
        after = values.get((endpoint.instrument, score, last))
        before = values.get((endpoint.instrument, score, first))
        if before is None or after is None:
            continue
        found.append(
            Column(
                names.take(f"{endpoint.code}_change"),
                "decimal",
                _label(endpoint),
                difference(after, before),
                derivation=both(
                    f"{score}의 {last} 값 − {first} 값.",
                    f"{score} at {last} minus {score} at {first}.",
                ),
                source=f"endpoint {endpoint.code}",
            )
        )
    return found


def _label(endpoint: Endpoint) -> Text:
    if not endpoint.primary:
        return endpoint.label
    return both(f"{endpoint.label.ko} [일차 평가변수]", f"{endpoint.label.en} [primary endpoint]")
