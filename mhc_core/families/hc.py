"""Hyper-Connections (arXiv 2409.19606): unconstrained real mixing, static or with a dynamic part through a tanh."""

import numpy as np

from mhc_core.family import Array, Family, Look, PageMap, divide_by_rms


def compute_mixing(own: dict[str, Array], x_NnC: Array | None) -> tuple[Array, Array, Array]:
    """Compute H_pre, H_post and H_res of HC in numpy: static, or dynamic, A + s tanh(norm(x) W), if x is given.

    Rows of the paper's A_r index the input stream.
    """
    pre, post, res = own["a_m"], own["b"], own["a_r"]
    if x_NnC is not None:
        normed = divide_by_rms(x_NnC)
        pre = pre + own["s_a"] * np.tanh(normed @ own["w_m"])[..., 0]
        post = post + own["s_b"] * np.tanh(normed @ own["w_b"])[..., 0]
        res = res + own["s_a"] * np.tanh(normed @ own["w_r"])
    return pre, post, np.swapaxes(res, -1, -2)


FAMILY = Family(
    name="HC",
    summary="Hyper-Connections",
    year=2024,
    place=2,
    look=Look("#b84718", "#f28b50", "solid", "square"),
    rows="free",
    columns="free",
    norm_bounded=False,
    signed=True,
    drawn="entries",
    build="mhc_core.layers.hc:build_hc",
    mixing_reference=compute_mixing,
    page_map=PageMap("transpose"),
    paper="arXiv 2409.19606",
    parent="residual",
    keeps="several streams, and any mixing between them",
    gives_up="a bound: the gain of many layers can be of any size",
)
