"""What every page says alike: texts of the protocol, days, moments, icons, whose record it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django import template
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from registry.display import visit_title
from registry.models import Participant, Visit
from registry.protocol import Text
from registry.services import protocol_of

if TYPE_CHECKING:
    from registry.views.grids import Cell, PersonRow

register = template.Library()


@register.filter
def said(text: Text | None) -> str:
    """A text of the protocol or of an instrument in the reader's language."""
    return text.get(get_language() or "ko") if text else ""


@register.filter
def stamp(moment: dt.datetime | None, zone: str | None = None) -> str:
    """2026-11-21 14:03:22 +09:00: local time, never ambiguous (ICH E6(R3) 4.2.2).

    `zone` is a site's time zone; without it the installation's.
    """
    if moment is None:
        return ""
    local = timezone.localtime(moment, ZoneInfo(zone) if zone else None)
    text = local.isoformat(sep=" ", timespec="seconds")
    return f"{text[:-6]} {text[-6:]}"


@register.filter
def clock(moment: dt.datetime, zone: str) -> str:
    """14:03 +09:00: the time at a site, for what is true at this moment."""
    return stamp(moment, zone)[11:16] + stamp(moment, zone)[19:]


@register.filter
def day(value: dt.date | None) -> str:
    return value.isoformat() if value else ""


@register.simple_tag
def icon(name: str, title: str = "") -> SafeString:
    """An icon of the sprite; with a title only where it alone carries the meaning."""
    label = (
        format_html('role="img" aria-label="{}"', title)
        if title
        else SafeString('aria-hidden="true"')
    )
    return format_html(
        '<svg class="icon" {}><use href="{}#{}"></use></svg>', label, static("icons.svg"), name
    )


@register.filter
def visit_label(visit: Visit) -> str:
    """What the participant's protocol calls this visit."""
    return visit_title(protocol_of(visit.participant.version_id), visit)


@register.filter
def cohort_label(participant: Participant) -> str:
    """The group of the protocol; empty without one, and for what no group of it is."""
    cohorts = protocol_of(participant.version_id).cohort
    options = cohorts.options if cohorts else ()
    return next((said(each.label) for each in options if each.code == participant.cohort), "")


@register.simple_tag
def grid_cells(cells: Iterable[Sequence[Cell]], nothing: str = "") -> SafeString:
    """The cells of one row of a grid; `nothing` is said where there is none.

    A page holds hundreds, and a template takes ten times as long for them: with `grid_rows` this is
    the one piece of HTML that is written in Python. Every part is escaped or a number.
    """
    sprite, asked = static("icons.svg"), escape(_("Queries not closed"))
    glyph = f'<svg class="icon" aria-hidden="true"><use href="{sprite}#'
    found = []
    for place in cells:
        found.append("<td>")
        for cell in place:
            note = f" <small>{escape(cell.note)}</small>" if cell.note else ""
            queries = (
                f'<span class="queries">{glyph}q-open"></use></svg>'
                f'<span class="vh">{asked}</span> {int(cell.queries)}</span>'
                if cell.queries
                else ""
            )
            found.append(
                f'<a class="cell st-{escape(cell.status)}" href="{escape(cell.url)}">'
                f'{glyph}st-{escape(cell.status)}"></use></svg>'
                f"<span>{escape(cell.label)}</span>{note}{queries}</a>"
            )
        if nothing and not place:
            found.append(f'<span class="cell st-not_due" aria-label="{escape(nothing)}">–</span>')
        found.append("</td>")
    return mark_safe("".join(found))  # noqa: S308


@register.simple_tag
def grid_rows(rows: Iterable[PersonRow], columns: int) -> SafeString:
    """The rows of the grid of participants, as `grid_cells`."""
    found = []
    for row in rows:
        person, site = row.participant, row.site
        struck = ' class="voided-row"' if person.voided_at else ""
        found.append(
            f'<tr{struck}><th scope="row"><a class="site-tag site-{site.position % 8}"'
            f' href="{escape(row.url)}">{escape(row.number)}'
            f'<span class="vh"> {escape(site.short)}</span></a>'
        )
        if person.ended_on:
            found.append(f'<br><small class="soft">{escape(row.state)}</small>')
        found.append("</th>")
        if not row.cells:
            state = f'<span class="cell st-not_due">{escape(row.state)}</span>'
            found.append(f'<td colspan="{int(columns)}">{state}</td>')
        found.append(grid_cells([[cell] if cell else [] for cell in row.cells]))
        found.append("</tr>\n")
    return mark_safe("".join(found))  # noqa: S308


@register.inclusion_tag("_parts/banner.html", takes_context=True)
def banner(
    context: template.Context, participant: Participant, visit: Visit | None = None, form: str = ""
) -> dict[str, Any]:
    """Whose record a page is about: the same strip on every page of one participant."""
    request = context["request"]
    site = request.sites.get(participant.site_id) or participant.site
    cohorts = protocol_of(participant.version_id).cohort
    facts = [
        (_("Born"), participant.birth_year),
        (_("Sex"), participant.get_sex_display()),
        (_("Age at consent"), participant.age),
        (said(cohorts.label) if cohorts else "", cohort_label(participant)),
        (_("Visit"), visit_label(visit) if visit else ""),
        (_("Form"), form),
    ]
    return {
        "number": participant.number,
        "url": reverse("participant", args=[request.study.code, participant.pk]),
        "site_name": site.short,
        "stripe": site.position % 8,
        "facts": [{"label": label, "value": value} for label, value in facts if value != ""],
        "void": participant.voided_at is not None,
        "status": "void" if participant.voided_at else "",
    }
