"""Finished files: out of the web server's reach, each under its SHA-256, whole or not there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from django.conf import settings


def folder(name: str) -> Path:
    path = Path(settings.DATA_DIR) / name
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def synced(path: Path) -> tuple[str, int]:
    """Make sure that every byte is on the disk; the digest and the size of what is there."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


def keep(part: Path, path: Path) -> None:
    """Give a finished file its name: it appears whole, or not at all."""
    part.replace(path)
    directory = os.open(part.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
