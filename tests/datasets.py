"""A dataset as its reader opens it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exports.release import Built, build
from sites.models import Site


@dataclass(frozen=True)
class Dataset:
    """The files of an archive, read back."""

    path: Path

    @property
    def files(self) -> dict[str, bytes]:
        with zipfile.ZipFile(self.path) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}

    @property
    def manifest(self) -> dict[str, Any]:
        return dict(json.loads(self.files["manifest.json"]))

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def rows(self, name: str) -> list[dict[str, str]]:
        text = self.files[name].decode()
        return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))

    def row(self, name: str, **wanted: str) -> dict[str, str]:
        (found,) = [row for row in self.rows(name) if wanted.items() <= row.items()]
        return found

    def columns(self, name: str) -> list[str]:
        return next(csv.reader([self.files[name].decode().splitlines()[0]]))


def make(sites: Iterable[Site], path: Path) -> tuple[Dataset, Built]:
    """The dataset of these sites, as the job and the command build it."""
    sites = list(sites)
    built = build(sites[0].study, [site.pk for site in sites], path)
    return Dataset(path), built
