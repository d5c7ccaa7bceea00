"""What enters the streams at one depth, followed to every later depth."""

from mhc_core.metrics.registry import Metric, declare

declare(
    Metric("unfolded", "Unfolded connections", "", "linear", "LJ", "mixing",
           "Weight of every earlier output in what a layer reads: column 0 is the embedding, column j the output of "
           "layer j, counted from 1. Through mixing alone: branches and post-norms are left out. Of matrices averaged "
           "over samples where mixing is dynamic.",
           "w[k,j] = H_pre_k H_res_{k-1} ... H_res_{j+1} H_post_j, H_post_0 = 1", "HC, arXiv 2409.19606, Eq. 20",
           "matrices", precision=(1e-5, 1e-5), prefix=True),
)  # fmt: skip
