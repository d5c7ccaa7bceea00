"""Metrics of shares: of each stream in activations, reads and writes, and of the branch in each stream.

Shapes: K layers measured together, n streams, N samples, C width (C / n if streams are parts of the width).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.metric import OURS, Metric
from mhc_core.metrics.states import rms

if TYPE_CHECKING:
    import torch

MEAN = "of the mean over samples where mixing is dynamic"

SHARES = {
    "act": (
        "Activation",
        "of the squared size of all streams together, where they leave the layer",
        "p[i] = a[i]^2 / sum_j a[j]^2, a[i] = rms(x_l[i])",
    ),
    "read": (
        "Read",
        f"of the weights with which the layer reads, by magnitude, {MEAN}; of a read matrix, of the column sums of its "
        "magnitudes",
        "p[i] = |H_pre[i]| / sum_j |H_pre[j]|; with a read matrix p[i] = sum_k |Y[i,k]| / sum_jk |Y[j,k]|",
    ),
    "write": (
        "Write",
        f"of the weights with which the layer writes, by magnitude, {MEAN}",
        "p[i] = |H_post[i]| / sum_j |H_post[j]|",
    ),
}

NOTES = {"write": " It says how concentrated H_post is."}

METRICS = (
    *(
        metric
        for _key, (_title, _whole, _formula) in SHARES.items()
        for metric in (
            Metric(f"{_key}_share_max", f"{_title}, largest share of a stream", "share", "linear", "L", "forward",
                   f"Largest share that one stream has {_whole}; 1/n where all have the same.",
                   f"max_i p[i], {_formula}", OURS, precision=(0.0, 1e-5)),
            Metric(f"{_key}_share_entropy", f"{_title}, evenness over streams", "", "linear", "L", "forward",
                   "Entropy of the streams' shares over its largest value: 0 where one stream has all, 1 where all "
                   "have the same; n to this power is the effective number of streams. The shares are "
                   f"{_whole}.{NOTES.get(_key, '')}",
                   f"-sum_i p[i] ln p[i] / ln n, {_formula}", OURS, precision=(0.0, 1e-5)),
        )
    ),
    Metric("branch_share", "Branch's share of each stream", "share", "linear", "Ln", "forward",
           "How much of each stream the layer has just written: squared size of what the branch adds, over that plus "
           "squared size of what mixing passes on; over all samples, before a norm that follows the layer. No value "
           "where both are 0.",
           "w^2 / (w^2 + p^2), w = rms(H_post[i] F_l), p = rms(c sum_j H_res[i,j] x_{l-1}[j]), c = 1 unless the skip "
           "path is enlarged", OURS, precision=(1e-5, 1e-6)),
)  # fmt: skip


def measure_shares(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the largest share of one stream, and the evenness of shares, in activations, reads and writes, (K) each.

    Parameters
    ----------
    columns: act_rms_streams, h_post and h_pre (K, n), or h_read (K, n, n) instead of h_pre. Other columns are ignored.
        Missing columns, as for a checkpoint, have no shares in the result; h_post is required.
    """
    if columns["h_post"].shape[1] == 1:
        return {}
    reads_Kn = np.abs(columns["h_read"]).sum(1) if "h_read" in columns else columns.get("h_pre")
    sizes = {"act": columns.get("act_rms_streams"), "read": reads_Kn, "write": columns["h_post"]}
    powers = {"act": 2, "read": 1, "write": 1}
    shares = {key: to_shares(size_Kn, powers[key]) for key, size_Kn in sizes.items() if size_Kn is not None}
    found = {f"{key}_share_max": share_Kn.max(1) for key, share_Kn in shares.items()}
    evenness = _measure_evenness(np.stack(list(shares.values())))
    return found | {f"{key}_share_entropy": column for key, column in zip(shares, evenness, strict=True)}


def to_shares(sizes_Kn: np.ndarray, power: int = 1) -> np.ndarray:
    """Return |size|^power divided by its sum over streams, (K, n): nan if all sizes are 0, inf if one is infinite."""
    size = np.abs(sizes_Kn)
    with np.errstate(invalid="ignore"):
        # Divided by the largest first, whose square may overflow.
        scaled = (size / size.max(1, keepdims=True)) ** power
        share: np.ndarray = scaled / scaled.sum(1, keepdims=True)
    lost = np.isinf(size).any(1, keepdims=True) & ~np.isnan(size).any(1, keepdims=True)
    return np.where(lost, np.inf, share)


