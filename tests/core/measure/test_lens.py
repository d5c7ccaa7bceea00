"""The lens against the same network in numpy, and probes of streams whose content is known."""

from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.measure import lens
from mhc_core.measure.lens import estimate_lens, list_subsets, measure_lens, probe_rows, read_rows
from mhc_core.measure.linear_probe import RIDGE, Targets, fit_probe, list_targets, measure_chance, spread_halves
from mhc_core.record.stages import LensFrame, ProgressFrame
from mhc_core.spec import RunSpec, SpecError
from mhc_core.stack import Stack, build_stack
from tests.core import reference
from tests.core.conftest import CONNECTIONS, build_spec, shake

Array = np.ndarray
CUT: dict[str, Any] = {"layers": [1, 1], "what": "branch", "do": "zero"}


def read_out(stack: Stack, x: Array) -> Array:
    """Logits of streams (n, B, T, C), one row a sample."""
    p = {name: value.detach().double().numpy() for name, value in stack.named_parameters()}
    out = reference._reduce(stack, p, x, None)
    if stack.spec.block.norm_position == "pre":
        out = reference._norm(out, stack.spec.block.norm)
    if stack.spec.input.kind == "digits":
        return out.mean(1) @ p["input.readout_KC"].T
    return (out @ p["input.readout_VC"].T).reshape(-1, 256)


def diverge(base: Array, found: Array) -> float:
    """Mean over samples of sum p log(p / q)."""
    total = 0.0
    for logits, other in zip(base, found, strict=True):
        p, q = (z - z.max() - np.log(np.exp(z - z.max()).sum()) for z in (logits, other))
        total += (np.exp(p) * (p - q)).sum()
    return float(total / len(base))


@pytest.mark.sample(4)
@pytest.mark.parametrize("position", ["pre", pytest.param("post", marks=pytest.mark.full)])
@pytest.mark.parametrize("name", ["mhc", "hc-dynamic", "mhc-dynamic", "frac", "weighted", "gated-dynamic", "attnres"])
def test_every_row_is_that_of_the_network_in_numpy(name: str, position: str) -> None:
    spec = build_spec(connection=CONNECTIONS[name], block={"norm_position": position}, edits=[CUT])
    stack = shake(build_stack(spec))
    found, _ = read_rows(stack)
    trace = reference.trace(stack)
    final = read_out(stack, trace.states[-1])
    for row, x in enumerate(trace.states):
        assert found["kl"][row] == pytest.approx(diverge(final, read_out(stack, x)), rel=1e-12, abs=1e-12)
        for place, subset in enumerate(list_subsets(spec.streams)):
            kept = np.array([part if s in subset else 0 * part for s, part in enumerate(x)])
            due = diverge(final, read_out(stack, kept))
            assert found["kl_subsets"][row, place] == pytest.approx(due, rel=1e-12, abs=1e-12), (row, subset)
    for layer, y in enumerate(trace.y):
        parts = np.split(y, spec.streams, -1) if spec.family.streams == "parts" else [y] * spec.streams
        due = diverge(final, read_out(stack, np.array(parts)))
        assert found["kl_branches"][layer] == pytest.approx(due, rel=1e-12, abs=1e-12)
    assert found["kl"][0] > 1e-3


def test_digits_are_read_out_image_by_image() -> None:
    spec = build_spec(input={"kind": "digits", "tokens": 64}, depth=2)
    stack = build_stack(spec)
    found, names = read_rows(stack)
    trace = reference.trace(stack)
    final = read_out(stack, trace.states[-1])
    assert found["kl"][0] == pytest.approx(diverge(final, read_out(stack, trace.states[0])), rel=1e-12)
    assert set(names[0]) <= set("0123456789")


def test_the_likeliest_tokens_are_those_of_the_last_position_of_the_first_sequence() -> None:
    stack = shake(build_stack(build_spec(input={"kind": "corpus"})))
    found, names = read_rows(stack)
    tokens = stack.spec.input.tokens
    for row, x in enumerate(reference.trace(stack).states):
        logits = read_out(stack, x)[tokens - 1]
        shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        order = np.argsort(-shares)[:5]
        np.testing.assert_allclose(found["top"][row], shares[order], rtol=1e-9)
        assert names[row] == [lens.name_token(stack.spec, int(byte)) for byte in order]


def test_subsets_of_many_streams_are_each_alone_all_but_one_and_all() -> None:
    assert list_subsets(2) == [(0,), (1,), (0, 1)]
    assert len(list_subsets(4)) == 15
    assert len(list_subsets(8)) == 17
    assert list_subsets(1) == [(0,)]


def measure(spec: RunSpec) -> LensFrame:
    *progress, frame = measure_lens(spec)
    assert isinstance(frame, LensFrame)
    shares = [one.done for one in progress if isinstance(one, ProgressFrame)]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    return frame


