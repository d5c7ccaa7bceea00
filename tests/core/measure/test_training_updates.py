"""Updates against plain torch written here, and against a closed form."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mhc_core.inputs import TextEmbedding
from mhc_core.stack import Stack, build_stack
from tests.core.conftest import require
from tests.core.trained import column, train_all, train_spec

Weights = dict[str, torch.Tensor]


def rms_norm(x: torch.Tensor) -> torch.Tensor:
    return x / x.square().mean(-1, keepdim=True).sqrt()


def mix(kind: str, w: Weights, layer: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """h_pre, h_post, h_res of one layer, by the papers' definitions."""
    if kind == "hc":
        return w["a_m"][layer], w["b"][layer], w["a_r"][layer].T
    n = w["b_pre"].shape[1]
    res = torch.exp(w["b_res"][layer].view(n, n))
    for _ in range(20):
        res = res / res.sum(0, keepdim=True)
        res = res / res.sum(1, keepdim=True)
    return torch.sigmoid(w["b_pre"][layer]), 2 * torch.sigmoid(w["b_post"][layer]), res


def plain_loss(kind: str, w: Weights, ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    depth = sum(name.startswith("in.") for name in w)
    x = w["embedding"][ids]
    if kind != "residual":
        x = x.expand(2, *x.shape)
    for layer in range(depth):
        if kind == "residual":
            x = x + F.gelu(rms_norm(x) @ w[f"in.{layer}"].T) @ w[f"out.{layer}"].T
            continue
        pre, post, res = mix(kind, w, layer)
        u = pre[0] * x[0] + pre[1] * x[1]
        y = F.gelu(rms_norm(u) @ w[f"in.{layer}"].T) @ w[f"out.{layer}"].T
        x = torch.stack([res[i, 0] * x[0] + res[i, 1] * x[1] + post[i] * y for i in range(2)])
    out = rms_norm(x if kind == "residual" else (x[0] + x[1]) / 2)
    return F.cross_entropy((out @ w["readout"].T).flatten(0, 1), targets.flatten())


def copy_weights(stack: Stack) -> Weights:
    """The stack's parameters under the names used here."""
    found = {end: stack.get_parameter(f"input.{end}_VC") for end in ("embedding", "readout")}
    for layer in range(stack.spec.depth):
        found |= {f"{part}.{layer}": stack.get_parameter(f"branches.{layer}.w_{part}") for part in ("in", "out")}
    found |= dict(stack.connection.named_parameters())
    return {name: value.detach().clone().requires_grad_() for name, value in found.items()}


def largest_row_sum(kind: str, w: Weights, upto: int) -> float:
    product = np.eye(2)
    for layer in range(upto + 1):
        product = mix(kind, w, layer)[2].detach().numpy() @ product
    return float(np.abs(product.sum(1)).max())


@pytest.mark.parametrize("kind", ["residual", "hc", "mhc"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_steps_are_those_of_plain_torch(kind: str, optimizer: str) -> None:
    """Seven steps with warm-up, clipping and weight decay; mixing is not decayed."""
    lr, warmup, clip, decay = 0.05, 3, 0.8, 0.1
    spec = train_spec(
        7, lr=lr, warmup=warmup, clip=clip, weight_decay=decay, optimizer=optimizer,
        depth=3, block={"kind": "mlp", "mlp_ratio": 2},
        connection={"kind": kind, "streams": 2, "noise": 0.5, "init": "mhc_lite"},
    )  # fmt: skip
    stack, windows = build_stack(spec), build_stack(spec).input
    assert isinstance(windows, TextEmbedding)
    w = copy_weights(stack)
    frames, updates = train_all(stack)

    matrices = [value for name, value in w.items() if name.startswith(("in.", "out.", "embedding", "readout"))]
    mixing = [value for name, value in w.items() if name not in ("embedding", "readout") and "." not in name]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": mixing, "weight_decay": 0.0}]
    made: torch.optim.Optimizer = torch.optim.SGD(groups, lr=lr, momentum=0.9)
    if optimizer == "adamw":
        made = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.LinearLR(made, start_factor=1 / warmup, total_iters=warmup - 1)
    assert updates == len(frames) == 7
    for step, frame in enumerate(frames):
        windows.set_batch(step)
        made.zero_grad()
        loss = plain_loss(kind, w, windows.ids_BT, windows.targets_BT)
        loss.backward()
        values = frame.values
        assert values["step_loss"] == pytest.approx(loss.item(), rel=1e-9)
        for layer in range(3):
            norm = torch.cat([require(w[f"{part}.{layer}"].grad).flatten() for part in ("in", "out")]).norm()
            assert values["step_param_grad_norm"][layer] == pytest.approx(norm.item(), rel=1e-7)
            if mixing:
                inner = torch.cat([require(item.grad)[layer].flatten() for item in mixing]).norm()
                assert values["step_mixing_grad_norm"][layer] == pytest.approx(inner.item(), rel=1e-7)
                assert values["step_gain_fwd"][layer] == pytest.approx(largest_row_sum(kind, w, layer), rel=1e-9)
        whole = torch.nn.utils.clip_grad_norm_([*matrices, *mixing], clip)
        assert values["step_grad_norm"] == pytest.approx(whole.item(), rel=1e-7)
        made.step()
        schedule.step()
    assert column(frames, "step_grad_norm").max() > clip  # or nothing was clipped
    after = copy_weights(stack)
    for name, value in w.items():
        torch.testing.assert_close(after[name], value, rtol=1e-7, atol=1e-9)


def test_one_step_of_sgd_on_the_read_out_has_a_closed_form() -> None:
    """Without branches the output is the normalised embedding: d loss / d W = mean (softmax(W u) - onehot) u^T."""
    spec = train_spec(1, lr=0.5, optimizer="sgd", weight_decay=0.2, block={"branch_scale": 0.0},
                      connection={"kind": "residual"})  # fmt: skip
    stack = build_stack(spec)
    assert isinstance(stack.input, TextEmbedding)
    stack.input.set_batch(0)
    ids, targets = (part.numpy().ravel() for part in (stack.input.ids_BT, stack.input.targets_BT))
    before = stack.input.readout_VC.detach().numpy().copy()
    u = stack.input.embedding_VC.detach().numpy()[ids]
    u = u / np.sqrt((u * u).mean(-1, keepdims=True))
    odds = np.exp(u @ before.T)
    share = odds / odds.sum(-1, keepdims=True)
    loss = -np.log(share[np.arange(len(ids)), targets]).mean()
    share[np.arange(len(ids)), targets] -= 1
    wanted = before - 0.5 * (share.T @ u / len(ids) + 0.2 * before)

    (frame,), _ = train_all(stack)
    assert frame.values["step_loss"] == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(stack.input.readout_VC.detach().numpy(), wanted, rtol=1e-12)
