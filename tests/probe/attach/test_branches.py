"""Home-made residual models: sums in the code that calls the layers, and layers in lists of lists.

What the probe reports is compared with the same arithmetic written as a loop here, whose states keep their gradients.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mhc_core.record.result import Result
from mhc_core.spec import SpecError
from mhc_probe import Monitor, attach

WIDTH, DEPTH, SAMPLES, TOLERANCE = 16, 4, (2, 7), 1e-6
Step = Callable[[Any, int, torch.Tensor], torch.Tensor]


class Branch(nn.Module):
    """W2 tanh(W1 (x / 2)). Its first operation keeps nothing of x, which may then be changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.down(torch.tanh(self.up(0.5 * x)))
        return y


class Other(Branch):
    """A second kind of branch, as an MLP next to attention."""


class Model(nn.Module):
    """`step` is one turn of the loop over its layers."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.step = step
        self.embed, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)
        self.layers = nn.ModuleList(Branch() for _ in range(DEPTH))
        self.norm, self.drop = nn.LayerNorm(WIDTH), nn.Dropout(0.2)
        self.scale = nn.Parameter(torch.tensor(0.7))
        self.gains = nn.Parameter(torch.rand(WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = 1.0 * self.embed(x)
        for place in range(len(self.layers)):
            x = self.step(self, place, x)
        return self.head(x).square().mean()


def add_in_place(m: Model, k: int, x: torch.Tensor) -> torch.Tensor:
    x += m.layers[k](x)
    return x


def add_state_in_place(m: Model, k: int, x: torch.Tensor) -> torch.Tensor:
    h = m.layers[k](x)
    h += x
    return h


def add_later(m: Model, k: int, x: torch.Tensor) -> torch.Tensor:
    h = m.layers[k](m.norm(x))
    return x + m.drop(h)


# The model's own code -> c and y of x' = c x + y, written apart.
FORMS: dict[str, tuple[Step, float, Step]] = {
    "sum": (lambda m, k, x: x + m.layers[k](x), 1, lambda m, k, x: m.layers[k](x)),
    "branch first": (lambda m, k, x: m.layers[k](x) + x, 1, lambda m, k, x: m.layers[k](x)),
    "in place": (add_in_place, 1, lambda m, k, x: m.layers[k](x)),
    "branch in place": (add_state_in_place, 1, lambda m, k, x: m.layers[k](x)),
    "scale and norm": (
        lambda m, k, x: x + m.scale * m.layers[k](m.norm(x)),
        1,
        lambda m, k, x: m.scale * m.layers[k](m.norm(x)),
    ),
    "dropout": (add_later, 1, lambda m, k, x: m.drop(m.layers[k](m.norm(x)))),
    "addcmul": (
        lambda m, k, x: torch.addcmul(x, m.gains, m.layers[k](x)),
        1,
        lambda m, k, x: m.gains * m.layers[k](x),
    ),
    "lerp": (lambda m, k, x: torch.lerp(x, m.layers[k](x), 0.25), 0.75, lambda m, k, x: 0.25 * m.layers[k](x)),
    "stack": (lambda m, k, x: torch.stack([x, m.layers[k](x)]).sum(0), 1, lambda m, k, x: m.layers[k](x)),
    "difference": (lambda m, k, x: x - m.layers[k](x), 1, lambda m, k, x: -m.layers[k](x)),
    "half": (lambda m, k, x: 0.5 * x + m.layers[k](x), 0.5, lambda m, k, x: m.layers[k](x)),
    "recomputed": (
        lambda m, k, x: x + checkpoint(m.layers[k], x, use_reentrant=False),
        1,
        lambda m, k, x: m.layers[k](x),
    ),
    "recomputed reentrantly": (
        lambda m, k, x: x + checkpoint(m.layers[k], x, use_reentrant=True),
        1,
        lambda m, k, x: m.layers[k](x),
    ),
}


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*(shape or (*SAMPLES, WIDTH)), generator=torch.Generator().manual_seed(2))


def probe(model: nn.Module, layers: Any = None) -> Result:
    torch.manual_seed(1)
    with attach(model, layers) as found:
        model(draw()).backward()
    return found.result()


def to_rms(x: torch.Tensor | None) -> float:
    assert x is not None
    return float(x.detach().double().square().mean().sqrt())


def assert_equal(
    result: Result, model: Any, branches: list[Callable[[torch.Tensor], torch.Tensor]], factor: float = 1
) -> None:
    """Against a loop over the branches with the model's own weights."""
    torch.manual_seed(1)
    model.zero_grad(set_to_none=True)
    state = 1.0 * model.embed(draw())
    state.retain_grad()
    states, outputs = [state], []
    for branch in branches:
        outputs.append(branch(states[-1]))
        states.append(factor * states[-1] + outputs[-1])
        states[-1].retain_grad()
    model.head(states[-1]).square().mean().backward()
    columns = result.layers
    assert (result.depth, result.streams) == (len(branches), 1)
    np.testing.assert_allclose(columns["act_rms"], [to_rms(x) for x in states[1:]], rtol=TOLERANCE)
    np.testing.assert_allclose(columns["grad_rms"], [to_rms(x.grad) for x in states[1:]], rtol=TOLERANCE)
    np.testing.assert_allclose(columns["branch_in_rms"], [to_rms(x) for x in states[:-1]], rtol=TOLERANCE)
    np.testing.assert_allclose(columns["branch_out_rms"], [to_rms(y) for y in outputs], rtol=TOLERANCE)
    assert result.input["act_rms"] == pytest.approx(to_rms(states[0]), rel=TOLERANCE)
    assert result.input["grad_rms"] == pytest.approx(to_rms(states[0].grad), rel=TOLERANCE)
    np.testing.assert_allclose(result.matrices["h_res"], factor)


