"""A study's whole definition: its protocol with every instrument that it names.

This is what is published: the canonical JSON is stored and hashed, and read back from there at run
time. It holds every value, defaults too, so that a default which changes in the code can't change
what was published.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

from crf.instrument.items import Instrument
from registry.protocol import Part, Protocol


class Definition(Part):
    protocol: Protocol
    instruments: dict[str, Instrument]

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Self:
        """The definition from what was published. It was checked then, and is not checked again."""
        return cls.model_validate(content)

    def instrument(self, code: str) -> Instrument:
        return self.instruments[code]

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(canonical(self).encode()).hexdigest()


def canonical(definition: Definition) -> str:
    """The one JSON text of a definition: sorted keys, no spaces, letters as they are."""
    content = definition.model_dump(mode="json")
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
