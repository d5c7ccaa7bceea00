"""What the results add up to."""

from collections import Counter
from collections.abc import Sequence

from tests.mutants.judge import Verdict
from tests.mutants.sample import STRATA

HEAD = ("| part | mutants | found by fast | by full only | by none | fast / all found |", "|---|---|---|---|---|---|")


def format_report(verdicts: Sequence[Verdict]) -> str:
    """A table by part of the program, then mutants that the fast tests miss."""
    names = [stratum.name for stratum in STRATA]
    rows = [_format_row(name, [item for item in verdicts if item["stratum"] == name]) for name in names]
    missed = [item for item in verdicts if item["killed_by"] != "fast"]
    return "\n".join([*HEAD, *rows, _format_row("all", verdicts), "", *map(_format_missed, missed)])


def _format_row(name: str, verdicts: Sequence[Verdict]) -> str:
    count = Counter(item["killed_by"] for item in verdicts)
    found = count["fast"] + count["full"]
    ratio = f"{100 * count['fast'] / found:.1f} %" if found else ""
    return f"| {name} | {len(verdicts)} | {count['fast']} | {count['full']} | {count['none']} | {ratio} |"


def _format_missed(item: Verdict) -> str:
    by = f"found by {item['test']}" if item["killed_by"] == "full" else f"found by none of {item['tests']} tests"
    return f"{item['id']}\n{item['diff']}\n  {by}\n"
