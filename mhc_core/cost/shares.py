"""What a connection adds to a cost, as a share of the residual connection's, as people read it."""

REFERENCE = "residual"
MEASURES = ("parameters", "flops", "bytes_moved", "peak_bytes", "seconds")


def format_added(added: float) -> str:
    """A share in percent with its sign: two digits, or all of them from 100 % on."""
    percent = 100 * abs(added)
    if percent < 5e-4:
        return "±0 %"
    digits = f"{float(f'{percent:.2g}'):g}" if percent < 100 else f"{percent:.0f}"
    return f"{'−' if added < 0 else '+'}{digits} %"
