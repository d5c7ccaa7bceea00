"""List known vulnerabilities of the packages of constraints.txt and static/package-lock.json. `make audit` runs it.

The exit code is 1 if there is one. If a database cannot be reached, it prints a message and does not fail, because the
check would otherwise always fail on machines without a network.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ["-m", "pip_audit", "--requirement", "constraints.txt", "--no-deps", "--disable-pip", "--format", "json"]
NPM = ["npm", "audit", "--package-lock-only", "--json"]


@dataclass
class Report:
    """The answer of one database; `asked` counts the packages that it knows, and is 0 if it was not reached."""

    name: str
    asked: int = 0
    left_out: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)


def read_python(text: str) -> Report:
    """The report of pip-audit. It calls what it could not look up skipped, and all well where all were."""
    report = Report("Python packages")
    for package in _parse(text).get("dependencies", []):
        if "skip_reason" in package:
            report.left_out.append(package["name"])
            continue
        report.asked += 1
        for known in package["vulns"]:
            fixed = ", ".join(known["fix_versions"]) or "none yet"
            report.found.append(f"{package['name']} {package['version']}: {known['id']}, fixed in {fixed}")
    return report


def read_npm(text: str) -> Report:
    """The report of npm."""
    told = _parse(text)
    report = Report("JavaScript packages", told.get("metadata", {}).get("dependencies", {}).get("total", 0))
    report.found = [f"{name}: {known['severity']}" for name, known in told.get("vulnerabilities", {}).items()]
    return report


def describe(report: Report) -> str:
    """The report in words."""
    if not report.asked:
        return f"{report.name}: no database could be reached from here, so nothing is known"
    lines = [f"{report.name}: {report.asked} looked up, {len(report.found)} known vulnerabilities", *report.found]
    if report.left_out:
        lines.append(f"not in the database: {', '.join(report.left_out)}")
    return "\n".join(lines)


def _parse(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except json.JSONDecodeError:  # it was not reached, and said so on standard error
        return {}
    return told if isinstance(told, dict) else {}


def _ask(command: Sequence[str], folder: Path) -> str:
    # pip-audit's own summary is not passed on: it says that all is well also where it could look nothing up.
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def main() -> int:
    """Ask both, and print what they say."""
    reports = [read_python(_ask([sys.executable, *PYTHON], ROOT)), read_npm(_ask(NPM, ROOT / "static"))]
    print(*map(describe, reports), sep="\n")
    return int(any(report.found for report in reports))


if __name__ == "__main__":
    sys.exit(main())