def test_the_trained_stack_is_read_and_edits_do_not_act_on_training() -> None:
    plain, trained, edited = (
        measure(build_spec(**fields))
        for fields in ({}, {"train": {"steps": 4, "lr": 0.05}}, {"train": {"steps": 4, "lr": 0.05}, "edits": [CUT]})
    )
    assert (plain.values["kl"][:-1] != trained.values["kl"][:-1]).all()
    assert edited.values["kl"][0] != trained.values["kl"][0]  # from another output
    np.testing.assert_array_equal(edited.values["probe"][:, 0], trained.values["probe"][:, 0])


@pytest.mark.parametrize("kind", ["gaussian", "correlated"])
def test_vectors_have_no_classes_to_read_out(kind: str) -> None:
    with pytest.raises(SpecError) as caught:
        next(measure_lens(build_spec(input={"kind": kind})))
    assert caught.value.field == "input.kind"


# Linear probes.


def test_a_stream_that_carries_the_position_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = build_spec(connection={"kind": "hc", "streams": 2}, input={"kind": "corpus"}, width=16, depth=1)
    stack = build_stack(spec)
    tokens = spec.input.tokens
    places = torch.randn(tokens, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def expand(x_NC: torch.Tensor) -> torch.Tensor:
        return torch.stack([x_NC, places.repeat(len(x_NC) // tokens, 1)])

    monkeypatch.setattr(stack.connection, "expand", expand)
    targets = list_targets(stack)
    fit, held = targets.halves
    chance = [measure_chance(fit[key], held[key]) for key in fit]
    of_token, of_place = next(probe_rows(stack, targets))
    assert chance[0] == pytest.approx(1 / tokens)
    assert of_place[0] == 1.0
    assert of_place[1:] == pytest.approx(chance[1:], abs=0.02)
    assert of_token[0] == pytest.approx(chance[0], abs=0.05)
    assert of_token[1] > chance[1] + 0.3


def fit_in_numpy(x: Array, held: Array, labels: Array, held_labels: Array) -> float:
    mean, size = x.mean(0), x.std(0)
    x, held = (x - mean) / size, (held - mean) / size
    classes = sorted(set(labels))
    y = np.array([[float(label == other) for other in classes] for label in labels])
    inverse = np.linalg.inv(x.T @ x + RIDGE * len(x) * np.eye(x.shape[1]))
    scores = held @ (inverse @ (x.T @ (y - y.mean(0)))) + y.mean(0)
    return float(np.mean([classes[row.argmax()] == label for row, label in zip(scores, held_labels, strict=True)]))


@pytest.mark.parametrize("features", [5, 90])
def test_both_forms_of_the_regression_are_the_formula(features: int) -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 4, 120)
    centres = rng.normal(size=(4, features))
    x = 0.6 * centres[labels] + rng.normal(size=(120, features))
    fit, held = {"one": labels[:60]}, {"one": labels[60:]}
    found = fit_probe(torch.from_numpy(x[:60]), torch.from_numpy(x[60:]), fit, held)
    assert found == [fit_in_numpy(x[:60], x[60:], labels[:60], labels[60:])]
    assert 0.3 < found[0] < 1


def test_a_stream_of_zeros_is_a_guess() -> None:
    fit, held = {"one": np.array([3, 3, 7, 3])}, {"one": np.array([3, 7, 7, 9])}
    assert fit_probe(torch.zeros(4, 6), torch.zeros(4, 6), fit, held) == [measure_chance(fit["one"], held["one"])]
    assert measure_chance(fit["one"], held["one"]) == 0.25
    assert np.isnan(fit_probe(torch.full((4, 6), torch.inf), torch.zeros(4, 6), fit, held)).all()


@pytest.mark.parametrize("size", [3, 50, 5000])
def test_no_byte_is_in_both_halves(size: int) -> None:
    source = np.arange(size) % 251
    marked = source + 1000 * np.arange(size)
    data, starts = spread_halves(marked, 33, 20)
    windows = [data[start : start + 33] for start in starts]
    assert all(len(window) == 33 for window in windows)
    first, second = ({int(byte) for window in half for byte in window} for half in (windows[:20], windows[20:]))
    assert first
    assert second
    assert not first & second


def test_labels_are_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = build_stack(build_spec(input={"kind": "corpus"}))
    before = stack.input.ids_BT.clone()  # type: ignore[operator]
    targets: Targets = list_targets(stack)
    assert torch.equal(stack.input.ids_BT, before)  # type: ignore[arg-type]
    tokens = stack.spec.input.tokens
    token, following = (targets.labels[key].reshape(-1, tokens) for key in ("token", "next"))
    np.testing.assert_array_equal(token[:, 1:], following[:, :-1])
    assert (targets.labels["position"].reshape(-1, tokens) == np.arange(tokens)).all()


def test_cost_grows_with_depth() -> None:
    small, deep = (estimate_lens(build_spec(depth=depth, width=64)) for depth in (8, 32))
    assert 3 < deep.flops / small.flops < 5
    assert deep.seconds > small.seconds
