"""Who may: one table from role to permissions, and what one person may not hold at one site.

Roles are code, so that changing one is a reviewed commit; memberships are data, so that giving
one is a recorded act. *When* an action is possible is `crf.workflow`, not this module.
"""

from collections.abc import Iterable

from django.db import models
from django.utils.translation import gettext_lazy as _


class Permission(models.TextChoices):
    """What a route asks of the person who calls it, at the site whose rows it touches."""

    SIGNED_IN = "signed_in", _("Be signed in")  # no study data: home, own account
    SEE_DATA = "see_data", _("See participants by number, forms and adverse events")
    SEE_IDENTITY = "see_identity", _("See names, birth dates and chart numbers")
    SEE_TRAIL = "see_trail", _("See who changed what")
    ENTER = "enter", _("Enter and correct data, answer queries")
    QUERY = "query", _("Ask and close queries")
    VERIFY = "verify", _("Verify forms against their source")
    REVIEW_EVENTS = "review_events", _("Review adverse events")
    SIGN = "sign", _("Sign participants")
    LOCK = "lock", _("Lock and unlock sites")
    RELEASE = "release", _("Make and download datasets")
    USE_API = "use_api", _("Make API tokens of one's own")
    ALLOCATE = "allocate", _("Allocate participants to an arm")
    SEE_ARM = "see_arm", _("See the arm of a participant")
    SEE_STUDY = "see_study", _("See protocol, approvals and people")
    MANAGE_PEOPLE = "manage_people", _("Invite people and give roles")
    MANAGE_SITES = "manage_sites", _("Record approvals")
    SEE_ACCESS = "see_access", _("See the access log")


class Role(models.TextChoices):
    COORDINATOR = "coordinator", _("Site coordinator")
    INVESTIGATOR = "investigator", _("Investigator")
    MONITOR = "monitor", _("Monitor")
    DATA_MANAGER = "data_manager", _("Data manager")
    SAFETY_OFFICER = "safety_officer", _("Safety officer")
    ADMINISTRATOR = "administrator", _("Administrator")
    AUDITOR = "auditor", _("Auditor")


P = Permission
_READ = {P.SEE_STUDY, P.SEE_DATA, P.SEE_TRAIL}
_WORK = {*_READ, P.USE_API}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.COORDINATOR: frozenset({*_WORK, P.SEE_IDENTITY, P.ENTER}),
    Role.INVESTIGATOR: frozenset({*_WORK, P.SEE_IDENTITY, P.ENTER, P.SIGN, P.ALLOCATE, P.SEE_ARM}),
    Role.MONITOR: frozenset({*_WORK, P.QUERY, P.VERIFY, P.REVIEW_EVENTS}),
    Role.DATA_MANAGER: frozenset({*_WORK, P.QUERY, P.LOCK, P.RELEASE}),
    Role.SAFETY_OFFICER: frozenset({*_WORK, P.QUERY, P.REVIEW_EVENTS, P.SEE_ARM}),
    Role.ADMINISTRATOR: frozenset({P.SEE_STUDY, P.MANAGE_PEOPLE, P.MANAGE_SITES, P.SEE_ACCESS}),
    Role.AUDITOR: frozenset({*_READ, P.SEE_ACCESS, P.SEE_ARM}),
}

# Separation of duties (EMA 2023 annex 3; DESIGN 2.8): who enters data neither verifies nor locks
# it, and who hands out access holds no clinical permission.
FORBIDDEN: tuple[tuple[Permission, frozenset[Permission]], ...] = (
    (P.ENTER, frozenset({P.VERIFY, P.LOCK, P.REVIEW_EVENTS})),
    (P.MANAGE_PEOPLE, frozenset(P) - PERMISSIONS[Role.ADMINISTRATOR] - {P.SIGNED_IN}),
)


def permissions(roles: Iterable[str]) -> frozenset[Permission]:
    """Everything that these roles together allow at one site."""
    return frozenset().union(*(PERMISSIONS[Role(role)] for role in roles))


def forbidden_pairs(roles: Iterable[str]) -> list[tuple[Role, Role]]:
    """Pairs of these roles that one person may not hold at one site."""
    held = sorted({Role(role) for role in roles})
    return [
        (one, other)
        for position, one in enumerate(held)
        for other in held[position + 1 :]
        if any(
            (duty in PERMISSIONS[a] and against & PERMISSIONS[b])
            for a, b in ((one, other), (other, one))
            for duty, against in FORBIDDEN
        )
    ]
