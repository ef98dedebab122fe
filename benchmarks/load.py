"""Participants with everything that belongs to them, made by SQL out of the published protocol.

Every answer is a function of the entry and the item, so that each run measures the same data.
Nineteen of twenty participants have all visits behind them; one of twenty, and each of the first
600, has the last two visits open, some of them overdue, and the forms of the third begun: open work
grows with the study as it does in life, and the same pages show as many rows in a small one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import psycopg
from django.db import models
from psycopg import sql

from crf import codelists
from crf.instrument import (
    ChoiceItem,
    CodeItem,
    DateItem,
    DecimalItem,
    Instrument,
    IntegerItem,
    Item,
    MultiItem,
    YesNoItem,
)
from crf.instrument.definition import Definition
from crf.models import Entry, Query
from registry import identity
from registry.models import Consent, Identity, Participant, Visit
from safety.models import AdverseEvent
from sites.protection import historical, kept_columns

BUSY = 600  # the first of them have open work each, so that every list fills its first page
CHUNK = 10_000  # participants; keeps a statement's memory small


def participants(server: psycopg.Connection, study: int, count: int) -> None:
    """Load `count` participants, spread evenly over the sites; `server` is the superuser's."""
    row = server.execute(
        "SELECT id, content FROM registry_protocolversion WHERE study_id = %s", [study]
    ).fetchone()
    assert row is not None
    version, content = row
    definition = Definition.from_content(json.loads(content))
    server.execute("SET session_replication_role = replica")
    server.execute("SET synchronous_commit = off")
    server.execute(
        "CREATE TEMPORARY TABLE place AS SELECT row_number() OVER (ORDER BY position) - 1 AS rank,"
        " id, code FROM sites_site WHERE study_id = %s",
        [study],
    )
    for first in range(1, count + 1, CHUNK):
        last = min(first + CHUNK - 1, count)
        _chunk(server, definition, version, first, last)
    for model in (Participant, Identity, Consent, Visit, Entry, AdverseEvent, Query):
        _history(server, model)
        table = model._meta.db_table
        _set_sequence(server, table)
    server.execute(
        "UPDATE registry_counter c SET used = (SELECT count(*) FROM registry_participant p"
        " WHERE c.site_id IS NULL OR p.site_id = c.site_id)"
    )
    server.execute("RESET session_replication_role")
    server.execute("VACUUM (FREEZE, ANALYZE)")
    server.execute("CHECKPOINT")


