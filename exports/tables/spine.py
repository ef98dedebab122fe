"""The files of the study's spine: participants, visits, queries, and what was left out and why."""

from __future__ import annotations

from collections.abc import Sequence

from crf.instrument import Definition
from exports.tables.columns import (
    PEOPLE,
    YES_NO,
    Codes,
    Column,
    Names,
    Table,
    both,
    joined,
    keys,
    moment,
    text,
    visit_keys,
)
from registry.protocol import SEXES, UNSCHEDULED

SEX_LABELS = {"female": both("여", "Female"), "male": both("남", "Male")}
PARTICIPANT_STATES: Codes = (
    ("consented", both("동의", "Consented")),
    ("screened", both("스크리닝 통과", "Passed screening")),
    ("failed", both("스크리닝 탈락", "Screen failure")),
    ("enrolled", both("연구 참여 중", "In the study")),
    ("ended", both("연구 종료", "Ended the study")),
)
VISIT_STATES: Codes = (
    ("held", both("시행", "Held")),
    ("missed", both("미시행", "Missed")),
    ("expected", both("예정", "Expected")),
    ("cancelled", both("연구 종료로 취소", "No longer due")),
)
VISIT_STATE = (
    "CASE WHEN v.happened_on IS NOT NULL THEN 'held' WHEN v.missed_at IS NOT NULL THEN 'missed'"
    " WHEN v.cancelled_at IS NOT NULL THEN 'cancelled' ELSE 'expected' END"
)
OUT_OF_WINDOW = (
    "CASE WHEN v.happened_on IS NULL OR v.opens_on IS NULL THEN NULL"
    " WHEN v.happened_on BETWEEN v.opens_on AND v.closes_on THEN 'no' ELSE 'yes' END"
)
STUDY_DAY = "v.happened_on - p.enrolled_on"


def visit_codes(definitions: Sequence[Definition]) -> Codes:
    """Every planned visit of any version, and the unscheduled ones."""
    found = {visit.code: visit.label for each in definitions for visit in each.protocol.visits}
    return (*found.items(), (UNSCHEDULED, both("예정에 없던 방문", "Unscheduled")))


def person_columns(definitions: Sequence[Definition]) -> tuple[Column, ...]:
    """Who somebody is, as far as it is known here: never a name, a birth date or a chart number."""
    cohorts = [each.protocol.cohort for each in definitions if each.protocol.cohort]
    columns = [
        Column(
            "sex",
            "code",
            both("성별", "Sex"),
            "p.sex",
            codes=tuple((sex, SEX_LABELS[sex]) for sex in SEXES),
        ),
        Column("birth_year", "integer", both("출생연도", "Year of birth"), "p.birth_year"),
        Column("age", "integer", both("동의 시점의 만 나이", "Age at consent"), "p.age"),
    ]
    if cohorts:
        codes = {option.code: option.label for cohort in cohorts for option in cohort.options}
        columns.append(
            Column(
                "cohort",
                "code",
                cohorts[-1].label,
                "nullif(p.cohort, '')",
                codes=tuple(codes.items()),
            )
        )
    return tuple(columns)


def endings(definitions: Sequence[Definition]) -> Codes:
    """Every reason for which a participant's study may end."""
    reasons = (each for d in definitions for each in d.protocol.end_of_study.reasons)
    return tuple({each.code: each.label for each in reasons}.items())


