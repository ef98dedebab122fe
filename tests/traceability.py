"""Writes which test proves which requirement: `make validation` makes docs/validation.md anew.

A pytest plugin that only collects. The sentences of the requirements are ours; the sections name
where each comes from.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAD = """# Validation: which test proves which requirement

Made by `make validation` from the tests' `requirement` marks; `make test` runs them all on real
PostgreSQL, Redis, Celery and Chromium. Requirements without a test here are not claimed.

| ID | Requirement | Source | Tests |
|---|---|---|---|
"""


def requirements() -> dict[str, tuple[str, str]]:
    """ID → (our sentence, source) of `tests/requirements.csv`."""
    with (ROOT / "tests" / "requirements.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: (row["requirement"], row["source"]) for row in csv.DictReader(file)}


def pytest_collection_finish(session: pytest.Session) -> None:
    known, proofs = requirements(), defaultdict(set)
    for item in session.items:
        for mark in item.iter_markers("requirement"):
            for name in mark.args:
                if name not in known:
                    raise pytest.UsageError(f"{item.nodeid} names {name}, which is no requirement")
                proofs[name].add(item.nodeid.partition("[")[0].replace("tests/", "", 1))
    lines = [
        f"| {name} | {known[name][0]} | {known[name][1]} | "
        + "<br>".join(f"`{test}`" for test in sorted(tests))
        + " |"
        for name, tests in sorted(proofs.items())
    ]
    (ROOT / "docs" / "validation.md").write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
