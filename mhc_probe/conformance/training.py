"""Check what training needs: a start as the residual network if the family promises it, and no change by train()."""

from copy import deepcopy

import torch

from mhc_probe.conformance.bench import Bench, NotApplicable
from mhc_probe.conformance.module_check import ModuleCheck, format_number, judge
from mhc_probe.conformance.options import FamilyOptions

CLOSE = 1e-3


@torch.no_grad()
def check_start(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that an untrained layer acts as a residual layer: for equal streams, u = x and x' = x + y."""
    x = bench.draw(*bench.x.shape[:2], 1, bench.width, salt=81).expand_as(bench.x).contiguous()
    called = bench.initial(x)
    if called.write is None:
        raise NotApplicable("other code applies the coefficients: give it as write=")
    y = bench.draw(*called.u.shape, salt=82)
    gained = called.write(y).mean(2) - called.write(torch.zeros_like(y)).mean(2)
    drift = (called.write(torch.zeros_like(y)).mean(2) - x[:, :, 0]).abs().max().item()
    times = ((gained * y).sum() / (y * y).sum()).item()
    measured = f"{format_number(times)} of the branch's output, streams changed by {format_number(drift)}"
    if not options.family.starts_as_residual:
        raise NotApplicable(f"this family promises no start; from equal streams the mean gains {measured}")
    read = (called.u - x[:, :, 0]).abs().max().item()
    is_right = abs(times - 1) < CLOSE and drift < CLOSE and read < CLOSE
    return judge(
        "start",
        "as it is built, the layer is the residual network",
        "u = x and x' = x + y from equal streams",
        measured,
        "x = bench.x[:, :, :1].expand_as(bench.x).contiguous()\nprint(bench.initial(x).u - x[:, :, 0])",
        "initial values of another family, or a stream that starts at another scale",
        is_right=is_right,
    )


@torch.no_grad()
def check_mode(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that mixing coefficients are the same in training mode and in evaluation mode."""
    bench.reset()
    training = bench.subject.on(deepcopy(bench.subject.module).train())
    plain, found = bench.observe(), [bench.observe(subject=training) for _ in range(2)]
    pairs = [(one, other) for seen in found for one, other in zip(plain[:3], seen[:3], strict=True)]
    error = max((one - other).abs().max().item() for one, other in pairs if one is not None and other is not None)
    return judge(
        "training mode",
        "coefficients are the same in training and in evaluation",
        f"differences below {CLOSE:g}",
        format_number(error),
        "training = bench.subject.on(bench.subject.module.train())\n"
        "print(bench.observe(subject=training).h_res[0, 0], bench.observe(subject=training).h_res[0, 0])",
        "dropout or noise on the coefficients",
        is_right=error < CLOSE,
    )
