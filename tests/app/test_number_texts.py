"""Numbers as people read them, in tables, at cursors and on axes."""

import math

import pytest

from app.panels.numbers import format_fixed, format_scaled, format_value, log_ticks


@pytest.mark.parametrize(
    ("value", "log10", "status", "text"),
    [
        (-0.0, None, None, "0"),
        (-738.24, None, None, "-738.2"),
        (738.24, None, None, "738.2"),
        (8.4e-5, -4.08, None, "8.4×10⁻⁵"),
        (None, 401.2, "overflow", "1.58×10⁴⁰¹"),
        (None, None, "nan", "nan"),
        (None, None, None, "–"),
        (0.0, None, None, "0"),
    ],
)
def test_numbers_as_people_read_them(value: float | None, log10: float | None, status: str | None, text: str) -> None:
    assert format_value(value, log10, status) == text


@pytest.mark.parametrize(
    ("value", "text"), [(-0.0, "0.00"), (-0.004, "0.00"), (-0.006, "-0.01"), (0.004, "0.00"), (-1.005, "-1.00")]
)
def test_what_rounds_to_zero_has_no_sign(value: float, text: str) -> None:
    assert format_fixed(value, 2) == text


@pytest.mark.parametrize(
    ("scaled", "exponent", "text"),
    [
        (0.5, 1, "1"),
        (-0.9, 10, "-921.6"),
        (0.5, 4000, "6.59×10¹²⁰³"),
        (-0.5, -4000, "-3.79×10⁻¹²⁰⁵"),
        (0.99999, 0, "1"),
        (0.0, 5, "0"),
        (math.nan, 0, "nan"),
    ],
)
def test_numbers_beyond_the_range_of_floats(scaled: float, exponent: int, text: str) -> None:
    assert format_scaled(scaled, exponent) == text


def test_ticks_of_a_flat_gain_hold_the_one() -> None:
    places, texts = log_ticks(-0.33, 0.33)
    assert "1" in texts
    assert places[texts.index("1")] == 0
