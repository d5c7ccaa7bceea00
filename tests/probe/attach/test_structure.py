"""What the probe makes of models that nobody named to it: connections, skips and stages of our own, right and wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mhc_core.record.frames import StartFrame
from mhc_core.record.result import Result
from mhc_core.record.start import CapturedInput
from mhc_core.spec import SpecError
from mhc_probe import attach
from mhc_probe.recording.detection import find_connections
from tests.probe.attach.zoo import ZOO

WIDTH, STREAMS, SAMPLES = 16, 4, (2, 7)


def record_pass(model: nn.Module, *inputs: torch.Tensor, layers: Any = None) -> Result:
    with attach(model, layers) as probe:
        model(*inputs).square().sum().backward()
    return probe.result()


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2), requires_grad=True)


# ---- connections


@dataclass
class Yield:
    h_res: torch.Tensor
    read: torch.Tensor
    write: torch.Tensor


class Mixer(nn.Module):
    """A connection that returns a dataclass, a dict or a tuple; its matrix is applied as it is, or transposed."""

    def __init__(self, style: str) -> None:
        super().__init__()
        self.style = style
        self.proj = nn.Linear(STREAMS * WIDTH, STREAMS * STREAMS + 2 * STREAMS)

    def forward(self, hidden: torch.Tensor) -> Any:
        streams = hidden if hidden.shape[-1] == WIDTH else hidden.unflatten(-1, (STREAMS, WIDTH))
        pre, write, res = self.proj(streams.flatten(-2)).split([STREAMS, STREAMS, STREAMS**2], -1)
        pre, write = pre.sigmoid(), 2 * write.sigmoid()
        res = (3 * res).unflatten(-1, (STREAMS, STREAMS)).softmax(-1)
        u = torch.einsum("...n,...nc->...c", pre, streams)
        if self.style == "dataclass":
            return Yield(res, u, write)
        return {"u": u, "pre": pre, "post": write, "mix": res} if self.style == "dict" else (res, write, u)


class Block(nn.Module):
    def __init__(self, style: str, fault: str | None) -> None:
        super().__init__()
        self.mixer, self.norm, self.mlp = Mixer(style), nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)
        self.style, self.fault = style, fault

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        found = self.mixer(hidden)
        if self.style == "dataclass":
            res, u, write = found.h_res, found.read, found.write
        else:
            res, write, u = (found["mix"], found["post"], found["u"]) if self.style == "dict" else found
        y = self.mlp(self.norm(u)).tanh()
        streams = hidden if hidden.shape[-1] == WIDTH else hidden.unflatten(-1, (STREAMS, WIDTH))
        matrix = res.mT if self.style == "dict" else res
        if self.fault == "unused":
            matrix = torch.eye(STREAMS).expand_as(res)
        if self.fault == "squared":
            matrix = res @ res
        after = matrix @ streams + write[..., None] * y[..., None, :]
        return after.view_as(hidden)


class Hyper(nn.Module):
    """State (B, T, n, C), or flat (B, T, nC)."""

    def __init__(self, style: str, flat: bool, fault: str | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(Block(style, fault) for _ in range(3))
        self.flat = flat

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shifts = torch.arange(1.0, STREAMS + 1)[:, None] / STREAMS
        streams = x[..., None, :] * shifts
        state = streams.flatten(-2) if self.flat else streams
        for block in self.blocks:
            state = block(state)
        return state


@pytest.mark.sample(3)
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("style", ["dataclass", "dict", "tuple"])
def test_a_connection_of_any_make_is_known_by_what_it_yields(style: str, flat: bool) -> None:
    model, x = Hyper(style, flat), draw(*SAMPLES, WIDTH)
    result = record_pass(model, x)
    assert result.streams == STREAMS
    assert result.blocks == ["mlp"] * 3
    state = (x[..., None, :] * torch.arange(1.0, STREAMS + 1)[:, None] / STREAMS).detach()
    with torch.no_grad():
        for layer, block in enumerate(model.blocks):
            assert isinstance(block, Block)
            raw = block.mixer.proj(state.flatten(-2))
            res = (3 * raw[..., 2 * STREAMS :]).unflatten(-1, (STREAMS, STREAMS)).softmax(-1)
            applied = res.mT if style == "dict" else res
            found = {key: result.matrices[key][layer] for key in ("h_pre", "h_post", "h_res")}
            np.testing.assert_allclose(found["h_res"], applied.mean((0, 1)), rtol=1e-5)
            np.testing.assert_allclose(found["h_pre"], raw[..., :STREAMS].sigmoid().mean((0, 1)), rtol=1e-5)
            wanted = 2 * raw[..., STREAMS : 2 * STREAMS].sigmoid().mean((0, 1))
            np.testing.assert_allclose(found["h_post"], wanted, rtol=1e-5)
            state = block(state)


def test_mixing_that_is_yielded_and_never_applied_is_told_as_none() -> None:
    result = record_pass(Hyper("tuple", False, fault="unused"), draw(*SAMPLES, WIDTH))
    np.testing.assert_array_equal(result.matrices["h_res"], np.broadcast_to(np.eye(STREAMS), (3, STREAMS, STREAMS)))
    texts = {finding.key: finding.text for finding in result.summary.findings}
    assert texts["connection"].startswith("4 streams pass through unchanged")


def test_mixing_that_the_states_do_not_obey_is_not_known() -> None:
    result = record_pass(Hyper("tuple", False, fault="squared"), draw(*SAMPLES, WIDTH))
    assert np.isnan(result.matrices["h_res"]).all()
    assert np.isnan(result.matrices["h_post"]).all()
    assert np.isfinite(result.layers["act_rms"]).all()
    texts = {finding.key: finding.text for finding in result.summary.findings}
    assert texts["connection"].startswith("In no layer is the mixing known")


class Lookalike(nn.Module):
    """A layer with a weight of the shape that weighs four streams together, which it applies to one."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.norm = Gate(), nn.LayerNorm(WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.norm(x) * self.gate(x).mean(-1, keepdim=True)


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(STREAMS, STREAMS * WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x.repeat_interleave(STREAMS, -1) @ self.weight.T)


