"""Wrong implementations of mHC: each is `PlainMHC` with one step replaced, one realistic mistake per entry.

Legend: m is the module, x the streams (B, T, n, C), y the branch's output (B, T, C), v the flattened and normalised
state (B, T, n C), t logits, pre, post and res the coefficients (B, T, n), (B, T, n) and (B, T, n, n).
"""

from collections.abc import Callable, Mapping, Set
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from tests.probe.conformance.plain import STREAMS, WIDTH, PlainMHC

Base = PlainMHC


class Wrong(NamedTuple):
    """A wrong implementation: how to build it, the check that must name the mistake, and others that may see it too."""

    build: Callable[[], nn.Module]
    check: str
    others: Set[str] = frozenset()
    options: Mapping[str, Any] = MappingProxyType({})


def change(**steps: Callable[..., Any]) -> type[PlainMHC]:
    """`PlainMHC` with these methods."""
    return type("Changed", (PlainMHC,), steps)


def change_coefficients(step: Callable[..., Any]) -> type[PlainMHC]:
    """`PlainMHC` whose coefficients go through `step(m, pre, post, res)`."""
    return change(coefficients=lambda m, x: step(m, *Base.coefficients(m, x)))


def change_logits(step: Callable[..., Any]) -> type[PlainMHC]:
    """`PlainMHC` whose coefficients are made by `step(m, t_pre, t_post, t_res)`."""
    return change(coefficients=lambda m, x: step(m, *m.logits(x)))


def change_projection(step: Callable[..., Any]) -> type[PlainMHC]:
    """`PlainMHC` whose logits are `step(gate, projected, bias)`, for H_pre, H_post and H_res."""

    def add_up(m: PlainMHC, v: torch.Tensor) -> list[torch.Tensor]:
        projected = (v @ m.phi).split([m.n, m.n, m.n**2], -1)
        biases = (m.b_pre, m.b_post, m.b_res.flatten())
        pre, post, res = (step(*parts) for parts in zip(m.gates, projected, biases, strict=True))
        return [pre, post, res.unflatten(-1, (m.n, m.n))]

    return change(add_up=add_up)


