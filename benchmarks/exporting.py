"""A dataset of 60,000 participants, five visits and four forms, against what COPY alone needs.

Each side runs in a process of its own, which times its work and reads its own memory; so does this
module when it is run: `python -m benchmarks.exporting build|copy|forms|typed`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django

if __name__ == "__main__":
    django.setup()

from benchmarks import databases, measure
from benchmarks.measure import Row, by_turns
from benchmarks.stage import Stage
from crf.definitions import definition_of
from exports.archive import Archive
from exports.formats import csv
from exports.release import build
from exports.snapshot import snapshot
from exports.tables import Table, tables
from registry.models import ProtocolVersion
from sites.models import Study

SITES = 6  # of ten, with 10,000 participants each
CASTS = {"integer": "int", "decimal": "numeric", "date": "date"}


def export(stage: Stage) -> Iterator[Row]:
    """Time, rows a second and memory of an export."""
    _make_typed_tables(stage.many)
    found: dict[str, Any] = {}

    def seconds(what: str) -> float:
        found[what] = _run(what, stage.many)
        return float(found[what]["seconds"])

    rounds = 1 if stage.quick else 3
    base, own, ratio = by_turns(
        lambda: seconds("copy"), lambda: seconds("build"), rounds, warm=False
    )
    yield Row("export against COPY of its queries", "s", base, own, ratio, limit=1.3)
    base, own, ratio = by_turns(
        lambda: found_rate(seconds("typed"), found["typed"]),
        lambda: found_rate(seconds("forms"), found["forms"]),
        rounds,
        warm=False,
    )
    about = "{rows:,} rows of {columns} columns on average".format(**found["forms"])
    yield Row(
        "its forms against COPY of typed tables",
        "rows/s",
        base,
        own,
        ratio,
        limit=0.25,
        best="high",
        note=about,
    )
    idle, peak = (found["build"][name] / 1024 for name in ("idle", "peak"))
    yield Row("memory of an export above idle", "MiB", idle, peak, peak - idle, limit=64)


def found_rate(seconds: float, about: dict[str, Any]) -> float:
    return float(about["rows"]) / seconds


def _run(what: str, database: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.exporting", what],
        env=databases.environment(database) | {"DJANGO_SETTINGS_MODULE": "registry.settings"},
        cwd=databases.HERE.parent,
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# In the process of one side ----------------------------------------------------------------------


def _scope() -> tuple[Study, list[int]]:
    study = Study.objects.get(code="bench")
    return study, [site.pk for site in study.sites.order_by("position")[:SITES]]


def _plan(study: Study) -> list[Table]:
    return tables([definition_of(ProtocolVersion.objects.get(study=study).pk)])


def _forms(plan: list[Table]) -> list[Table]:
    return [
        each for each in plan if each.name.startswith("forms/") and "screening" not in each.name
    ]


def _typed(table: Table) -> str:
    return f"typed_{Path(table.name).stem}"


def _copied(statements: list[str], sites: list[int]) -> int:
    rows = 0
    with snapshot(sites) as shot:
        for statement in statements:
            for _row in shot.rows(statement):
                rows += 1
    return rows


def _work(what: str, folder: Path) -> tuple[int, int]:
    """Rows and columns that were written, for the sides that are counted in rows."""
    study, sites = _scope()
    plan = _plan(study)
    forms = _forms(plan)
    columns = sum(len(table.columns) for table in forms) // len(forms)
    if what == "build":
        build(study, sites, folder / "dataset.zip")
        return 0, 0
    if what == "copy":
        return _copied([csv.copying(table.query(sites)) for table in plan], sites), 0
    if what == "typed":
        whole = [f"COPY {_typed(table)} TO STDOUT (FORMAT csv)" for table in forms]
        return _copied(whole, sites), columns
    with snapshot(sites) as shot, Archive(folder / "forms.zip") as archive:
        for table in forms:
            lines = csv.lines(shot.rows(csv.copying(table.query(sites))))
            archive.add(table.name, lines, columns=len(table.columns))
        return sum(file["rows"] for file in archive.files), columns


def _make_typed_tables(database: str) -> None:
    """Tables with the values of the forms in typed columns, one table for each form."""
    databases.point(database)
    study, sites = _scope()
    with databases.superuser(database) as server:
        for table in _forms(_plan(study)):
            name = _typed(table)
            if server.execute("SELECT to_regclass(%s)", [name]).fetchone() != (None,):
                continue
            names = ", ".join(
                f'"{column.name}"::{CASTS.get(column.type, "text")}' for column in table.columns
            )
            query = table.query(sites)
            made = f"CREATE TABLE {name} AS SELECT {names} FROM ({query}) AS q"  # noqa: S608
            server.execute(made)
            server.execute(f"GRANT SELECT ON {name} TO edc_app")
            server.execute(f"VACUUM ANALYZE {name}")


def main(what: str) -> None:
    _scope()  # a process that is idle has a connection
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    idle, _peak = measure.own_memory(os.getpid())
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        rows, columns = _work(what, Path(folder))
        seconds = time.perf_counter() - started
    _now, peak = measure.own_memory(os.getpid())
    print(
        json.dumps(
            {"seconds": seconds, "rows": rows, "columns": columns, "idle": idle, "peak": peak}
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
