"""The file of adverse events, with the newest review of each."""

from __future__ import annotations

from exports.tables.columns import (
    ONE_ZERO,
    YES_NO,
    Codes,
    Column,
    Table,
    both,
    joined,
    keys,
    moment,
    text,
    yes_no,
)
from registry.protocol import Text
from safety.causality import CATEGORIES
from safety.codes import ACTIONS, OUTCOMES, SERIOUSNESS, Code
from safety.ctcae import GRADES

DECISIONS: Codes = (
    ("reviewed", both("검토 완료", "Reviewed")),
    ("duplicate", both("중복", "Duplicate")),
    ("not_an_event", both("이상반응 아님", "Not an adverse event")),
)


def _codes(entries: tuple[Code, ...]) -> Codes:
    return tuple((str(entry.code), Text.model_validate(entry.label)) for entry in entries)


def adverse_events(study: str) -> Table:
    """One row for each adverse event as the site reported it."""
    grades = tuple((str(grade), Text.model_validate(label)) for grade, label in GRADES.items())
    causalities = _codes(CATEGORIES)
    criteria = _codes(SERIOUSNESS)
    columns = (
        *keys(study),
        Column("number", "integer", both("이상반응 번호", "Number of the event"), "ae.number"),
        Column("symptom", "text", both("증상", "Symptom"), "ae.symptom"),
        Column("onset", "partial_date", both("발현일", "Onset"), "ae.onset"),
        Column(
            "onset_day",
            "integer",
            both("등록일로부터 발현까지의 일수", "Days from enrolment to onset"),
            "CASE WHEN length(ae.onset) = 10 THEN ae.onset::date - p.enrolled_on END",
            derivation=both(
                "발현일 − 등록일. 발현일을 일까지 알 때에만 계산합니다.",
                "Onset minus enrolment, where the day of onset is known.",
            ),
        ),
        Column("ended", "partial_date", both("종료일", "End"), "nullif(ae.ended, '')"),
        Column("term", "text", both("CTCAE 용어 코드", "CTCAE term"), "nullif(ae.term, '')"),
        Column(
            "term_version",
            "text",
            both("CTCAE 버전", "CTCAE version"),
            "nullif(ae.term_version, '')",
        ),
        Column("grade", "code", both("CTCAE 등급", "CTCAE grade"), "ae.grade", codes=grades),
        Column(
            "causality",
            "code",
            both("인과성(WHO-UMC)", "Causality (WHO-UMC)"),
            "ae.causality",
            codes=causalities,
        ),
        Column(
            "suggested_causality",
            "code",
            both("제안된 인과성", "Causality that was suggested"),
            "nullif(ae.suggested_causality, '')",
            codes=causalities,
        ),
        Column(
            "serious",
            "code",
            both("중대한 이상반응", "Serious"),
            yes_no("ae.serious"),
            codes=YES_NO,
        ),
        Column(
            "seriousness",
            "codes",
            both("중대성 기준", "Criteria of seriousness"),
            f"nullif({joined('ae.seriousness')}, '')",
            codes=criteria,
        ),
        *(
            Column(
                f"serious_{code}",
                "code",
                both(f"중대성 기준: {label.ko}", f"Seriousness: {label.en}"),
                f"(ae.seriousness ? {text(code)})::int",
                codes=ONE_ZERO,
            )
            for code, label in criteria
        ),
        Column(
            "expected",
            "code",
            both("예상된 이상반응", "Expected"),
            "CASE ae.expected WHEN true THEN 'yes' WHEN false THEN 'no' END",
            codes=YES_NO,
        ),
        Column("outcome", "code", both("결과", "Outcome"), "ae.outcome", codes=_codes(OUTCOMES)),
        Column(
            "action",
            "code",
            both("조치", "Action taken"),
            "nullif(ae.action, '')",
            codes=_codes(ACTIONS),
        ),
        Column(
            "treatment", "text", both("이상반응의 치료", "Treatment"), "nullif(ae.treatment, '')"
        ),
        Column("aware_on", "date", both("기관이 인지한 날", "Site became aware on"), "ae.aware_on"),
        Column("narrative", "text", both("경과", "Narrative"), "nullif(ae.narrative, '')"),
        Column("reported_at", "moment", both("보고 시각", "Reported at"), moment("ae.reported_at")),
        Column("review", "code", both("마지막 검토", "Last review"), "r.decision", codes=DECISIONS),
        Column(
            "review_current",
            "code",
            both("검토 후 변경 없음", "Unchanged since the review"),
            "CASE WHEN r.digest = ae.digest THEN 'yes' WHEN r.digest IS NOT NULL THEN 'no' END",
            codes=YES_NO,
        ),
        Column("reviewed_at", "moment", both("검토 시각", "Reviewed at"), moment("r.reviewed_at")),
    )
    return Table(
        "adverse_events.csv",
        both("이상반응", "Adverse events"),
        columns,
        "FROM safety_adverseevent ae JOIN people p ON p.id = ae.participant_id\n"
        "LEFT JOIN LATERAL (SELECT decision, digest, reviewed_at FROM safety_aereview"
        " WHERE adverse_event_id = ae.id AND site_id = ae.site_id"
        " ORDER BY reviewed_at DESC, id DESC LIMIT 1) r ON true\n"
        "WHERE ae.site_id = ANY({sites}) AND ae.voided_at IS NULL\n"
        "ORDER BY p.site, p.id, ae.number, ae.id",
    )