def _measure_evenness(shares: np.ndarray) -> np.ndarray:
    """Return the entropy of the streams' shares (..., n) over log n: 1 if all are equal, 0 if one stream has all."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(shares > 0, shares * np.log(shares), shares)
    # By rounding, equal shares could give more than 1, and a single nonzero share a negative 0.
    evenness = np.abs(terms.sum(-1)) / np.log(shares.shape[-1])
    return np.where(np.isfinite(evenness), np.minimum(evenness, 1.0), evenness)


def measure_branch_share(
    x_KnNC: torch.Tensor,
    size_Kn: torch.Tensor,
    y_KNC: torch.Tensor,
    h_post: torch.Tensor,
    h_res: torch.Tensor,
    passing_KnNC: torch.Tensor | None,
) -> dict[str, torch.Tensor]:
    """Measure branch_share (K, n) of K layers, float64; inf if a compared size is infinite.

    Parameters
    ----------
    x_KnNC: the states after the layers.
    size_Kn: their rms.
    y_KNC: branch outputs; if streams are parts of the width, C is the whole width.
    h_post: (K, n), or (K, N, n) if mixing is dynamic, float64.
    h_res: (K, n, n), or (K, N, n, n).
    passing_KnNC: the states to which H_res is applied. None if the state after a layer is exactly the sum of the passed
        and the written part, with no norm after it: the passed part is then computed from this sum.
    """
    import torch

    weights = h_post if h_post.ndim == 3 else h_post.unsqueeze(1)
    parts_KpNC = y_KNC.unflatten(2, (-1, x_KnNC.shape[3])).transpose(1, 2)  # p is 1, or n where streams are parts
    written_Kn = _measure_written(parts_KpNC, weights)
    if passing_KnNC is None:
        passed_Kn = _take_apart(x_KnNC, size_Kn, parts_KpNC, weights, written_Kn)
    else:
        passed_Kn = _measure_passed(passing_KnNC, h_res)
    ratio = written_Kn / torch.hypot(written_Kn, passed_Kn)
    largest = torch.maximum(written_Kn, passed_Kn)
    return {"branch_share": ratio.square_().masked_fill_(largest.isinf(), torch.inf)}


def _measure_written(parts_KpNC: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the rms of the written part H_post[i] F_l, (K, n). Weights are (K, 1, n), or (K, N, n), float64."""
    import torch

    sizes_KNp = torch.linalg.vector_norm(parts_KpNC, dim=3, dtype=torch.float64).transpose(1, 2)
    return torch.linalg.vector_norm(weights * sizes_KNp, dim=1) / parts_KpNC[0, 0].numel() ** 0.5


def _measure_passed(x_KnNC: torch.Tensor, h_res: torch.Tensor) -> torch.Tensor:
    """Return the rms of the passed part sum_j H_res[i,j] x[j], (K, n), by mixing the entering states again."""
    import torch

    mixing = "kij" if h_res.ndim == 3 else "kbij"
    return rms(torch.einsum(f"{mixing},kjbc->kibc", h_res.to(x_KnNC.dtype), x_KnNC))


def _take_apart(
    x_KnNC: torch.Tensor,
    size_Kn: torch.Tensor,
    parts_KpNC: torch.Tensor,
    weights: torch.Tensor,
    written_Kn: torch.Tensor,
) -> torch.Tensor:
    """Return the rms of the passed part, (K, n), from x, the sum of the passed and the written part.

    |x - w F|^2 = |x|^2 - 2 w x.F + |w F|^2, where only x.F must be computed: this takes a quarter of the time of mixing
    again. No term is larger than (passed + written)^2, so the error of the share by rounding is no larger than the
    relative error of that sum.
    """
    import torch

    width = x_KnNC.shape[3]
    # Divided by the largest entry, so that no product overflows.
    largest_K111 = torch.maximum(parts_KpNC.amax((1, 2, 3), keepdim=True), -parts_KpNC.amin((1, 2, 3), keepdim=True))
    largest_K111 = largest_K111.clamp_min(torch.finfo(x_KnNC.dtype).tiny)
    overlap_KnN = torch.linalg.vecdot(x_KnNC, (parts_KpNC / largest_K111).div_(width)).double()
    overlap_Kn = (weights.transpose(1, 2) * overlap_KnN).mean(2) * largest_K111[:, 0, 0]
    unit_Kn = torch.maximum(size_Kn, written_Kn)
    square_Kn = (size_Kn / unit_Kn).square() - 2 * (overlap_Kn / unit_Kn / unit_Kn) + (written_Kn / unit_Kn).square()
    passed_Kn = unit_Kn * square_Kn.clamp_min(0).sqrt()
    return passed_Kn.masked_fill_(unit_Kn.isinf(), torch.inf)
