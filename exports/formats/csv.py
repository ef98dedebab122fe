"""CSV as RFC 4180 has it: comma, double quotes where needed, CRLF, UTF-8 without a mark.

These are analysis files: every value stands as it is stored, so that a statistics program reads
back exactly what was entered. A text that begins with = + - @ is *not* defused for a spreadsheet
program (S10); README.txt in the archive says so. An empty cell is "no value", "" an empty text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from psycopg.abc import Buffer

EXTENSION = "csv"
CHUNK = 64 * 1024
END = b"\r\n"


def copying(query: str) -> str:
    """The statement with which PostgreSQL writes the rows of a query in this format."""
    return f"COPY ({query}) TO STDOUT (FORMAT csv)"


def header(names: Sequence[str]) -> bytes:
    return ",".join(names).encode() + END


def lines(rows: Iterable[Buffer]) -> Iterator[tuple[bytes, int]]:
    """What PostgreSQL sends row by row, ending in LF, as larger pieces with their row count."""
    piece: list[bytes] = []
    size = 0
    for row in rows:
        piece.append(bytes(row)[:-1])
        size += len(row)
        if size >= CHUNK:
            yield END.join(piece) + END, len(piece)
            piece, size = [], 0
    if piece:
        yield END.join(piece) + END, len(piece)


def written(names: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A small table that is made here and not by the database, such as the codebook."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows(rows)
    return file.getvalue().encode()