_PARTICIPANTS = """
INSERT INTO registry_participant (id, site_id, version_id, screening_number, subject_number, sex,
  birth_year, age, consented_on, cohort, screened_at, enrolled_at, enrolled_on, end_reason,
  end_note, void_reason, created_at)
SELECT n, p.id, %(version)s, p.code || '-S' || lpad(k::text, 5, '0'),
  p.code || '-' || lpad(k::text, 5, '0'), CASE n %% 2 WHEN 0 THEN 'female' ELSE 'male' END,
  1940 + n %% 60, 86 - n %% 60, day, '', day, day, day, '', '', '', day
FROM generate_series(%(first)s::int, %(last)s::int) n
JOIN place p ON p.rank = n %% (SELECT count(*) FROM place)
CROSS JOIN LATERAL (SELECT (n - 1) / (SELECT count(*) FROM place) + 1 AS k,
  current_date - CASE WHEN n <= %(busy)s OR n / 10 %% 20 = 0
    THEN n / 200 %% 50 + 15 ELSE 90 + n %% 60 END AS day
) AS x
"""
_IDENTITIES = """
INSERT INTO registry_identity (site_id, participant_id, name, birth_date, chart_number, contact,
  chart_digest, email, mail_language)
SELECT site_id, id, %(name)s, %(birth)s, %(chart)s, '',
  encode(sha256(id::text::bytea), 'hex'), '', 'ko'
FROM registry_participant WHERE id BETWEEN %(first)s AND %(last)s
"""
_CONSENTS = """
INSERT INTO registry_consent (site_id, participant_id, kind, form_version, given, signed_on,
  explained_by, recorded_at, void_reason)
SELECT site_id, id, 'study', '1.0', true, consented_on, 'somebody', enrolled_at, ''
FROM registry_participant WHERE id BETWEEN %(first)s AND %(last)s
"""
_VISITS = """
INSERT INTO registry_visit (id, site_id, participant_id, code, number, day, due_on, opens_on,
  closes_on, happened_on, out_of_window_reason, missed_reason, void_reason)
SELECT id * 8 + %(position)s, site_id, id, %(code)s, 1, %(day)s, enrolled_on + %(day)s,
  enrolled_on + %(opens)s, enrolled_on + %(closes)s,
  CASE WHEN %(open)s AND (id <= %(busy)s OR id / 10 %% 20 = 0) THEN NULL
    ELSE enrolled_on + %(day)s END, '', '', ''
FROM registry_participant WHERE id BETWEEN %(first)s AND %(last)s
"""
# Visit by visit as in life, so that a participant's rows are not neighbours on disk.
_ENTRIES = sql.SQL("""
INSERT INTO crf_entry (id, site_id, participant_id, visit_id, instrument, number, version_id,
  answers, meta, scores, digest, started_at, completed_at, completed_by_id, void_reason, due_from)
SELECT v.id * 8 + %(position)s, v.site_id, v.participant_id, v.id, %(code)s, 1, %(version)s,
  x.answers, '{{}}', CASE WHEN held THEN %(scores)s::jsonb ELSE '{{}}' END,
  encode(sha256(convert_to(concat_ws('|', %(version)s, x.answers::text, '{{}}', false), 'UTF8')),
    'hex'),
  v.happened_on, CASE WHEN complete THEN v.happened_on END, CASE WHEN complete THEN %(user)s END,
  '', CASE WHEN NOT complete THEN v.happened_on END
FROM registry_visit v
CROSS JOIN LATERAL (SELECT v.happened_on IS NOT NULL AS held,
  v.happened_on IS NOT NULL
    AND NOT (v.code = %(begun)s
      AND (v.participant_id <= %(busy)s OR v.participant_id / 10 %% 20 = 0)) AS complete,
  CASE WHEN v.happened_on IS NULL THEN '{{}}'::jsonb ELSE {answers} END AS answers
) AS x
WHERE v.participant_id BETWEEN %(first)s AND %(last)s ORDER BY v.code, v.id
""")
_EVENTS = """
INSERT INTO safety_adverseevent (site_id, participant_id, number, symptom, onset, ended, term,
  term_version, grade, causality, causality_answers, suggested_causality, serious, seriousness,
  outcome, action, treatment, aware_on, narrative, digest, reported_at, void_reason,
  review_state)
SELECT site_id, id, 1, '멍', (enrolled_on + 3)::text, '', '', '', 1 + id %% 3, 'possible', '{}', '',
  false, '[]', '1', '', '', enrolled_on + 4, '', '', enrolled_at, '', 'new'
FROM registry_participant
WHERE (id <= %(busy)s OR id / 10 %% 4 = 0) AND id BETWEEN %(first)s AND %(last)s
"""
_QUERIES = """
INSERT INTO crf_query (site_id, participant_id, entry_id, item, check_code, text, state, opened_at,
  closed_at)
SELECT site_id, participant_id, id, 'depth', '', '?', state, started_at,
  CASE state WHEN 'closed' THEN started_at END
FROM crf_entry
CROSS JOIN LATERAL (
  SELECT CASE WHEN participant_id <= %(busy)s OR participant_id / 10 %% 50 = 0 THEN 'open'
    ELSE 'closed' END AS state
) AS x
WHERE instrument = 'thirty' AND visit_id %% 8 = 0
  AND (participant_id <= %(busy)s OR participant_id / 10 %% 5 = 0)
  AND participant_id BETWEEN %(first)s AND %(last)s
"""


