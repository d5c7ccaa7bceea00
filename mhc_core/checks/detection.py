"""Texts of the checks of a verification: what they compare, and which faults they can and cannot find."""

from mhc_core.theory.laws import OWN

# For each exact relation: its metric, the largest error for which it holds, its statement, and its source.
IDENTITIES = {
    "layer_rule": (
        "act_rms", 1e-11, "In float64, every state is H_res x + H_post F, normed where the norm follows the addition.",
        "mHC Eq. 3",
    ),
    "read_rule": (
        "branch_in_rms", 1e-11, "In float64, every branch input is the sum of the streams by H_pre.", "mHC Eq. 3",
    ),
    "start_rule": (
        "act_rms", 1e-12, "In float64, the streams before the first layer are those of the embedding that the spec "
        "names.", OWN,
    ),
    "output_rule": (
        "act_rms", 1e-11, "In float64, the output is the sum of the streams by the weights that the spec names, normed "
        "where the norm precedes a branch; here and at moved parameters.", OWN,
    ),
    "depth_rule": (
        "act_rms", 1e-11, "In float64, what is read after a layer is the sum of the sources by their weights, normed "
        "where the norm follows the layer.", "the code that the family is defined by",
    ),
    "depth_weights": (
        "unfolded", 1e-10, "The weights of the sources are what the formula of the family makes of the "
        "parameters, here and at moved ones.", "the code that the family is defined by",
    ),
    "depth_mean": (
        "unfolded", 1e-12, "As initialised, the weights of the sources are those with which the family starts: "
        "1/K each of K where queries are 0.", OWN,
    ),
    "projection": ("h_res", 1e-10, "H_res is what Sinkhorn's rounds make of the raw logits.", "mHC Eq. 8-9"),
    "norm": ("branch_out_rms", 1e-9, "A branch after a norm gives the same for a state twice as large.", OWN),
    "causality": ("act_rms", 1e-11, "Other tokens in the second half of a sequence leave the first as it was.", OWN),
    "adjoint": (
        "grad_rms", 0.01, "A layer's gradient foretells what a small move does to the next layer, or to the loss.", OWN,
    ),
    "gauge": (
        "act_rms", 1e-9, "In float64, the output stays the same where streams are written in the basis in which every "
        "H_res is the identity.", OWN,
    ),
    "attention": (
        "branch_out_rms", 1e-5, "In float64, attention and its gradient are those of the plain formula.",
        "arXiv 1706.03762, Eq. 1",
    ),
}  # fmt: skip

# The same for the formulas of a layer's coefficients. Their tolerance depends on the type of the computation.
MAPS = {
    "map_pre": (
        "h_pre", "H_pre is what the formula of its family makes of the parameters, here and at moved ones.",
        "mHC Eq. 7-9; arXiv 2409.19606; arXiv 2503.14125",
    ),
    "map_post": (
        "h_post", "H_post is what the formula of its family makes of the parameters, here and at moved ones.",
        "mHC Eq. 7-9; arXiv 2409.19606; arXiv 2503.14125",
    ),
    "map_res": (
        "h_res", "H_res is what the formula of its family makes of the parameters, here and at moved ones.",
        "mHC Eq. 7-9; arXiv 2409.19606; arXiv 2503.14125",
    ),
}  # fmt: skip

