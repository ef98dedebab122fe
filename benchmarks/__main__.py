"""`python -m benchmarks [ROW…]`: every figure of what people wait for, beside its floor.

--quick   few rounds, and 600 participants where 100,000 are meant: to try the benchmark itself
"""

from __future__ import annotations

import argparse
import os
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry.settings")
os.environ.setdefault("LOG_LEVEL", "WARNING")
django.setup()

from benchmarks import exporting, pages, plans, saves  # noqa: E402
from benchmarks.databases import NotEmbedded, data_folder  # noqa: E402
from benchmarks.measure import HEAD, print_cells, print_row  # noqa: E402
from benchmarks.stage import Stage  # noqa: E402

ROWS = {
    "save": saves.save,
    "post": saves.post,
    "entry": pages.entry,
    "grid": pages.grid,
    "queries": pages.queries,
    "export": exporting.export,
    "plans": plans.plans,
    "size": pages.size,
    "day": pages.day,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    if unknown := set(chosen.rows) - ROWS.keys():
        parser.error(f"there is no row {', '.join(sorted(unknown))}")
    try:
        data_folder()
    except NotEmbedded as refused:
        return f"{refused}"
    stage = Stage(rounds=3, seconds=0.5, quick=True) if chosen.quick else Stage()
    started = time.monotonic()
    print_cells(HEAD)
    missed = 0
    for name in chosen.rows or ROWS:
        for row in ROWS[name](stage):
            print_row(row)
            missed += row.verdict == "MISSED"
    print(f"{missed} missed; {time.monotonic() - started:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