def _chunk(
    server: psycopg.Connection, definition: Definition, version: int, first: int, last: int
) -> None:
    row = server.execute("SELECT id FROM sites_user WHERE username = 'coordinator'").fetchone()
    assert row is not None
    given = {"version": version, "first": first, "last": last, "user": row[0]}
    given |= {
        "busy": BUSY,
        "begun": "w2",
        "name": identity.encrypt("시험"),
        "birth": identity.encrypt("1970-01-01"),
        "chart": identity.encrypt("1"),
    }
    for statement in (_PARTICIPANTS, _IDENTITIES, _CONSENTS):
        server.execute(statement, given)
    visits = definition.protocol.visits
    for position, visit in enumerate(visits):
        planned = {"code": visit.code, "day": visit.day, "position": position}
        window = {"opens": visit.opens, "closes": visit.closes, "open": visit in visits[-2:]}
        server.execute(_VISITS, {**given, **planned, **window})
    for position, form in enumerate(visits[0].forms):
        instrument = definition.instrument(form.instrument)
        answers = sql.SQL(_answers(instrument))
        about = {"position": position, "code": instrument.code, "scores": _scores(instrument)}
        server.execute(_ENTRIES.format(answers=answers), {**given, **about})
    for statement in (_EVENTS, _QUERIES):
        server.execute(statement, given)


def _answers(instrument: Instrument) -> str:
    """SQL that makes the answers of an entry of visit `v`; conditions are met for all."""
    pairs = (f"'{item.code}', {_value(item, k)}" for k, item in enumerate(instrument.items, 1))
    return f"jsonb_build_object({', '.join(pairs)})"


def _value(item: Item, k: int) -> str:
    """SQL of one answer; `k` keeps the items of an entry from being alike."""
    pick = f"((v.id * {2 * k + 1} + v.participant_id * {k}) %% {{}})"
    match item:
        case ChoiceItem():
            values = [option.code for option in item.options]
            if all(isinstance(value, int) for value in values):
                return f"{values[0]} + {pick.format(len(values))}"
            return f"{_array(values)}[1 + {pick.format(len(values))}]"
        case MultiItem():
            return f"jsonb_build_array('{item.options[0].code}', '{item.options[1].code}')"
        case YesNoItem():
            return (
                "'yes'"
                if item.code == "other_treatment"
                else f"{_array(['yes', 'no'])}[1 + {pick.format(2)}]"
            )
        case IntegerItem():
            low, high = _ends(item)
            return f"{low} + {pick.format(high - low)}"
        case DecimalItem():
            low, high = _ends(item)
            return f"({low + 1} + {pick.format(high - low - 2)}) || '.' || (1 + v.id %% 9)"
        case DateItem():
            return "(v.happened_on)::text"
        case CodeItem():
            codes = [row.coded.code for row in codelists._rows(item.list)[:50]]
            return f"{_array(codes)}[1 + {pick.format(len(codes))}]"
        case _:
            return f"'기록 ' || {pick.format(1000)}"


def _ends(item: IntegerItem | DecimalItem) -> tuple[int, int]:
    """Ends within which no soft check of the protocol is broken."""
    usual = {"pulse": (50, 140), "depth": (1, 58), "volume": (0, 18)}
    assert item.min is not None
    assert item.max is not None
    return usual.get(item.code, (int(item.min), int(item.max)))


def _array(values: Iterable[object]) -> str:
    return "(ARRAY[" + ", ".join(f"'{value}'" for value in values) + "])"


def _scores(instrument: Instrument) -> str:
    if not instrument.scores:
        return "{}"
    return (
        '{"ndi_total": "24", "ndi_percent": "48", "ndi_answered": 10, "ndi_band": "moderate",'
        ' "$versions": {"ndi": "1"}}'
    )


def _history(server: psycopg.Connection, model: type[models.Model]) -> None:
    """One history row for each row, as the trigger would have written it."""
    kept = ", ".join(kept_columns(model))
    server.execute(
        f"INSERT INTO {historical(model)._meta.db_table} ({kept}, history_type, history_date,"  # noqa: S608
        " history_actor, history_role, history_source, history_request, history_xid)"
        f" SELECT {kept}, '+', now(), 'job:demo', '', 'job', '', 1 FROM {model._meta.db_table}"
    )


def _set_sequence(server: psycopg.Connection, table: str) -> None:
    server.execute(
        f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"  # noqa: S608
    )
