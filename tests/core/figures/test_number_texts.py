"""Numbers as people read them, in tables, at cursors and on axes."""

import json
import math
from pathlib import Path

import pytest

from mhc_core.figures.numbers import log_ticks
from mhc_core.findings.gains import format_reduced
from mhc_core.findings.numerals import format_fixed, format_gain, format_rounded, format_scaled, format_value
from mhc_core.record.reduction import ReducedNumber

TEXTS = Path(__file__).parents[2] / "number_texts.json"  # tests/js holds the page to the same
SCALED = TEXTS.with_name("scaled_texts.json")  # and to these
ROUNDED = TEXTS.with_name("rounded_texts.json")
GAINS = TEXTS.with_name("gain_texts.json")
REDUCED = TEXTS.with_name("reduced_texts.json")


@pytest.mark.parametrize(("value", "log10", "status", "digits", "text"), json.loads(TEXTS.read_text("utf-8")))
def test_numbers_as_people_read_them_here_and_on_the_page(
    value: float | None, log10: float | None, status: str | None, digits: int, text: str
) -> None:
    assert format_value(value, log10, status, digits) == text


@pytest.mark.parametrize(("value", "log10", "status", "digits", "text"), json.loads(ROUNDED.read_text("utf-8")))
def test_rounded_numbers_keep_their_zeros(
    value: float | None, log10: float | None, status: str | None, digits: int, text: str
) -> None:
    assert format_rounded(value, log10, status, digits) == text


@pytest.mark.parametrize(
    ("value", "text"), [(-0.0, "0.00"), (-0.004, "0.00"), (-0.006, "−0.01"), (0.004, "0.00"), (-1.005, "−1.00")]
)
def test_what_rounds_to_zero_has_no_sign(value: float, text: str) -> None:
    assert format_fixed(value, 2) == text


@pytest.mark.parametrize(("scaled", "exponent", "text"), json.loads(SCALED.read_text("utf-8")))
def test_numbers_beyond_the_range_of_floats(scaled: float, exponent: int, text: str) -> None:
    assert format_scaled(scaled, exponent) == text
    assert format_scaled(math.nan, 0) == "nan"


@pytest.mark.parametrize(("log10", "is_exact", "text"), json.loads(GAINS.read_text("utf-8")))
def test_gains_on_the_page_and_on_families(log10: float, is_exact: bool, text: str) -> None:
    assert format_gain(log10, is_exact=is_exact) == text


@pytest.mark.parametrize(("key", "value", "log10", "status", "streams", "text"), json.loads(REDUCED.read_text("utf-8")))
def test_numbers_of_presets(
    key: str, value: float | None, log10: float | None, status: str, streams: int, text: str
) -> None:
    assert format_reduced(key, ReducedNumber(value, log10, status), streams) == text


def test_ticks_of_a_flat_gain_hold_the_one() -> None:
    places, texts = log_ticks(-0.33, 0.33)
    assert "1" in texts
    assert places[texts.index("1")] == 0
