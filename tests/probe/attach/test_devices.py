"""A model whose layers lie on two devices by turns, as `device_map` spreads them: recorded as on one."""

from collections.abc import Callable, Iterator

import pytest
import torch
from accelerate import dispatch_model
from torch import nn

from mhc_core.record.result import Result
from tests.core.card import NAME, Card, WithCard
from tests.probe.attach.recorded import assert_same, build, record_pass
from tests.probe.attach.zoo import ZOO

pytestmark = pytest.mark.full

# Where the layers of each are.
BLOCKS = {
    "Llama": "model.layers",
    "DeepSeek-V4": "model.layers",
    "GLM-5-next": "layers",
    "Qwen4-Exp": "model.layers",
    "hyper-connections mHC": "blocks",
    "BERT": "encoder.layer",
}
FAST = "Llama"
ROUNDING = 1e-5  # of float32: a device that is not the CPU is asked for other operators, which add in another order


@pytest.fixture(scope="module")
def card() -> Iterator[WithCard]:
    with WithCard() as process:
        yield process


@pytest.mark.parametrize(
    "name", [FAST, *(pytest.param(name, marks=pytest.mark.full) for name in BLOCKS if name != FAST)]
)
def test_layers_on_two_devices_are_heard_as_on_one(card: WithCard, name: str) -> None:
    spread, plain, devices = card.call(hear_both, name)
    assert devices == {"cpu", NAME}
    assert_same(spread, plain, ROUNDING)
    assert [found.key for found in spread.summary.findings] == [found.key for found in plain.summary.findings]


def hear_both(name: str) -> tuple[Result, Result, set[str]]:
    """What is recorded of the model on two devices, and on the CPU alone, and where its parameters were.

    For a process with a card.
    """
    plain = record_pass(build(name), go_with(name))
    with Card():
        model = dispatch_model(build(name), spread_out(build(name), BLOCKS[name]), main_device="cpu")
        spread = record_pass(model, go_with(name))
    return spread, plain, {parameter.device.type for parameter in model.parameters()}


def go_with(name: str) -> Callable[[nn.Module], object]:
    return lambda model: ZOO[name].feed(model).backward()


def spread_out(model: nn.Module, blocks: str, prefix: str = "") -> dict[str, str | torch.device]:
    """A device map: every second block on the card, all else on the CPU."""
    found: dict[str, str | torch.device] = {}
    for name, child in model.named_children():
        path = f"{prefix}{name}"
        if path == blocks:
            found |= {f"{path}.{k}": torch.device(NAME, 0) if k % 2 else "cpu" for k, _ in enumerate(child.children())}
        elif blocks.startswith(f"{path}."):
            found |= spread_out(child, blocks, f"{path}.")
        else:
            found[path] = "cpu"
    return found


def test_the_card_takes_nothing_of_the_host(card: WithCard) -> None:
    """What the test above shows is worth nothing where the two devices can be mixed."""
    assert "addmm was given tensors of card:0 and of the CPU" in card.call(mix)


def mix() -> str:
    with Card():
        layer = nn.Linear(2, 2)
        layer.weight = nn.Parameter(layer.weight.detach().to(NAME))
        layer.bias = nn.Parameter(layer.bias.detach().to(NAME))
        with pytest.raises(RuntimeError) as error:
            layer(torch.ones(1, 2))
    return str(error.value)
