"""How much of the loss's pull on H_res reaches the parameters that make it."""

from mhc_core.metrics.catalogue.sources import OURS
from mhc_core.metrics.registry import Metric, declare

declare(
    Metric("mixing_grad_norm", "Gradient of the mixing", "norm", "log", "L", "mixing",
           "Norm of the gradient of all the layer's mixing parameters.",
           "||d loss / d (mixing parameters)_l||_2", OURS, precision=(1e-3, 0.0)),
    Metric("mixing_signal", "Gradient that mixing can follow", "ratio", "log", "L", "mixing",
           "Share of the gradient at H_res that keeps rows and columns at 1; 0 where streams are identical. Only where "
           "H_res is made of logits; of gradients summed over samples.",
           "||C G C|| / ||G||, G = d loss / d H_res, C = I - J/n", OURS, precision=(1e-3, 1e-4)),
    Metric("mixing_grad_share", "Gradient that reaches the logits", "ratio", "log", "L", "mixing",
           "How much of the gradient that mixing can follow reaches the logits of H_res: 1/n for Sinkhorn at the "
           "uniform matrix, near 0 where the logits are saturated. Sinkhorn that has not converged lets a little of "
           "the rest through as well. No value where there is no signal.",
           "||d loss / d t_res|| / ||C G C||, G = d loss / d H_res, C = I - J/n", OURS, precision=(1e-3, 0.0)),
)  # fmt: skip
