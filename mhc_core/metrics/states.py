"""Metrics of states, branch inputs and branch outputs in the forward pass.

Shapes: K layers measured together, n streams, N samples (tokens of all sequences), C width, P selected samples.
m_l is the merged state after layer l: the mean over streams; if streams are parts of the width, all parts together (C
is then C / n in a stream); if one stream is the embedding, the other stream. u_l is the branch input, y_l the branch
output. Sums of squares are computed in float64: squares of float32 states near 1e19 would overflow, and long sums would
be inaccurate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mhc_core.metric import OURS, Metric, find_largest, split_for_cache

if TYPE_CHECKING:
    import torch

METRICS = (
    Metric("act_rms", "Activation", "rms", "log", "L", "forward",
           "Size of the signal where it leaves the layer; with attention over depth, of what the next layer reads.",
           "sqrt(mean over samples and features of m_l^2), m_l = mean_i x_l[i]; of frac all parts, of weighted the "
           "state", OURS,
           precision=(1e-5, 0.0)),
    Metric("act_rms_streams", "Activation per stream", "rms", "log", "Ln", "forward",
           "Size of each stream where it leaves the layer.", "sqrt(mean x_l[i]^2)", OURS, precision=(1e-5, 0.0)),
    Metric("branch_in_rms", "Branch input", "rms", "log", "L", "forward",
           "Size of what the layer reads from the streams.", "rms(u_l), u_l = sum_j H_pre[j] x_l[j]", "mHC Eq. 3",
           precision=(1e-5, 0.0)),
    Metric("branch_out_rms", "Branch output", "rms", "log", "L", "forward",
           "Size of what the layer adds, before H_post.", "rms(F_l(u_l))", "mHC Eq. 3", precision=(1e-5, 0.0)),
    Metric("cos_prev", "Similarity to the layer before", "cosine", "linear", "L", "forward",
           "How much consecutive layers read the same thing: median over samples.", "cos(u_l, u_{l-1})", "HC Fig. 3",
           precision=(0.0, 2e-5)),
    Metric("cos_prev_p05", "Similarity to the layer before, 5th percentile", "cosine", "linear", "L", "forward",
           "Lower edge of the spread over samples.", "5th percentile of cos(u_l, u_{l-1})", "HC Fig. 3",
           precision=(0.0, 2e-5)),
    Metric("cos_prev_p95", "Similarity to the layer before, 95th percentile", "cosine", "linear", "L", "forward",
           "Upper edge of the spread over samples.", "95th percentile of cos(u_l, u_{l-1})", "HC Fig. 3",
           precision=(0.0, 2e-5)),
    Metric("token_cos", "Token similarity", "cosine", "linear", "L", "forward",
           "Mean cosine between different tokens; 1 is rank collapse.",
           "mean_{s != t} cos(m_l[s], m_l[t])", "after arXiv 2103.03404, rank collapse", precision=(0.0, 2e-6)),
    Metric("stream_cos", "Stream similarity", "cosine", "linear", "L", "forward",
           "Mean cosine between different streams of one token; 1 means that they carry the same.",
           "mean_{i != j} mean_t cos(x_l[i,t], x_l[j,t])", OURS, precision=(0.0, 2e-5)),
    Metric("stream_cosines", "Cosines between streams", "cosine", "linear", "Lnn", "forward",
           "Cosine between every two streams of one token, mean over samples.",
           "mean_t cos(x_l[i,t], x_l[j,t])", OURS, "matrices", precision=(0.0, 2e-5)),
    Metric("effective_rank", "Effective rank", "dimensions", "linear", "L", "forward",
           "How many directions the samples use, up to 256 samples.",
           "exp(entropy of the normalised singular values of m_l)", "Roy & Vetterli 2007", precision=(1e-5, 0.0)),
)  # fmt: skip

MAX_RANKED = 256  # number of samples for the effective rank
LONGEST_SUM = 2**14  # number of entries; a float32 product over a million of them is wrong in the fifth digit


def measure_states(
    x_KnNC: torch.Tensor,
    m_KNC: torch.Tensor,
    *,
    largest_KnN: torch.Tensor | None = None,
    norm_KnN: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """Return the metrics of single states, for K states: of their streams, and of the merged streams.

    largest_KnN, norm_KnN: the result of `find_largest` for the streams, and the norm of each of their tokens, float64,
        if other metrics need them as well; by default they are computed.

    Returns
    -------
    act_rms (K), act_rms_streams (K, n), token_cos (K), effective_rank (K), and if n > 1, stream_cos (K) and
    stream_cosines (K, n, n).
    """
    return {
        "act_rms": rms(m_KNC),
        "token_cos": token_cosine(m_KNC),
        "effective_rank": effective_rank(m_KNC),
        **measure_streams(x_KnNC, largest_KnN, norm_KnN),
    }


def measure_streams(
    x_KnNC: torch.Tensor, largest_KnN: torch.Tensor | None = None, norm_KnN: torch.Tensor | None = None
) -> dict[str, torch.Tensor]:
    """Return metrics of each stream: act_rms_streams (K, n), and for n > 1 stream_cos (K), stream_cosines (K, n, n)."""
    measured = {"act_rms_streams": rms(x_KnNC, norm_KnN)}
    if x_KnNC.shape[1] > 1:
        measured["stream_cosines"] = _stream_cosines(x_KnNC, largest_KnN)
        measured["stream_cos"] = _mean_off_diagonal(measured["stream_cosines"])
    return measured


def measure_branches(u_KNC: torch.Tensor, y_KNC: torch.Tensor, u_before_NC: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the metrics of branch inputs and outputs; `u_before_NC` is the branch input before the first of them."""
    return {
        "branch_in_rms": rms(u_KNC),
        "branch_out_rms": rms(y_KNC),
        **measure_neighbours(u_KNC, u_before_NC),
    }


