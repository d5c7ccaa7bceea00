"""Training against plain torch written here, against closed forms, and as a sequence of frames."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from app.codec import decode_line, encode_frame
from mhc_core.errors import SpecErrors
from mhc_core.frames import Frame
from mhc_core.passes import measure
from mhc_core.result import Result
from mhc_core.run import run
from mhc_core.spec import RunSpec
from mhc_core.stack import Stack, build_stack
from mhc_core.training import build_optimizer, train
from tests.core.conftest import CONNECTIONS, build_spec, collect, run_frames, shake

# Shorter than a window, so that every step and both measurements read the same bytes.
ONE_WINDOW: dict[str, Any] = {"text": "abcab", "batch": 2, "tokens": 6}
TEXT = "the quick brown fox jumps over the lazy dog; sphinx of black quartz, judge my vow"


def train_spec(steps: int = 4, **fields: Any) -> RunSpec:
    """A small spec that trains; fields of `train` may be given beside those of the spec."""
    names = ("lr", "optimizer", "weight_decay", "warmup", "clip", "kept")
    plan = {"steps": steps} | {name: fields.pop(name) for name in names if name in fields}
    return build_spec(train=plan, **{"input": {"text": TEXT}, **fields})


def train_all(stack: Stack) -> tuple[list[Frame], int]:
    """Every step's frame, and the number of updates."""
    frames, steps = [], train(stack)
    while True:
        try:
            frames.append(next(steps))
        except StopIteration as end:
            return frames, end.value


def column(frames: list[Frame], key: str) -> np.ndarray:
    return np.array([frame.data["values"][key] for frame in frames], dtype=float)


# ---- a network of its own, in a few lines of plain autograd

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
    found = {"embedding": stack.input.embedding_VC, "readout": stack.input.readout_VC}
    for layer, branch in enumerate(stack.branches):
        found |= {f"in.{layer}": branch.w_in, f"out.{layer}": branch.w_out}
    found |= dict(stack.connection.named_parameters())
    return {name: value.detach().clone().requires_grad_() for name, value in found.items()}  # type: ignore[union-attr]


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
        loss = plain_loss(kind, w, windows.ids_BT, windows.targets_BT)  # type: ignore[union-attr]
        loss.backward()
        values = frame.data["values"]
        assert values["step_loss"] == pytest.approx(loss.item(), rel=1e-9)
        for layer in range(3):
            norm = torch.cat([w[f"{part}.{layer}"].grad.flatten() for part in ("in", "out")]).norm()  # type: ignore
            assert values["step_param_grad_norm"][layer] == pytest.approx(norm.item(), rel=1e-7)
            if mixing:
                inner = torch.cat([item.grad[layer].flatten() for item in mixing]).norm()  # type: ignore[index]
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
    stack.input.set_batch(0)
    ids, targets = (part.numpy().ravel() for part in (stack.input.ids_BT, stack.input.targets_BT))  # type: ignore
    before = stack.input.readout_VC.detach().numpy().copy()  # type: ignore[union-attr]
    u = stack.input.embedding_VC.detach().numpy()[ids]  # type: ignore[union-attr]
    u = u / np.sqrt((u * u).mean(-1, keepdims=True))
    odds = np.exp(u @ before.T)
    share = odds / odds.sum(-1, keepdims=True)
    loss = -np.log(share[np.arange(len(ids)), targets]).mean()
    share[np.arange(len(ids)), targets] -= 1
    wanted = before - 0.5 * (share.T @ u / len(ids) + 0.2 * before)

    (frame,), _ = train_all(stack)
    assert frame.data["values"]["step_loss"] == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(stack.input.readout_VC.detach().numpy(), wanted, rtol=1e-12)  # type: ignore[union-attr]


# ---- what a step sees is what a measurement sees


