"""Checks of numbers and of words have one form."""

from mhc_core.checks.check import Check, format_checks, format_detection, summarise_checks, to_verdict
from mhc_core.checks.verification import RecordCheck
from mhc_probe.conformance.module_check import design, fails, holds

GAIN = RecordCheck(
    "sums", "holds", "Sums to 1.", 1.0, 1.5, 0.25, "log10", "Finds sums.", metric="gain", layer=2, source="Eq. 3"
)
WRONG = fails("order", "columns first", "columns, rows", "rows, columns", "print(1)\n", "a swapped loop")


def test_numbers_have_columns_and_words_follow_the_statement() -> None:
    head, *rows = format_checks([GAIN, WRONG]).splitlines()
    assert head.split() == ["verdict", "check", "of", "expected", "measured", "tolerance", "statement"]
    numbers = ["1", "1.5", "0.25"]
    assert rows[0].split() == ["holds", "sums", "log10", "gain", "at", "layer", "3", *numbers, "Sums", "to", "1."]
    assert rows[1].split("  ")[0] == "fails"
    assert rows[1].endswith("  columns first; expected columns, rows, measured rows, columns")
    assert [row.strip() for row in rows[2:]] == [
        "likely: a swapped loop",
        *("import torch", "from mhc_probe.conformance import open_bench", "bench = open_bench(module)", "print(1)"),
    ]
    assert head.index("tolerance") + len("tolerance") == rows[0].index("0.25") + len("0.25"), "aligned to the right"


def test_columns_that_no_check_fills_are_left_out() -> None:
    assert format_checks([holds("exp", "it is", "exp")]).splitlines() == [
        "verdict  check  statement",
        "holds    exp    it is; measured exp",
    ]


def test_the_summary_counts_every_verdict() -> None:
    others = [Check("a", "skipped", ""), Check("b", "not applicable", ""), design("c", ""), design("d", "")]
    rest = "2 are known designs. 1 could not be compared. 1 does not apply."
    assert summarise_checks([GAIN, WRONG, *others]) == f"1 of 2 checks failed: order. {rest}"
    assert summarise_checks([GAIN, GAIN, *others]) == f"All 2 checks hold. {rest}"
    assert summarise_checks([WRONG, Check("sums", "fails", "")]) == "2 of 2 checks failed: order, sums."
    assert [to_verdict(checks) for checks in ([GAIN, WRONG], [GAIN, *others], others)] == ["fails", "holds", "skipped"]


def test_what_checks_detect_is_said_once_a_name() -> None:
    assert format_detection([GAIN, GAIN]).splitlines()[1:] == ["sums: Finds sums."]
