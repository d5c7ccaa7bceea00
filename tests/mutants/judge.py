"""Whether the fast tests find a mutant, and if not, whether the others do."""

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypedDict

from tests.mutants.copies import changed
from tests.mutants.known import Known
from tests.mutants.plans import Only, plan
from tests.mutants.processes import run_pytest
from tests.mutants.sample import Mutant

START_S, SLACK = 60.0, 4.0  # A run that takes longer than this much, and so many times what its tests took, hangs.

Tier = Literal["fast", "full", "none"]


class Verdict(TypedDict):
    """One line of the results: who finds the mutant, by which test, of how many tests that run it."""

    id: str
    stratum: str
    diff: str
    killed_by: Tier
    test: str
    tests: int
    seconds: float


def judge(mutant: Mutant, copy: Path, known: Iterable[Known], budget_s: float) -> Verdict:
    """Run the fast tests on the mutant, then those that the fast suite leaves out."""
    started, count = time.monotonic(), 0
    killer: tuple[Tier, str] = ("none", "")
    tiers: tuple[Tier, ...] = ("fast", "full")
    with changed(copy / mutant.place.file, mutant.code):
        for tier in tiers:
            for batch in plan(mutant, known, tier == "full", budget_s):
                count += len(batch.tests)
                log, limit_s = copy.parent / "mutant.log", START_S + SLACK * batch.seconds
                outcome = run_pytest(copy, batch.files, [Only(batch)], log, limit_s)
                if outcome != "passed":
                    killer = tier, "time limit" if outcome == "hung" else _read_failure(log)
                    break
            if killer[1]:
                break
    return {
        "id": mutant.id,
        "stratum": mutant.stratum.name,
        "diff": mutant.diff,
        "killed_by": killer[0],
        "test": killer[1],
        "tests": count,
        "seconds": round(time.monotonic() - started, 1),
    }


def _read_failure(log: Path) -> str:
    found = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", log.read_text(errors="replace"), re.MULTILINE)
    return found[1] if found else "import"
