"""When a serious adverse event must be reported, from the day on which the site became aware of it.

No statutory deadline was found for serious adverse events in a purely observational registry: the
protocol approved by the IRB and the IRB's own procedures govern. The days are therefore
configuration of the study, and a site may have its own. The defaults follow ICH E2A, Korea's rule
for clinical trials (의약품 등의 안전에 관한 규칙 별표 4) and hospital IRBs: 7 calendar days for
death and life-threatening events with a follow-up 8 days later, 15 for other serious events.

The day of awareness is day 0, and days are calendar days in the site's own time zone. An event that
becomes more serious has a new clock from the day on which that became known: ask again with it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from safety.codes import SERIOUSNESS

CRITERIA = frozenset(criterion.code for criterion in SERIOUSNESS)
FATAL = frozenset({"died", "life_threatening"})


@dataclass(frozen=True)
class Rules:
    """Calendar days: for death and life-threatening, from there to its follow-up, for the rest."""

    fatal_days: int = 7
    followup_days: int = 8
    serious_days: int = 15


DEFAULT_RULES = Rules()


@dataclass(frozen=True)
class Deadline:
    """The last days on which the report, and the follow-up where one is asked for, are in time."""

    report_by: date
    followup_by: date | None = None


def deadline(
    serious_criteria: Collection[str], *, aware_on: date, rules: Rules = DEFAULT_RULES
) -> Deadline | None:
    """What is due for an event that meets these criteria; None when it meets none."""
    unknown = set(serious_criteria) - CRITERIA
    if unknown:
        raise ValueError(f"There is no seriousness criterion {min(unknown)!r}.")
    if isinstance(aware_on, datetime):
        raise ValueError("The day of awareness must be a date, the site's own day.")
    if not serious_criteria:
        return None
    if not FATAL.isdisjoint(serious_criteria):
        report_by = aware_on + timedelta(days=rules.fatal_days)
        return Deadline(report_by, report_by + timedelta(days=rules.followup_days))
    return Deadline(aware_on + timedelta(days=rules.serious_days))
