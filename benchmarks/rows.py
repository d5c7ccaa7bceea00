"""One row of the table: what was measured, against what, the target, whether it is met and, where not, why."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

HEADINGS = ("measure", "against", "value", "target", "met", "why not")


@dataclass(frozen=True)
class Row:
    """`limit` is the most that the value may be, or the least where `at_least`; `reason` is for a target missed.

    No value: this machine cannot measure it. No limit: there is no target.
    """

    measure: str
    against: str
    value: float | None
    unit: str
    limit: float | None = None
    at_least: bool = False
    reason: str = ""

    @property
    def is_met(self) -> bool | None:
        """Return whether the value reaches the target; None without a value or a target."""
        if self.value is None or self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def to_cells(self) -> tuple[str, ...]:
        """Return the cells of the row as text."""
        sign = ">=" if self.at_least else "<="
        target = "-" if self.limit is None else f"{sign} {self.limit:g} {self.unit}".strip()
        value = "unmeasured" if self.value is None else f"{self.value:.3g} {self.unit}".strip()
        met = {None: "-", True: "yes", False: "no"}[self.is_met]
        reason = self.reason or "not explained" if self.is_met is False else ""
        return self.measure, self.against, value, target, met, reason


def print_rows(rows: Sequence[Row]) -> None:
    """Print one JSON object for each row, for a process that collects them."""
    for row in rows:
        print(json.dumps(asdict(row)), flush=True)


def format_table(rows: Sequence[Row]) -> str:
    """Return a Markdown table with aligned columns."""
    lines = [HEADINGS, *(row.to_cells() for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(HEADINGS))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def describe_machine() -> str:
    """Return processor, number of cores and versions."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores, Python {platform.python_version()}, torch {torch.__version__}"
