"""Gated Residual (arXiv 2608.30320): each feature of each stream is read with a separate gate, and H_res = I.

The definition follows public code, `Qwen4ExpTextGatedResidual` in transformers; the report was not read.
"""

import numpy as np

from mhc_core.family import Array, Family, Look, Use, compute_sigmoid


def compute_mixing(own: dict[str, Array], x_NnC: Array | None) -> tuple[Array, Array, Array]:
    """Compute the weights of features, H_post and H_res of Gated Residual in numpy.

        sigmoid(W_up silu(W_down v / n)) / (n rms(x[i])),  2 sigmoid(W_post v / n),  I

    v is the concatenation of all x[i] / rms(x[i]).
    """
    assert x_NnC is not None, "gates are made of the streams"
    samples, n, width = x_NnC.shape
    size = np.sqrt((x_NnC * x_NnC).mean(-1, keepdims=True) + 1e-20)
    v = (x_NnC / size).reshape(samples, n * width)
    low = v @ own["w_down"].T / n
    gates = compute_sigmoid(low * compute_sigmoid(low) @ own["w_up"].T).reshape(x_NnC.shape)
    post = 2 * compute_sigmoid(v @ own["w_post"].T / n)
    return gates / (n * size), post, np.broadcast_to(np.eye(n), (samples, n, n))


FAMILY = Family(
    name="Gated Residual",
    summary="a gate for each feature of each stream, and no residual mixing",
    year=2026,
    place=13,
    look=Look("#3c1800", "#e45418", "7px,2px,1px,2px,1px,2px", "triangle-left"),
    orthogonal=True,
    always_by_token=True,
    by_feature=True,
    has_rank=True,
    has_head=True,
    drawn="nothing",
    logits=lambda n: 0,
    build="mhc_core.layers.gated:build_gated",
    mixing_reference=compute_mixing,
    paper="arXiv 2608.30320",
    parent="identity_hc",
    keeps="several streams, each of gain 1",
    gives_up="reads of whole streams: a layer weighs every feature, with two more products of matrices",
    uses=(Use("Qwen4-Exp", "transformers, models/qwen4_exp", "2026-08-05"),),
)
