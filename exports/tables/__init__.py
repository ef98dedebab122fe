"""Which files a dataset holds: from the published protocol alone, without asking the database.

Every form is one file whose columns are those of all the protocol's versions, so that a dataset
made under two versions has one shape. Labels are given in both languages, since they are part of
the dataset and not of a screen.
"""

from __future__ import annotations

from collections.abc import Sequence

from crf.instrument import Definition
from exports.tables.columns import Codes, Column, Table, Type
from exports.tables.forms import form_table, instruments
from exports.tables.long import long
from exports.tables.safety import adverse_events
from exports.tables.spine import participants, queries, visit_codes, visits, voided, withdrawn
from exports.tables.wide import wide

__all__ = ["Codes", "Column", "Table", "Type", "tables"]


def tables(definitions: Sequence[Definition]) -> list[Table]:
    """The files of a dataset in their order; `definitions` are the versions, oldest first."""
    newest = definitions[-1].protocol
    study, codes = newest.code, visit_codes(definitions)
    beside_visits = {each.protocol.screening for each in definitions}
    known_by = tuple(each.protocol.version for each in definitions)
    beside_visits |= {log.instrument for each in definitions for log in each.protocol.logs}
    return [
        participants(study, definitions),
        visits(study, definitions),
        *(
            form_table(study, versions, () if code in beside_visits else codes, known_by)
            for code, versions in instruments(definitions).items()
        ),
        adverse_events(study),
        long(study, definitions),
        wide(study, definitions),
        queries(study, definitions),
        withdrawn(study),
        voided(study),
    ]
