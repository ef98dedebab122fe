"""Questions about data: asked by people and by soft checks, answered by the site.

A query never alters data. What a soft check asked is closed by correcting the data or by confirming
them; a confirmed value is quiet until it changes again.
"""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from crf.definitions import instrument_of
from crf.instrument import Instrument, Judgement
from crf.models import Entry, Query, QueryMessage
from crf.services.held import kept_queries
from crf.services.words import words
from crf.workflow import Act, refusal
from sites.access import Refused
from sites.audit import Actor, acting

NOT_APPLICABLE = "answer_not_applicable"  # the built-in check: an answer to a hidden question

# What the system itself says in a thread; `message_text` reads it out in the reader's language.
CORRECTED, VOID = "corrected", "void"
_SAID = {
    CORRECTED: gettext_lazy("The data were corrected."),
    VOID: gettext_lazy("Entered in error and void."),
}
HIDDEN = gettext_lazy("An answer is given although the question does not apply.")


def ask_query(
    *,
    text: str,
    entry: Entry | None = None,
    item: str = "",
    adverse_event: Any = None,
    by: Actor,
) -> Query:
    """Ask the site about an item of a form, a whole form, or an adverse event."""
    text = words(text, "text", ask=_("Please write what you want to know."))
    if entry is not None:
        sentence = refusal(Act.QUERY, entry)
        if sentence:
            raise Refused(sentence)
        if item and not instrument_of(entry).has(item):
            raise Refused(_("This form has no such question."), "item")
    elif adverse_event.voided_at:
        raise Refused(_("This adverse event was entered in error and is void."))
    about = entry if entry is not None else adverse_event
    with acting(by):
        query = Query.objects.create(
            site_id=about.site_id,
            participant_id=about.participant_id,
            entry=entry,
            adverse_event=adverse_event,
            item=item,
            text=text,
            opened_by_id=by.user_id,
        )
        _say(query, QueryMessage.Act.ASK, text, by.user_id)
    return query


def remark(*, entry: Entry, item: str, text: str, by: Actor) -> Query:
    """What the site wants a reviewer to know about an answer: waits for them as an answer does."""
    text = words(text, "text", ask=_("Please write your remark."))
    if sentence := refusal(Act.QUERY, entry):
        raise Refused(sentence)
    if not instrument_of(entry).has(item):
        raise Refused(_("This form has no such question."), "item")
    with acting(by):
        query = Query.objects.create(
            site_id=entry.site_id,
            participant_id=entry.participant_id,
            entry=entry,
            item=item,
            text=text,
            state=Query.State.ANSWERED,
            opened_by_id=by.user_id,
        )
        _say(query, QueryMessage.Act.REMARK, text, by.user_id)
    return query


def answer_query(*, query: Query, text: str, by: Actor) -> Query:
    """The site's answer. To a soft check it is the confirmation that the value is right."""
    text = words(text, "text", ask=_("Please write an answer."))
    with acting(by, text):
        query = _locked(query)
        if query.state != Query.State.OPEN:
            raise Refused(_("This query does not wait for an answer."))
        _say(query, QueryMessage.Act.ANSWER, text, by.user_id)
        query.state = Query.State.ANSWERED
        if query.check_code:
            _confirm(query)
        query.save()
    return query


def close_query(*, query: Query, text: str = "", by: Actor) -> Query:
    """The reviewer is satisfied; without an answer of the site, they say why."""
    text = words(text, "text")
    with acting(by, text):
        query = _locked(query)
        if query.state == Query.State.CLOSED:
            raise Refused(_("This query is already closed."))
        if query.state == Query.State.OPEN and not text:
            raise Refused(_("The site has not answered: please say why you close it."), "text")
        _say(query, QueryMessage.Act.CLOSE, text, by.user_id)
        query.state, query.closed_at = Query.State.CLOSED, timezone.now()
        if query.check_code:
            _confirm(query)
        query.save()
    return query


def reopen_query(*, query: Query, text: str, by: Actor) -> Query:
    """The answer did not settle it: the site's turn again."""
    text = words(text, "text", ask=_("Please write what is still open."))
    with acting(by, text):
        query = _locked(query)
        if query.state == Query.State.OPEN:
            raise Refused(_("This query is open."))
        if query.check_code and query.value_at_confirmation is None:
            raise Refused(_("The data were corrected. Please ask a new question instead."))
        if query.check_code and _asked_again(query):
            raise Refused(_("The same check has asked again since then."))
        if _is_void(query):
            raise Refused(_("What this query is about was entered in error and is void."))
        _say(query, QueryMessage.Act.REOPEN, text, by.user_id)
        query.state, query.closed_at = Query.State.OPEN, None
        query.save()
    return query