def spread(weights: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """One copy of y (B, T, C) for each stream, weighted."""
    return weights.unsqueeze(-1) * y.unsqueeze(-2)


def scale_gradient(y: torch.Tensor, factor: float) -> torch.Tensor:
    """The same values, whose gradient is multiplied by a factor."""
    return y.detach() + factor * (y - y.detach())


def rms(x: torch.Tensor, dim: int | tuple[int, ...] = -1, eps: float = 1e-12) -> torch.Tensor:
    return x.square().mean(dim, keepdim=True).add(eps).sqrt()


def bias_inside_division(m: PlainMHC, x: torch.Tensor) -> Any:
    v = x.flatten(2)
    pre, post, res = Base.add_up(m, v)
    return pre / rms(v), post / rms(v), res / rms(v).unsqueeze(-1)


def read_with_the_last(m: Any, x: torch.Tensor, pre: torch.Tensor, post: torch.Tensor, res: torch.Tensor) -> Any:
    last, m.last = getattr(m, "last", pre), pre.detach()
    return Base.read(m, x, last, post, res)


class WithoutBias(PlainMHC):
    def __init__(self) -> None:
        super().__init__()
        for name in ("b_pre", "b_post", "b_res"):
            delattr(self, name)
            setattr(self, name, torch.zeros(()))


SHARED = nn.Parameter(torch.zeros(STREAMS * WIDTH, STREAMS * (STREAMS + 2)))


class FollowsState(PlainMHC):
    """The mapping is computed in the type of the state: in float32 nothing is wrong."""

    def logits(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        v = x.flatten(2)
        pre, post, res = (v / rms(v) @ self.phi).split([self.n, self.n, self.n**2], -1)
        a_pre, a_post, a_res = self.gates
        t_res = (a_res * res).unflatten(-1, (self.n, self.n)) + self.b_res
        return a_pre * pre + self.b_pre, a_post * post + self.b_post, t_res


class SharedProjection(PlainMHC):
    def __init__(self) -> None:
        super().__init__()
        self.phi = SHARED


def swap_tokens(part: torch.Tensor) -> torch.Tensor:
    """The axes of sequences and tokens confused by a reshape."""
    return part.reshape(part.shape[1], part.shape[0], *part.shape[2:]).transpose(0, 1)


def detach_vectors(m: PlainMHC, t: torch.Tensor) -> torch.Tensor:
    """The two scaling vectors of Sinkhorn are computed without a gradient, and applied to a kernel that has one."""
    kernel = m.positive(t)
    return kernel * (Base.project(m, t) / kernel).detach()


def cache_logits(m: Any, x: torch.Tensor) -> Any:
    if not hasattr(m, "cached") or m.cached[0].shape[:2] != x.shape[:2]:
        m.cached = tuple(part.detach() for part in Base.logits(m, x))
    return m.cached


def write_into_input(
    m: PlainMHC, x: torch.Tensor, y: torch.Tensor, pre: torch.Tensor, post: torch.Tensor, res: torch.Tensor
) -> torch.Tensor:
    with torch.no_grad():
        x.copy_(Base.write(m, x, y, pre, post, res))
    return x


def half_rounds(m: PlainMHC, t: torch.Tensor) -> torch.Tensor:
    matrix = m.positive(t)
    for number in range(20):
        matrix = matrix / matrix.sum(-2 if number % 2 == 0 else -1, keepdim=True)
    return matrix


APPLICATION = {
    "branch added before the mixing": Wrong(
        change(write=lambda m, x, y, pre, post, res: res @ (x + spread(post, y))), "bias"
    ),
    "branch reads after the mixing": Wrong(
        change(read=lambda m, x, pre, post, res: (pre.unsqueeze(-1) * (res @ x)).sum(-2)), "bias"
    ),
    "one mean H_post for all streams": Wrong(
        change_coefficients(lambda m, pre, post, res: (pre, post.mean(-1, keepdim=True).expand_as(post), res)), "bias"
    ),
    "H_res applied transposed": Wrong(change(mix=lambda m, res, x: res.mT @ x), "orientation"),
    "H_res never applied": Wrong(change(mix=lambda m, res, x: x), "mixing applied", {"gradients"}),
    "residual added twice": Wrong(change(mix=lambda m, res, x: x + res @ x), "rows", {"columns", "gate", "logits"}),
    "H_pre and H_post swapped": Wrong(
        change_coefficients(lambda m, pre, post, res: (post, pre, res)),
        "range of H_pre",
        {"range of H_post", "reference"},
    ),
    "H_post applied twice": Wrong(
        change_coefficients(lambda m, pre, post, res: (pre, post**2, res)), "range of H_post", {"gate", "reference"}
    ),
    "streams permuted between read and write": Wrong(
        change_coefficients(lambda m, pre, post, res: (pre, post.roll(1, -1), res)), "stream order"
    ),
    "H_res mixes the next stream": Wrong(change(mix=lambda m, res, x: res @ x.roll(1, -2)), "stream order"),
    "streams expanded again in each layer": Wrong(
        change(mix=lambda m, res, x: res @ x.mean(-2, keepdim=True).expand_as(x)),
        "bias",
        {"dynamic part", "gate", "gradients"},
    ),
    "streams normalised before they are read": Wrong(
        change(read=lambda m, x, pre, post, res: (pre.unsqueeze(-1) * x / rms(x)).sum(-2)),
        "norm",
        {"gate", "range of H_pre", "reference"},
    ),
    "branch output normalised before it is added": Wrong(
        change(write=lambda m, x, y, pre, post, res: res @ x + spread(post, y / rms(y))), "mixing applied"
    ),
    "H_pre of the call before": Wrong(
        change(read=read_with_the_last), "timing", {"bias", "gradients", "logits", "range of H_pre", "training mode"}
    ),
    "branch reads the mean of the weighted streams": Wrong(
        change(read=lambda m, x, pre, post, res: (pre.unsqueeze(-1) * x).mean(-2)), "range of H_pre", {"reference"}
    ),
}

COEFFICIENTS = {
    "H_pre by softmax": Wrong(
        change_logits(lambda m, pre, post, res: (pre.softmax(-1), 2 * post.sigmoid(), m.project(res))),
        "range of H_pre",
        {"reference"},
    ),
    "H_pre divided by its sum": Wrong(
        change_coefficients(lambda m, pre, post, res: (pre / pre.sum(-1, keepdim=True), post, res)),
        "range of H_pre",
        {"reference"},
    ),
    "H_post without its factor 2": Wrong(
        change_coefficients(lambda m, pre, post, res: (pre, post / 2, res)), "range of H_post", {"reference"}
    ),
    "H_post is 1 + tanh": Wrong(
        change_logits(lambda m, pre, post, res: (pre.sigmoid(), 1 + post.tanh(), m.project(res))),
        "range of H_post",
        {"reference"},
    ),
    "tanh around the projection": Wrong(change_projection(lambda a, p, b: a * p.tanh() + b), "logits", {"reference"}),
    "bias inside the gate": Wrong(change_projection(lambda a, p, b: a * (p + b)), "gate"),
    "bias inside the division by the rms": Wrong(
        change(logits=bias_inside_division), "logits", {"gate", "norm", "range of H_post", "reference"}
    ),
    "gates missing": Wrong(change_projection(lambda a, p, b: p + b), "gate", {"gradients"}),
    "gates through a sigmoid": Wrong(change_projection(lambda a, p, b: a.sigmoid() * p + b), "gate", {"reference"}),
    "biases missing": Wrong(WithoutBias, "bias"),
    "norm missing": Wrong(change(norm=lambda m, v: v), "norm", {"logits", "reference"}),
    "norm over each stream instead of all": Wrong(
        change(norm=lambda m, v: (v.unflatten(-1, (m.n, -1)) / rms(v.unflatten(-1, (m.n, -1)))).flatten(-2)),
        "logits",
        {"reference"},
    ),
    "norm over tokens": Wrong(change(norm=lambda m, v: v / rms(v, 1)), "token axis", {"logits", "reference"}),
    "norm subtracts the mean": Wrong(change(norm=lambda m, v: F.layer_norm(v, v.shape[-1:])), "logits", {"reference"}),
    "eps of the norm far too large": Wrong(change(norm=lambda m, v: v / rms(v, eps=1e-2)), "norm", {"reference"}),
    "length instead of rms": Wrong(change(norm=lambda m, v: F.normalize(v, dim=-1)), "reference"),
    "coefficients from the mean of the sequence": Wrong(
        change(logits=lambda m, x: Base.logits(m, x.mean(1, keepdim=True).expand_as(x))),
        "token axis",
        {"logits", "reference"},
    ),
    "coefficients from the mean of the streams": Wrong(
        change(logits=lambda m, x: Base.logits(m, x.mean(2, keepdim=True).expand_as(x))), "logits", {"reference"}
    ),
    "dropout on H_res": Wrong(
        change_coefficients(lambda m, pre, post, res: (pre, post, F.dropout(res, 0.1, m.training))), "training mode"
    ),
}

SINKHORN = {
    "no exponential": Wrong(change(positive=lambda m, t: t.abs()), "exp", {"logits"}),
    "sign of the logits": Wrong(change(positive=lambda m, t: Base.positive(m, -t)), "exp"),
    "one round": Wrong(change(project=lambda m, t: m.round(m.positive(t))), "rounds", {"columns", "reference"}),
    "rows alone": Wrong(change(round=lambda m, matrix: matrix / matrix.sum(-1, keepdim=True)), "columns"),
    "rows first, columns last": Wrong(change(round=lambda m, matrix: Base.round(m, matrix.mT).mT), "order"),
    "eps of the sums far too large": Wrong(
        change(round=lambda m, matrix: F.normalize(matrix / (matrix.sum(-2, keepdim=True) + 1e-3), p=1, dim=-1)), "eps"
    ),
    "logits clamped": Wrong(change(project=lambda m, t: Base.project(m, t.clamp(-3, 3))), "exp", {"gate", "logits"}),
    "maximum of the whole batch subtracted": Wrong(change(positive=lambda m, t: (t - t.max()).exp()), "wide logits"),
    "mapping in bfloat16": Wrong(
        change_logits(
            lambda m, pre, post, res: (
                pre.bfloat16().sigmoid(),
                2 * post.bfloat16().sigmoid(),
                m.project(res.bfloat16()),
            )
        ),
        "precision",
        {"logits"},
    ),
    "mapping that follows a state in bfloat16": Wrong(
        FollowsState, "precision in bfloat16", options={"dtype": "bfloat16"}
    ),
    "Sinkhorn in float16": Wrong(
        change(project=lambda m, t: Base.project(m, t.half()).float()), "precision", {"eps", "rounds"}
    ),
}

GRADIENTS = {
    "straight-through Sinkhorn": Wrong(
        change(project=lambda m, t: t + (Base.project(m, t) - t).detach()), "gradients", {"mixing backward"}
    ),
    "no gradient through Sinkhorn": Wrong(
        change(project=lambda m, t: Base.project(m, t).detach()), "gradients", {"mixing backward"}
    ),
    "coefficients from x.detach()": Wrong(change(logits=lambda m, x: Base.logits(m, x.detach())), "mixing backward"),
    "no gradient through H_pre": Wrong(
        change_coefficients(lambda m, pre, post, res: (pre.detach(), post, res)), "gradients", {"mixing backward"}
    ),
    "projection detached": Wrong(
        change_projection(lambda a, p, b: a * p.detach() + b), "gradients", {"mixing backward"}
    ),
    "branch gradient scaled by 1.02": Wrong(
        change(write=lambda m, x, y, pre, post, res: res @ x + spread(post, scale_gradient(y, 1.02))),
        "branch backward",
    ),
}

ENDS = {
    "expanded streams divided by their square root": Wrong(
        PlainMHC, "expand", options={"expand": lambda h: h.unsqueeze(2).repeat(1, 1, STREAMS, 1) / STREAMS**0.5}
    ),
    "streams end as their mean, not their sum": Wrong(
        PlainMHC, "reduce", options={"reduce": lambda x: x.mean(2), "output": "sum"}
    ),
    "layers share their projection": Wrong(SharedProjection, "sharing"),
}

# Written after the check found all of the above, and tried before anything was changed.
HELD_OUT = {
    "H_post from the logits of H_pre": Wrong(
        change_logits(lambda m, pre, post, res: (pre.sigmoid(), 2 * pre.sigmoid(), m.project(res))),
        "gradients",
        {"bias"},
    ),
    "streams detached where they are mixed": Wrong(change(mix=lambda m, res, x: res @ x.detach()), "mixing backward"),
    "sequences and tokens confused": Wrong(
        change_coefficients(lambda m, *mixing: [swap_tokens(part) for part in mixing]),
        "token axis",
        {"logits", "reference"},
    ),
    "H_res averaged with the identity": Wrong(change(mix=lambda m, res, x: (x + res @ x) / 2), "exp", {"logits"}),
    "scaling vectors of Sinkhorn detached": Wrong(change(project=detach_vectors), "gradients", {"mixing backward"}),
    "coefficients of the first call kept": Wrong(
        change(logits=cache_logits), "timing", {"bias", "gradients", "logits"}
    ),
    "branch reads the first stream alone": Wrong(
        change(read=lambda m, x, pre, post, res: pre[..., :1] * x[..., 0, :]),
        "bias",
        {"gradients", "logits", "range of H_pre"},
    ),
    "branch output divided by the root of the number of streams": Wrong(
        change(write=lambda m, x, y, pre, post, res: res @ x + spread(post, y) / STREAMS**0.5),
        "range of H_post",
        {"reference"},
    ),
    "temperature in Sinkhorn": Wrong(change(project=lambda m, t: Base.project(m, t / 2)), "exp"),
    "next state written into the input": Wrong(
        change(write=write_into_input), "mixing backward", {"branch backward", "gradients", "mixing applied"}
    ),
    "norm by the largest entry": Wrong(
        change(norm=lambda m, v: v / v.abs().amax(-1, keepdim=True)), "logits", {"mixing backward", "reference"}
    ),
    "half rounds counted as rounds": Wrong(change(project=lambda m, t: half_rounds(m, t)), "rounds"),
}

WRONG = APPLICATION | COEFFICIENTS | SINKHORN | GRADIENTS | ENDS | HELD_OUT


def build(name: str) -> nn.Module:
    """A wrong implementation by its name, for the command line."""
    return WRONG[name].build()
