"""Check how streams are created and joined: as copies of the embedding, and by their sum or mean."""

from collections.abc import Callable

import torch

from mhc_probe.conformance.bench import Bench, NotApplicable
from mhc_probe.conformance.calling import BATCH, TOKENS
from mhc_probe.conformance.module_check import ModuleCheck, format_number, judge
from mhc_probe.conformance.options import FamilyOptions

Expand = Callable[[torch.Tensor], torch.Tensor]
Reduce = Callable[[torch.Tensor], torch.Tensor]
CLOSE = 1e-4


@torch.no_grad()
def check_expand(bench: Bench, expand: Expand | None) -> ModuleCheck:
    """Check that every stream starts as the embedding."""
    if expand is None:
        raise NotApplicable("not seen: give expand=, from (B, T, C) to streams")
    embedded = bench.draw(BATCH, TOKENS, bench.width, salt=71)
    state = bench.subject.layout.to_state(expand(embedded), bench.n)
    error = (state - embedded.unsqueeze(2)).abs().max().item()
    measured = f"streams up to {format_number(error)} away from it"
    show = "h = bench.draw(1, 1, bench.width)\nprint(h, expand(h))"
    likely = "copies that are scaled, or zeros in all streams but the first"
    return judge(
        "expand", "every stream starts as the embedding", "n copies", measured, show, likely, is_right=error < CLOSE
    )


@torch.no_grad()
def check_reduce(bench: Bench, options: FamilyOptions, reduce: Reduce | None) -> ModuleCheck:
    """Check that the streams are joined by their sum or mean, as the options or the family state."""
    if reduce is None:
        raise NotApplicable("not seen: give reduce=, from streams to (B, T, C)")
    wanted = options.output or options.family.output
    out = reduce(bench.subject.layout.to_native(bench.x))
    known = {"sum": bench.x.sum(2), "mean": bench.x.mean(2)}
    errors = {name: (out - value).abs().max().item() for name, value in known.items()}
    measured = next((f"their {name}" for name, error in errors.items() if error < CLOSE), "neither sum nor mean")
    if wanted == "any":
        raise NotApplicable(
            f"this family says neither sum nor mean; the streams end as {measured}: say it with output="
        )
    statement = f"the streams end as their {wanted}"
    show = "print(reduce(bench.subject.layout.to_native(bench.x))[0, 0], bench.x.sum(2)[0, 0], bench.x.mean(2)[0, 0])"
    likely = "the mean where the sum is meant, or the reverse"
    return judge("reduce", statement, f"their {wanted}", measured, show, likely, is_right=measured == f"their {wanted}")