# ---- where the sum is


@pytest.mark.sample(6)
@pytest.mark.parametrize("form", FORMS)
def test_a_sum_in_the_code_that_calls_the_layers(form: str) -> None:
    step, factor, branch = FORMS[form]
    model = Model(step)
    result = probe(model)
    assert result.blocks == ["Branch"] * DEPTH
    weights = [[p.grad for p in layer.parameters()] for layer in model.layers]
    norms = [np.sqrt(sum(float(g.double().square().sum()) for g in layer if g is not None)) for layer in weights]
    np.testing.assert_allclose(result.layers["param_grad_norm"], norms, rtol=TOLERANCE)
    assert_equal(result, model, [partial(branch, model, k) for k in range(DEPTH)], factor)


@pytest.mark.full
def test_the_branchs_gradient_is_what_the_way_past_it_does_not_bring() -> None:
    step, _, branch = FORMS["scale and norm"]
    model = Model(step)
    result = probe(model)
    states = [1.0 * model.embed(draw())]
    for k in range(DEPTH):
        states.append(step(model, k, states[-1]))
    grads = torch.autograd.grad(model.head(states[-1]).square().mean(), states[1:], retain_graph=True)
    for k in range(DEPTH):
        x = states[k].detach().requires_grad_()
        (wanted,) = torch.autograd.grad(branch(model, k, x), x, grads[k])
        assert result.layers["branch_grad_rms"][k] == pytest.approx(to_rms(wanted), rel=1e-4)


@pytest.mark.sample(4)
@pytest.mark.parametrize("form", ["in place", "dropout", "stack"])
def test_the_model_computes_the_same_bits(form: str) -> None:
    alone, watched = Model(FORMS[form][0]), Model(FORMS[form][0])
    torch.manual_seed(1)
    wanted = alone(draw())
    wanted.backward()
    torch.manual_seed(1)
    with attach(watched):
        found = watched(draw())
        found.backward()
    assert torch.equal(found, wanted)
    for one, other in zip(watched.parameters(), alone.parameters(), strict=True):
        assert (one.grad is None and other.grad is None) or torch.equal(one.grad, other.grad)  # type: ignore[arg-type]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in watched.modules())