def close_for_void(queries: Any) -> None:
    """Nothing is left to answer: it was entered in error. The caller is `acting`."""
    for query in queries.unresolved():
        query.state, query.closed_at = Query.State.CLOSED, timezone.now()
        query.save()
        _say(query, QueryMessage.Act.CLOSE, VOID, None)


def _locked(query: Query) -> Query:
    """The query as it is now, with its row locked: of two who act at once, the second is told."""
    return (
        Query.objects.select_for_update(of=("self",))
        .select_related("entry", "adverse_event")
        .get(pk=query.pk)
    )


def _confirm(query: Query) -> None:
    """A value that somebody confirmed is quiet until it changes again."""
    query.state, query.closed_at = Query.State.CLOSED, timezone.now()
    query.value_at_confirmation = _values(query)


def _asked_again(query: Query) -> bool:
    same = Query.objects.unresolved().filter(entry=query.entry, check_code=query.check_code)
    return same.filter(item=query.item).exists()


def _is_void(query: Query) -> bool:
    about: Any = query.entry or query.adverse_event
    return about.voided_at is not None


def current_queries(entry: Entry) -> list[dict[str, Any]]:
    """The queries of a form that wait for somebody, and those that confirmed a value as right."""
    return [_as_shown(query, entry) for query in kept_queries(entry)]


def _as_shown(query: Query, entry: Entry) -> dict[str, Any]:
    """What a form shows of a query; `confirmed` while the values are those that were confirmed."""
    values = query.value_at_confirmation
    return {
        "id": query.pk,
        "item": query.item,
        "check": query.check_code,
        "state": query.state,
        "text": query.text,
        "confirmed": query.state == Query.State.CLOSED
        and values is not None
        and all(entry.answers.get(item) == value for item, value in values.items()),
    }


def settle_checks(
    entry: Entry, instrument: Instrument, judgement: Judgement, *, none_yet: bool = False
) -> list[dict[str, Any]]:
    """Open a query for each soft check that is broken and close those that are not any more.

    One open query per (entry, check, item); one that was confirmed stays quiet while the values
    are those that were confirmed. The caller is `acting`, and holds the entry; `none_yet`: it knows
    that the entry has no such query. Answers what `current_queries` would.
    """
    broken = {
        (check.code, check.items[0]): (
            check.message.ko,
            {i: entry.answers.get(i) for i in check.items},
        )
        for check in judgement.broken
    }
    for code, value in entry.answers.items():
        if code not in judgement.shown and instrument.has(code):
            broken[NOT_APPLICABLE, code] = (str(HIDDEN), {code: value})
    kept = [] if none_yet else kept_queries(entry)
    asked: dict[tuple[str, str], list[Query]] = {}
    for query in kept:
        if query.check_code:
            asked.setdefault((query.check_code, query.item), []).append(query)
    for key, (text, values) in broken.items():
        known = asked.pop(key, [])
        waiting = [query for query in known if query.state != Query.State.CLOSED]
        confirmed = any(
            query.state == Query.State.CLOSED and query.value_at_confirmation == values
            for query in known
        )
        if confirmed:
            # Back to the values that somebody confirmed: what was asked meanwhile is settled.
            kept = _settle(waiting, kept)
        elif not waiting:
            query = Query.objects.create(
                site_id=entry.site_id,
                participant_id=entry.participant_id,
                entry=entry,
                item=key[1],
                check_code=key[0],
                text=text,
            )
            _say(query, QueryMessage.Act.ASK, text, None)
            kept.append(query)
    for queries in asked.values():
        kept = _settle([each for each in queries if each.state != Query.State.CLOSED], kept)
    return [_as_shown(query, entry) for query in kept]


def _settle(waiting: list[Query], kept: list[Query]) -> list[Query]:
    """Close queries of checks that the data have answered; `kept` without them."""
    for query in waiting:
        query.state, query.closed_at = Query.State.CLOSED, timezone.now()
        query.save()
        _say(query, QueryMessage.Act.CLOSE, CORRECTED, None)
    return [query for query in kept if query not in waiting]


def question_text(query: Query) -> str:
    """The question in the reader's language, where a check asked; else as it was written."""
    if not query.check_code or query.entry is None:
        return query.text
    if query.check_code == NOT_APPLICABLE:
        return str(HIDDEN)
    check = instrument_of(query.entry).check(query.check_code)
    return check.message.get(get_language() or "ko")


def message_text(message: QueryMessage) -> str:
    """What was said, in the reader's language where the system itself said it."""
    if message.by_id is None and message.act == QueryMessage.Act.CLOSE:
        return str(_SAID.get(message.text, message.text))
    return message.text


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
