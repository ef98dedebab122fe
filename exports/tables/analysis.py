"""Two tables that an analysis starts from: long (participant × visit) and wide (one row each).

Both hold enrolled participants alone, and every score of every form of a visit. A form that is no
longer due (say, the other region's index after a correction) keeps its row in its own file but
gives no score here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from crf.instrument import DateItem, Definition, Instrument
from crf.scoring.base import Output
from exports.tables.columns import (
    YES_NO,
    Column,
    Names,
    Table,
    both,
    keys,
    name,
    text,
    visit_keys,
)
from exports.tables.forms import HELD, instruments, score_column, score_outputs
from exports.tables.spine import (
    OUT_OF_WINDOW,
    STUDY_DAY,
    VISIT_STATE,
    VISIT_STATES,
    person_columns,
    visit_codes,
)
from registry.protocol import Endpoint, Text

COUNTED = f"{HELD} AND e.cancelled_at IS NULL"


@dataclass(frozen=True)
class Scored:
    """A column that a form of a visit computes: an output, its score, and its place in `scores`."""

    instrument: str
    output: Output
    score: str
    key: str


@dataclass(frozen=True)
class Counted:
    """A log whose entries have a day, such as treatments: how many there were until a visit."""

    instrument: Instrument
    item: str


def scored(definitions: Sequence[Definition]) -> list[Scored]:
    """Every output of every form that belongs to a visit, in the order of the forms."""
    at_visits = _at_visits(definitions)
    return [
        Scored(code, output, score, key)
        for code, versions in instruments(definitions).items()
        if code in at_visits
        for key, (output, score) in score_outputs(versions).items()
    ]


def _at_visits(definitions: Sequence[Definition]) -> set[str]:
    planned = {
        form.instrument
        for each in definitions
        for visit in each.protocol.visits
        for form in visit.forms
    }
    return planned | {f.instrument for each in definitions for f in each.protocol.unscheduled or ()}


def counted(definitions: Sequence[Definition]) -> list[Counted]:
    """The logs of the newest protocol whose entries are dated by a full date, their first."""
    newest, found = definitions[-1], []
    for log in newest.protocol.logs:
        instrument = newest.instruments[log.instrument]
        for item in instrument.items:
            if isinstance(item, DateItem) and not item.partial:
                found.append(Counted(instrument, item.code))
                break
    return found


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
    columns = [replace(column, source="registry") for column in columns]
    names, joins = Names([column.name for column in columns]), []
    for place, log in enumerate(counted(definitions)):
        joins.append(_days(log, place))
        columns.append(_count_until(log, place, names))
    outputs = scored(definitions)
    for place, code in enumerate(dict.fromkeys(each.instrument for each in outputs)):
        alias = f"e{place}"
        joins.append(
            f"LEFT JOIN crf_entry {alias} ON {alias}.visit_id = v.id"
            f" AND {alias}.site_id = ANY({{sites}}) AND {alias}.instrument = {text(code)} AND "
            + COUNTED.replace("e.", f"{alias}.")
        )
        columns += [
            score_column(
                each.output,
                each.score,
                names.take(each.key),
                f"{alias}.scores ->> {text(each.key)}",
            )
            for each in outputs
            if each.instrument == code
        ]
    return Table(
        "long.csv",
        both("분석용 자료: 대상자 × 방문", "For analysis: participant × visit"),
        tuple(columns),
        "FROM registry_visit v JOIN people p ON p.id = v.participant_id\n"
        + "\n".join(joins)
        + "\nWHERE v.site_id = ANY({sites}) AND v.voided_at IS NULL AND p.enrolled_at IS NOT NULL\n"
        "ORDER BY p.site, p.id, v.day, v.number, v.id",
    )


def _days(log: Counted, place: int) -> str:
    """The days of a participant's entries in a log, as one array `l<place>.days`."""
    return (
        f"LEFT JOIN (SELECT e.participant_id, array_agg(e.answers ->> {text(log.item)}) AS days\n"
        f"  FROM crf_entry e WHERE e.site_id = ANY({{sites}})"
        f" AND e.instrument = {text(log.instrument.code)} AND {COUNTED}\n"
        f"  AND e.answers ? {text(log.item)} GROUP BY 1) l{place} ON l{place}.participant_id = p.id"
    )


def _count_until(log: Counted, place: int, names: Names) -> Column:
    title, date = log.instrument.title, log.instrument.item(log.item).label
    return Column(
        names.take(f"{log.instrument.code}_count"),
        "integer",
        both(f"{title.ko}: 방문일까지의 횟수", f"{title.en}: number up to the visit"),
        f"CASE WHEN v.happened_on IS NOT NULL THEN (SELECT count(*) FROM unnest(l{place}.days) AS d"
        " WHERE d <= v.happened_on::text) END",
        derivation=both(
            f"‘{date.ko}’이(가) 방문일 또는 그 이전인 기록의 수. 방문이 없으면 비어 있음.",
            f"Entries whose “{date.en}” is on or before the visit date; empty without a visit.",
        ),
        source=f"form {log.instrument.code}",
        item=log.item,
    )


