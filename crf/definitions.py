"""The definition under which an entry was written, read from what was published."""

from __future__ import annotations

import json
from functools import lru_cache

from crf.instrument import Definition, Instrument
from crf.models import Entry
from registry.models import ProtocolVersion


@lru_cache(maxsize=64)
def definition_of(version_id: int) -> Definition:
    """A published definition; parsed once per process, since it never changes."""
    content = ProtocolVersion.objects.values_list("content", flat=True).get(pk=version_id)
    return Definition.from_content(json.loads(content))


def instrument_of(entry: Entry) -> Instrument:
    return definition_of(entry.version_id).instrument(entry.instrument)