# For each check: which faults make it fail, and which it cannot find.
DETECTS = {
    "recomputation": "Finds what the run or its precision get wrong compared with plain autograd in float64, and a "
    "metric that is wrong: each column is computed a second time from its formula. It cannot find a fault of the "
    "network itself, which both share, or one that is smaller than the tolerance.",
    "map_pre": "Finds reading weights by another formula, such as a softmax, and a projection of tokens that is wrong. "
    "It cannot find parameters that start elsewhere.",
    "map_post": "Finds writing weights by another formula, such as without the factor 2, and a projection of tokens "
    "that is wrong. It cannot find parameters that start elsewhere.",
    "map_res": "Finds mixing by another formula, too few rounds, a transposed matrix, and a projection of tokens that "
    "is wrong. It cannot find parameters that start elsewhere.",
    "sums": "Finds mixing that is not what its family promises. It cannot find a transposed matrix whose sums are 1 "
    "both ways, or anything outside the mixing.",
    "mean_law": "Finds branches that are written with other weights than H_post, and columns that do not sum to 1. It "
    "cannot find faults inside a branch.",
    "drift_size": "Finds a drift that is a few percent too large or small. It cannot find a transposed matrix, or "
    "anything outside the mixing.",
    "layer_rule": "Finds a transposed H_res, a missing skip path, and a norm after the addition that is missing. It "
    "cannot find faults inside a branch, or coefficients that are wrong themselves.",
    "read_rule": "Finds streams that are read by other weights than H_pre, such as those of another layer. It cannot "
    "find weights that are wrong themselves.",
    "start_rule": "Finds streams that start alike where each has a vector of its own. It cannot find a wrong "
    "embedding, or vectors that start elsewhere.",
    "output_rule": "Finds another read-out, such as a mean for a learned head, and a norm that is missing after it. It "
    "cannot find a loss that is wrong.",
    "depth_rule": "Finds a source that is missing, summed twice or in the wrong block, and a gate that is left out. It "
    "cannot find faults inside a branch, or weights that are wrong themselves.",
    "depth_weights": "Finds weights by another formula, such as keys without their norm, another scale, or a softmax "
    "over another axis. It cannot find queries that start elsewhere.",
    "depth_mean": "Finds queries that do not start at 0, and a source that is left out. It cannot find keys that are "
    "wrong, which a query of 0 does not read.",
    "projection": "Finds too few rounds of Sinkhorn, and rows and columns in the wrong order. It cannot find wrong "
    "logits.",
    "norm": "Finds a missing norm in front of a branch. It cannot find a norm of another kind.",
    "causality": "Finds a missing attention mask. It cannot find a mask that hides too much.",
    "gauge": "Finds mixing that is applied otherwise than noted, such as transposed, and anything else that acts on "
    "single streams, such as a norm. It cannot find coefficients that are wrong themselves.",
    "adjoint": "Finds a gradient that a layer or the loss makes wrong by 1 %. It cannot find errors across the move "
    "that is tried, or in the gradients of weights; where a layer bends too much, or a coarse type makes its "
    "coefficients from the state, nothing is compared.",
    "attention": "Finds an attention kernel whose output or gradient is wrong, as where softmax is saturated. It "
    "cannot find wrong weights, or errors of the run's own precision.",
    "weights": "Finds weights drawn a few percent too large or too small. It cannot find dependent weights.",
    "doubly_stochastic": "Finds sums that are not 1 after any number of layers. It cannot find a transposed matrix, or "
    "anything outside the mixing.",
    "unit_sums": "Finds sums that are not 1 after any number of layers. It cannot find a transposed matrix, or "
    "anything outside the mixing.",
    "norm_bound": "Finds products of mixing that lengthen a signal. It cannot find a transposed matrix, mixing that "
    "shortens signals too much, or anything outside the mixing.",
    "singular_floor": "Finds products of mixing that shorten a signal. It cannot find a transposed matrix, or anything "
    "outside the mixing.",
    "rows_exact": "Finds rows that do not sum to 1. It cannot find too few rounds, which leave rows exact, a matrix "
    "that is applied otherwise than noted, such as transposed, or anything outside the mixing.",
    "drift_gain": "Finds a drift that is several times too large. It cannot find a transposed matrix, whose products "
    "have the same law, or anything outside the mixing.",
    "post_norm": "Finds a missing norm after the addition. It cannot find anything that the norm takes away again.",
    "rezero": "Finds a branch that does not start at zero, and a missing skip path. It cannot find anything inside a "
    "branch.",
    "correlation_map": "Finds another activation. It cannot find what changes sizes alone, as cosines have none.",
    "mean_field": "Finds weights 5 % too large, and a norm that is missing in one layer. It cannot find a gradient "
    "that is 5 % too large, or faults that move a column less than the band is wide.",
    "residual_pre": "Finds a layer without its skip path or norm. It cannot find a gradient that is 5 % too large, "
    "or faults in mixing that keeps streams alike, and finds weights 5 % too large in half of all seeds.",
    "residual_none": "Finds weights 5 % too large, a layer without its skip path, and a gradient that enters 5 % too "
    "large. It cannot find faults that move a column less than the band is wide.",
    "residual_post": "Finds a gradient that enters 5 % too large. It cannot find weights of another size, which the "
    "norm takes away again, and finds a missing skip path or norm in less than half of all seeds.",
}
