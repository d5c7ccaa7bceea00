"""Metrics of training: one value, or one column over the layers, per training step.

They are measured in the pass of a step, before its update. At step 0, the stack is as initialised.
"""

from mhc_core.metric import OURS, Metric
from mhc_core.metrics.mixing import AMAX

METRICS = (
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
           "sqrt(mean over samples and features of m_l^2), m_l = mean_i x_l[i]; of frac all parts, of weighted the "
           "state", OURS,
           "steps"),
    Metric("step_grad_rms", "Gradient in training", "rms", "log", "SL", "step",
           "Size of the gradient along a shift common to all streams, at this step.",
           "rms(sum_i g[i]), g = d loss / d x_l", OURS, "steps"),
    Metric("step_cos_prev", "Similarity to the layer before, in training", "cosine", "linear", "SL", "step",
           "How much consecutive layers read the same thing, at this step: median over samples.",
           "cos(u_l, u_{l-1})", "HC Fig. 3", "steps"),
    Metric("step_cos_prev_p05", "Similarity to the layer before, in training, 5th percentile", "cosine", "linear", "SL",
           "step", "Lower edge of the spread over samples, at this step.",
           "5th percentile of cos(u_l, u_{l-1})", "HC Fig. 3", "steps"),
    Metric("step_cos_prev_p95", "Similarity to the layer before, in training, 95th percentile", "cosine", "linear",
           "SL", "step", "Upper edge of the spread over samples, at this step.",
           "95th percentile of cos(u_l, u_{l-1})", "HC Fig. 3", "steps"),
    Metric("step_token_cos", "Token similarity in training", "cosine", "linear", "SL", "step",
           "Mean cosine between different tokens, at this step; 1 is rank collapse.",
           "mean_{s != t} cos(m_l[s], m_l[t])", "after arXiv 2103.03404, rank collapse", "steps"),
    Metric("step_gain_fwd", "Gain in training, forward", "", "log", "SL", "step",
           "The largest factor, over streams, by which the mixing of layers 1 to l together amplifies a signal that "
           "all streams share, at this step. Dynamic mixing is averaged over samples.",
           "max_i |sum_j M[i,j]|, M = H_res_l ... H_res_1", AMAX, "steps"),
    Metric("step_gain_bwd", "Gain in training, backward", "", "log", "SL", "step",
           "The largest factor, over streams, by which the mixing of layers l to L together amplifies a gradient that "
           "all streams share, at this step. Dynamic mixing is averaged over samples.",
           "max_j |sum_i M[i,j]|, M = H_res_L ... H_res_l", AMAX, "steps"),
    Metric("step_value_weight_own", "Weight of own values in training", "weight", "linear", "SL", "step",
           "Weight of an attention layer's own values, where a value residual has learned weights, at this step; no "
           "value for other layers.", "l1 in l1 V_l + l2 V_1", OURS, "steps"),
    Metric("step_value_weight_first", "Weight of the first layer's values in training", "weight", "linear", "SL",
           "step", "Weight of the values of the first attention layer, where a value residual has learned weights, at "
           "this step; no value for other layers.", "l2 in l1 V_l + l2 V_1", OURS, "steps"),
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
    Metric("step_act_rms_streams", "Activation per stream in training", "rms", "log", "KLn", "step",
           "Size of each stream where it leaves the layer.", "sqrt(mean x_l[i]^2)", OURS, "kept"),
    Metric("step_grad_rms_streams", "Gradient per stream in training", "rms", "log", "KLn", "step",
           "Size of the gradient of each stream.", "rms(g[i])", OURS, "kept"),
    Metric("step_stream_cos", "Stream similarity in training", "cosine", "linear", "KL", "step",
           "Mean cosine between different streams of one token; 1 means that they carry the same.",
           "mean_{i != j} mean_t cos(x_l[i,t], x_l[j,t])", OURS, "kept"),
    Metric("step_unfolded", "Effective skip connections in training", "", "linear", "KLJ", "step",
           "Weight of every earlier output in what a layer reads, through mixing alone: column 0 is the embedding, "
           "column j the output of layer j, counted from 1; in stacks of up to 256 layers.",
           "w[k,j] = H_pre_k H_res_{k-1} ... H_res_{j+1} H_post_j, H_post_0 = 1", "HC, arXiv 2409.19606, Eq. 20",
           "kept"),
)  # fmt: skip
