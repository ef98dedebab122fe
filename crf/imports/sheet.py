"""From the bytes of a CSV or XLSX file to lines of text, trusting nothing that the file says.

Extension and content must agree, what is unpacked is measured before it is unpacked, and XML with
declarations of its own is refused. Formulas stay the text that they are: nothing is computed.
A file that holds what reads as a resident registration number is refused whole (K06).
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import unicodedata
import warnings
import zipfile
from dataclasses import dataclass
from typing import Any

import openpyxl
from django.utils.translation import gettext as _

from registry.identity import has_resident_number
from sites.access import Refused

# Counts up whenever the same bytes could be read as other lines.
PARSER = f"1 (openpyxl {openpyxl.__version__})"
LARGEST = 5 * 1024 * 1024
UNPACKED = 60 * 1024 * 1024
PARTS = 300  # files within an XLSX
LINES = 5000
COLUMNS = 200
CELL = 4000  # letters
NAME = 100
_ZIP, _DELIMITERS = b"PK\x03\x04", ",;\t"
_ALLOWED = {"\n", "\r", "\t"}


@dataclass(frozen=True)
class Sheet:
    """The headers, and every line with its number in the file; all cells are text."""

    headers: list[str]
    lines: list[tuple[int, list[str]]]
    encoding: str

    def column(self, header: str) -> int:
        return self.headers.index(header)


def read_sheet(name: str, content: bytes) -> Sheet:
    """The lines of a file; `Refused` says in a sentence why it can't be taken."""
    if not content:
        raise _refused(_("The file is empty."))
    if len(content) > LARGEST:
        raise _refused(
            _("The file is larger than %(most)d MB.") % {"most": LARGEST // 1024 // 1024}
        )
    ending, packed = name.lower().rpartition(".")[2], content.startswith(_ZIP)
    if ending == "xlsx" and packed:
        numbered, encoding = _workbook(content), "xlsx"
    elif ending == "csv" and not packed:
        text, encoding = _decoded(content)
        numbered = _separated(text)
    elif ending in ("csv", "xlsx"):
        raise _refused(
            _("The content is not what the name says. Please save the list as CSV or XLSX again.")
        )
    else:
        raise _refused(_("Please choose a CSV file or an Excel workbook (.xlsx)."))
    return _checked(numbered, encoding)


def file_name(name: str) -> str:
    """The name of a file as it is shown: its last part, plain, never a path."""
    last = unicodedata.normalize("NFC", name.replace("\\", "/").rpartition("/")[2])
    plain = "".join(c for c in last if unicodedata.category(c)[0] != "C").strip()
    if has_resident_number(plain):
        raise _refused(
            _("The name of the file looks as if it held a resident registration number.")
        )
    return plain[-NAME:]


def _refused(sentence: str) -> Refused:
    return Refused(sentence, "file")


def _checked(numbered: list[tuple[int, list[str]]], encoding: str) -> Sheet:
    filled = [(number, cells) for number, cells in numbered if any(cells)]
    if len(filled) < 2:
        raise _refused(_("The file has no lines below its headings."))
    if len(filled) > LINES + 1:
        raise _refused(
            _("The file has more than %(most)d lines. Please divide it.") % {"most": LINES}
        )
    headers = filled[0][1]
    while headers and not headers[-1]:
        headers = headers[:-1]
    if len(headers) > COLUMNS:
        raise _refused(_("The file has more than %(most)d columns.") % {"most": COLUMNS})
    named = [header for header in headers if header]
    twice = next((header for header in named if named.count(header) > 1), None)
    if twice:
        raise _refused(_("Two columns are called “%(name)s”.") % {"name": twice[:40]})
    width = len(headers)
    lines = [(number, [*cells, *[""] * width][:width]) for number, cells in filled[1:]]
    _refuse_content(filled)
    return Sheet(headers, lines, encoding)


def _refuse_content(filled: list[tuple[int, list[str]]]) -> None:
    found = [number for number, cells in filled if has_resident_number("\x1f".join(cells))]
    if found:
        places = ", ".join(map(str, found[:10])) + (" …" if len(found) > 10 else "")
        raise _refused(
            _(
                "Lines with what looks like a resident registration number: %(lines)s. Nothing was"
                " kept. Please remove that column from the list and choose the file again."
            )
            % {"lines": places}
        )
    long = next((n for n, cells in filled if any(len(cell) > CELL for cell in cells)), None)
    if long:
        raise _refused(
            _("A cell of line %(line)d has more than %(most)d characters.")
            % {"line": long, "most": CELL}
        )


# CSV --------------------------------------------------------------------------------------------


def _decoded(content: bytes) -> tuple[str, str]:
    """UTF-8 with or without a byte order mark, else what Korean Excel writes."""
    for encoding in ("utf-8-sig", "cp949"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not any(unicodedata.category(c) == "Cc" and c not in _ALLOWED for c in text):
            return text, encoding
        break
    raise _refused(
        _("This is not text in UTF-8 or CP949. Please save the list as “CSV UTF-8” or XLSX.")
    )


def _separated(text: str) -> list[tuple[int, list[str]]]:
    head = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found, line = [], 1
    try:
        for cells in reader:
            found.append((line, [cell.strip() for cell in cells]))
            line = reader.line_num + 1
            if len(found) > 2 * LINES:
                break
    except csv.Error:
        raise _refused(
            _("Line %(line)d can't be read: its quotes or separators do not fit.") % {"line": line}
        ) from None
    return found


# XLSX -------------------------------------------------------------------------------------------


def _workbook(content: bytes) -> list[tuple[int, list[str]]]:
    """The lines of the first sheet."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _refuse_archive(archive)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and extensions, which nobody reads
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=False)
            try:
                return _sheet_lines(book.worksheets[0])
            finally:
                book.close()
    except Refused:
        raise
    except Exception:  # whatever a broken file does to the parser
        raise _refused(
            _("This workbook can't be read. Please save it as XLSX again, without a password.")
        ) from None


def _refuse_archive(archive: zipfile.ZipFile) -> None:
    parts = archive.infolist()
    if len(parts) > PARTS or sum(part.file_size for part in parts) > UNPACKED:
        raise _refused(_("This workbook is too large when it is unpacked."))
    for part in parts:
        with archive.open(part) as file:
            held = file.read(part.file_size + 1)  # never more than it admitted to
        if len(held) > part.file_size:
            raise _refused(_("This workbook is too large when it is unpacked."))
        plain = held[:2] not in (b"\xff\xfe", b"\xfe\xff")
        if part.filename.lower().endswith((".xml", ".rels")) and (
            not plain or b"<!DOCTYPE" in held or b"<!ENTITY" in held
        ):
            raise _refused(_("This workbook holds declarations that a list never needs."))


def _sheet_lines(sheet: Any) -> list[tuple[int, list[str]]]:
    found: list[tuple[int, list[str]]] = []
    rows = sheet.iter_rows(values_only=True, max_col=COLUMNS + 1)
    for number, values in enumerate(rows, start=1):
        cells = [_text(value) for value in values]
        if any(cells):
            found.append((number, cells))
        if len(found) > LINES + 1 or number > 20 * LINES:
            break
    return found


def _text(value: Any) -> str:
    """A cell as text: whole numbers without “.0”, dates as ISO, formulas as they are written."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    if isinstance(value, dt.datetime):
        return value.isoformat(" ", "minutes")
    return str(value).strip()
