"""Shares of streams: in what they hold, in what is read and written, and the branch's share in each of them."""

from mhc_core.metrics.catalogue.sources import OURS
from mhc_core.metrics.registry import Metric, declare

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
