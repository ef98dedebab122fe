"""Printing: the type that is there, text that it can show, and the process that lays it out.

A machine without Korean type prints boxes, while the text inside the PDF still reads perfectly, and
nobody would notice until somebody looks at the paper. So the families are asked for by name, a
missing one is an error in words, and a character that no family has is printed as its number
instead of as whatever another font holds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _
from fontTools.ttLib import TTFont

from sites.access import Refused

# In the order of document.css. The first two come with fonts-nanum, the third with fonts-noto-cjk.
FAMILIES = ("NanumBarunGothic", "NanumGothic", "Noto Sans CJK KR")
LONGEST = 1200.0  # seconds for one document
LOOK = 2.0  # seconds between two looks at whether it is still wanted
# What looks the same and is in every family.
ALIKE = str.maketrans({"\u00b5": "\u03bc", "\u2212": "-", "\u2010": "-", "\u2011": "-"})
_SPACES = frozenset("\n\r\t")


@dataclass(frozen=True)
class Font:
    """A family that is installed, and the file of its regular weight."""

    family: str
    file: str
    index: int

    @property
    def characters(self) -> Collection[int]:
        with TTFont(self.file, fontNumber=self.index, lazy=True) as font:
            return frozenset(font.getBestCmap())


@cache
def fonts() -> tuple[Font, ...]:
    """The families that this machine has; refused without one that has Hangul."""
    found = tuple(font for family in FAMILIES if (font := _installed(family)))
    if not found:
        raise Refused(
            _(
                "The server has no Korean type for documents. Whoever runs it must install the"
                " package fonts-nanum (or fonts-noto-cjk)."
            )
        )
    return found


def _installed(family: str) -> Font | None:
    """What fontconfig would take for a family, if that is the family itself."""
    asked = ["fc-match", "--format", "%{family}\n%{file}\n%{index}", family]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    names, file, index = said.split("\n")
    # The lower half is the face within a collection; the upper one names a variable instance.
    return Font(family, file, int(index) & 0xFFFF) if family in names.split(",") else None


@cache
def _characters() -> frozenset[int]:
    return frozenset().union(*(font.characters for font in fonts()))


def printable(text: str) -> str:
    """The text, with a character that no family has as its number: 〔U+1F600〕."""
    known = _characters()
    return "".join(
        letter if ord(letter) in known or letter in _SPACES else f"〔U+{ord(letter):04X}〕"
        for letter in text.translate(ALIKE)
    )


def print_to(path: Path, html: str, alive: Callable[[], None] = lambda: None) -> int:
    """Write the PDF and give its number of pages; `alive` may raise to give it up."""
    with tempfile.TemporaryFile() as given:
        given.write(printable(html).encode())
        given.seek(0)
        with subprocess.Popen(
            [sys.executable, "-m", "exports.documents.renderer", str(path)],
            cwd=settings.BASE_DIR,
            env=_environment(),
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                said, complaint = _watched(process, alive)
            finally:
                process.kill()
    if process.returncode:
        last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        raise RuntimeError(f"the document was not laid out ({process.returncode}): {last}")
    return int(said)


def _watched(process: subprocess.Popen[bytes], alive: Callable[[], None]) -> tuple[bytes, bytes]:
    end = time.monotonic() + LONGEST
    while True:
        try:
            return process.communicate(timeout=LOOK)
        except subprocess.TimeoutExpired:
            alive()
            if time.monotonic() > end:
                raise RuntimeError("the document took too long to lay out") from None


def _environment() -> dict[str, str]:
    """What the printing process is told: nothing about databases and keys."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {"LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}
