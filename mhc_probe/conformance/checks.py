"""List the checks of a report, one subject per file. Each takes a bench and options, and returns a `ModuleCheck`.

A check raises `NotApplicable` if it does not apply to the module, and `NotMeasured` if the module prevents its
measurement, which counts as a failure unless another check fails.
"""

from collections.abc import Callable

from mhc_probe.conformance import applied, backward, dynamic, logits, precision, ranges, reference, sinkhorn, training
from mhc_probe.conformance.bench import Bench
from mhc_probe.conformance.module_check import ModuleCheck
from mhc_probe.conformance.options import FamilyOptions

CheckModule = Callable[[Bench, FamilyOptions], ModuleCheck]

# By the check's name, in the order of the report.
CHECKS: dict[str, CheckModule] = {
    "read": applied.check_read,
    "mixing applied": applied.check_forward,
    "mixing backward": backward.check_backward,
    "branch backward": backward.check_branch,
    "token axis": applied.check_tokens,
    "timing": applied.check_timing,
    "orientation": sinkhorn.check_orientation,
    "exp": sinkhorn.check_exp,
    "rows": sinkhorn.check_rows,
    "columns": sinkhorn.check_columns,
    "order": sinkhorn.check_order,
    "rounds": sinkhorn.check_rounds,
    "eps": sinkhorn.check_eps,
    "wide logits": sinkhorn.check_wide,
    "range of H_pre": ranges.check_pre,
    "range of H_post": ranges.check_post,
    "bias": dynamic.check_bias,
    "stream order": dynamic.check_order,
    "dynamic part": dynamic.check_dynamic,
    "gate": dynamic.check_gate,
    "norm": dynamic.check_norm,
    "logits": logits.check_logits,
    "training mode": training.check_mode,
    "start": training.check_start,
    "precision": precision.check_precision,
    "precision in bfloat16": precision.check_low_precision,
    "gradients": backward.check_gradients,
    "reference": reference.check_reference,
}
