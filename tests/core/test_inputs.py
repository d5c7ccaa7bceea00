"""What enters a stack, and how its output becomes a loss."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from mhc_core.default_text import DEFAULT_TEXT
from mhc_core.inputs import TextInput, build_input, describe_input
from mhc_core.stack import build_stack
from tests.core.conftest import build_spec, measure


def windows(text: str, batch: int, tokens: int) -> list[bytes]:
    """Each sequence with the byte that follows it."""
    made = build_input(build_spec(input={"text": text, "batch": batch, "tokens": tokens}))
    assert isinstance(made, TextInput)
    last = made.targets_BT[:, -1:]
    assert torch.equal(made.ids_BT[:, 1:], made.targets_BT[:, :-1])  # the target is the next byte
    return [bytes(row) for row in torch.cat([made.ids_BT, last], 1).tolist()]


def describe(text: str, batch: int, tokens: int) -> dict[str, object]:
    return describe_input(build_spec(input={"text": text, "batch": batch, "tokens": tokens}))


def test_a_text_of_one_window_is_read_as_it_stands() -> None:
    assert windows("abcdefgh", 1, 7) == [b"abcdefgh"]
    assert describe("abcdefgh", 1, 7) == {"kind": "text", "bytes": 8, "bytes_used": 8, "repeated": 1.0}


def test_a_short_text_is_repeated_and_said_to_be() -> None:
    for window in windows("abc", 2, 7):
        assert window in b"abcabcabcabc"
    said = describe("abc", 2, 7)
    assert said["bytes"] == said["bytes_used"] == 3
    assert said["repeated"] == pytest.approx(8 / 3)


def test_a_single_byte_is_a_text() -> None:
    assert windows("a", 2, 7) == [b"aaaaaaaa"] * 2
    result = measure(build_spec(input={"text": "a", "batch": 2, "tokens": 7}))
    assert math.isfinite(result.loss)
    assert result.input["token_cos"] == pytest.approx(1)


def test_a_long_text_is_seen_from_start_to_end() -> None:
    text = "".join(chr(ord("a") + k // 40) for k in range(1000))
    seen = windows(text, 5, 9)
    assert seen[0] == text[:10].encode()
    assert seen[-1] == text[-10:].encode()
    starts = [text.encode().index(window) for window in seen]
    assert all(200 < later - sooner < 280 for sooner, later in pairwise(starts))
    assert describe(text, 5, 9) == {"kind": "text", "bytes": 1000, "bytes_used": 50, "repeated": 1.0}


@pytest.mark.parametrize(("length", "batch", "tokens"), [(20, 2, 11), (23, 3, 9), (90, 2, 64), (12, 5, 11)])
def test_overlapping_windows_use_every_byte(length: int, batch: int, tokens: int) -> None:
    text = "".join(chr(32 + k) for k in range(length))
    used = set().union(*(set(window) for window in windows(text, batch, tokens)))
    assert len(used) == describe(text, batch, tokens)["bytes_used"] == min(length, batch * (tokens + 1))


def test_text_is_read_as_utf8_bytes() -> None:
    text = "naïve 漢字 🙂"
    assert windows(text, 1, len(text.encode()) - 1) == [text.encode()]
    assert describe(text, 1, 4)["bytes"] == len(text.encode()) == 18
    spec = build_spec(input={"text": "🙂" * 30})
    assert math.isfinite(measure(spec).loss)


def test_the_default_text_is_longer_than_the_default_windows() -> None:
    assert len(DEFAULT_TEXT.encode()) > 2 * 65
    assert DEFAULT_TEXT.isascii()


def test_the_loss_is_the_cross_entropy_of_the_next_byte_in_nats() -> None:
    stack = build_stack(build_spec())
    out = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert isinstance(stack.input, TextInput)
    logits = (out @ stack.input.readout_VC.T).detach().numpy()
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    targets = stack.input.targets_BT.numpy()
    wanted = -np.mean([math.log(chances[b, t, targets[b, t]]) for b in range(2) for t in range(6)])
    assert stack.input.loss(out).item() == pytest.approx(wanted, rel=1e-12)
    assert stack.input.loss(0 * out).item() == pytest.approx(math.log(256))


@pytest.mark.parametrize("kind", ["residual", "mhc"])
def test_the_gaussian_loss_sends_its_read_out_down(kind: str) -> None:
    """The loss is linear: without a final norm the gradient at the top is R / (B T) itself."""
    spec = build_spec(connection={"kind": kind}, input={"kind": "gaussian"}, block={"norm_position": "none"})
    stack = build_stack(spec)
    readout = stack.input.readout_BTC
    assert isinstance(readout, torch.Tensor)
    wanted = readout.square().mean().sqrt().item() / 12
    assert measure(spec).layers["grad_rms"][-1] == pytest.approx(wanted, rel=1e-12)
    assert wanted == pytest.approx(1 / 12, rel=0.3)


def test_gaussian_input_is_standard_normal() -> None:
    made = build_input(build_spec(width=64, input={"kind": "gaussian", "batch": 8, "tokens": 64}))
    x = made().detach()
    assert x.shape == (8, 64, 64)
    assert abs(x.mean().item()) < 5 / x.numel() ** 0.5
    assert abs(x.std().item() - 1) < 5 / (2 * x.numel()) ** 0.5


def test_describing_a_gaussian_input_needs_no_bytes() -> None:
    assert describe_input(build_spec(input={"kind": "gaussian"})) == {"kind": "gaussian"}
