"""State what each check of a module can find and what it cannot, for people. docs/check.md has the same table."""

# By the check's name, in the order of the report.
DETECTS = {
    "read": "Finds a branch's input that is no weighted sum of streams.",
    "mixing applied": "Finds H_res that is computed and never used, and a branch's output that is normalised, rounded "
    "or added in a nonlinear way.",
    "mixing backward": "Finds a gradient of the streams that differs from finite differences by more than 0.3 %: "
    "coefficients from `x.detach()`, a detached or straight-through Sinkhorn. It cannot find a smaller error, or a "
    "scale that a hook or an optimizer adds later.",
    "branch backward": "Finds a gradient of the branch's output that is scaled or detached. It cannot find an error "
    "below 0.3 %, or a scale that a hook or an optimizer adds later.",
    "token axis": "Finds coefficients that depend on other tokens or sequences.",
    "timing": "Finds H_pre made in the layer before: a design if it is passed as an argument, a failure if it is kept "
    "in the module.",
    "orientation": "Finds H_res applied transposed: its row sums drift while its column sums are exact. It cannot find "
    "it with two streams, or if free matrices are stored separately, as both directions are then the same.",
    "exp": "Finds logits that enter the rounds without an exponential, with a wrong sign, a temperature, or a clamp "
    "below about 4. It cannot find which other positive map it was if several agree on positive logits, or a clamp "
    "that only cuts larger logits.",
    "rows": "Finds row sums that are not 1 for mild logits. It cannot find small errors of the sums: see rounds and "
    "eps.",
    "columns": "Finds column sums that are not 1 for mild logits. It cannot find small errors of the sums: see rounds "
    "and eps.",
    "order": "Finds rounds that divide rows first and columns last. It cannot distinguish them from a matrix that is "
    "made for its transpose and applied as it is: both give the same numbers.",
    "rounds": "Finds another number of rounds than `rounds=` (20). It cannot find rounds beyond 50.",
    "eps": "Finds an eps in the sums beyond ten times `eps=` (1e-6), in either half of a round. It cannot find an eps "
    "below 1e-6.",
    "wide logits": "Finds a maximum that is taken over other tokens too; an exponential that overflows is a design.",
    "range of H_pre": "Finds another map than sigmoid: softmax, a mean where a sum is said, H_pre and H_post swapped. "
    "It cannot find a clamp of logits beyond 5, or an error below 0.006.",
    "range of H_post": "Finds another map than twice sigmoid: softmax, no factor 2, H_pre and H_post swapped. It "
    "cannot find a clamp of logits beyond 5, or an error below 0.006.",
    "bias": "Finds a coefficient without a static part; a bias that moves several coefficients alike, as a mean over "
    "streams makes it; and parameters of H_res that move H_pre or H_post, as they do if the branch reads after the "
    "mixing, or its output is added before it.",
    "stream order": "Finds an entry k of a bias that moves another stream than k. It cannot find a projection whose "
    "columns alone are permuted, if the bias is not.",
    "dynamic part": "Finds coefficients that are the same for all tokens though there is a projection. It cannot find "
    "a dynamic part that was never written: this is a static connection.",
    "gate": "Finds logits that are not linear in their gate, have none, or whose bias the gate multiplies too.",
    "norm": "Finds coefficients that change with the size of the state, by a norm that is missing or has an eps above "
    "about 1e-3. It cannot find a smaller eps.",
    "logits": "Finds logits that are no bias and linear map of the state over its rms, whatever parameters make them: "
    "a tanh, a bias inside the division, a norm of each stream, a norm that subtracts the mean. It cannot find a norm "
    "with a gain, which is the same as another projection.",
    "training mode": "Finds dropout or noise on coefficients. It cannot find dropout of the branch.",
    "start": "Finds, for `hc`, a layer that does not start as the residual network. Other families promise no start; "
    "the statement says what theirs does.",
    "precision": "Finds a mapping in bfloat16 or float16 while parameters and states are in float32. It cannot find "
    "what autocast would do.",
    "precision in bfloat16": "Finds a mapping that follows parameters and states into bfloat16: a design, and a "
    'failure with `dtype="bfloat16"`, which says that the module is used so. It is seen in H_res of `mhc` with a '
    "dynamic part alone.",
    "gradients": "Finds entries of parameters that have an effect and no gradient, or no effect, or a gradient that "
    "differs from finite differences; if H_res has other parameters than Sinkhorn's, entries without effect are a "
    "design.",
    "reference": "Finds any other difference from our connection of the families `mhc` and `hc`, with the same "
    "parameters, such as a factor in the logits. It cannot compare parameters of another shape.",
    "expand": "Finds streams that do not start as copies. It cannot check learned heads.",
    "reduce": "Finds streams that end as their mean where their sum is said. It cannot check learned heads.",
    "sharing": "Finds a parameter that two connections of a model have in common. It cannot find it for one "
    "connection alone, without a function that builds it.",
    "compile": "Finds, with `--compile`, other results under torch.compile.",
}
