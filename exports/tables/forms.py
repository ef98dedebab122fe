"""A file for each form: the items of all versions of the protocol, one row for each entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from crf import codelists
from crf.instrument import (
    MISSING,
    ChoiceItem,
    CodeItem,
    DateItem,
    DecimalItem,
    Definition,
    Instrument,
    IntegerItem,
    Item,
    MultiItem,
    YesNoItem,
)
from crf.scoring import SCORES
from crf.scoring.base import Output
from exports.tables.columns import (
    ONE_ZERO,
    YES_NO,
    Codes,
    Column,
    Names,
    Table,
    Type,
    both,
    joined,
    keys,
    moment,
    text,
    visit_keys,
)
from registry.protocol import Text

WHY: Codes = tuple(
    zip(
        MISSING,
        (
            both("시행하지 않음", "Not done"),
            both("거부", "Refused"),
            both("해당 없음", "Not applicable"),
            both("모름", "Unknown"),
        ),
        strict=True,
    )
)
# Not missing: the version under which the row was written does not have the question.
NOT_ASKED = ("not_asked", both("이 버전에서 묻지 않음", "Not asked under this version"))
STATES: Codes = (
    ("started", both("입력 중", "In progress")),
    ("complete", both("입력 완료", "Complete")),
    ("not_due", both("더 이상 예정되지 않음(입력된 값 보존)", "No longer due; kept as entered")),
)
# Started, and not entered in error: what a dataset holds of a form.
HELD = "e.voided_at IS NULL AND e.started_at IS NOT NULL"
_STATE = (
    "CASE WHEN e.cancelled_at IS NOT NULL THEN 'not_due'"
    " WHEN e.completed_at IS NOT NULL THEN 'complete' ELSE 'started' END"
)
# The entries of a form in their order, before anything is taken out of their JSON: sorting is
# cheap while rows are narrow, and the last ORDER BY finds them sorted already (OFFSET 0 keeps
# PostgreSQL from turning this inside out). Most entries have no missing marks at all, and an
# expression on NULL costs nothing.
_ROWS = """FROM (
  SELECT e.id, e.number, e.answers, nullif(e.meta, '{{}}') AS meta, e.scores, e.started_at,
    e.completed_at, e.cancelled_at, p.site, p.subject, p.id AS person, pv.label AS protocol,
    v.code AS visit, v.day, v.number AS visit_number, v.happened_on
  FROM crf_entry e JOIN people p ON p.id = e.participant_id
  LEFT JOIN registry_visit v ON v.id = e.visit_id
  JOIN registry_protocolversion pv ON pv.id = e.version_id
  WHERE e.site_id = ANY({{sites}}) AND e.instrument = {instrument} AND {held}
    AND (v.id IS NULL OR v.voided_at IS NULL)
  ORDER BY {order} OFFSET 0) e
