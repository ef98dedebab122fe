"""What happens to a study and its participants: every write of the spine, one function each.

Functions are keyword-only, end in `by=`, and say *when* an act is possible; *who* may act was
settled by the route. A refusal is a sentence for the person; nothing is ever deleted.
"""

from registry.services.amendments import approve
from registry.services.drivers import Changes, Impact, change_drivers, impact
from registry.services.participants import (
    Consented,
    ConsentGiven,
    NewParticipant,
    add_consent,
    allocate,
    assess,
    consent,
    end_study,
    enrol,
    prescreen,
    screen,
    void_consent,
    void_participant,
    withdraw,
)
from registry.services.schedule import add_visit, mark_missed, record_visit, void_visit
from registry.services.study import (
    Published,
    approved_at,
    planned_visit,
    protocol_of,
    publish,
    require_new_label,
    version_at,
    versions_at,
    versions_until,
)

__all__ = [
    "Changes",
    "ConsentGiven",
    "Consented",
    "Impact",
    "NewParticipant",
    "Published",
    "add_consent",
    "add_visit",
    "allocate",
    "approve",
    "approved_at",
    "assess",
    "change_drivers",
    "consent",
    "end_study",
    "enrol",
    "impact",
    "mark_missed",
    "planned_visit",
    "prescreen",
    "protocol_of",
    "publish",
    "record_visit",
    "require_new_label",
    "screen",
    "version_at",
    "versions_at",
    "versions_until",
    "void_consent",
    "void_participant",
    "void_visit",
    "withdraw",
]
