"""Lists from elsewhere: choose a file, say what its columns are, look, and say yes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language, pgettext_lazy
from django.utils.translation import gettext as _

from crf.display import answer_text
from crf.imports.mapping import Mapping
from crf.imports.plan import CHANGED, NEW, REFUSED, STATES, UNCHANGED, Plan, Row
from crf.imports.sheet import LARGEST
from crf.instrument import Definition
from crf.models import Entry, Import
from crf.services.imports import (
    Differs,
    commit,
    definition_at,
    discard,
    go_on,
    job_of,
    plan_of,
    proposed,
    set_mapping,
    sheet_of,
    upload,
)
from registry.forms import posted, put
from registry.forms.imports import CommitForm, MappingForm, UploadForm
from registry.models import Job
from sites.access import Refused, Request, find, rows, show
from sites.roles import Permission

SHOWN = 50
SAMPLES = 3
KIND_WORDS = {
    NEW: pgettext_lazy("import", "new"),
    CHANGED: pgettext_lazy("import", "changed"),
    UNCHANGED: pgettext_lazy("import", "unchanged"),
    REFUSED: pgettext_lazy("import", "refused"),
}


def imports(request: Request) -> HttpResponse:
    """What was imported, by whom and with what result; and the form for another list."""
    sites = [site for pk, site in request.sites.items() if request.may(Permission.ENTER, pk)]
    form = UploadForm(posted(request), request.FILES or None, sites=sites) if sites else None
    if form is not None and request.method == "POST" and form.is_valid():
        file, site = form.cleaned_data["file"], request.sites[int(form.cleaned_data["site"])]
        try:
            # One byte more than may be is enough to be refused.
            record = upload(
                site=site, name=file.name, content=file.read(LARGEST + 1), by=request.by
            )
        except Refused as refused:
            put(form, refused)
        else:
            return redirect("import_mapping", request.study.code, record.pk)
    found = rows(request, Import).defer("content", "outcome")
    found = found.select_related("site", "uploaded_by").order_by("-pk")
    page = Paginator(found, SHOWN).get_page(request.GET.get("page"))
    return render(request, "imports/imports.html", {"form": form, "page_obj": page})


def import_mapping(request: Request, pk: int) -> HttpResponse:
    """What each column is."""
    record = _found(request, pk)
    if record.committed_at or record.discarded_at:
        return redirect("import", request.study.code, record.pk)
    definition = definition_at(record.site)
    start = record.mapping or proposed(record)
    form = MappingForm(posted(request), headers=record.headers, definition=definition, start=start)
    if request.method == "POST" and form.is_valid():
        content = form.content() | {"study": request.study.code}
        try:
            set_mapping(record=record, mapping=content, by=request.by)
        except Refused as refused:
            put(form, refused)
        else:
            return redirect("import", request.study.code, record.pk)
    lines = sheet_of(record).lines[:SAMPLES]
    samples = [
        (field, [cells[n] for _line, cells in lines if cells[n]])
        for (n, _name), field in zip(form.headers, form.columns(), strict=True)
    ]
    context = {"record": record, "form": form, "samples": samples}
    return render(request, "imports/mapping.html", context)


def import_shown(request: Request, pk: int) -> HttpResponse:
    """An import while it is open, being written, or done; and the yes."""
    record = _found(request, pk)
    if record.committed_at or record.discarded_at:
        return _result(request, record)
    if not request.may(Permission.ENTER, record.site_id):
        return render(request, "imports/open.html", {"record": record})
    if not record.mapping:
        return redirect("import_mapping", request.study.code, record.pk)
    return _preview(request, record)


def _preview(request: Request, record: Import) -> HttpResponse:
    plan = plan_of(record)
    form = CommitForm(posted(request), touches=bool(plan.touches), initial={"shown": plan.digest})
    differs = False
    if request.method == "POST" and form.is_valid():
        told = form.cleaned_data
        show(request, [row.entry for row in plan.rows if row.entry])
        try:
            commit(
                record=record,
                shown=told["shown"],
                reason=told["reason"],
                confirmed=told.get("confirmed", False),
                by=request.by,
            )
        except Differs as refused:
            differs = True
            # What is said yes to next is what is shown now.
            form = CommitForm(
                touches=bool(plan.touches),
                initial={"shown": plan.digest, "reason": told["reason"]},
            )
            messages.warning(request, str(refused))
        except Refused as refused:
            put(form, refused)
        else:
            return redirect("import", request.study.code, record.pk)
    return _preview_page(request, record, plan, form, status=409 if differs else 200)


def _preview_page(
    request: Request, record: Import, plan: Plan, form: CommitForm, status: int
) -> HttpResponse:
    state = request.GET.get("state", "")
    chosen = [row for row in plan.rows if not state or row.state == state]
    page = Paginator(chosen, SHOWN).get_page(request.GET.get("page"))
    show(request, [row.entry for row in page.object_list if row.entry])
    definition = definition_at(record.site)
    context = {
        "record": record,
        "form": form,
        "tabs": _tabs(plan.counts, state, len(plan.rows)),
        "page_obj": page,
        "lines": [_told(row, definition) for row in page.object_list],
        "to_write": plan.counts[NEW] + plan.counts[CHANGED],
        "touches": len(plan.touches),
    }
    return render(request, "imports/preview.html", context, status=status)


@dataclass(frozen=True)
class Line:
    """One row of the preview in words."""

    row: Row
    visit: str
    form: str
    changes: list[tuple[str, str, str]]
    checks: list[str]


def _told(row: Row, definition: Definition) -> Line:
    lang = get_language() or "ko"
    visits = {visit.code: visit.label.get(lang) for visit in definition.protocol.visits}
    instrument = definition.instruments.get(row.form)
    changes = []
    for code, value in row.new.items():
        if instrument is None or not instrument.has(code):
            changes.append((code, str(row.old[code] or ""), str(value)))
            continue
        item = instrument.item(code)
        before, after = (
            answer_text(item, None, each["missing"])
            if isinstance(each, dict)
            else answer_text(item, each)
            for each in (row.old[code], value)
        )
        changes.append((item.label.get(lang), before, after))
    known = {check.code: check for check in instrument.checks} if instrument else {}
    return Line(
        row,
        visits.get(row.visit, row.visit),
        instrument.short.get(lang) if instrument else row.form,
        changes,
        [known[code].message.get(lang) for code in row.checks if code in known],
    )


def _tabs(counts: dict[str, int], state: str, total: int) -> list[dict[str, Any]]:
    """All lines, and those of each result with their number."""
    every = {"label": _("All lines"), "url": "?state=", "count": total, "current": not state}
    return [every] + [
        {
            "label": str(KIND_WORDS[name]),
            "url": f"?state={name}",
            "count": counts.get(name, 0),
            "current": state == name,
            "late": name == REFUSED and counts.get(name, 0) > 0,
        }
        for name in STATES
    ]


def _result(request: Request, record: Import) -> HttpResponse:
    """What became of an import, or how far it is."""
    job = job_of(record) if record.committed_at and not record.finished_at else None
    state = request.GET.get("state", REFUSED if record.counts.get(REFUSED) else "")
    lines = [row for row in record.outcome if not state or row["state"] == state]
    page = Paginator(lines, SHOWN).get_page(request.GET.get("page"))
    entries = {row["entry"] for row in page.object_list if row["entry"]}
    seen = rows(request, Entry).filter(pk__in=entries).only("pk", "site_id", "participant_id")
    show(request, seen)
    context = {
        "record": record,
        "job": job,
        "going": job is not None and job.state in (Job.State.QUEUED, Job.State.RUNNING),
        "may_go_on": request.may(Permission.ENTER, record.site_id),
        "tabs": _tabs(record.counts, state, len(record.outcome)),
        "page_obj": page,
    }
    return render(request, "imports/result.html", context)


def import_go_on(request: Request, pk: int) -> HttpResponse:
    """Let a worker try again to write what was said yes to."""
    record = _found(request, pk)
    if request.method == "POST":
        if record.finished_at or not record.committed_at:
            raise Refused(_("This import is closed."))
        go_on(record=record, by=request.by)
    return redirect("import", request.study.code, record.pk)


def import_discard(request: Request, pk: int) -> HttpResponse:
    record = _found(request, pk)
    if request.method == "POST":
        discard(record=record, by=request.by)
        messages.success(request, _("The list is thrown away. Nothing was changed."))
        return redirect("imports", request.study.code)
    return redirect("import", request.study.code, record.pk)


def import_map(request: Request, pk: int) -> HttpResponse:
    """The mapping as the file that `manage.py import_data` reads."""
    record = _found(request, pk)
    if not record.mapping:
        raise Refused(_("Nobody has said yet what the columns are."))
    mapping = Mapping.model_validate(record.mapping)
    named = mapping.model_copy(update={"study": request.study.code, "site": record.site.code})
    answer = HttpResponse(named.as_yaml(), content_type="application/yaml; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="map-{record.pk}.yaml"'
    return answer


def _found(request: Request, pk: int) -> Import:
    record = find(request, Import, pk=pk)
    record.site = request.sites[record.site_id]
    return record
