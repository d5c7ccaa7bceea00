"""Formats the cost that a connection adds, in percent of the residual connection's cost."""

from decimal import ROUND_HALF_UP, Context, Decimal

REFERENCE = "residual"
MEASURES = ("parameters", "flops", "bytes_moved", "peak_bytes", "seconds")
TWO_DIGITS = Context(prec=2, rounding=ROUND_HALF_UP)


def format_added(added: float) -> str:
    """Format a fraction in percent with its sign: two digits, or an integer from 100 % on. 0.125 is `+13 %`."""
    percent = Decimal(100 * abs(added))
    if percent < Decimal("5e-4"):
        return "±0 %"
    shown = TWO_DIGITS.plus(percent) if percent < 100 else percent.quantize(Decimal(1), ROUND_HALF_UP)
    return f"{'−' if added < 0 else '+'}{shown.normalize():f} %"
