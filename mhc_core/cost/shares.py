"""What a connection adds to a cost, as a share of the residual connection's, as people read it."""

from decimal import ROUND_HALF_UP, Context, Decimal

REFERENCE = "residual"
MEASURES = ("parameters", "flops", "bytes_moved", "peak_bytes", "seconds")
TWO_DIGITS = Context(prec=2, rounding=ROUND_HALF_UP)


def format_added(added: float) -> str:
    """Format a share in percent with its sign: two digits, or all of them from 100 % on; 12.5 % is `+13 %`."""
    percent = Decimal(100 * abs(added))
    if percent < Decimal("5e-4"):
        return "±0 %"
    shown = TWO_DIGITS.plus(percent) if percent < 100 else percent.quantize(Decimal(1), ROUND_HALF_UP)
    return f"{'−' if added < 0 else '+'}{shown.normalize():f} %"