def participants(study: str, definitions: Sequence[Definition]) -> Table:
    """One row for everybody who consented, screen failures too."""
    newest = definitions[-1].protocol
    criteria = {each.code: each.label for d in definitions for each in d.protocol.eligibility}
    columns = [
        *keys(study),
        Column(
            "screening_number",
            "text",
            both("스크리닝 번호", "Screening number"),
            "p.screening_number",
        ),
        Column(
            "status",
            "code",
            both("대상자 상태", "State"),
            "CASE WHEN p.ended_on IS NOT NULL THEN 'ended' WHEN p.enrolled_at IS NOT NULL"
            " THEN 'enrolled' WHEN p.failed_criteria IS NOT NULL THEN 'failed'"
            " WHEN p.screened_at IS NOT NULL THEN 'screened' ELSE 'consented' END",
            codes=PARTICIPANT_STATES,
        ),
        *person_columns(definitions),
        Column("consented_on", "date", both("동의일", "Date of consent"), "p.consented_on"),
        Column(
            "failed_criteria",
            "codes",
            both("충족하지 못한 선정·제외 기준", "Criteria that were not met"),
            joined("p.failed_criteria"),
            codes=tuple(criteria.items()),
        ),
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
        Column(
            "end_note", "text", both("종료 사유 상세", "Note on the end"), "nullif(p.end_note, '')"
        ),
    ]
    names = Names([column.name for column in columns])
    laterals = []
    for number, consent in enumerate(newest.consents):
        alias = f"c{number}"
        laterals.append(
            f"LEFT JOIN LATERAL (SELECT given, signed_on, form_version FROM registry_consent"
            f" WHERE participant_id = p.id AND site_id = p.site_id AND kind = {text(consent.kind)}"
            f" AND voided_at IS NULL ORDER BY signed_on DESC, id DESC LIMIT 1) {alias} ON true"
        )
        label = consent.label
        columns += [
            Column(
                names.take(f"consent_{consent.kind}"),
                "code",
                label,
                f"CASE {alias}.given WHEN true THEN 'yes' WHEN false THEN 'no' END",
                codes=YES_NO,
            ),
            Column(
                names.take(f"consent_{consent.kind}_on"),
                "date",
                both(f"{label.ko}: 날짜", f"{label.en}: date"),
                f"{alias}.signed_on",
            ),
            Column(
                names.take(f"consent_{consent.kind}_version"),
                "text",
                both(f"{label.ko}: 동의서 버전", f"{label.en}: version of the form"),
                f"{alias}.form_version",
            ),
        ]
    for scope, ko, en in (
        ("visits", "추가 방문 철회일", "Withdrew from further visits on"),
        ("sharing", "제3자 제공 철회일", "Withdrew from sharing on"),
    ):
        columns.append(
            Column(
                names.take(f"withdrew_{scope}_on"),
                "date",
                both(ko, en),
                "(SELECT withdrawn_on FROM registry_withdrawal WHERE participant_id = p.id"
                f" AND site_id = p.site_id AND scope = {text(scope)})",
            )
        )
    return Table(
        "participants.csv",
        both("대상자", "Participants"),
        tuple(columns),
        "FROM people p\n" + "\n".join(laterals) + "\nORDER BY p.site, p.id",
    )


def visits(study: str, definitions: Sequence[Definition]) -> Table:
    """One row for each visit that was planned or held."""
    visit, number, date = visit_keys(visit_codes(definitions))
    columns = (
        *keys(study),
        visit,
        number,
        Column("status", "code", both("방문 상태", "State"), VISIT_STATE, codes=VISIT_STATES),
        Column("visit_day", "integer", both("계획된 연구일", "Planned day of the study"), "v.day"),
        Column("due_on", "date", both("예정일", "Due on"), "v.due_on"),
        Column("opens_on", "date", both("허용 범위 시작일", "Window opens on"), "v.opens_on"),
        Column("closes_on", "date", both("허용 범위 종료일", "Window closes on"), "v.closes_on"),
        date,
        Column(
            "study_day", "integer", both("등록일로부터의 일수", "Days from enrolment"), STUDY_DAY
        ),
        Column(
            "out_of_window",
            "code",
            both("허용 범위 이탈", "Out of window"),
            OUT_OF_WINDOW,
            codes=YES_NO,
        ),
        Column(
            "out_of_window_reason",
            "text",
            both("허용 범위 이탈 사유", "Why out of window"),
            "nullif(v.out_of_window_reason, '')",
        ),
        Column(
            "missed_reason",
            "text",
            both("미시행 사유", "Why missed"),
            "nullif(v.missed_reason, '')",
        ),
    )
    return Table(
        "visits.csv",
        both("방문", "Visits"),
        columns,
        "FROM registry_visit v JOIN people p ON p.id = v.participant_id\n"
        "WHERE v.site_id = ANY({sites}) AND v.voided_at IS NULL\n"
        "ORDER BY p.site, p.id, v.day, v.number, v.id",
    )


def queries(study: str, definitions: Sequence[Definition]) -> Table:
    """One row for each question about the data, with the last word of its thread."""
    visit, number, _date = visit_keys(visit_codes(definitions))
    states: Codes = (
        ("open", both("열림", "Open")),
        ("answered", both("답변됨", "Answered")),
        ("closed", both("종결", "Closed")),
    )
    columns = (
        *keys(study),
        visit,
        number,
        Column("form", "code", both("서식", "Form"), "e.instrument"),
        Column("number", "integer", both("서식 순번", "Number of the entry"), "e.number"),
        Column(
            "ae_number",
            "integer",
            both("이상반응 번호", "Number of the adverse event"),
            "ae.number",
        ),
        Column("item", "text", both("문항", "Item"), "nullif(q.item, '')"),
        Column(
            "check_code",
            "text",
            both("질의를 연 자동 점검(비어 있으면 사람)", "Check that asked (empty: a person)"),
            "nullif(q.check_code, '')",
        ),
        Column("status", "code", both("질의 상태", "State"), "q.state", codes=states),
        Column("question", "text", both("질의", "Question"), "q.text"),
        Column("answer", "text", both("마지막 답변", "Last answer"), "m.text"),
        Column("opened_at", "moment", both("질의한 시각", "Asked at"), moment("q.opened_at")),
        Column("closed_at", "moment", both("종결 시각", "Closed at"), moment("q.closed_at")),
    )
    return Table(
        "queries.csv",
        both("질의", "Queries"),
        columns,
        "FROM crf_query q JOIN people p ON p.id = q.participant_id\n"
        "LEFT JOIN crf_entry e ON e.id = q.entry_id\n"
        "LEFT JOIN registry_visit v ON v.id = e.visit_id\n"
        "LEFT JOIN safety_adverseevent ae ON ae.id = q.adverse_event_id\n"
        "LEFT JOIN LATERAL (SELECT text FROM crf_querymessage WHERE query_id = q.id"
        " AND site_id = q.site_id AND act = 'answer' ORDER BY at DESC, id DESC LIMIT 1) m ON true\n"
        "WHERE q.site_id = ANY({sites}) AND e.voided_at IS NULL AND v.voided_at IS NULL\n"
        "  AND ae.voided_at IS NULL\n"
        "ORDER BY p.site, p.id, q.id",
    )