@pytest.mark.parametrize("name", CONNECTIONS)
def test_the_first_step_sees_what_the_measurement_before_it_saw(name: str) -> None:
    spec = build_spec(connection=CONNECTIONS[name], input=ONE_WINDOW, train={"steps": 1})
    frames = list(run_frames(spec))
    before = collect(list(itertools.takewhile(lambda frame: frame.type != "step", frames)))
    (step,) = [frame.data["values"] for frame in frames if frame.type == "step"]
    assert step["step_loss"] == pytest.approx(before.loss, rel=1e-12)
    pairs = {"step_param_grad_norm": "param_grad_norm", "step_mixing_grad_norm": "mixing_grad_norm",
             "step_gain_fwd": "composite_gain_fwd", "step_gain_bwd": "composite_gain_bwd"}  # fmt: skip
    for ours, theirs in pairs.items():
        assert (ours in step) == (theirs in before.layers), ours
        if ours in step:
            np.testing.assert_allclose(step[ours], before.layers[theirs], rtol=1e-9, atol=1e-15)
    for key in ("h_read" if name.startswith("frac") else "h_pre", "h_post", "h_res"):
        np.testing.assert_allclose(step[f"step_{key}"], before.matrices[key], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", CONNECTIONS)
def test_everything_learns(name: str) -> None:
    whole = {"text": TEXT, "batch": 2, "tokens": len(TEXT) - 1}
    stack = shake(build_stack(train_spec(3, lr=0.01, connection=CONNECTIONS[name], input=whole)))
    before = {key: value.detach().clone() for key, value in stack.named_parameters()}
    train_all(stack)
    read = sorted(set(TEXT[:-1].encode()))
    for key, value in stack.named_parameters():
        # H_res of the first layer mixes copies of one stream, which leaves them as they are.
        if value.numel() and not key.startswith("connection.mixers.0."):
            changed = (value.detach() != before[key]).float()
            # Not all of it: the diagonal of orthostochastic logits and the residual gate of identity HC do nothing.
            assert (changed[read] if key == "input.embedding_VC" else changed).mean() > 0.6, key


@pytest.mark.parametrize("name", CONNECTIONS)
def test_weight_decay_spares_mixing_gates_and_scalars(name: str) -> None:
    spec = train_spec(1, weight_decay=0.1, connection=CONNECTIONS[name])
    stack = build_stack(spec)
    decayed, spared = build_optimizer(stack).param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    names = {id(value): key for key, value in stack.named_parameters()}
    in_decayed = {names[id(value)] for value in decayed["params"]}
    in_spared = {names[id(value)] for value in spared["params"]}
    assert in_decayed | in_spared == {key for key, value in stack.named_parameters() if value.numel()}
    for key, value in stack.named_parameters():
        # What multiplies features has an axis of the width, of all streams' widths or, for frac, of a part's width.
        widths = {spec.width, spec.streams * spec.width}
        if name.startswith("frac") and "mixers" in key:
            widths = {spec.width // spec.streams} if ".w_" in key else set()
        has_features = value.ndim == 2 and bool(widths & set(value.shape))
        if value.numel():
            assert (key in in_decayed) == has_features, key


# ---- batches and schedule


def test_every_step_reads_fresh_windows_of_the_text() -> None:
    made = build_stack(train_spec()).input
    seen = []
    for step in (None, 0, 1, 2, None):
        made.set_batch(step)
        whole = torch.cat([made.ids_BT, made.targets_BT[:, -1:]], 1)  # type: ignore[union-attr]
        seen.append([bytes(row) for row in whole.tolist()])
        assert torch.equal(made.ids_BT[:, 1:], made.targets_BT[:, :-1])  # type: ignore[union-attr]
    assert all(window in TEXT.encode() for batch in seen for window in batch)
    assert seen[0] == seen[-1]
    assert len({tuple(batch) for batch in seen}) == 4


def test_windows_start_anywhere_in_the_text() -> None:
    text = "".join(chr(ord("a") + k) for k in range(20))
    made = build_stack(train_spec(input={"text": text, "batch": 2, "tokens": 6})).input
    starts = set()
    for step in range(200):
        made.set_batch(step)
        starts |= set(made.ids_BT[:, 0].tolist())  # type: ignore[union-attr]
    assert starts == set(range(ord("a"), ord("a") + 14))


def test_the_learning_rate_rises_linearly_and_stays() -> None:
    frames, _ = train_all(build_stack(train_spec(6, lr=0.02, warmup=4)))
    np.testing.assert_allclose(column(frames, "step_lr"), [0.005, 0.01, 0.015, 0.02, 0.02, 0.02], rtol=1e-12)


def test_a_clipped_step_of_sgd_has_the_length_of_the_clip() -> None:
    for clip, wanted in ((0.25, 0.25), (1e3, None)):
        stack = build_stack(train_spec(1, lr=0.1, optimizer="sgd", clip=clip))
        before = torch.cat([value.detach().flatten().clone() for value in stack.parameters()])
        (frame,), _ = train_all(stack)
        after = torch.cat([value.detach().flatten() for value in stack.parameters()])
        norm = frame.data["values"]["step_grad_norm"]
        assert norm > 0.25  # the norm is told before clipping
        assert (after - before).norm().item() == pytest.approx(0.1 * (wanted or norm), rel=1e-4)


# ---- frames


def test_the_order_is_measure_steps_measure_summary() -> None:
    spec = train_spec(5, kept=3)
    frames = run_frames(spec)
    kinds = [frame.type for frame in frames]
    first = kinds.index("step")
    assert kinds[first : first + 5] == ["step"] * 5
    assert [frame.data["step"] for frame in frames[first : first + 5]] == [0, 1, 2, 3, 4]
    assert kinds[1:first] == kinds[first + 5 : -1]
    assert kinds[0] == "start"
    assert kinds[-1] == "summary"
    assert not any("step" in frame.data for frame in frames[:first])
    assert all(frame.data["step"] == 5 for frame in frames[first + 5 : -1])


def test_the_second_measurement_is_that_of_the_trained_stack() -> None:
    spec = train_spec(3, lr=0.05, connection=CONNECTIONS["hc-dynamic"])
    stack = build_stack(spec)
    train_all(stack)
    trained = collect([frame for frame in run_frames(spec) if frame.type != "step"])
    apart = Result()
    apart.add(Frame("start", {"layers": spec.depth}))
    for frame in measure(stack, torch.device("cpu")):
        apart.add(frame)
    assert apart.loss == trained.loss == pytest.approx(stack().item(), rel=1e-12)
    assert apart.loss != trained.loss_untrained
    for key, values in apart.layers.items():
        np.testing.assert_array_equal(trained.layers[key], values, err_msg=key)


def test_without_training_nothing_speaks_of_it() -> None:
    result = collect(list(run_frames(build_spec())))
    assert result.steps == result.kept == {}
    assert math.isnan(result.loss_untrained)


@pytest.mark.parametrize(("steps", "kept", "wanted"), [(1, 5, [0]), (3, 5, [0, 1, 2]), (9, 3, [0, 4, 8])])
def test_matrices_are_kept_at_evenly_spaced_steps(steps: int, kept: int, wanted: list[int]) -> None:
    result = collect(list(run_frames(train_spec(steps, kept=kept, lr=0.05, connection=CONNECTIONS["hc"]))))
    assert result.kept_steps == wanted
    assert result.kept["step_h_res"].shape == (len(wanted), 4, 4, 4)
    gains = np.abs(result.kept["step_h_res"][:, 0].sum(-1)).max(-1)  # of layer 1 alone
    np.testing.assert_allclose(gains, result.steps["step_gain_fwd"][wanted, 0], rtol=1e-12)
    assert steps == 1 or gains[0] != gains[-1]


@pytest.mark.parametrize("name", ["residual", "hc", "mhc-dynamic"])
def test_the_same_spec_gives_the_same_bytes_and_another_seed_does_not(name: str) -> None:
    fields: dict[str, Any] = {"dtype": "float32", "width": 16, "connection": CONNECTIONS[name]}
    one, other, third = (
        [encode_frame(frame, "id", k) for k, frame in enumerate(run(train_spec(6, seed=seed, **fields)))]
        for seed in (0, 0, 1)
    )
    assert one == other
    plain = [[decode_line(line) for line in lines] for lines in (one, third)]
    losses = [[line["values"]["step_loss"] for line in lines if line["type"] == "step"] for lines in plain]
    assert len(losses[0]) == 6
    assert not set(losses[0]) & set(losses[1])


@pytest.mark.parametrize("name", ["residual", "hc", "mhc-dynamic"])
def test_a_decoded_result_is_the_result(name: str) -> None:
    frames = run_frames(train_spec(4, connection=CONNECTIONS[name]))
    here, there = collect(list(frames)), Result()
    for index, frame in enumerate(frames):
        there.add(decode_line(encode_frame(frame, "id", index)))
    assert here.kept_steps == there.kept_steps
    for table in ("steps", "steps_log10", "kept"):
        ours, theirs = getattr(here, table), getattr(there, table)
        assert ours.keys() == theirs.keys()
        for key, values in ours.items():
            np.testing.assert_array_equal(theirs[key], values, err_msg=key)


def test_closing_early_stops_between_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    climbed = []
    climb = Stack.climb

    def count(self: Stack, *rest: Any) -> Any:
        climbed.append(1)
        return climb(self, *rest)

    monkeypatch.setattr(Stack, "climb", count)
    frames = run(train_spec(50))
    next(frame for frame in frames if frame.type == "step")
    frames.close()  # type: ignore[attr-defined]
    assert len(climbed) == 1


def test_the_loss_falls() -> None:
    spec = train_spec(60, lr=0.01, width=16, dtype="float32", input={"text": TEXT, "batch": 4, "tokens": 32})
    result = collect(list(run_frames(spec)))
    assert result.loss < 2.5 < math.log(256) < result.loss_untrained


# ---- what is not finite is a result


EXPLODING: dict[str, Any] = {
    "dtype": "float32", "lr": 10.0, "optimizer": "sgd", "connection": {"kind": "residual"},
    "block": {"kind": "mlp", "activation": "relu", "norm_position": "none"},
}  # fmt: skip


def test_a_loss_that_explodes_ends_training_at_its_step() -> None:
    spec = train_spec(40, **EXPLODING)
    stack, last, stopped = build_stack(spec), None, None
    for frame in train(stack):
        now = torch.cat([value.detach().flatten() for value in stack.parameters()])
        if frame.data["status"].keys() & {"step_loss", "step_grad_norm"}:
            stopped = frame
            assert torch.equal(now.nan_to_num(), last.nan_to_num())  # type: ignore[union-attr]
        else:
            assert stopped is None
        last = now.clone()
    assert stopped is not None
    step = stopped.data["step"]
    assert 0 < step < 39

    frames = run_frames(spec)
    assert sum(frame.type == "step" for frame in frames) == step + 1
    assert frames[-2].type == "mixing"
    assert frames[-2].data["step"] == step
    result = collect(list(frames))
    texts = {finding["key"]: finding["text"] for finding in result.summary["findings"]}
    assert texts["stop"].startswith(f"Training stopped at step {step + 1}: the ")


def test_a_weight_that_is_not_a_number_ends_training_at_once() -> None:
    stack = build_stack(train_spec())
    with torch.no_grad():
        stack.branches[1].w_in[0, 0] = math.nan  # type: ignore[index]
    (frame,), updates = train_all(stack)
    assert updates == 0
    assert frame.data["values"]["step_loss"] is None
    assert frame.data["status"]["step_loss"] == "nan"
    assert frame.data["status"]["step_param_grad_norm"].keys() == {"0", "1", "2", "3"}
    assert np.isfinite(frame.data["values"]["step_gain_fwd"]).all()


def test_a_gradient_that_is_not_finite_ends_training_too(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = train_spec()
    embed = Stack.embed

    def poison(self: Stack) -> torch.Tensor:
        state = embed(self)
        if state.requires_grad:
            state.register_hook(lambda grad: grad * math.inf)
        return state

    monkeypatch.setattr(Stack, "embed", poison)
    frames = [frame for frame in run(spec) if frame.type in ("step", "summary")]
    assert [frame.type for frame in frames] == ["step", "summary"]
    assert math.isfinite(frames[0].data["values"]["step_loss"])
    assert frames[0].data["status"].keys() == {"step_grad_norm"}
    told = [finding for finding in frames[1].data["findings"] if finding["key"] == "stop"]
    assert "step 1: the gradient is" in told[0]["text"]
    assert told[0]["numbers"] == {"updates": 0}


def test_a_status_of_the_first_measurement_is_forgotten_at_the_second() -> None:
    result = Result()
    result.add(Frame("start", {"layers": 1, "spec": {"train": {"steps": 1}}}))
    lost = {"values": {"act_rms": np.nan}, "log10": {"act_rms": 40.0}, "status": {"act_rms": "overflow"}}
    result.add(Frame("forward", {"layer": 0, **lost}))
    result.add(Frame("loss", {"values": {"loss": 3.0}}))
    assert result.status == {"act_rms": {0: "overflow"}}
    result.add(Frame("forward", {"step": 1, "layer": -1, "values": {"act_rms": 1.0}, "log10": {}, "status": {}}))
    assert result.status == result.layers == {}
    assert (result.loss_untrained, result.input) == (3.0, {"act_rms": 1.0})


@pytest.mark.parametrize("kind", ["gaussian", "correlated"])
def test_an_input_without_a_bounded_loss_is_not_trained_on(kind: str) -> None:
    with pytest.raises(SpecErrors) as caught:
        build_spec(input={"kind": kind}, train={"steps": 1})
    (error,) = caught.value.errors
    assert error.field == "train.steps"
    assert kind in error.wanted