class Router(nn.Module):
    """What experts are chosen by, and weights of two experts: by their shapes u and the weights of two streams."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, WIDTH))
        self.narrow = nn.Parameter(torch.randn(WIDTH // 2, WIDTH))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x @ self.narrow.T, (x @ self.weight.T).softmax(-1)


class Experts(nn.Module):
    """With a size of 0, as many residual branches start, the layer leaves its state as it is."""

    def __init__(self, size: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.router, self.norm = Router(), nn.LayerNorm(WIDTH // 2)
        self.experts = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        read, weights = self.router(x)
        weights = self.size * weights * self.norm(read).sigmoid().mean(-1, keepdim=True)
        return x + sum(weights[..., k : k + 1] * expert(x).tanh() for k, expert in enumerate(self.experts))


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    ("layer", "connection"), [(Lookalike, Gate), (Experts, Router), (partial(Experts, 0.0), Router)]
)
def test_what_only_has_the_shapes_of_a_connection_is_read_as_a_plain_layer(
    layer: Callable[[], nn.Module], connection: type[nn.Module]
) -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(layer(), layer()), draw(*SAMPLES, WIDTH)
    assert {type(place.connection) for place in find_connections(model)} == {connection}
    with attach(model) as probe:
        model(x).square().sum().backward()
    result, again = probe.result(), probe.result()
    assert result.streams == again.streams == 1
    np.testing.assert_array_equal(result.matrices["h_res"], 1)
    with torch.no_grad():
        assert result.layers["act_rms"][0] == pytest.approx(float(model[0](x).square().mean().sqrt()), rel=1e-6)


# ---- skips


class Layer(nn.Module):
    """A layer whose way past the branch is of some kind."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.linear, self.norm, self.kind = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH), kind
        self.gain = nn.Parameter(torch.tensor(0.5))
        self.gains = nn.Parameter(torch.full((WIDTH,), 0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x).tanh()
        if self.kind == "sum":
            return (1.0 * y).add_(x)
        if self.kind == "halved":
            return 0.5 * x + y
        if self.kind == "learned":
            return torch.add(y, x * self.gain)
        if self.kind == "divided":
            return y - x.reshape(-1, WIDTH).view_as(x) / -4
        if self.kind == "alpha":
            return torch.add(y, x, alpha=3)
        if self.kind == "stacked":
            return torch.stack([x, y]).sum(0)
        if self.kind == "stacked last":
            return torch.stack((y, x), dim=-1).sum(dim=-1)
        if self.kind == "averaged":
            return torch.stack([x, y]).mean(0)
        if self.kind == "summed":
            return sum([x, y])  # type: ignore[return-value]
        if self.kind == "addcmul":
            return torch.addcmul(x, self.gains, y)
        if self.kind == "addcmul of the state":
            return torch.addcmul(y, x, self.gain, value=3)
        if self.kind == "addcdiv":
            return torch.addcdiv(x, y, 1 + self.gains)
        if self.kind == "lerp":
            return torch.lerp(x, y, 0.25)
        if self.kind == "lerp from the branch":
            return y.lerp(x, self.gain)
        if self.kind == "matrix product added":
            rows = x.view(-1, WIDTH)
            return torch.addmm(rows, y.view(-1, WIDTH), self.linear.weight, beta=2).view_as(x)
        if self.kind == "subtracted from":
            return -(y - x)
        if self.kind == "reversed":
            return torch.rsub(y, x)
        if self.kind == "stack of another axis":
            return torch.stack([x, y]).sum(-1, keepdim=True).sum(0).expand_as(x)
        if self.kind == "lerp by channels":
            return torch.lerp(x, y, self.gains)
        if self.kind == "product of the state":
            return torch.addcmul(y, x, self.gains)
        if self.kind == "channels":
            return x * self.gains + y
        if self.kind == "norm":
            return self.norm(x + y)
        if self.kind == "relu":
            x = x + y
            return x.relu_()
        return y


FACTORS = {
    "sum": 1.0,
    "halved": 0.5,
    "learned": 0.5,
    "divided": 0.25,
    "alpha": 3.0,
    "stacked": 1.0,
    "stacked last": 1.0,
    "averaged": 0.5,
    "summed": 1.0,
    "addcmul": 1.0,
    "addcmul of the state": 1.5,
    "addcdiv": 1.0,
    "lerp": 0.75,
    "lerp from the branch": 0.5,
    "matrix product added": 2.0,
    "subtracted from": 1.0,
    "reversed": 1.0,
}
# Where the state does not pass by, or is multiplied by more than one number.
WITHOUT = ["channels", "norm", "relu", "none", "stack of another axis", "lerp by channels", "product of the state"]


@pytest.mark.sample(6)
@pytest.mark.parametrize("kind", [*FACTORS, *WITHOUT])
def test_the_way_past_a_layer_is_what_its_operations_make_it(kind: str) -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(*(Layer(kind) for _ in range(4))), draw(*SAMPLES, WIDTH)
    result = record_pass(model, x)
    factor = FACTORS.get(kind, np.nan)
    np.testing.assert_allclose(result.matrices["h_res"], factor)
    texts = {finding.key: finding.text for finding in result.summary.findings}
    assert ("through unchanged" in texts["connection"]) == (factor == 1)
    if np.isnan(factor):
        assert result.summary.headline.value is None
        return
    np.testing.assert_allclose(result.layers["composite_gain_fwd"], factor ** np.arange(1.0, 5), rtol=1e-6)
    state = x.detach()
    for layer, module in enumerate(model):
        assert isinstance(module, Layer)
        y = (module(state) - factor * state).detach()
        assert result.layers["branch_out_rms"][layer] == pytest.approx(float(y.square().mean().sqrt()), rel=1e-5)
        state = module(state).detach()


def test_layers_of_which_some_pass_their_state_on_say_how_many_do_not() -> None:
    model = nn.Sequential(Layer("sum"), Layer("norm"), Layer("sum"))
    texts = {finding.key: finding.text for finding in record_pass(model, draw(3, WIDTH)).summary.findings}
    assert texts["connection"].startswith("The state does not pass 1 of 3 layers unchanged: ")


@pytest.mark.full
@pytest.mark.parametrize("norm_first", [False, True])
def test_torchs_encoder_passes_its_state_on_only_where_norms_come_first(norm_first: bool) -> None:
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 24, norm_first=norm_first)
    result = record_pass(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), draw(*SAMPLES, WIDTH))
    np.testing.assert_array_equal(result.matrices["h_res"], 1 if norm_first else np.nan)


