"""The lines of a report, one kind a file. Each takes a bench and a claim, and returns a `Line`.

A line that has nothing to look at raises `NotApplicable`.
"""

from collections.abc import Callable

from mhc_core.attach.conformance.bench import Bench
from mhc_core.attach.conformance.claim import Claim
from mhc_core.attach.conformance.lines import applied, dynamic, precision, ranges, reference, sinkhorn, training
from mhc_core.attach.conformance.report import Line

CheckLine = Callable[[Bench, Claim], Line]

# By the name that the report gives; in the order of the report.
LINES: dict[str, CheckLine] = {
    "read": applied.check_read,
    "mixing applied": applied.check_forward,
    "mixing backward": applied.check_backward,
    "token axis": applied.check_tokens,
    "timing": applied.check_timing,
    "orientation": sinkhorn.check_orientation,
    "exp": sinkhorn.check_exp,
    "rows": sinkhorn.check_rows,
    "columns": sinkhorn.check_columns,
    "order": sinkhorn.check_order,
    "rounds": sinkhorn.check_rounds,
    "eps": sinkhorn.check_eps,
    "range of H_pre": ranges.check_pre,
    "range of H_post": ranges.check_post,
    "bias": dynamic.check_bias,
    "dynamic part": dynamic.check_dynamic,
    "gate": dynamic.check_gate,
    "norm": dynamic.check_norm,
    "start": training.check_start,
    "precision": precision.check_precision,
    "precision in bfloat16": precision.check_low_precision,
    "gradients": training.check_gradients,
    "reference": reference.check_reference,
}
