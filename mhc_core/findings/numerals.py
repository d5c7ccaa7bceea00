"""Formats numbers for people, in sentences, tables and on axes, as `static/js/data/numbers.js` does."""

import math

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
UNKNOWN = "–"
MINUS = "−"  # a hyphen is shorter than a plus sign
STATUS_WORDS = {"unknown": "not known"}  # for other statuses, their name is shown


def format_value(value: float | None, log10: float | None = None, status: str | None = None, digits: int = 4) -> str:
    """Format a value with this number of digits, or as m × 10^k if it is very small or large, or if only its logarithm
    is known.

    status: why there is no number; shown if neither is known.
    """
    if value is not None and math.isfinite(value):
        size = abs(value)
        if size == 0 or 1e-3 <= size < 1e5:
            return _strip_zeros(format_fixed(value, _count_decimals(size, digits)))
        return _format_scientific(value < 0, math.log10(size), digits - 2)
    if log10 is not None and math.isfinite(log10):
        return _format_scientific(False, log10, digits - 2)
    return UNKNOWN if status is None else say_status(status)


def format_rounded(value: float | None, log10: float | None, status: str | None, digits: int) -> str:
    """Format a value as `format_value` does, but keep the zeros of a rounded number: 1.00 may be 1.003, and 1 is exact
    in the seven digits of float32.
    """
    text = format_value(value, log10, status, digits)
    if value is None or not math.isfinite(value) or "×" in text:
        return text
    shown = float(text.replace(MINUS, "-"))
    return text if shown == float(f"{value:.7g}") else format_fixed(value, _count_decimals(abs(shown), digits))


def say_status(status: str) -> str:
    """Return a short text for why there is no number, such as "overflow"."""
    return STATUS_WORDS.get(status, status)


def format_fixed(value: float, digits: int) -> str:
    """Format a value with this number of digits after the point. A value that rounds to 0 has no sign."""
    text = f"{value:.{digits}f}"
    return text.replace("-", "" if float(text) == 0 else MINUS)


def format_scaled(scaled: float, exponent: int, digits: int = 4) -> str:
    """Format scaled x 2^exponent as `format_value` does. The number may be beyond the range of float64."""
    if not math.isfinite(scaled):
        return "nan"
    if scaled == 0:
        return "0"
    log10 = math.log10(abs(scaled)) + exponent * math.log10(2)
    if -3 <= log10 < 5:
        value = scaled * 2.0**exponent
        return _strip_zeros(format_fixed(value, _count_decimals(abs(value), digits)))
    return _format_scientific(scaled < 0, log10, min(2, digits - 1))


def format_gain(log10: float, *, is_exact: bool = False) -> str:
    """Format a gain as ×790, ×1.00, ×13,000 or ×1.2×10¹², from its log10; ×1 if it is exactly 1, as of one stream."""
    if is_exact and log10 == 0:
        return "×1"
    if not math.isfinite(log10):
        return "×0" if log10 < 0 else "overflow"
    if -3 <= log10 < 5:
        value = float(f"{10**log10:.3g}")
        return f"×{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}"
    exponent = math.floor(log10)
    mantissa = f"{10 ** (log10 - exponent):.1f}"
    if mantissa == "10.0":
        mantissa, exponent = "1.0", exponent + 1
    return f"×{mantissa}{format_power(exponent)}"


def format_power(power: int) -> str:
    """Format a power of ten as a factor, such as "×10³"."""
    return f"×10{str(power).translate(SUPERSCRIPTS)}"


def _count_decimals(size: float, digits: int) -> int:
    """Return the number of decimals that a number of this size needs for this number of digits."""
    if size == 0:
        return 0
    return max(0, digits - 1 - math.floor(math.log10(size)))


def _format_scientific(is_negative: bool, log10: float, digits: int = 2) -> str:
    """Format a number as m × 10^k, from its logarithm and sign."""
    exponent = math.floor(log10)
    mantissa = f"{10 ** (log10 - exponent):.{digits}f}"
    if float(mantissa) == 10:
        mantissa, exponent = "1", exponent + 1
    return f"{MINUS if is_negative else ''}{_strip_zeros(mantissa)}{format_power(exponent)}"


def _strip_zeros(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
