"""The questions of a form as HTML, fast enough for a page that is opened all day.

What is the same for every entry of a version (hundreds of labels and options) is rendered by its
template once per process and language, with a mark wherever an entry has something of its own.
Afterwards a page only puts its own values at the marks, each escaped as a template would.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.template.loader import render_to_string
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString

from crf.asked import PATIENT
from crf.display import MISSING_LABELS
from crf.earlier import Earlier
from crf.forms import Form
from registry.skeleton import Marks, Skeleton

TEMPLATES = {
    "questions": "entries/_form.html",
    "list": "entries/_question_list.html",
    "after": "entries/_after.html",
    "drawer": "entries/_drawer.html",
    "dialogs": "entries/_dialogs.html",
}


_skeletons: dict[tuple[int, str, str, str], Skeleton] = {}


def questions_html(
    form: Form,
    *,
    version_id: int,
    lang: str,
    around: Mapping[str, Any],
    before: Earlier | None = None,
) -> dict[str, SafeString]:
    """The questions and what stands around them; `around` has what the page puts at `mark.…`.

    `before`: what the same form said at the visit before, shown beside each question.
    """
    values = _values(form, around)
    if before:
        values |= _last(form, before)
    return {part: _skeleton(part, form, version_id, lang).filled(values) for part in TEMPLATES}


def notes_html(field: Mapping[str, Any], *, may_confirm: bool) -> SafeString:
    """What stands beside one answer."""
    if not (field["error"] or field["notes"] or field["conflict"]):
        return SafeString("")
    context = {"f": field, "may_confirm": may_confirm}
    return render_to_string("entries/_notes.html", context)


def _skeleton(part: str, form: Form, version_id: int, lang: str) -> Skeleton:
    key = (version_id, form.code, lang, part)
    if key not in _skeletons:
        reasons = [(code, str(label)) for code, label in MISSING_LABELS.items()]
        context = {"form": _marked(form), "mark": Marks(), "rest": reasons}
        _skeletons[key] = Skeleton.of(render_to_string(TEMPLATES[part], context))
    return _skeletons[key]


# What an entry puts at the marks of a field: see `_values`.
OWN = (
    "text",
    "year",
    "month",
    "day",
    "coded",
    "marks",
    "aria",
    "beside",
    "source",
    "last",
    "why",
    "why_open",
    "unmark",
    "state",
    "state_word",
    "skipped",
)


def _marked(form: Form) -> dict[str, Any]:
    """The form with a mark for whatever an entry has of its own."""

    def field(each: Mapping[str, Any]) -> dict[str, Any]:
        code = each["code"]
        return {
            **each,
            **{name: f"\x01{code}.{name}\x02" for name in OWN},
            "options": [
                (c["code"], c["word"], c["key"], f"\x01{code}={c['code']}\x02")
                for c in each["choices"]
            ],
            "why_options": [
                (reason, label, f"\x01{code}!{reason}\x02") for reason, label in each["reasons"]
            ],
        }

    sections = []
    for section in form.sections:
        blocks: list[dict[str, Any]] = []
        for block in section["blocks"]:
            if "line" in block:
                block = {**block, "before": f"\x01{block['line']}~before\x02"}
                blocks.append({**block, "fields": [field(each) for each in block["fields"]]})
                continue
            if not block["group"]:
                blocks.append({**block, "field": field(block["field"])})
                continue
            rows = [
                {
                    "number": row["number"],
                    "state": f"\x01{block['group']}#{row['number']}\x02",
                    "fields": [field(each) for each in row["fields"]],
                }
                for row in block["rows"]
            ]
            blocks.append({**block, "rows": rows})
        confirm = f"\x01{section['code']}#copied\x02"
        sections.append({**section, "confirm": confirm, "blocks": blocks})
    return {"title": form.title, "sections": sections}


def _last(form: Form, before: Earlier) -> dict[str, str]:
    """What each question was answered with at the visit before."""
    when = conditional_escape(before.when)
    said = {each["code"]: before.said(each["code"]) for each in form.fields}
    return {
        f"{code}.last": f'<p class="last" data-last>{when}: <b>{conditional_escape(text)}</b></p>'
        for code, text in said.items()
        if text
    }


def _values(form: Form, around: Mapping[str, Any]) -> dict[str, str]:
    """Mark → what this entry has there. Codes are slugs; everything else is escaped here."""
    values: dict[str, str] = {name: conditional_escape(value) for name, value in around.items()}
    for each in form.fields:
        code, text = each["code"], each["text"]
        values[f"{code}.marks"] = each["marks"]
        values[f"{code}.aria"] = each["aria"]
        values[f"{code}.state"] = each["state"]
        values[f"{code}.state_word"] = conditional_escape(each["state_word"])
        if not each["shown"]:
            values[f"{code}.skipped"] = " skipped"
        if each["choices"]:
            mark = " selected" if each["widget"] == "list" else " checked"
            for chosen in each["chosen"]:
                values[f"{code}={chosen}"] = mark
        elif each["widget"] == "date":
            for part in ("year", "month", "day"):
                values[f"{code}.{part}"] = conditional_escape(each[part])
        elif text:
            values[f"{code}.text"] = conditional_escape(text)
            if each["coded"]:
                values[f"{code}.coded"] = conditional_escape(each["coded"])
        if each["missing"]:
            values[f"{code}.why"] = f": {conditional_escape(each['missing_label'])}"
            values[f"{code}.why_open"] = " open"
            values[f"{code}!{each['missing']}"] = " checked"
        else:
            values[f"{code}.unmark"] = " hidden"
        if each["source"] == PATIENT:
            values[f"{code}.source"] = render_to_string("entries/_source.html")
        beside = notes_html(each, may_confirm=True)
        if each["ask_reason"]:
            beside += render_to_string("entries/_reason.html", {"f": each})
        if beside:
            values[f"{code}.beside"] = beside
    for section in form.sections:
        if section["copied"]:
            confirm = render_to_string("entries/_confirm.html", {"section": section})
            values[f"{section['code']}#copied"] = confirm
        for block in section["blocks"]:
            for row in block.get("rows", ()):
                state = (" data-spare" if row["spare"] else "") + (
                    " hidden" if row["hidden"] else ""
                )
                values[f"{block['group']}#{row['number']}"] = state
    return values