@pytest.mark.full
def test_torchs_fused_encoder_differs_from_the_heard_one_by_rounding_alone() -> None:
    """In evaluation mode without a graph torch takes the fused path only where no hook is."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 24, batch_first=True)
    model, x = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval(), draw(*SAMPLES, WIDTH)
    with torch.no_grad():
        alone = model(x)
        with attach(model) as probe:
            recorded = model(x)
    torch.testing.assert_close(recorded, alone, rtol=1e-5, atol=1e-5)
    assert probe.result().depth == 2


# ---- stages, gaps and axes


class Stage(nn.Module):
    def __init__(self, width: int, to: int) -> None:
        super().__init__()
        self.inner, self.out = nn.Linear(width, width, bias=False), nn.Linear(width, to, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.inner(x)
        return self.out(x) if self.out.out_features != x.shape[-1] else x


def test_a_state_that_changes_its_shape_is_refused_with_layers_that_keep_it() -> None:
    model = nn.Sequential(Stage(8, 8), Stage(8, 16), Stage(16, 16), Stage(16, 16), Stage(16, 16), Stage(16, 4))
    with pytest.raises(SpecError, match=r"layer 2 makes a state \(3, 8\).*try layers=model\[2:5\]"):
        record_pass(model, draw(3, 8))
    assert record_pass(model, draw(3, 8), layers=model[2:5]).depth == 3


@pytest.mark.full
def test_what_is_changed_between_layers_is_refused_with_layers_that_follow_each_other() -> None:
    class Gap(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(Layer("sum") for _ in range(5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for place, block in enumerate(self.blocks):
                x = block(x * 1.5 if place == 2 else x)
            return x

    model = Gap()
    with pytest.raises(SpecError, match=r"enters layer 3 is not what left layer 2.*try layers=model.blocks\[2:5\]"):
        record_pass(model, draw(3, WIDTH))
    assert record_pass(model, draw(3, WIDTH), layers=model.blocks[2:5]).depth == 3


@pytest.mark.full
def test_streams_that_layers_mix_by_themselves_are_not_taken_for_one() -> None:
    """As alternating updates do: a state (n, B, T, C), predicted by a map from n to n^2 numbers, and added to."""

    class Predicting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.mix = nn.Linear(WIDTH, WIDTH), nn.Linear(STREAMS, STREAMS**2, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            weights = self.mix(self.linear(x[0])[..., :STREAMS].tanh()).unflatten(-1, (STREAMS, STREAMS))
            return x + torch.einsum("btij,jbtc->ibtc", weights, x)

    model = nn.Sequential(Predicting(), Predicting())
    with pytest.raises(SpecError, match="of streams that layers mix"):
        record_pass(model, draw(STREAMS, *SAMPLES, WIDTH))


@pytest.mark.full
def test_one_module_that_is_every_layer() -> None:
    torch.manual_seed(0)
    layer, x = Layer("sum"), draw(3, WIDTH)
    model = nn.Sequential(layer, layer, layer)
    result = record_pass(model, x, layers=[layer] * 3)
    state = x.detach()
    for place in range(3):
        state = layer(state).detach()
        assert result.layers["act_rms"][place] == pytest.approx(float(state.square().mean().sqrt()), rel=1e-6)


@pytest.mark.full
def test_channels_are_found_on_the_second_axis_by_a_convolution() -> None:
    class Convolved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(6, 6, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.conv(x).tanh()

    model, x = nn.Sequential(Convolved(), Convolved()), draw(2, 6, 5, 4)
    with attach(model) as probe:
        model(x)
    start = probe.frames()[0]
    assert isinstance(start, StartFrame)
    assert start.input == CapturedInput(samples=2 * 5 * 4)


@pytest.mark.parametrize("name", ["DeepSeek-V4", "HY-V4"])
def test_layers_that_carry_connections_are_not_read_as_one_stream(name: str) -> None:
    """HY-V4 passes each stream on unchanged, which as one stream would have "a gain of 1 by construction"."""
    animal = ZOO[name]
    model = animal.build()
    with attach(model, layers=model.model.layers) as probe:
        animal.feed(model)
    with pytest.raises(SpecError, match="of streams that layers mix"):
        probe.result()
