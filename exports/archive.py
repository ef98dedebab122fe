"""A ZIP that comes out byte for byte the same from the same content.

No clock time, no owner, one permission, one compression level: all that could differ between two
runs is fixed. Files are streamed into it one after the other, and counted and hashed on the way.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

# Compressed bytes depend on the library too, so that its version is part of the builder's.
COMPRESSION = f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
LEVEL = 4  # twice as fast as the default, and a twentieth larger
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that the format can say


class Archive:
    """The ZIP while it is written; `files` says what is in it so far."""

    def __init__(self, path: Path) -> None:
        self.files: list[dict[str, Any]] = []
        self._zip = zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED, compresslevel=LEVEL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()

    def add(
        self,
        name: str,
        pieces: Iterable[tuple[bytes, int]],
        *,
        columns: int | None = None,
        each: Callable[[], None] = lambda: None,
    ) -> None:
        """Write a file from pieces with their number of rows; `each` is called after each piece."""
        about = zipfile.ZipInfo(name, EPOCH)
        about.compress_type, about.create_system = zipfile.ZIP_DEFLATED, 3
        about.external_attr = 0o644 << 16
        digest, size, rows = hashlib.sha256(), 0, 0
        with self._zip.open(about, "w", force_zip64=True) as file:
            for piece, count in pieces:
                digest.update(piece)
                file.write(piece)
                size, rows = size + len(piece), rows + count
                each()
        described: dict[str, Any] = {"name": name}
        if columns is not None:
            described |= {"rows": rows, "columns": columns}
        self.files.append(described | {"bytes": size, "sha256": digest.hexdigest()})
