"""Metrics of training, one value or one column over the layers a step.

Each is taken in the step's own pass, before its update: step 0 is the stack as initialised, on the step's own batch.
"""

from mhc_core.metrics.mixing import AMAX
from mhc_core.metrics.registry import Metric, declare
from mhc_core.metrics.states import OURS

declare(
    Metric("step_loss", "Training loss", "nats", "linear", "S", "step",
           "Loss of the step's own batch, before its update.", "loss", OURS, "steps"),
    Metric("step_lr", "Learning rate", "", "linear", "S", "step",
           "Step size of the update, warm-up included.", "lr * min(1, (step + 1) / warmup)", OURS, "steps"),
    Metric("step_grad_norm", "Gradient norm in training", "norm", "log", "S", "step",
           "Norm of the gradient of all parameters together, before clipping.",
           "||d loss / d (parameters)||_2", OURS, "steps"),
    Metric("step_param_grad_norm", "Parameter gradient in training", "norm", "log", "SL", "step",
           "Norm of the gradient of each layer's branch weights, before clipping.",
           "||d loss / d W_l||_2", OURS, "steps"),
    Metric("step_mixing_grad_norm", "Mixing gradient in training", "norm", "log", "SL", "step",
           "Norm of the gradient of each layer's mixing parameters, before clipping.",
           "||d loss / d (mixing parameters)_l||_2", OURS, "steps"),
    Metric("step_act_rms", "Activation in training", "rms", "log", "SL", "step",
           "Size of the signal where it leaves the layer, at this step.",
           "sqrt(mean over samples and features of m_l^2), m_l = mean_i x_l[i]; parts side by side for frac", OURS,
           "steps"),
    Metric("step_grad_rms", "Gradient in training", "rms", "log", "SL", "step",
           "Size of the gradient along a shift common to all streams, at this step.",
           "rms(sum_i g[i]), g = d loss / d x_l", OURS, "steps"),
    Metric("step_gain_fwd", "Composite gain in training, forward", "", "log", "SL", "step",
           "What the mixing of layers 1 to l together makes of a signal that all streams share, at this step; of "
           "matrices averaged over samples where mixing is dynamic.",
           "max_i |sum_j M[i,j]|, M = H_res_l ... H_res_1", AMAX, "steps"),
    Metric("step_gain_bwd", "Composite gain in training, backward", "", "log", "SL", "step",
           "What the mixing of layers l to L together makes of a gradient that all streams share, at this step; of "
           "matrices averaged over samples where mixing is dynamic.",
           "max_j |sum_i M[i,j]|, M = H_res_L ... H_res_l", AMAX, "steps"),
    Metric("step_h_pre", "H_pre in training", "", "linear", "KLn", "step",
           "Weight of each stream in what each layer reads; mean over samples.", "H_pre", "mHC Eq. 3", "kept"),
    Metric("step_h_read", "Read matrix in training", "", "linear", "KLnn", "step",
           "How the parts of the width make each layer's input, in place of H_pre; mean over samples.", "Y^T",
           "arXiv 2503.14125, Eq. 8", "kept"),
    Metric("step_h_post", "H_post in training", "", "linear", "KLn", "step",
           "Weight of each layer's output in each stream; mean over samples.", "H_post", "mHC Eq. 3", "kept"),
    Metric("step_h_res", "H_res in training", "", "linear", "KLnn", "step",
           "How streams mix past each layer; rows are outputs, columns inputs; mean over samples.",
           "H_res", "mHC Eq. 3", "kept"),
    Metric("step_cka", "CKA in training", "", "linear", "KLL", "step",
           "How alike two layers' representations are, with the run's estimator; in stacks of up to 256 layers.",
           "HSIC_1(K_l, K_m) / sqrt(HSIC_1(K_l, K_l) HSIC_1(K_m, K_m)), K_l the Gram matrix of m_l",
           "Kornblith et al. 2019; Song et al. 2012", "kept"),
)  # fmt: skip
