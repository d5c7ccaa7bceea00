"""Describe what each check of a module can find and what it cannot. docs/check.md has the same table."""

# By the check's name, in the order of the report.
DETECTS = {
    "read": "Finds a branch's input that is not a weighted sum of the streams.",
    "mixing applied": "Finds H_res that is computed and never used, and a branch's output that is normalised, "
    "rounded or added nonlinearly.",
    "mixing backward": "Finds a gradient of the streams that differs from finite differences by more than 0.3 %: "
    "coefficients from `x.detach()`, a detached or straight-through Sinkhorn. It cannot find a smaller error, or "
    "a scale that a hook or an optimizer adds later.",
    "branch backward": "Finds a gradient of the branch's output that is scaled or detached. It cannot find an "
    "error below 0.3 %, or a scale that a hook or an optimizer adds later.",
    "token axis": "Finds coefficients that depend on other tokens or sequences.",
    "timing": "Finds H_pre made in the layer before: a design if it is passed as an argument, a failure if it is "
    "kept in the module.",
    "orientation": "Finds H_res that is applied transposed: its row sums drift while its column sums are exact. "
    "It cannot find this with two streams, or if free matrices are stored as separate parameters, because both "
    "directions are then the same.",
    "exp": "Finds logits that enter the rounds without an exponential, with a wrong sign, with a temperature, or "
    "with a clamp below about 4. If several positive maps agree on positive logits, it cannot find which one was "
    "used. It cannot find a clamp that only affects larger logits.",
    "rows": "Finds row sums that differ from 1 for moderate logits. It cannot find small errors of the sums: see "
    "rounds and eps.",
    "columns": "Finds column sums that differ from 1 for moderate logits. It cannot find small errors of the "
    "sums: see rounds and eps.",
    "order": "Finds rounds that divide rows first and columns last. It cannot distinguish them from a matrix that "
    "is computed as the transpose and not transposed when it is applied: both give the same numbers.",
    "rounds": "Finds a number of rounds that differs from `rounds=` (20). It cannot find rounds beyond 50.",
    "eps": "Finds an eps in the sums larger than ten times `eps=` (1e-6), in either half of a round. It cannot "
    "find an eps below 1e-6.",
    "wide logits": "Finds a maximum that is also taken over other tokens. An exponential that overflows is a design.",
    "range of H_pre": "Finds a map other than sigmoid: softmax, a mean instead of a sum, H_pre and H_post "
    "swapped. It cannot find a clamp of logits beyond 5, or an error below 0.006.",
    "range of H_post": "Finds a map other than twice sigmoid: softmax, no factor 2, H_pre and H_post swapped. It "
    "cannot find a clamp of logits beyond 5, or an error below 0.006.",
    "bias": "Finds a coefficient without a static part, a bias that changes several coefficients equally, for "
    "example through a mean over streams, and parameters of H_res that change H_pre or H_post, for example "
    "because the branch reads after the mixing, or its output is added before it.",
    "stream order": "Finds an entry k of a bias that affects another stream than k. If the bias is in order, it "
    "cannot find a projection with permuted columns.",
    "dynamic part": "Finds coefficients that are the same for all tokens although there is a projection. It "
    "cannot find that a dynamic part is missing entirely: this is a static connection.",
    "gate": "Finds logits that are not linear in their gate, have no gate, or have a bias that the gate also "
    "multiplies.",
    "norm": "Finds coefficients that change with the size of the state, because the norm is missing or has an eps "
    "above about 1e-3. It cannot find a smaller eps.",
    "logits": "Finds logits that are not a bias plus a linear map of the state divided by its rms, however they "
    "are parametrised: a tanh, a bias inside the division, a norm of each stream, a norm that subtracts the mean. "
    "It cannot find a norm with a gain, which is equivalent to another projection.",
    "training mode": "Finds dropout or noise on coefficients. It cannot find dropout of the branch.",
    "start": "Finds, for `hc`, a layer that does not start as the residual network. Other families promise no "
    "start; the statement describes the start that was measured.",
    "precision": "Finds a mapping in bfloat16 or float16 although parameters and states are in float32. It cannot "
    "find the effect of autocast.",
    "precision in bfloat16": "Finds a mapping that is computed in bfloat16 if parameters and states are: a "
    'design, or a failure with `dtype="bfloat16"`, which declares that the module is used in this type. It is '
    "visible only in H_res of `mhc` with a dynamic part.",
    "gradients": "Finds entries of parameters that have an effect but no gradient, have no effect, or have a "
    "gradient that differs from finite differences. If H_res is not made by Sinkhorn's rounds, entries without "
    "effect are a design.",
    "reference": "Finds any other difference from our connection of the families `mhc` and `hc` with the same "
    "parameters, such as a factor in the logits. It cannot compare parameters of a different shape.",
    "expand": "Finds streams that do not start as copies. It cannot check learned heads.",
    "reduce": "Finds streams that are reduced by their mean where the family uses their sum. It cannot check "
    "learned heads.",
    "sharing": "Finds a parameter that two connections of a model share. For a single connection, it needs the "
    "function that builds it.",
    "compile": "Finds, with `--compile`, results that differ under torch.compile.",
}