ORDER BY {outer}"""
_ORDER = "p.site, p.id, v.day NULLS FIRST, v.number, e.number, e.id"
_OUTER = "e.site, e.person, e.day NULLS FIRST, e.visit_number, e.number, e.id"
_VISIT = ("e.visit", "e.visit_number", "e.happened_on")


Versions: TypeAlias = Mapping[str, Instrument]  # label of the protocol's version → the form then


def instruments(definitions: Sequence[Definition]) -> dict[str, Versions]:
    """Code → each version of an instrument, oldest first, in the order of the newest protocol."""
    newest = [*reversed(definitions)]
    codes = dict.fromkeys(code for each in newest for code in each.protocol.instruments)
    return {
        code: {
            each.protocol.version: each.instruments[code]
            for each in definitions
            if code in each.instruments
        }
        for code in codes
    }


@dataclass(frozen=True)
class Span:
    """Which versions of the protocol have a column, among those that have its form."""

    labels: tuple[str, ...]
    of: tuple[str, ...]
    newest: str

    def put(self, column: Column) -> Column:
        """The column with its first and last version."""
        last = self.labels[-1]
        return replace(column, since=self.labels[0], until="" if last == self.newest else last)

    @property
    def not_asked(self) -> str:
        """The SQL that is true for a row of a version without it; empty when every version has it.

        The protocol's label decides, since an item that is simply unanswered looks the same.
        """
        without = [text(label) for label in self.of if label not in self.labels]
        return f"e.protocol IN ({', '.join(without)})" if without else ""


def form_table(
    study: str, versions: Versions, visits: Codes, known_by: Sequence[str] = ()
) -> Table:
    """The table of one form, with the columns of all its versions; without `visits`, a log.

    `known_by` are the labels of all versions of the protocol, oldest first.
    """
    known_by = known_by or tuple(versions)
    newest = [*versions.values()][-1]

    def span(has: Callable[[Instrument], bool]) -> Span:
        labels = tuple(label for label, form in versions.items() if has(form))
        return Span(labels, tuple(versions), known_by[-1])

    fixed = [*keys(study, "e"), *(visit_keys(visits, _VISIT) if visits else ())]
    if newest.repeating:
        fixed.append(
            Column("number", "integer", both("서식 순번", "Number of the entry"), "e.number")
        )
    fixed += [
        Column("status", "code", both("서식 상태", "State of the form"), _STATE, codes=STATES),
        Column("protocol", "text", both("연구계획서 버전", "Protocol version"), "e.protocol"),
        Column(
            "completed_at",
            "moment",
            both("입력 완료 시각", "Completed at"),
            moment("e.completed_at"),
        ),
    ]
    if any(version.copied for version in versions.values()):
        fixed.append(
            Column(
                "copied_from",
                "integer",
                both(
                    "답을 가져온 이전 서식의 순번(없으면 모두 직접 입력)",
                    "Number of the earlier entry that answers were copied from, if any",
                ),
                "(SELECT max((m.value ->> 'copied')::int) FROM jsonb_each(e.meta) m)",
            )
        )
    fixed = [replace(column, source=column.source or "registry") for column in fixed]
    items, scores = _items(versions.values()), score_outputs(versions.values())
    names = Names([column.name for column in fixed])
    item_names = {code: names.take(code) for code in items}
    score_names = {output: names.take(output) for output in scores}
    columns = list(fixed)
    for code, item in items.items():
        asked = span(lambda form, code=code: form.has(code))  # type: ignore[misc]
        columns += _item_columns(newest.code, item, item_names[code], names, asked)
    for key, (output, score) in scores.items():
        value = f"e.scores ->> {text(key)}"
        column = score_column(output, score, score_names[key], value)
        computed = span(lambda form, key=key: key in score_outputs([form]))  # type: ignore[misc]
        columns.append(computed.put(column))
    rows = _ROWS.format(instrument=text(newest.code), held=HELD, order=_ORDER, outer=_OUTER)
    return Table(f"forms/{newest.code}.csv", newest.title, tuple(columns), rows)


def _items(versions: Iterable[Instrument]) -> dict[str, Item]:
    """Every item that any version has, as the newest version that has it says; options of all."""
    items: dict[str, Item] = {}
    for version in versions:
        for item in version.items:
            items[item.code] = _merged(items.get(item.code), item)
    return items


def _merged(older: Item | None, newer: Item) -> Item:
    """The newer item, with options that only the older one had: old answers keep a label."""
    for kind in (ChoiceItem, MultiItem):
        if isinstance(older, kind) and isinstance(newer, kind):
            present = {option.code for option in newer.options}
            gone = tuple(option for option in older.options if option.code not in present)
            return newer.model_copy(update={"options": (*newer.options, *gone)})
    return newer


def score_outputs(versions: Iterable[Instrument]) -> dict[str, tuple[Output, str]]:
    """Column → output and score, for every score that any version of a form computes."""
    return {
        use.column(output.name): (output, use.score)
        for version in versions
        for use in version.scores
        for output in SCORES[use.score].outputs
    }


def score_column(output: Output, score: str, column: str, sql: str) -> Column:
    kind: Type = "code" if output.codes else output.kind
    return Column(
        column,
        kind,
        Text.model_validate(output.label),
        sql,
        codes=tuple((code, Text.model_validate(label)) for code, label in output.codes.items()),
        unit=both(output.unit, output.unit) if output.unit else None,
        derivation=Text.model_validate(output.derivation),
        source=f"score {score} version {SCORES[score].version}: {SCORES[score].source}",
    )


def _item_columns(
    instrument: str, item: Item, column: str, names: Names, span: Span
) -> list[Column]:
    source = f"form {instrument}"
    value = f"e.answers ->> {text(item.code)}"
    chosen = f"(e.answers -> {text(item.code)})"
    about = f"e.meta -> {text(item.code)}"
    found = [
        Column(
            column,
            _type(item),
            item.label,
            joined(chosen) if isinstance(item, MultiItem) else value,
            codes=_codes(item),
            unit=item.unit,
            source=f"{source}, {_list(item)}" if isinstance(item, CodeItem) else source,
            item=item.code,
        )
    ]
    if isinstance(item, MultiItem):
        found += [
            Column(
                names.take(
                    f"{item.code}_{option.code}".lower().replace("-", "_").replace(".", "_")
                ),
                "code",
                both(f"{item.label.ko}: {option.label.ko}", f"{item.label.en}: {option.label.en}"),
                f"({chosen} @> {text(_json(option.code))}::jsonb)::int",
                codes=ONE_ZERO,
                source=source,
                item=item.code,
            )
            for option in item.options
        ]
    if isinstance(item, CodeItem):
        label = both(
            f"{item.label.ko}: 코드 목록의 버전", f"{item.label.en}: version of the code list"
        )
        list_name = names.take(f"{item.code}_list")
        found.append(
            Column(list_name, "text", label, f"{about} ->> 'list'", source=source, item=item.code)
        )
    if item.missing or span.not_asked:
        why, codes = (
            f"{about} ->> 'missing'",
            tuple(each for each in WHY if each[0] in item.missing),
        )
        if span.not_asked:
            why, codes = (
                f"CASE WHEN {span.not_asked} THEN 'not_asked' ELSE {why} END",
                (
                    *codes,
                    NOT_ASKED,
                ),
            )
        found.append(
            Column(
                names.take(f"{item.code}_missing"),
                "code",
                both(
                    f"{item.label.ko}: 응답이 없는 이유", f"{item.label.en}: why there is no answer"
                ),
                why,
                codes=codes,
                source=source,
                item=item.code,
            )
        )
    return [span.put(each) for each in found]


def _type(item: Item) -> Type:
    match item:
        case ChoiceItem() | YesNoItem() | CodeItem():
            return "code"
        case MultiItem():
            return "codes"
        case IntegerItem():
            return "integer"
        case DecimalItem():
            return "decimal"
        case DateItem():
            return "partial_date" if item.partial else "date"
    return "text"


def _codes(item: Item) -> Codes:
    match item:
        case ChoiceItem() | MultiItem():
            return tuple((str(option.code), option.label) for option in item.options)
        case YesNoItem():
            return YES_NO
    return ()


def _list(item: CodeItem) -> str:
    return f"code list {item.list} ({codelists.version(item.list)}), see code_lists.csv"


def _json(code: int | str) -> str:
    return str(code) if isinstance(code, int) else f'"{code}"'