def measure_neighbours(u_KNC: torch.Tensor, u_before_NC: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return median and percentiles of the cosine of each branch input with that of the layer before: 3 columns (K).

    `u_before_NC` is the branch input of the layer before the first.
    """
    import torch

    units = _to_unit(torch.cat([u_before_NC.unsqueeze(0), u_KNC]))
    cosines_KN = torch.linalg.vecdot(units[1:], units[:-1])
    ordered_KN = cosines_KN.sort(dim=1).values
    is_lost_K = ordered_KN[:, -1].isnan()  # nan sorts last
    levels = {"cos_prev": 0.5, "cos_prev_p05": 0.05, "cos_prev_p95": 0.95}
    return {key: _quantile(ordered_KN, level).masked_fill_(is_lost_K, torch.nan) for key, level in levels.items()}


def rms(x: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
    """Return the root mean square over the last two axes, in float64.

    rows: the norm over the last axis, float64; by default it is computed.
    """
    import torch

    if rows is None:
        parts = [torch.linalg.vector_norm(part, dim=-1, dtype=torch.float64) for part in split_for_cache(x)]
        rows = torch.cat(parts) if len(parts) > 1 else parts[0]
    return torch.linalg.vector_norm(rows, dim=-1) / (x.shape[-1] * x.shape[-2]) ** 0.5


def pick_samples(count: int, most: int, device: torch.device) -> torch.Tensor:
    """Return the indices of at most `most` of `count` samples, evenly spaced."""
    import torch

    return torch.linspace(0, count - 1, min(count, most), device=device).round().long()


def _quantile(ordered_KN: torch.Tensor, level: float) -> torch.Tensor:
    """Return a quantile (K), linear between order statistics. `torch.quantile` is slower."""
    import torch

    last = ordered_KN.shape[1] - 1
    low = int(level * last)
    return torch.lerp(ordered_KN[:, low], ordered_KN[:, min(low + 1, last)], level * last - low)


def _to_unit(x: torch.Tensor, largest: torch.Tensor | None = None) -> torch.Tensor:
    """Return x divided by its norm over the last axis, without overflow; `largest` is the result of `find_largest`."""
    # Divided by the largest entry first: the norm of a float32 vector near 1e19 overflows in float32.
    import torch

    x = x / (find_largest(x) if largest is None else largest).unsqueeze(-1)
    return x.div_(torch.linalg.vector_norm(x, dim=-1, keepdim=True))


def token_cosine(m_KNC: torch.Tensor) -> torch.Tensor:
    """Return the mean cosine between different samples of each layer, (K), float64."""
    samples = m_KNC.shape[1]
    total = _to_unit(m_KNC).sum(1).double().square().sum(-1)
    return (total - samples) / (samples * (samples - 1))


def _stream_cosines(x_KnNC: torch.Tensor, largest_KnN: torch.Tensor | None) -> torch.Tensor:
    """Return the mean cosine over samples of each pair of streams, (K, n, n)."""
    import torch

    samples, width = x_KnNC.shape[2:]
    size = min(samples, max(1, LONGEST_SUM // width))
    parts = _to_unit(x_KnNC, largest_KnN).split([samples - samples % size, samples % size], dim=2)
    sums = [_sum_products(part, min(size, part.shape[2])) for part in parts if part.shape[2]]
    return torch.stack(sums).sum(0) / samples


def _sum_products(x_KnNC: torch.Tensor, size: int) -> torch.Tensor:
    """Return the Gram matrices of the streams over features and samples, (K, n, n), in parts of `size` samples."""
    import torch

    x_KPnS = x_KnNC.unflatten(2, (-1, size)).transpose(1, 2).flatten(3)
    # One layer at a time, because `bmm` would copy the parts of all layers before the product.
    products = [torch.bmm(left, right) for left, right in zip(x_KPnS.unbind(), x_KPnS.mT.unbind(), strict=True)]
    return torch.stack(products).double().sum(1)


def _mean_off_diagonal(matrices_Knn: torch.Tensor) -> torch.Tensor:
    """Return the mean of the entries off the diagonal of each matrix, (K)."""
    n = matrices_Knn.shape[1]
    diagonal = matrices_Knn.diagonal(dim1=1, dim2=2).sum(1)
    return (matrices_Knn.sum((1, 2)) - diagonal) / (n * (n - 1))


def effective_rank(m_KNC: torch.Tensor) -> torch.Tensor:
    """Return exp of the entropy of each layer's normalised singular values, for at most 256 samples, (K), float64."""
    import torch

    samples = m_KNC.shape[1]
    kept = m_KNC if samples <= MAX_RANKED else m_KNC[:, pick_samples(samples, MAX_RANKED, m_KNC.device)]
    largest_K = kept.abs().amax((1, 2)).double()  # not finite if any entry is not
    is_lost_K = ~torch.isfinite(largest_K)
    kept = kept.to(torch.float64, copy=True).div_(largest_K.clamp_min(torch.finfo(torch.float64).tiny)[:, None, None])
    # With squared singular values in float64, singular values have eight digits.
    wide = kept.shape[1] < kept.shape[2]
    gram = kept @ kept.mT if wide else kept.mT @ kept
    # The eigensolver refuses non-finite input; such a layer gets nan afterwards.
    gram.masked_fill_(is_lost_K[:, None, None], 0)
    singular = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    share = singular / singular.sum(1, keepdim=True)
    rank = torch.exp(-torch.xlogy(share, share).sum(1))
    return rank.masked_fill_(is_lost_K, torch.nan)
