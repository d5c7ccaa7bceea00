"""Shares of streams: in what they hold, in what is read and written, and the branch's share in each of them.

Shapes: K layers measured together, n streams, N samples, C width (C / n where streams are parts of the width).
"""

from collections.abc import Sequence

import numpy as np
import torch

from mhc_core.metrics.registry import Metric, declare
from mhc_core.metrics.states import OURS, rms

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

for _key, (_title, _whole, _formula) in SHARES.items():
    declare(
        Metric(f"{_key}_share_max", f"{_title}, largest share of a stream", "share", "linear", "L", "forward",
               f"Largest share that one stream has {_whole}; 1/n where all have the same.", f"max_i p[i], {_formula}",
               OURS, precision=(0.0, 1e-5)),
        Metric(f"{_key}_share_entropy", f"{_title}, evenness over streams", "", "linear", "L", "forward",
               "Entropy of the streams' shares over its largest value: 0 where one stream has all, 1 where all have "
               "the same; n to this power is the effective number of streams. The shares are "
               f"{_whole}.{NOTES.get(_key, '')}",
               f"-sum_i p[i] ln p[i] / ln n, {_formula}", OURS, precision=(0.0, 1e-5)),
    )  # fmt: skip

declare(
    Metric("branch_share", "Branch's share of each stream", "share", "linear", "Ln", "forward",
           "How much of each stream the layer has just written: squared size of what the branch adds, over that plus "
           "squared size of what mixing passes on; over all samples, before a norm that follows the layer. No value "
           "where both are 0.",
           "w^2 / (w^2 + p^2), w = rms(H_post[i] F_l), p = rms(c sum_j H_res[i,j] x_{l-1}[j]), c = 1 unless the skip "
           "path is enlarged", OURS, precision=(1e-5, 1e-6)),
)  # fmt: skip


def measure_shares(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Largest share and evenness of activations, reads and writes, (K) each; {} for a single stream. numpy, float64.

    Parameters
    ----------
    columns: act_rms_streams, h_post and h_pre (K, n), or h_read (K, n, n) in place of h_pre; others are ignored.
    """
    if columns["h_post"].shape[1] == 1:
        return {}
    reads_Kn = np.abs(columns["h_read"]).sum(1) if "h_read" in columns else columns["h_pre"]
    sizes = {"act": columns["act_rms_streams"], "read": reads_Kn, "write": columns["h_post"]}
    found = {}
    for key, size_Kn in sizes.items():
        share_Kn = to_shares(size_Kn, power=2 if key == "act" else 1)
        found[f"{key}_share_max"] = share_Kn.max(1)
        found[f"{key}_share_entropy"] = _measure_evenness(share_Kn)
    return found


def to_shares(sizes_Kn: np.ndarray, power: int = 1) -> np.ndarray:
    """|size|^power over its sum, (K, n): nan where all are 0, inf where one is beyond its type: it has no share."""
    size = np.abs(sizes_Kn)
    with np.errstate(invalid="ignore"):
        # By the largest first, whose square may be beyond float64.
        scaled = (size / size.max(1, keepdims=True)) ** power
        share: np.ndarray = scaled / scaled.sum(1, keepdims=True)
    lost = np.isinf(size).any(1, keepdims=True) & ~np.isnan(size).any(1, keepdims=True)
    return np.where(lost, np.inf, share)


def _measure_evenness(share_Kn: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(share_Kn > 0, share_Kn * np.log(share_Kn), share_Kn)
    # Rounding would put the even case above 1 and leave a negative zero where one stream has all.
    evenness = np.abs(terms.sum(1)) / np.log(share_Kn.shape[1])
    return np.where(np.isfinite(evenness), np.minimum(evenness, 1.0), evenness)


class BranchShares:
    """branch_share of layers that come in blocks: it keeps the state that enters the next block.

    `skip` is the factor on the state that passes a layer by.
    """

    def __init__(self, skip: float) -> None:
        self.skip = skip
        self.entering_KnNC = torch.empty(0)

    def begin(self, x_KnNC: torch.Tensor) -> None:
        """Take the input's state, K = 1, before the first block."""
        self.entering_KnNC = x_KnNC.detach()

    def measure(
        self,
        x_KnNC: torch.Tensor,
        y_KNC: torch.Tensor,
        h_post: Sequence[torch.Tensor],
        h_res: Sequence[torch.Tensor],
    ) -> dict[str, torch.Tensor]:
        """branch_share (K, n) of the next K layers, from the states that leave them and the branches' outputs."""
        entering = torch.cat([self.entering_KnNC, x_KnNC[:-1]])
        self.entering_KnNC = x_KnNC[-1:].clone()  # a view would keep the whole block
        return measure_branch_share(entering, y_KNC, torch.stack(list(h_post)), torch.stack(list(h_res)), self.skip)


def measure_branch_share(
    x_KnNC: torch.Tensor, y_KNC: torch.Tensor, h_post: torch.Tensor, h_res: torch.Tensor, skip: float
) -> dict[str, torch.Tensor]:
    """branch_share (K, n), float64; inf where what is compared left its type.

    Parameters
    ----------
    x_KnNC: the states that enter the layers.
    y_KNC: branch outputs; of the width of all parts together where streams are parts.
    h_post: (K, n), or (K, N, n) where mixing is dynamic.
    h_res: (K, n, n), or (K, N, n, n).
    skip: factor on the state that passes by.
    """
    n = x_KnNC.shape[1]
    mixing = "kij" if h_res.ndim == 3 else "kbij"
    passed_Kn = rms(torch.einsum(f"{mixing},kjbc->kibc", h_res.to(x_KnNC.dtype), x_KnNC)) * skip
    y_KNpC = y_KNC.unflatten(2, (-1, x_KnNC.shape[3]))  # p is 1, or n where each part is written by itself
    sizes_KNp = torch.linalg.vector_norm(y_KNpC, dim=3, dtype=torch.float64)
    weights = h_post.double() if h_post.ndim == 3 else h_post.double().unsqueeze(1)
    written_Kn = torch.linalg.vector_norm(weights * sizes_KNp, dim=1) / y_KNpC[0, :, 0].numel() ** 0.5
    ratio = written_Kn / torch.hypot(written_Kn, passed_Kn)
    assert ratio.shape[1] == n
    largest = torch.maximum(written_Kn, passed_Kn)
    return {"branch_share": torch.where(largest.isinf(), torch.inf, ratio.square())}
