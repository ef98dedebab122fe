"""What visits are called on every page, in the reader's language."""

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from registry.models import Visit
from registry.protocol import UNSCHEDULED, Protocol


def visit_title(protocol: Protocol, visit: Visit) -> str:
    if visit.code == UNSCHEDULED:
        return _("Unscheduled visit %(number)d") % {"number": visit.number}
    return protocol.visit(visit.code).label.get(get_language() or "ko")
