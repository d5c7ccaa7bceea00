"""What a step of training changes, its batches and its schedule."""

import numpy as np
import pytest
import torch

from mhc_core.inputs import TextEmbedding
from mhc_core.measure.training import build_optimizer
from mhc_core.spec import RunSpec
from mhc_core.stack import build_stack
from tests.core.conftest import CONNECTIONS, PARTS, shake
from tests.core.trained import TEXT, column, train_all, train_spec


@pytest.mark.sample(6)
@pytest.mark.parametrize("name", CONNECTIONS)
def test_everything_learns(name: str) -> None:
    whole = {"text": TEXT, "batch": 2, "tokens": len(TEXT) - 1}
    stack = shake(build_stack(train_spec(3, lr=0.01, connection=CONNECTIONS[name], input=whole)))
    before = {key: value.detach().clone() for key, value in stack.named_parameters()}
    train_all(stack)
    read = sorted(set(TEXT[:-1].encode()))
    last = f"connection.mixers.{stack.spec.depth - 1}."
    for key, value in stack.named_parameters():
        # H_res of the first layer mixes copies of one stream, which leaves them as they are; that of the last one does
        # not move the mean of streams where its columns sum to 1. What gradient there is, is rounding.
        if value.numel() and not key.startswith("connection.mixers.0."):
            changed = (value.detach() != before[key]).float()
            if stack.spec.family.columns == "exact" and stack.spec.family.is_mapped:
                if key == f"{last}b_res":
                    continue
                if key == f"{last}phi":
                    changed = changed[:, : 2 * stack.spec.streams]
                if key == "connection.b_res":
                    changed = changed[1:-1]
            # Not all of it: the diagonal of orthostochastic logits and the residual gate of identity HC do nothing.
            assert (changed[read] if key == "input.embedding_VC" else changed).mean() > 0.6, key


@pytest.mark.sample(6)
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
        if name in PARTS and "mixers" in key:
            widths = {spec.width // spec.streams} if ".w_" in key else set()
        # Logits of H_res can be as many as the width.
        has_features = value.ndim == 2 and bool(widths & set(value.shape)) and not key.endswith(".b_res")
        if value.numel():
            assert (key in in_decayed) == has_features, key


# ---- batches and schedule


def text_of(spec: RunSpec) -> TextEmbedding:
    made = build_stack(spec).input
    assert isinstance(made, TextEmbedding)
    return made


def test_every_step_reads_fresh_windows_of_the_text() -> None:
    made = text_of(train_spec())
    seen = []
    for step in (None, 0, 1, 2, None):
        made.set_batch(step)
        whole = torch.cat([made.ids_BT, made.targets_BT[:, -1:]], 1)
        seen.append([bytes(row) for row in whole.tolist()])
        assert torch.equal(made.ids_BT[:, 1:], made.targets_BT[:, :-1])
    assert all(window in TEXT.encode() for batch in seen for window in batch)
    assert seen[0] == seen[-1]
    assert len({tuple(batch) for batch in seen}) == 4


def test_windows_start_anywhere_in_the_text() -> None:
    text = "".join(chr(ord("a") + k) for k in range(20))
    made = text_of(train_spec(input={"text": text, "batch": 2, "tokens": 6}))
    starts = set()
    for step in range(200):
        made.set_batch(step)
        starts |= set(made.ids_BT[:, 0].tolist())
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
        norm = frame.values["step_grad_norm"]
        assert norm > 0.25  # the norm is told before clipping
        assert (after - before).norm().item() == pytest.approx(0.1 * (wanted or norm), rel=1e-4)
