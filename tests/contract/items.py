"""Answers of both servers as items of a row: JSON, frame logs, tables of named columns."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.contract.checkouts import Answer, Pair, Question
from tests.contract.files import read_csv, read_lines, read_npz
from tests.contract.report import Row

READERS = {"npz": read_npz, "csv": read_csv}


def ask_all(pair: Pair, row: Row, questions: Iterable[Question], refused: bool = False) -> None:
    """Compare answers in JSON, one item a question."""
    for question, before, after in pair.ask_all(list(questions)):
        row.take_json(str(question), before, after, refused)


def take_log(row: Row, name: str, before: Answer, after: Answer) -> None:
    """Compare two frame logs."""
    first, second = read_lines(before.body), read_lines(after.body)
    row.take(f"{name}: number of lines", len(first), len(second))
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        row.take_json(f"{name}: line {index}", Answer(200, one), Answer(200, other))


def compare_files(pair: Pair, row: Row, paths: Mapping[str, str], ending: str) -> None:
    """Result files of runs, one item a column."""
    questions = [Question(f"{path}/result.{ending}") for path in paths.values()]
    for name, (_, before, after) in zip(paths, pair.ask_all(questions), strict=True):
        take_mappings(row, name, READERS[ending](before.body), READERS[ending](after.body))


def take_mappings(row: Row, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """One item a key; what is missing is different."""
    for key in {**before, **after}:
        one, other = ({key: item[key]} if key in item else {} for item in (before, after))
        row.take(name, one, other)
