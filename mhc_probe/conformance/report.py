"""Define the report of a conformance check. Nothing here needs torch."""

import json
from dataclasses import asdict, dataclass
from textwrap import indent
from typing import Literal

Verdict = Literal["holds", "fails", "design", "not measured", "not applicable"]


@dataclass(frozen=True)
class Line:
    """One statement about an implementation.

    `why` is the statement, or the reason why the line does not apply. For a failure, `likely` is the usual mistake, and
    `reproduce` is Python that shows it; `module` is the checked module. "not measured": the module prevents the
    measurement, by a mistake that another line names. If no other line fails, such a line fails itself.
    """

    name: str
    verdict: Verdict
    why: str
    expected: str = ""
    got: str = ""
    reproduce: str = ""
    likely: str = ""


@dataclass(frozen=True)
class Report:
    """The lines of one check, in order."""

    subject: str
    family: str
    lines: tuple[Line, ...]

    @property
    def passed(self) -> bool:
        """Return whether no line fails."""
        return not self.failures

    @property
    def failures(self) -> tuple[Line, ...]:
        """Return the lines that fail."""
        return tuple(line for line in self.lines if line.verdict == "fails")

    def __getitem__(self, name: str) -> Line:
        """Return the line of that name. Raise KeyError if there is none."""
        for line in self.lines:
            if line.name == name:
                return line
        raise KeyError(name)

    def to_json(self) -> str:
        """Return the report as a JSON object, lines as a list."""
        return json.dumps({"passed": self.passed, **asdict(self)}, indent=2)

    def __str__(self) -> str:
        """Return a table with one row per line. A failure is followed by its reproduction."""
        width = max(len(line.name) for line in self.lines)
        rows = [f"{self.subject}, checked as {self.family}", *(_format(line, width) for line in self.lines)]
        known = ("holds", "fails", "design", "not measured")
        counts = [(verdict, sum(line.verdict == verdict for line in self.lines)) for verdict in known]
        rows.append(", ".join(f"{count} {verdict}" for verdict, count in counts if count or verdict != "not measured"))
        return "\n".join(rows)


def _format(line: Line, width: int) -> str:
    row = f"{line.verdict:15}{line.name:{width}}  {line.why}"
    if line.expected:
        row += f"; expected {line.expected}"
    if line.got:
        row += f", got {line.got}" if line.expected else f"; got {line.got}"
    if line.likely:
        row += f"\n{' ' * 15}likely: {line.likely}"
    return row if not line.reproduce else f"{row}\n{indent(line.reproduce, ' ' * 17)}"
