"""What visits are called on every page, in the reader's language."""

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from registry.models import Visit
from registry.protocol import UNSCHEDULED, Protocol
from registry.services import planned_visit


def visit_title(protocol: Protocol, visit: Visit) -> str:
    if visit.code == UNSCHEDULED:
        return _("Unscheduled visit %(number)d") % {"number": visit.number}
    planned = next((each for each in protocol.visits if each.code == visit.code), None)
    # An amendment may have dropped a visit that this participant has.
    planned = planned or planned_visit(protocol.code, visit.code)
    return planned.label.get(get_language() or "ko") if planned else visit.code
