"""Questions about data: asked by people and by soft checks, answered by the site, never altering data."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from crf.definitions import instrument_of
from crf.instrument import Instrument, Judgement
from crf.models import Entry, Query, QueryMessage
from crf.workflow import Act, refusal
from sites.access import Refused
from sites.audit import Actor, acting

NOT_APPLICABLE = "answer_not_applicable"  # the built-in check: an answer to a hidden question


def ask_query(
    *,
    text: str,
    entry: Entry | None = None,
    item: str = "",
    adverse_event: Any = None,
    by: Actor,
) -> Query:
    """Ask the site about an item of a form, a whole form, or an adverse event."""
    if not text.strip():
        raise Refused(_("Please write what you want to know."), "text")
    if entry is not None:
        sentence = refusal(Act.QUERY, entry)
        if sentence:
            raise Refused(sentence)
    about = entry if entry is not None else adverse_event
    with acting(by):
        query = Query.objects.create(
            site_id=about.site_id,
            participant_id=about.participant_id,
            entry=entry,
            adverse_event=adverse_event,
            item=item,
            text=text.strip(),
            opened_by_id=by.user_id,
        )
        _say(query, QueryMessage.Act.ASK, text.strip(), by.user_id)
    return query


def answer_query(*, query: Query, text: str, by: Actor) -> Query:
    """The site's answer. To a soft check it is the confirmation that the value is right."""
    if not text.strip():
        raise Refused(_("Please write an answer."), "text")
    if query.state != Query.State.OPEN:
        raise Refused(_("This query does not wait for an answer."))
    with acting(by, text):
        _say(query, QueryMessage.Act.ANSWER, text.strip(), by.user_id)
        query.state = Query.State.ANSWERED
        if query.check_code and query.entry is not None:
            # A confirmed value is quiet until it changes again.
            query.state, query.closed_at = Query.State.CLOSED, timezone.now()
            query.value_at_confirmation = _values(query)
        query.save()
    return query


def close_query(*, query: Query, text: str = "", by: Actor) -> Query:
    """The reviewer is satisfied."""
    if query.state == Query.State.CLOSED:
        raise Refused(_("This query is already closed."))
    with acting(by, text):
        _say(query, QueryMessage.Act.CLOSE, text.strip(), by.user_id)
        query.state, query.closed_at = Query.State.CLOSED, timezone.now()
        query.save()
    return query


def reopen_query(*, query: Query, text: str, by: Actor) -> Query:
    """The answer did not settle it: the site's turn again."""
    if not text.strip():
        raise Refused(_("Please write what is still open."), "text")
    if query.state == Query.State.OPEN:
        raise Refused(_("This query is open."))
    with acting(by, text):
        _say(query, QueryMessage.Act.REOPEN, text.strip(), by.user_id)
        query.state, query.closed_at = Query.State.OPEN, None
        query.save()
    return query


def settle_checks(entry: Entry, instrument: Instrument, judgement: Judgement) -> None:
    """Open a query for each soft check that is broken and close those that are not any more.

    One open query per (entry, check, item); one that was confirmed stays quiet while the values
    are those that were confirmed. The caller is `acting`.
    """
    broken = {
        (check.code, check.items[0]): (
            check.message.ko,
            {i: entry.answers.get(i) for i in check.items},
        )
        for check in judgement.broken
    }
    hidden = _("An answer is given although the question does not apply.")
    for code, value in entry.answers.items():
        if code not in judgement.shown and instrument.has(code):
            broken[NOT_APPLICABLE, code] = (hidden, {code: value})
    asked = {}
    for query in entry.queries.exclude(check_code=""):
        key = (query.check_code, query.item)
        if query.state != Query.State.CLOSED or query.value_at_confirmation is not None:
            asked.setdefault(key, []).append(query)
    for key, (text, values) in broken.items():
        if not any(
            query.state != Query.State.CLOSED or query.value_at_confirmation == values
            for query in asked.get(key, ())
        ):
            query = Query.objects.create(
                site_id=entry.site_id,
                participant_id=entry.participant_id,
                entry=entry,
                item=key[1],
                check_code=key[0],
                text=text,
            )
            _say(query, QueryMessage.Act.ASK, text, None)
    for key, queries in asked.items():
        for query in queries:
            if key not in broken and query.state != Query.State.CLOSED:
                query.state, query.closed_at = Query.State.CLOSED, timezone.now()
                query.save()
                _say(query, QueryMessage.Act.CLOSE, _("The data were corrected."), None)


def _values(query: Query) -> dict[str, Any]:
    """The values that a check's query is about, as they are now."""
    entry = query.entry
    assert entry is not None
    items = (
        [query.item]
        if query.check_code == NOT_APPLICABLE
        else instrument_of(entry).check(query.check_code).items
    )
    return {item: entry.answers.get(item) for item in items}


def _say(query: Query, act: str, text: str, user_id: int | None) -> None:
    QueryMessage.objects.create(
        site_id=query.site_id, query=query, act=act, text=text, by_id=user_id
    )
