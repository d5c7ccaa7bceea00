"""Judge the sample: `python -m tests.mutants results.jsonl`. What is in the file already is not judged again."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.mutants.copies import ROOT, make_copy
from tests.mutants.coverage_map import load_core_map
from tests.mutants.judge import Verdict, judge
from tests.mutants.plans import BUDGET_S
from tests.mutants.processes import compile_copy, import_libraries
from tests.mutants.report import format_report
from tests.mutants.sample import STRATA, choose_mutants
from tests.mutants.served_map import load_served_map

CORE = {stratum.name for stratum in STRATA if stratum.sources.startswith("mhc_core")}


def main() -> int:
    """Judge mutants one after another, and print the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("results", type=Path, help="a file of JSON lines, which is continued")
    parser.add_argument("--parts", nargs="+", default=[stratum.name for stratum in STRATA], help="parts of the program")
    parser.add_argument("--maps", type=Path, help="a folder that keeps what each test runs")
    parser.add_argument("--budget", type=float, default=BUDGET_S, help="seconds of tests that a mutant is worth")
    parser.add_argument("--report", action="store_true", help="judge nothing; print what the results add up to")
    arguments = parser.parse_args()
    if not arguments.report:
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            _judge_all(arguments, Path(folder).resolve())
    print(format_report(_read(arguments.results)))
    return 0


def _judge_all(arguments: argparse.Namespace, folder: Path) -> None:
    import_libraries()
    copy = make_copy(folder / "copy")
    compile_copy(copy, folder / "compile.log")
    maps = arguments.maps or folder
    maps.mkdir(parents=True, exist_ok=True)
    known = load_core_map(copy, maps)
    if not CORE.issuperset(arguments.parts):
        known += load_served_map(copy, maps)
    done = {item["id"] for item in _read(arguments.results)}
    left = [mutant for mutant in choose_mutants(ROOT) if mutant.id not in done]
    for mutant in left:
        if mutant.stratum.name in arguments.parts:
            verdict = judge(mutant, copy, known, arguments.budget)
            with arguments.results.open("a") as results:
                results.write(json.dumps(verdict) + "\n")
            print(verdict["killed_by"], verdict["seconds"], verdict["id"], verdict["test"], file=sys.stderr, flush=True)


def _read(file: Path) -> list[Verdict]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


if __name__ == "__main__":
    sys.exit(main())
