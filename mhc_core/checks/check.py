"""The result of a check, one comparison of numbers of a record or of someone's implementation, and its formatting."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import Literal

from mhc_core.findings.numerals import format_value

Verdict = Literal["holds", "fails", "skipped"]
Scale = Literal["linear", "log10"]

TITLES = ("verdict", "check", "of", "expected", "measured", "tolerance", "statement")
NUMBERS = ("expected", "measured", "tolerance")
NAMED = 3  # failed checks that the summary names


@dataclass(frozen=True)
class Check:
    """The result of one comparison.

    Attributes
    ----------
    name: what is checked, such as a law of `theory`.
    verdict: `skipped` if nothing could be compared; `design` if the difference is a known choice of other authors;
        `not applicable` if the checked thing does not have this property. The statement gives the reason.
    statement: what is expected, in a sentence.
    expected, measured: numbers, or texts if the expectation is not a number; None or "" if nothing was compared.
    tolerance: the largest difference of the two numbers for which the check holds; None without numbers.
    scale: `log10` if the three numbers are decades, else `linear`.
    detects: which faults make the check fail, and which it cannot find.
    """

    name: str
    verdict: Verdict | Literal["design", "not applicable"]
    statement: str
    expected: float | str | None = None
    measured: float | str | None = None
    tolerance: float | None = None
    scale: Scale = "linear"
    detects: str = ""

    @property
    def place(self) -> str:
        """Return the column and layer of the comparison, for checks of runs; "" for other checks."""
        return ""

    @property
    def notes(self) -> str:
        """Return text to show below the check; "" if there is none."""
        return ""


def to_verdict(checks: Sequence[Check]) -> Verdict:
    """Return the common verdict of several checks: `fails` if any fails, else `holds` if any holds, else `skipped`."""
    verdicts = {check.verdict for check in checks}
    return "fails" if "fails" in verdicts else "holds" if "holds" in verdicts else "skipped"


def summarise_checks(checks: Sequence[Check]) -> str:
    """Summarise the checks of a run in a sentence, such as "1 of 20 checks failed: recomputation of cka at layer 3"."""
    failed = [check for check in checks if check.verdict == "fails"]
    compared = sum(check.verdict in ("holds", "fails") for check in checks)
    rest = _count_others(checks)
    if failed:
        names = ", ".join(f"{check.name} of {check.place}" if check.place else check.name for check in failed[:NAMED])
        more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
        return f"{len(failed)} of {compared} checks failed: {names}{more}.{rest}"
    if not compared:
        return "Nothing could be compared."
    return ("The one check holds." if compared == 1 else f"All {compared} checks hold.") + rest


def _count_others(checks: Sequence[Check]) -> str:
    """Return a sentence with the number of checks for each verdict other than `holds` and `fails`."""
    words = {
        "design": ("is a known design", "are known designs"),
        "skipped": ("could not be compared", "could not be compared"),
        "not applicable": ("does not apply", "do not apply"),
    }
    counts = {verdict: sum(check.verdict == verdict for check in checks) for verdict in words}
    return "".join(f" {count} {words[verdict][count > 1]}." for verdict, count in counts.items() if count)


def format_checks(checks: Sequence[Check]) -> str:
    """Format checks as a table with one row per check, and its notes below the row. Empty columns are omitted.

    Numbers have separate columns. Expectations and measurements that are texts follow the statement.
    """
    rows = [_list_cells(check) for check in checks]
    titles = [title for title in TITLES if any(row[title] for row in rows)]
    widths = {title: max(len(title), *(len(row[title]) for row in rows)) for title in titles}
    widths["statement"] = 0  # the last column needs no padding
    table = [_format_row({title: title for title in titles}, widths)]
    for check, row in zip(checks, rows, strict=True):
        table.append(_format_row(row, widths))
        if check.notes:
            table.append(indent(check.notes, " " * (widths["verdict"] + 2)))
    return "\n".join(table)


def _format_row(row: dict[str, str], widths: dict[str, int]) -> str:
    """Join the cells of a row. Numbers are aligned to the right."""
    return "  ".join(f"{row[title]:{'>' if title in NUMBERS else '<'}{width}}" for title, width in widths.items())


def _list_cells(check: Check) -> dict[str, str]:
    """Return the text of each column of a check's row, by title."""
    values = {title: getattr(check, title) for title in NUMBERS}
    words = ", ".join(f"{title} {value}" for title, value in values.items() if isinstance(value, str) and value)
    return {
        "verdict": check.verdict,
        "check": check.name,
        "of": f"log10 {check.place}" if check.scale == "log10" else check.place,
        "statement": f"{check.statement}; {words}" if words else check.statement,
    } | {
        title: "" if value is None or isinstance(value, str) else format_value(value, status=str(value), digits=6)
        for title, value in values.items()
    }


def format_detection(checks: Sequence[Check]) -> str:
    """Format which faults the checks can and cannot find, one row per name."""
    rows = {check.name: check.detects for check in checks}
    return "\n".join(["What each check can detect, and what it cannot:", *(f"{n}: {text}" for n, text in rows.items())])
