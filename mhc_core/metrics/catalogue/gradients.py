"""The gradients on their way down. g = d loss / d x_l, where the state leaves the layer."""

from mhc_core.metrics.catalogue.sources import OURS
from mhc_core.metrics.registry import Metric, declare

declare(
    Metric("grad_rms", "Gradient", "rms", "log", "L", "backward",
           "Size of the gradient along a shift common to all streams, the one that compares across expansion rates; "
           "of all parts side by side where streams are parts of the width.",
           "rms(sum_i g[i]), g = d loss / d x_l", OURS, precision=(1e-5, 0.0)),
    Metric("grad_rms_streams", "Gradient per stream", "rms", "log", "Ln", "backward",
           "Size of the gradient of each stream.", "rms(g[i])", OURS, precision=(1e-5, 0.0)),
    Metric("branch_grad_rms", "Gradient at the branch input", "rms", "log", "L", "backward",
           "Size of the gradient at what the layer reads.", "rms(d loss / d u_l)", OURS, precision=(1e-5, 0.0)),
    Metric("param_grad_norm", "Parameter gradient", "norm", "log", "L", "backward",
           "Norm of the gradient of the branch's weights.", "||d loss / d W_l||_2", OURS, precision=(1e-5, 0.0)),
    Metric("grad_to_weight", "Gradient to weight", "ratio", "log", "L", "backward",
           "Parameter gradient over weight norm.", "||d loss / d W_l||_2 / ||W_l||_2", OURS, precision=(1e-5, 0.0)),
)  # fmt: skip
