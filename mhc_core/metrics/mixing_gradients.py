"""Metrics of the gradient of the mixing: how much of the gradient of H_res reaches its logits. numpy, float64.

Two causes keep H_res unchanged in training, and two columns distinguish them. If streams are identical, the gradient of
H_res has no component that keeps it doubly stochastic (no signal, by symmetry). If the logits are saturated, for
example close to the identity, there is such a component, but little of it reaches the logits (frozen).
"""

import numpy as np

from mhc_core.metric import OURS, Metric

METRICS = (
    Metric("mixing_grad_norm", "Gradient of the mixing", "norm", "log", "L", "mixing",
           "Norm of the gradient of all the layer's mixing parameters.",
           "||d loss / d (mixing parameters)_l||_2", OURS, precision=(1e-3, 0.0)),
    Metric("mixing_signal", "Gradient that mixing can follow", "ratio", "log", "L", "mixing",
           "Share of the gradient at H_res that keeps rows and columns at 1; 0 where streams are identical. Only where "
           "H_res is made of logits and its sums are to be 1; of gradients summed over samples.",
           "||C G C|| / ||G||, G = d loss / d H_res, C = I - J/n", OURS, precision=(1e-3, 1e-4)),
    Metric("mixing_grad_share", "Gradient that reaches the logits", "ratio", "log", "L", "mixing",
           "How much of the gradient that mixing can follow reaches the logits of H_res: 1/n for Sinkhorn at the "
           "uniform matrix, near 0 where the logits are saturated. Sinkhorn that has not converged lets a little of "
           "the rest through as well. No value where there is no signal.",
           "||d loss / d t_res|| / ||C G C||, G = d loss / d H_res, C = I - J/n", OURS, precision=(1e-3, 0.0)),
)  # fmt: skip

# A signal below this multiple of the type's epsilon is mostly rounding errors of nearly equal streams.
ROUNDINGS = 300


def measure_mixing_gradients(
    h_res_grads_Lnn: np.ndarray, logit_grad_norms_L: np.ndarray, eps: float
) -> dict[str, np.ndarray]:
    """Measure the share of H_res's gradient that keeps sums of 1 (mixing_signal), and the share of that which reaches
    the logits (mixing_grad_share), (L) each.

    Parameters
    ----------
    h_res_grads_Lnn: d loss / d H_res, summed over samples.
    logit_grad_norms_L: norm of d loss / d (residual logits).
    eps: machine epsilon of the type in which the gradients were computed.
    """
    followed = np.linalg.norm(_centre(h_res_grads_Lnn), axis=(1, 2))
    whole = np.linalg.norm(h_res_grads_Lnn, axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        signal, share = followed / whole, logit_grad_norms_L / followed
    return {"mixing_signal": signal, "mixing_grad_share": np.where(signal > ROUNDINGS * eps, share, np.nan)}


def _centre(matrices_Lnn: np.ndarray) -> np.ndarray:
    """Return C G C, the matrices without the means of their rows and columns."""
    rows = matrices_Lnn - matrices_Lnn.mean(2, keepdims=True)
    return rows - rows.mean(1, keepdims=True)
