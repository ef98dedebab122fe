"""What came back from a form: a whole page sent by a browser without scripts, or one save as JSON.

A page sends every question, so what the person left alone is told from what they changed by the
base that the page carried: only the changed items are saved, and only those can be in conflict.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crf.forms import Typed
from crf.instrument import DateItem, Instrument, Item, MultiItem
from crf.values import Invalid, parse
from registry.forms import Reason

PARTS = ("year", "month", "day")
OLDEST = dt.timedelta(days=30)  # an answer that was captured longer ago was not captured here


class VoidForm(forms.Form):
    reason = Reason(
        label=gettext_lazy("Why was the form entered in error?"),
        help_text=gettext_lazy(
            "It is kept in the history and can't be changed later. No names, please."
        ),
    )


@dataclass
class Sent:
    """One save, as `save_entry` takes it."""

    changes: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str | None] = field(default_factory=dict)
    base: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    confirming: dict[str, str] = field(default_factory=dict)
    op: uuid.UUID | None = None
    captured_at: dt.datetime | None = None

    def typed(self, **found: Any) -> Typed:
        """Everything typed, to be shown again beside what was wrong with it."""
        return Typed(
            values=self.changes,
            missing={item: code for item, code in self.missing.items() if code},
            reasons={item: text for item, text in self.reasons.items() if text.strip()},
            confirming=self.confirming,
            **found,
        )


def of_page(post: QueryDict, instrument: Instrument, today: dt.date) -> Sent:
    """What a person changed on a page that was sent as a whole."""
    sent = Sent(base=_object(post.get("base", "")))
    for item in instrument.items:
        _one(item, post, sent, today)
    for code in (*sent.changes, *sent.missing):
        sent.base.setdefault(code, None)  # the page showed it empty
    for name in post:
        if name.startswith("confirm.") and (text := post.get(name, "")).strip():
            sent.confirming[name.removeprefix("confirm.")] = text
    token = post.get("op", "")
    # Sent twice, the page has one operation id; sent again with other answers, another.
    content = {key: post.getlist(key) for key in post if key != "csrfmiddlewaretoken"}
    whole = json.dumps(content, sort_keys=True, ensure_ascii=False)
    sent.op = uuid.uuid5(uuid.NAMESPACE_URL, f"{token}\n{whole}") if token else None
    return sent


def _one(item: Item, post: QueryDict, sent: Sent, today: dt.date) -> None:
    code, seen = item.code, sent.base.get(item.code)
    if reason := post.get(f"{code}.reason", ""):
        sent.reasons[code] = reason
    choice = post.get(f"{code}.conflict", "")
    if choice == "theirs":
        return
    if choice == "mine":
        sent.base[code] = _value(post.get(f"{code}.theirs", ""))
    typed = typed_value(item, post)
    why = post.get(f"{code}.missing", "")
    was = seen.get("missing", "") if isinstance(seen, Mapping) else ""
    value_seen = None if isinstance(seen, Mapping) else seen
    try:
        value = parse(item, typed, today=today)
    except Invalid:
        sent.changes[code] = typed
        return
    answered = value is not None and value != value_seen
    marked = why != was and bool(why)
    if answered and marked:
        sent.changes[code], sent.missing[code] = typed, why
        sent.errors[code] = _("Please either answer, or say why there is no answer.")
    elif marked:
        sent.missing[code] = why
    elif answered or (value is None and value_seen is not None):
        sent.changes[code] = typed
    elif was and not why and value is None:
        sent.missing[code] = None
    elif choice == "mine":
        sent.changes[code] = typed


def typed_value(item: Item, post: QueryDict) -> Any:
    """What stands in the boxes of one question: a text, or the list of ticked codes."""
    if isinstance(item, MultiItem):
        return post.getlist(item.code)
    if not isinstance(item, DateItem) or item.code in post:
        return post.get(item.code, "")
    parts = [post.get(f"{item.code}.{part}", "").strip() for part in PARTS]
    while parts and not parts[-1]:
        parts.pop()
    return "-".join(parts)


def of_json(body: bytes) -> tuple[Sent, dict[str, Any]] | None:
    """One save of the page's script and the whole message; None when it can't be read."""
    try:
        message = json.loads(body)
        if rb"\ud" in body.lower():  # half of a surrogate pair is JSON, but no text
            json.dumps(message, ensure_ascii=False).encode()
    except ValueError:
        return None
    kinds = {"changes": dict, "missing": dict, "base": dict, "reasons": dict}
    if not isinstance(message, dict) or not all(
        isinstance(message.get(name, {}), kind) for name, kind in kinds.items()
    ):
        return None
    texts = [*message.get("missing", {}).values(), *message.get("reasons", {}).values()]
    if not all(text is None or isinstance(text, str) for text in texts):
        return None
    op = operation(message.get("op"))
    if message.get("op") and op is None:
        return None
    sent = Sent(
        changes=message.get("changes", {}),
        missing=message.get("missing", {}),
        base=message.get("base", {}),
        reasons={item: text or "" for item, text in message.get("reasons", {}).items()},
        op=op,
        captured_at=_captured(message.get("captured_at")),
    )
    return sent, message


def operation(text: Any) -> uuid.UUID | None:
    """The operation id that a page carried, if it did."""
    try:
        return uuid.UUID(str(text)) if text else None
    except ValueError:
        return None


def _captured(text: Any) -> dt.datetime | None:
    """The browser's clock, where it can be right: neither in the future nor long past."""
    try:
        moment = parse_datetime(str(text)) if text else None
    except ValueError:
        return None
    now = timezone.now()
    if moment is None or moment.tzinfo is None or not now - OLDEST <= moment <= now:
        return None
    return moment


def _object(text: str) -> dict[str, Any]:
    found = _value(text)
    return found if isinstance(found, dict) else {}


def _value(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
