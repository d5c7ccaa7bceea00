"""Frac-Connections (arXiv 2503.14125): Hyper-Connections between m parts of the width instead of n copies of it."""

import numpy as np

from mhc_core.family import Array, Family, Look, PageMap, divide_by_rms


def compute_mixing(own: dict[str, Array], x_NmC: Array | None) -> tuple[Array, Array, Array]:
    """Compute H_pre, H_post and H_res of Frac-Connections in numpy: static, or dynamic (Eq. 11-14) if x is given.

    Rows of the paper's Y and A index the part that is read.
    """
    pre, post, res = own["y"], own["b"], own["a"]
    if x_NmC is not None:
        normed = divide_by_rms(x_NmC)
        pre = pre + own["s_a"] * np.tanh(normed @ own["w_y"])
        post = post + own["s_b"] * np.tanh(normed @ own["w_b"])[..., 0]
        res = res + own["s_a"] * np.tanh(normed @ own["w_a"])
    return np.swapaxes(pre, -1, -2), post, np.swapaxes(res, -1, -2)


def require_divisor(n: int, width: int) -> str | None:
    """Return what the number of parts must be, as text for an error; None if it divides the width."""
    return f"a divisor of width {width}, which frac splits" if width % n else None


FAMILY = Family(
    name="Frac",
    summary="Frac-Connections, which split the width into parts instead of copying it",
    year=2025,
    place=8,
    look=Look("#305025", "#6b945c", "3px,2px,3px,6px", "star"),
    streams="parts",
    rows="free",
    columns="free",
    norm_bounded=False,
    signed=True,
    drawn="entries",
    rule=require_divisor,
    build="mhc_core.layers.frac:build_frac",
    mixing_reference=compute_mixing,
    page_map=PageMap("transpose"),
    paper="arXiv 2503.14125",
    parent="hc",
    keeps="free mixing, in a state as wide as a residual network's",
    gives_up="copies: a stream has a part of the width; the gain has no bound",
)
