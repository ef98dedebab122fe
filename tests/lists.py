"""Lists as a laboratory or a questionnaire service would send them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any

import openpyxl

from crf.models import Import
from crf.services.imports import plan_of, set_mapping, upload
from sites.audit import Actor
from sites.models import Site

MAP: dict[str, Any] = {
    "columns": {
        "대상자번호": {"to": "subject"},
        "방문": {"to": "visit"},
        "통증": {"to": "nrs.pain"},
    },
    "missing": {"미시행": "not_done"},
}


def csv(
    *lines: Sequence[Any],
    head: Iterable[str] = ("대상자번호", "방문", "통증"),
    encoding: str = "utf-8",
) -> bytes:
    rows = [",".join(map(str, line)) for line in (tuple(head), *lines)]
    return ("\r\n".join(rows) + "\r\n").encode(encoding)


def xlsx(*lines: Sequence[Any], head: Iterable[str] = ("대상자번호", "방문", "통증")) -> bytes:
    book = openpyxl.Workbook()
    for line in (tuple(head), *lines):
        book.worksheets[0].append(list(line))
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def repacked(content: bytes, **parts: bytes) -> bytes:
    """A workbook with some of its parts replaced or added."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            if name not in parts:
                new.writestr(name, old.read(name))
        for name, part in parts.items():
            new.writestr(name, part)
    return file.getvalue()


def brought(
    site: Site, content: bytes, by: Actor, mapping: Any = None, name: str = "list.csv"
) -> Import:
    """A list with its columns told."""
    record = upload(site=site, name=name, content=content, by=by)
    return set_mapping(record=record, mapping=mapping or MAP, by=by)


def shown(record: Import) -> list[tuple[int, str]]:
    return [(row.line, row.state) for row in plan_of(record).rows]
