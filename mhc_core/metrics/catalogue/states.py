"""The states as signals travel up: m_l with its streams merged, u_l what a branch reads, y_l what it writes."""

from mhc_core.metrics.catalogue.sources import OURS
from mhc_core.metrics.registry import Metric, declare

declare(
    Metric("act_rms", "Activation", "rms", "log", "L", "forward",
           "Size of the signal where it leaves the layer.",
           "sqrt(mean over samples and features of m_l^2), m_l = mean_i x_l[i]; parts side by side for frac", OURS,
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
