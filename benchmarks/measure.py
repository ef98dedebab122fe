"""How a figure is taken on a noisy machine: floor and ours by turns, and medians of the ratios.

What disturbs the machine for some seconds disturbs both sides of a pair; the median of the pairs
forgets the pair that was hit in its middle.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One figure: `ratio` is ours to the floor; `best` says whether low or high ratios are good."""

    name: str
    unit: str
    floor: float
    ours: float
    ratio: float
    limit: float | None = None
    aim: float | None = None
    best: str = "low"
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.limit is None:
            return "told"
        if self._within(self.limit):
            return "aim" if self.aim is not None and self._within(self.aim) else "ok"
        return "MISSED"

    def _within(self, bound: float) -> bool:
        return self.ratio <= bound if self.best == "low" else self.ratio >= bound


HEAD = ("what", "unit", "floor", "ours", "ratio", "limit", "aim", "verdict")


def print_row(row: Row) -> None:
    sign = "≤" if row.best == "low" else "≥"
    bounds = [f"{sign} {bound:g}" if bound is not None else "" for bound in (row.limit, row.aim)]
    cells = [row.name, row.unit, _short(row.floor), _short(row.ours), f"{row.ratio:.2f}", *bounds]
    print_cells([*cells, row.verdict])
    if row.note:
        print(f"    {row.note}", flush=True)


def print_cells(cells: Sequence[str]) -> None:
    widths = (44, 8, 9, 9, 7, 7, 7, 8)
    print(
        " ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)), flush=True
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def by_turns(
    floor: Callable[[], float], ours: Callable[[], float], rounds: int, *, warm: bool = True
) -> tuple[float, float, float]:
    """Medians of the floor, of ours, and of ours ÷ floor pair by pair, after one that warms up."""
    if warm:
        floor()
        ours()
    pairs = []
    for turn in range(rounds):
        if turn % 2:
            own = ours()
            pairs.append((floor(), own))
        else:
            base = floor()
            pairs.append((base, ours()))
    return (
        statistics.median(base for base, _own in pairs),
        statistics.median(own for _base, own in pairs),
        statistics.median(own / base for base, own in pairs),
    )


def milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started)


def median_of(call: Callable[[], object], times: int) -> Callable[[], float]:
    """A measurement that calls `times` times and answers with the median in milliseconds."""
    return lambda: statistics.median(milliseconds(call) for _turn in range(times))


def own_memory(pid: int) -> tuple[int, int]:
    """Resident memory of a process now and at its peak, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = dict(line.split(":", 1) for line in status.splitlines())
    return int(found["VmRSS"].split()[0]), int(found["VmHWM"].split()[0])
