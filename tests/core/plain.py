"""A network in a few lines of plain autograd, trained by torch's own SGD beside our training of the same weights."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from mhc_core.measure.training import train
from mhc_core.record.frames import StepFrame
from mhc_core.stack import build_stack
from tests.core.conftest import build_spec
from tests.core.trained import TEXT


@dataclass
class Step:
    """One step of both: our frame, and of every layer the streams with their gradient kept, and what it reads.

    Streams are (n, N, C) and what is read (N, C), n = 1 for the residual network.
    """

    frame: StepFrame
    streams: list[torch.Tensor]
    grads: list[torch.Tensor]
    reads: list[torch.Tensor]
    w: dict[str, torch.Tensor]


def rms_norm(x: torch.Tensor) -> torch.Tensor:
    return x / x.square().mean(-1, keepdim=True).sqrt()


def climb_plain(
    kind: str, w: dict[str, torch.Tensor], ids: torch.Tensor
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Every layer's state, (B, T, C) or (2, B, T, C) for the two streams of hc, and what it reads, (B, T, C)."""
    x = w["embedding_VC"][ids]
    x = x.expand(2, *x.shape) if kind == "hc" else x
    states, reads = [], []
    for layer in range(4):
        w_in, w_out = w[f"{layer}.w_in"], w[f"{layer}.w_out"]
        if kind == "residual":
            u = x
            x = x + F.gelu(rms_norm(u) @ w_in.T) @ w_out.T
        else:
            u = w["a_m"][layer][0] * x[0] + w["a_m"][layer][1] * x[1]
            y = F.gelu(rms_norm(u) @ w_in.T) @ w_out.T
            res, post = w["a_r"][layer].T, w["b"][layer]
            x = torch.stack([res[i, 0] * x[0] + res[i, 1] * x[1] + post[i] * y for i in range(2)])
        x.retain_grad()
        states.append(x)
        reads.append(u)
    return states, reads


def train_plainly(kind: str, steps: int) -> Iterator[Step]:
    """Train both for that many steps, all of them kept; what a step gives is as it was before its update."""
    spec = build_spec(
        block={"kind": "mlp", "mlp_ratio": 2},
        connection={"kind": kind, "streams": 2, "noise": 0.5},
        input={"text": TEXT},
        train={"steps": steps, "lr": 0.1, "optimizer": "sgd", "kept": steps},
    )
    stack, windows = build_stack(spec), build_stack(spec).input
    named = {**dict(stack.input.named_parameters()), **dict(stack.connection.named_parameters())}
    for layer, branch in enumerate(stack.branches):
        named |= {f"{layer}.{name}": value for name, value in branch.named_parameters()}
    w = {name: value.detach().clone().requires_grad_() for name, value in named.items()}
    optimizer = torch.optim.SGD(w.values(), lr=0.1, momentum=0.9)
    for step, frame in enumerate(train(stack)):
        windows.set_batch(step)
        optimizer.zero_grad()
        states, reads = climb_plain(kind, w, windows.ids_BT)  # type: ignore[arg-type]
        out = rms_norm(states[-1] if kind == "residual" else states[-1].mean(0))
        targets: Any = windows.targets_BT
        F.cross_entropy((out @ w["readout_VC"].T).flatten(0, 1), targets.flatten()).backward()
        grads = [x.grad for x in states if x.grad is not None]
        assert len(grads) == len(states)
        yield Step(frame, [_flat(x) for x in states], [_flat(g) for g in grads], [_flat(u)[0] for u in reads], w)
        optimizer.step()


def _flat(x: torch.Tensor) -> torch.Tensor:
    """(B, T, C) or (n, B, T, C) as (n, N, C)."""
    return x.detach().reshape(-1, x.shape[-3] * x.shape[-2], x.shape[-1])
