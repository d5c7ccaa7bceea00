"""What lies before H_res: the range of its raw logits, and what rounding leaves of sums of 1 once they are mapped."""

from mhc_core.metrics.catalogue.sources import OURS
from mhc_core.metrics.registry import Metric, declare

MAX_SAMPLES = 32  # whose logits are mapped again

declare(
    Metric("res_logit_range", "Range of the residual logits", "", "linear", "L", "mixing",
           "Largest less least of the raw logits of one H_res, before they are mapped; of the worst token where mixing "
           "is dynamic. Only where H_res is made of two logits or more.",
           "max_t (max_k t_res[k] - min_k t_res[k])", OURS, precision=(1e-5, 1e-5), prefix=True),
    *(
        Metric(f"ds_error_{_name}", f"Deviation from doubly stochastic, mapped in {_name}", "", "log", "L", "mixing",
               f"How far the layer's H_res would be from doubly stochastic, were its logits mapped in {_name}; of the "
               f"worst of at most {MAX_SAMPLES} tokens, evenly spaced, where mixing is dynamic. Orthostochastic mixing "
               "is solved for in float64 and rounded before and after. Only where H_res is made of logits.",
               "max(|row - 1|, |column - 1|, -min H), H = map(t_res)", OURS, precision=_precision,
               prefix=_name == "float32")
        for _name, _precision in (("float32", (1e-5, 1e-6)), ("bfloat16", (0.0, 1e-2)))
    ),
)  # fmt: skip