def wide(study: str, definitions: Sequence[Definition]) -> Table:
    """One row for each enrolled participant: each score at each visit, and the endpoints."""
    columns = [
        *keys(study),
        *person_columns(definitions),
        Column(
            "enrolled_on", "date", both("등록일(0일)", "Date of enrolment (day 0)"), "p.enrolled_on"
        ),
        Column("ended_on", "date", both("연구 종료일", "End of the study"), "p.ended_on"),
        Column("end_reason", "code", both("종료 사유", "Why it ended"), "nullif(p.end_reason, '')"),
    ]
    columns = [replace(column, source="registry") for column in columns]
    names, joins = Names([column.name for column in columns]), []
    for place, log in enumerate(counted(definitions)):
        joins.append(_days(log, place))
        title = log.instrument.title
        columns.append(
            Column(
                names.take(f"{log.instrument.code}_count"),
                "integer",
                both(f"{title.ko}: 횟수", f"{title.en}: number"),
                f"coalesce(cardinality(l{place}.days), 0)",
                source=f"form {log.instrument.code}",
                item=log.item,
            )
        )
    visits = {visit.code: visit for each in definitions for visit in each.protocol.visits}
    for code, visit in visits.items():
        columns.append(
            Column(
                names.take(f"study_day_{code}"),
                "integer",
                both(
                    f"등록일로부터의 일수, {visit.label.ko}",
                    f"Days from enrolment, {visit.label.en}",
                ),
                f"(d.days ->> {text(code)})::date - p.enrolled_on",
                source="registry",
            )
        )
    due = {
        (visit.code, form.instrument)
        for each in definitions
        for visit in each.protocol.visits
        for form in visit.forms
    }
    values: dict[tuple[str, str, str], str] = {}
    for each in scored(definitions):
        for code, visit in visits.items():
            if (code, each.instrument) not in due:
                continue
            sql = f"x.{name('scores')} -> {text(f'{code}:{each.instrument}')} ->> {text(each.key)}"
            values[each.instrument, each.key, code] = sql
            column = score_column(each.output, each.score, names.take(f"{each.key}_{code}"), sql)
            label = both(
                f"{column.label.ko}, {visit.label.ko}", f"{column.label.en}, {visit.label.en}"
            )
            columns.append(replace(column, label=label))
    columns += _changes(definitions, values, names)
    return Table(
        "wide.csv",
        both("분석용 자료: 대상자당 한 행", "For analysis: one row for each participant"),
        tuple(columns),
        "FROM people p\n" + "\n".join(joins) + "\n"
        "LEFT JOIN (SELECT v.participant_id, jsonb_object_agg(v.code, v.happened_on) AS days\n"
        "  FROM registry_visit v WHERE v.site_id = ANY({sites}) AND v.voided_at IS NULL\n"
        "  AND v.happened_on IS NOT NULL AND v.due_on IS NOT NULL GROUP BY 1) d"
        " ON d.participant_id = p.id\n"
        "LEFT JOIN (SELECT e.participant_id,\n"
        "    jsonb_object_agg(v.code || ':' || e.instrument, e.scores) AS scores\n"
        "  FROM crf_entry e JOIN registry_visit v ON v.id = e.visit_id\n"
        "  WHERE e.site_id = ANY({sites}) AND v.site_id = ANY({sites}) AND e.scores <> '{}'\n"
        f"  AND {COUNTED} AND v.voided_at IS NULL AND v.due_on IS NOT NULL GROUP BY 1) x"
        " ON x.participant_id = p.id\n"
        "WHERE p.enrolled_at IS NOT NULL\nORDER BY p.site, p.id",
    )


def _changes(
    definitions: Sequence[Definition], values: dict[tuple[str, str, str], str], names: Names
) -> list[Column]:
    """The endpoints of the newest protocol that are a change between two visits."""
    found = []
    for endpoint in definitions[-1].protocol.endpoints:
        after = values.get((endpoint.instrument, endpoint.score, endpoint.to_visit))
        before = values.get((endpoint.instrument, endpoint.score, endpoint.from_visit or ""))
        if before is None or after is None:
            continue
        found.append(
            Column(
                names.take(f"{endpoint.code}_change"),
                "decimal",
                _endpoint_label(endpoint),
                f"trim_scale(({after})::numeric - ({before})::numeric)",
                derivation=both(
                    f"{endpoint.score}의 {endpoint.to_visit} 값 − {endpoint.from_visit} 값.",
                    f"{endpoint.score} at {endpoint.to_visit} minus {endpoint.score}"
                    f" at {endpoint.from_visit}.",
                ),
                source=f"endpoint {endpoint.code}",
            )
        )
    return found


def _endpoint_label(endpoint: Endpoint) -> Text:
    if not endpoint.primary:
        return endpoint.label
    return both(f"{endpoint.label.ko} [일차 평가변수]", f"{endpoint.label.en} [primary endpoint]")
