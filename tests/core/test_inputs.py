"""What enters a stack, and how its output becomes a loss."""

import hashlib
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.inputs import DigitsEmbedding, TextEmbedding, build_input, describe_input
from mhc_core.inputs.digits import load_digits
from mhc_core.spec.default_text import DEFAULT_TEXT
from mhc_core.stack import build_stack
from tests.core.conftest import build_spec, measure


def windows(text: str, batch: int, tokens: int) -> list[bytes]:
    """Each sequence with the byte that follows it."""
    made = build_input(build_spec(input={"text": text, "batch": batch, "tokens": tokens}))
    assert isinstance(made, TextEmbedding)
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
    assert isinstance(stack.input, TextEmbedding)
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


def digits_of(**fields: Any) -> DigitsEmbedding:
    made = build_input(build_spec(input={"kind": "digits", "tokens": 64, **fields.pop("input", {})}, **fields))
    assert isinstance(made, DigitsEmbedding)
    return made


def test_digits_are_those_of_scikit_learn() -> None:
    """SHA-256 of what `load_digits(return_X_y=True)` of scikit-learn 1.9.1 gives, as float64 and int64."""
    images, digits = load_digits()
    assert (images.shape, digits.shape) == ((1797, 64), (1797,))
    assert sha256(images) == "20def7f70a702f0af9732fbba4375e147a7d54fe70d8c45569b8e7c1c7010c10"
    assert sha256(digits) == "a3c91c262eddcf7ba8f0e37507c30284493c9b20412ffe4af30d536401f7ba21"


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def test_a_run_reads_the_digits_that_it_describes() -> None:
    """Row by row, at the places that `describe_input` names, and labelled as there."""
    images, digits = load_digits()
    spec = build_spec(input={"kind": "digits", "tokens": 64, "batch": 7})
    said, made = describe_input(spec), build_input(spec)
    assert isinstance(made, DigitsEmbedding)
    assert said["images"] == len(images)
    for b, index in enumerate(said["drawn"]):
        assert (made.pixels_BT[b].numpy() * 16 == images[index]).all()
        assert said["digits"][b] == made.targets_B[b] == digits[index]
    assert "CC BY 4.0" in said["licence"]
    assert made.pixels_BT.max() == 1


def test_images_depend_on_the_seed_alone_and_none_comes_twice() -> None:
    def drawn(**fields: Any) -> list[int]:
        return describe_input(build_spec(input={"kind": "digits", "tokens": 64, "batch": 64}, **fields))["drawn"]

    assert drawn() == drawn(depth=9, connection={"kind": "hc"}, dtype="float32")
    assert drawn()[:5] == describe_input(build_spec(input={"kind": "digits", "tokens": 64, "batch": 5}))["drawn"]
    assert drawn() != drawn(seed=1)
    assert len(set(drawn())) == 64
    assert len({index for seed in range(20) for index in drawn(seed=seed)}) > 700  # of all of them, not of a corner


def test_a_digit_token_is_its_pixel_and_its_place() -> None:
    made = digits_of(width=64)
    x = made().detach()
    assert x.shape == (2, 64, 64)
    dark = (made.pixels_BT == 0).nonzero()
    assert len(dark) > 10
    for b, t in dark[:20].tolist():
        assert torch.equal(x[b, t], made.place_TC[t].detach())
    assert torch.allclose(x[0] - x[1], (made.pixels_BT[0] - made.pixels_BT[1])[:, None] * made.pixel_C, atol=1e-6)


def test_the_loss_of_digits_is_the_cross_entropy_of_ten_from_the_mean_over_tokens() -> None:
    made = build_stack(build_spec(input={"kind": "digits", "tokens": 64})).input
    assert isinstance(made, DigitsEmbedding)
    out = torch.randn(2, 64, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits = (out.mean(1) @ made.readout_KC.T).detach().numpy()
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    wanted = -np.mean([math.log(chances[b, made.targets_B[b]]) for b in range(2)])
    assert made.loss(out).item() == pytest.approx(wanted, rel=1e-12)
    assert made.loss(0 * out).item() == pytest.approx(math.log(10))


def test_the_finding_compares_the_loss_of_digits_with_guessing_one_of_ten() -> None:
    result = measure(build_spec(input={"kind": "digits", "tokens": 64}))
    (told,) = [finding for finding in result.summary.findings if finding.key == "loss"]
    assert f"{result.loss:.2f} nats/image" in told.text
    assert "2.30" in told.text


def test_digits_can_be_told_apart() -> None:
    """A shallow stack fits its images: what it is shown differs by digit, and the loss names the digits shown."""
    stack = build_stack(
        build_spec(
            depth=2,
            width=32,
            dtype="float32",
            connection={"kind": "residual"},
            block={"kind": "mlp"},
            input={"kind": "digits", "tokens": 64, "batch": 16},
        )
    )
    optimiser = torch.optim.Adam(stack.parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        stack().backward()
        optimiser.step()
    assert stack().item() < 0.25 * math.log(10)