@pytest.mark.full
def test_without_a_graph_the_states_are_there() -> None:
    model = Model(FORMS["sum"][0])
    with torch.no_grad(), attach(model) as found:
        model(draw())
    result = found.result()
    np.testing.assert_array_equal(result.matrices["h_res"], 1)
    assert "grad_rms" not in result.layers


@pytest.mark.full
def test_a_training_of_such_a_model_is_watched() -> None:
    model = Model(FORMS["scale and norm"][0])
    optimizer, recorded = torch.optim.SGD(model.parameters(), lr=0.1), []
    with Monitor(model, every=2) as monitor:
        for _ in range(5):
            optimizer.zero_grad()
            model(draw()).backward()
            optimizer.step()
            assert monitor.last is not None
            recorded.append((monitor.last.iteration, monitor.last.result.depth))
    assert recorded == [(0, 4), (0, 4), (2, 4), (2, 4), (4, 4)]


# ---- lists of lists, and several lists


class Pairs(nn.Module):
    """Two branches a block, in the arrangements that people write."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.kind = kind
        self.embed, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)
        blocks = [(nn.LayerNorm(WIDTH), Branch(), nn.LayerNorm(WIDTH), Other()) for _ in range(3)]
        norms, firsts, others, seconds = zip(*blocks, strict=True)
        self.norms, self.other_norms = nn.ModuleList(norms), nn.ModuleList(others)
        if kind == "two lists":
            self.mixers, self.mlps = nn.ModuleList(firsts), nn.ModuleList(seconds)
        elif kind == "list of dicts":
            parts = [{"mixer": one, "mlp": two} for one, two in zip(firsts, seconds, strict=True)]
            self.blocks = nn.ModuleList(nn.ModuleDict(row) for row in parts)
        elif kind == "list of lists with norms":
            self.blocks = nn.ModuleList(nn.ModuleList(row) for row in blocks)
        else:
            self.blocks = nn.ModuleList(nn.ModuleList(row) for row in zip(firsts, seconds, strict=True))

    def list_branches(self) -> Iterator[Callable[[torch.Tensor], torch.Tensor]]:
        for place in range(3):
            if self.kind == "two lists":
                pair = self.mixers[place], self.mlps[place]
            else:
                block: Any = self.blocks[place]
                parts = list(block.values() if self.kind == "list of dicts" else block)
                pair = parts[-3] if len(parts) == 4 else parts[0], parts[-1]
            yield nn.Sequential(self.norms[place], pair[0])
            yield nn.Sequential(self.other_norms[place], pair[1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = 1.0 * self.embed(x)
        for branch in self.list_branches():
            x = branch(x) + x
        return self.head(x).square().mean()


@pytest.mark.sample(4)
@pytest.mark.parametrize("kind", ["two lists", "list of lists", "list of lists with norms", "list of dicts"])
def test_two_branches_a_block(kind: str) -> None:
    model = Pairs(kind)
    result = probe(model)
    assert result.blocks == ["Branch", "Other"] * 3
    assert_equal(result, model, list(model.list_branches()))


class Layer(Branch):
    """With its own sum."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)


class Stages(nn.Module):
    """Six layers in two stages, each a list; between them the width may change."""

    def __init__(self, layer: type[Branch], between: Callable[[torch.Tensor], torch.Tensor] | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)
        self.stages: Any = nn.ModuleList(nn.ModuleList(layer() for _ in range(count)) for count in (2, 4))
        self.between = between

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = 1.0 * self.embed(x)
        for place, stage in enumerate(self.stages):
            x = self.between(x) if place and self.between is not None else x
            for layer in stage:
                x = layer(x) if isinstance(layer, Layer) else x + layer(x)
        return self.head(x).square().mean()


@pytest.mark.sample(4)
@pytest.mark.parametrize("listed", [False, True], ids=["found", "listed"])
@pytest.mark.parametrize("layer", [Layer, Branch])
def test_stages_that_are_lists_of_lists_are_one_stack(layer: type[Branch], listed: bool) -> None:
    model = Stages(layer)
    result = probe(model, model.stages if listed else None)
    assert_equal(result, model, [partial(Branch.forward, module) for stage in model.stages for module in stage])


