"""HTML that is the same for many requests: rendered once, with a mark wherever they differ."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.safestring import SafeString

# Control characters are taken out of every text before it is stored, so no value looks like a mark.
_MARK = re.compile("\x01([^\x02]*)\x02")


@dataclass(frozen=True)
class Skeleton:
    """A rendered template: its pieces, with an empty one for each mark, and where the marks are."""

    pieces: tuple[str, ...]
    marks: tuple[tuple[int, str], ...]

    @classmethod
    def of(cls, html: str) -> Skeleton:
        pieces = _MARK.split(html)
        marks = tuple((place, pieces[place]) for place in range(1, len(pieces), 2))
        for place, _name in marks:
            pieces[place] = ""
        return cls(tuple(pieces), marks)

    def filled(self, values: Mapping[str, str]) -> SafeString:
        """The HTML with these values, which are escaped already, at its marks."""
        pieces = list(self.pieces)
        for place, name in self.marks:
            value = values.get(name)
            if value:
                pieces[place] = value
        return SafeString("".join(pieces))


class Marks(dict[str, str]):
    """`{{ mark.history_url }}` in a template: a place that every page fills."""

    def __missing__(self, name: str) -> str:
        return f"\x01{name}\x02"