def withdrawn(study: str) -> Table:
    """Who withdrew the use of the data: the number alone, so that the counts add up."""
    columns = (
        *keys(study),
        Column("withdrawn_on", "date", both("철회일", "Withdrawn on"), "p.withdrawn_on"),
    )
    return Table(
        "withdrawn.csv",
        both("자료 이용 철회(다른 파일에 없음)", "Withdrew the use of data (in no other file)"),
        columns,
        "FROM (SELECT o.id, s.code AS site, w.withdrawn_on,\n"
        "    coalesce(o.subject_number, o.screening_number) AS subject\n"
        "  FROM registry_withdrawal w JOIN registry_participant o ON o.id = w.participant_id\n"
        "  JOIN sites_site s ON s.id = o.site_id\n"
        "  WHERE w.site_id = ANY({sites}) AND w.scope = 'use' AND o.voided_at IS NULL) p\n"
        "ORDER BY p.site, p.id",
    )


# What was entered in error: (kind, label, SQL of its rows). Each row names its participant as p.
_VOIDED = (
    (
        "participant",
        both("대상자", "Participant"),
        "SELECT o.id AS person, NULL::text AS visit, NULL::text AS form, NULL::int AS number,"
        " o.voided_at, o.void_reason FROM registry_participant o",
    ),
    (
        "consent",
        both("동의", "Consent"),
        "SELECT o.participant_id, NULL, o.kind, NULL, o.voided_at, o.void_reason"
        " FROM registry_consent o",
    ),
    (
        "visit",
        both("방문", "Visit"),
        "SELECT o.participant_id, o.code, NULL, o.number, o.voided_at, o.void_reason"
        " FROM registry_visit o",
    ),
    (
        "form",
        both("서식", "Form"),
        "SELECT o.participant_id, (SELECT code FROM registry_visit WHERE id = o.visit_id),"
        " o.instrument, o.number, o.voided_at, o.void_reason FROM crf_entry o",
    ),
    (
        "adverse_event",
        both("이상반응", "Adverse event"),
        "SELECT o.participant_id, NULL, NULL, o.number, o.voided_at, o.void_reason"
        " FROM safety_adverseevent o",
    ),
)


def voided(study: str) -> Table:
    """What was entered in error, by number and with the reason; none of it is in another file."""
    columns = (
        *keys(study),
        Column(
            "kind",
            "code",
            both("무효 처리된 것", "What is void"),
            "o.kind",
            codes=tuple((kind, label) for kind, label, _sql in _VOIDED),
        ),
        Column("visit", "code", both("방문", "Visit"), "o.visit"),
        Column("form", "code", both("서식 또는 동의의 종류", "Form, or kind of consent"), "o.form"),
        Column("number", "integer", both("순번", "Number"), "o.number"),
        Column("voided_at", "moment", both("무효 처리 시각", "Voided at"), moment("o.voided_at")),
        Column("reason", "text", both("사유", "Reason"), "o.void_reason"),
    )
    parts = "\n  UNION ALL ".join(
        sql.replace("SELECT ", f"SELECT {place} AS place, {text(kind)} AS kind, o.id AS row, ", 1)
        + " WHERE o.site_id = ANY({sites}) AND o.voided_at IS NOT NULL"
        for place, (kind, _label, sql) in enumerate(_VOIDED)
    )
    everybody = PEOPLE.replace("p.voided_at IS NULL AND ", "")
    return Table(
        "voided.csv",
        both(
            "잘못 입력되어 무효 처리된 것(다른 파일에 없음)", "Entered in error (in no other file)"
        ),
        columns,
        f"FROM ({parts}) o\nJOIN ({everybody}) p ON p.id = o.person\n"
        "ORDER BY p.site, p.id, o.place, o.row",
    )
