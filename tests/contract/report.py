"""What was compared, counted row by row, and printed as a table."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.contract.checkouts import Answer
from tests.contract.values import Mismatch, compare, count_values, mask_facts

SHOWN = 12  # places of a row that are printed


@dataclass
class Row:
    """One line of the table.

    Attributes
    ----------
    what: what is compared.
    may_grow: whether the second may have keys that the first has not, which are then listed and no difference.
    ignored: paths that say nothing, such as times.
    differences, examples: places that differ, without indices, how often, and the first item of each.
    wording: texts that are worded otherwise, their numbers masked, and how often.
    """

    what: str
    may_grow: bool = False
    ignored: re.Pattern[str] | None = None
    compared: int = 0
    different: int = 0
    values: int = 0
    differences: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    wording: Counter[tuple[str, str]] = field(default_factory=Counter)
    added: Counter[str] = field(default_factory=Counter)

    def take(self, where: str, before: Any, after: Any) -> None:
        """Compare one item."""
        found = [] if before is after else [item for item in compare(before, after) if not self._is_ignored(item)]
        failed = [item for item in found if self._is_failure(item)]
        self.compared += 1
        self.different += bool(failed)
        self.values += count_values(before)
        for item in failed:
            self.differences[mask_indices(item.path)] += 1
            self.examples.setdefault(mask_indices(item.path), f"{where}: {item}")
        reworded = [item for item in found if item.kind == "wording"]
        self.wording.update((mask_facts(item.before), mask_facts(item.after)) for item in reworded)
        added = [item.path for item in found if item.kind == "added" and self.may_grow]
        self.added.update(map(mask_indices, added))

    def take_json(self, where: str, before: Answer, after: Answer, refused: bool = False) -> None:
        """Compare two answers in JSON. A refusal by the first is an error, unless a refusal is what was asked for."""
        if (before.status >= 400) != refused:
            raise RuntimeError(f"{where} was answered with {before.status}: {before.body[:300]!r}")
        first = orjson.loads(before.body)
        # Most answers are the same bytes; reading one of them is enough to count their values.
        is_same = (before.status, before.body) == (after.status, after.body)
        second = first if is_same else {"status": after.status, "body": _read(after.body)}
        self.take(where, first if is_same else {"status": before.status, "body": first}, second)

    def _is_failure(self, item: Mismatch) -> bool:
        return item.kind == "different" or (item.kind == "added" and not self.may_grow)

    def _is_ignored(self, item: Mismatch) -> bool:
        return self.ignored is not None and self.ignored.search(item.path) is not None


class Report:
    """All rows."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(self, what: str, may_grow: bool = False, ignored: str | None = None) -> Row:
        """Begin another row."""
        row = Row(what, may_grow, None if ignored is None else re.compile(ignored))
        self.rows.append(row)
        return row

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs but wording."""
        return not any(row.different for row in self.rows)

    def show(self) -> Iterator[str]:
        """The table, then what differs."""
        width = max(len(row.what) for row in self.rows)
        yield f"{'what':{width}}  compared     equal  different      values"
        for row in [*self.rows, self._sum_up()]:
            equal = row.compared - row.different
            yield f"{row.what:{width}}  {row.compared:8}  {equal:8}  {row.different:9}  {row.values:10}"
        for row in self.rows:
            different = [f"{path} ({count}), first {row.examples[path]}" for path, count in row.differences.items()]
            yield from _show_list(f"{row.what}, different", different)
            yield from _show_list(f"{row.what}, added", [f"{path} ({count})" for path, count in row.added.items()])
        wording = sum((row.wording for row in self.rows), Counter())
        yield f"\nwording: {len(wording)} texts differ in their words, and in no number"
        yield from _show_list("wording", [f"{before!r} -> {after!r}" for before, after in wording])

    def to_plain(self) -> list[dict[str, Any]]:
        """Everything, for a file."""
        return [
            {
                **{name: getattr(row, name) for name in ("what", "compared", "different", "values", "examples")},
                "differences": dict(row.differences),
                "wording": [{"before": one, "after": other} for one, other in row.wording],
                "added": dict(row.added),
            }
            for row in self.rows
        ]

    def _sum_up(self) -> Row:
        whole = Row("all")
        for row in self.rows:
            whole.compared += row.compared
            whole.different += row.different
            whole.values += row.values
        return whole


def mask_indices(path: str) -> str:
    """A path without its indices: the same place of other items."""
    return re.sub(r"\b\d+\b", "*", path)


def _show_list(title: str, items: list[str]) -> Iterator[str]:
    if items:
        yield f"\n{title}:"
        yield from (f"  {item}" for item in items[:SHOWN])
        if len(items) > SHOWN:
            yield f"  {len(items) - SHOWN} more: --out FILE writes all of them"


def _read(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode(errors="replace")
