"""A PDF as tests read it: its pages as text, its bookmarks, its fonts, its pictures."""

from __future__ import annotations

import contextlib
import re
import subprocess
import unicodedata
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def squashed(text: str) -> str:
    """Without spaces, which a line break may have put anywhere."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFC", text))


class Paper:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.pages = said("pdftotext", "-layout", str(path), "-").split("\f")[:-1]
        # In the order in which it was laid out, so that a cell that breaks stays together.
        self.text = squashed(said("pdftotext", "-raw", str(path), "-"))

    def holds(self, text: str) -> bool:
        return squashed(text) in self.text

    @property
    def fonts(self) -> list[tuple[str, bool]]:
        """(name without the prefix of its subset, whether it is embedded)"""
        lines = said("pdffonts", str(self.path)).splitlines()[2:]
        return [(line.split()[0].partition("+")[2], line.split()[-5] == "yes") for line in lines]

    @property
    def bookmarks(self) -> str:
        """The titles in the outline, as the PDF names its destinations."""
        content = b"".join(_plain(self.path.read_bytes()))
        titles = re.findall(rb"/Title \(((?:\\.|[^\\)])*)\)|/Title <([0-9a-fA-F]+)>", content)
        return "\n".join(_decoded(plain, coded) for plain, coded in titles)

    def picture(self, page: int, folder: Path, dots: int = 60) -> Image.Image:
        stem = folder / f"page-{page}"
        number = str(page)
        command = ["pdftoppm", "-r", str(dots), "-f", number, "-l", number, "-singlefile", "-png"]
        said(*command, str(self.path), str(stem))
        with Image.open(stem.with_suffix(".png")) as image:
            return image.convert("L")


def _plain(content: bytes) -> Iterator[bytes]:
    """What stands in a PDF, with its streams unpacked."""
    yield content
    for packed in re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL):
        with contextlib.suppress(zlib.error):
            yield zlib.decompressobj().decompress(packed)


def _decoded(plain: bytes, coded: bytes) -> str:
    if coded:
        return bytes.fromhex(coded.decode()).decode("utf-16")
    raw = re.sub(rb"\\([()\\])", rb"\1", plain)
    raw = re.sub(rb"\\(\d{3})", lambda match: bytes([int(match[1], 8)]), raw)
    return raw.decode("utf-16") if raw.startswith(b"\xfe\xff") else raw.decode("latin-1")