# ---- refusals, whose proposals work


def accept(model: nn.Module, error: SpecError) -> Result:
    """Attach with what the refusal proposes, as someone would paste it."""
    _, found, proposal = str(error).rpartition("try layers=")
    assert found, str(error)
    return probe(model, eval(proposal, {"model": model}))


@pytest.mark.full
@pytest.mark.parametrize("layer", [Layer, Branch])
def test_a_state_that_changes_between_stages_is_refused_with_the_longest_run(layer: type[Branch]) -> None:
    model = Stages(layer, between=torch.tanh)
    with pytest.raises(SpecError, match="what enters layer 3 is not what left layer 2") as caught:
        probe(model)
    assert accept(model, caught.value).depth == 4


class Wide(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x)


@pytest.mark.full
def test_stages_of_different_widths_are_refused_with_one_of_them() -> None:
    class Pyramid(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stages: Any = nn.ModuleList(nn.ModuleList(Wide(width) for _ in range(3)) for width in (WIDTH, 8))
            self.narrow = nn.Linear(WIDTH, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for place, stage in enumerate(self.stages):
                x = self.narrow(x) if place else x
                for layer in stage:
                    x = layer(x)
            return x.square().mean()

    model = Pyramid()
    with pytest.raises(SpecError, match="Pyramid with 2 stacks") as caught:
        attach(model)
    assert accept(model, caught.value).depth == 3


def add_normed(m: Model, k: int, x: torch.Tensor) -> torch.Tensor:
    return m.norm(x + m.layers[k](x))


def add_one_after_the_other(m: Model, k: int, x: torch.Tensor) -> torch.Tensor:
    return x + m.layers[k](x) + m.layers[k + 1](x) if k % 2 == 0 else x


def add_together(m: Model, k: int, x: torch.Tensor) -> torch.Tensor:
    return x + (m.layers[k](x) + m.layers[k + 1](x)) if k % 2 == 0 else x


REFUSED: dict[str, tuple[Step, str]] = {
    "a norm behind the sum": (add_normed, "what enters layer 2 is not what left layer 1"),
    "parallel branches, one sum after the other": (
        add_one_after_the_other,
        r"model.layers\[1\], not added to what it reads",
    ),
    "parallel branches, one sum": (add_together, r"model.layers\[2\] and model.layers\[3\], added in one sum"),
}


class Turn(nn.Module):
    """One turn of the loop as a module, which the refusals advise to write."""

    def __init__(self, model: Model, place: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(model.layers[place : place + 2])
        self.run = lambda x: model.step(model, place, x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.run(x)


@pytest.mark.sample(4)
@pytest.mark.parametrize("form", REFUSED)
def test_what_is_no_chain_of_sums_is_refused_and_the_advice_works(form: str) -> None:
    step, reason = REFUSED[form]
    model = Model(step)
    with pytest.raises(SpecError, match=reason) as caught:
        probe(model)
    assert "into a module" in str(caught.value)
    assert "list these modules as layers=" in str(caught.value)
    stride = 1 if step is add_normed else 2
    turns = nn.ModuleList(Turn(model, place) for place in range(0, DEPTH, stride))
    whole = nn.Sequential(*turns)
    with attach(whole, layers=turns) as found:
        whole(draw()).square().mean().backward()
    assert found.result().depth == DEPTH // stride
    assert np.isfinite(found.result().matrices["h_res"]).all() == (step is not add_normed)


@pytest.mark.full
def test_layers_that_the_forward_pass_does_not_call_are_refused_in_words() -> None:
    model = Model(lambda m, k, x: x + m.layers[k].up(x))
    with pytest.raises(SpecError, match=r"4 modules that the forward pass does not call.*modules that the model calls"):
        probe(model, model.layers)
    assert probe(model, [layer.up for layer in model.layers]).depth == DEPTH
