"""What a run asks of a card, on a device that has no kernels: nothing of the CPU's, and no wait in every layer."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any
from unittest.mock import patch

import pytest
import torch

from mhc_core.families.mhc_lite import PermutationMap
from mhc_core.measure.step_probe import StepProbe
from mhc_core.spec import RunSpec
from mhc_core.stack import LayerOutput, Stack
from tests.core.conftest import CONNECTIONS, build_spec
from tests.core.fake_device import Calls, FakeDevice, count_run

pytestmark = pytest.mark.full

SMALL: dict[str, Any] = {"width": 16, "input": {"batch": 1, "tokens": 4}, "block": {"heads": 2}}
EVERYTHING: dict[str, Any] = {"train": {"steps": 1, "clip": 1.0}, "jacobian": 1}
FEW = [("mhc-dynamic", "transformer"), ("frac-dynamic", "pair")]
BLOCKS = ("mlp", "transformer", "conv", "pair")
# Mixing of tokens calls the same map as mixing that does not depend on them; that is made in three ways.
FORMS = [name for name in CONNECTIONS if name in ("hc", "mhc", "frac") or f"{name}-dynamic" not in CONNECTIONS]
# A layer calls its connection and its block one after the other, so each connection is joined with one block, by turns.
ALL = [*FEW, *(case for case in zip(FORMS, cycle(BLOCKS), strict=False) if case[0] not in dict(FEW))]
# Training and the Jacobian call the same maps and blocks, up and down, as the measurement: some connections have them.
WITH_EVERYTHING = {*FEW, *ALL[::6]}
# TBP places (n - 1)^2 entries one after the other, about 30 calls each with their gradients.
ONE_BY_ONE = {"tbp-dynamic": 300 + 30 * 9}


@pytest.fixture(scope="module")
def device() -> Iterator[FakeDevice]:
    """One process for all tests: torch takes seconds to load."""
    with FakeDevice() as made:
        yield made


def build_pair(name: str, block: str = "mlp", **fields: Any) -> list[RunSpec]:
    """A spec at two depths, all layers of which are measured together."""
    return [
        build_spec(SMALL, **fields, depth=depth, connection=CONNECTIONS[name], block={"kind": block})
        for depth in (2, 4)
    ]


@pytest.mark.parametrize(("name", "block"), ALL)
def test_no_layer_copies_from_or_to_the_host(device: FakeDevice, name: str, block: str) -> None:
    """Measuring, training and the Jacobian: what deeper stacks do more of, they do on the device alone.

    Every operator call counts, those that only make views too.
    """
    fields = EVERYTHING if (name, block) in WITH_EVERYTHING else {}
    specs = build_pair(name, block, **fields)
    shallow, deep = device.count(specs)
    assert deep.launches > shallow.launches
    assert deep.uploads == shallow.uploads
    assert deep.syncs == shallow.syncs
    if not fields:
        each = (deep.operators.total() - shallow.operators.total()) / (specs[1].depth - specs[0].depth)
        assert each <= get_most_operators(name, specs[0])


def get_most_operators(name: str, spec: RunSpec) -> int:
    """Return how many operator calls a layer may take, up and down."""
    return ONE_BY_ONE.get(name, 450 if spec.connection.is_dynamic else 250)


def test_values_of_the_first_layer_stay_on_the_device(device: FakeDevice) -> None:
    block = {"kind": "transformer", "value_residual": "learned"}
    specs = [build_spec(SMALL, **EVERYTHING, depth=depth, block=block) for depth in (2, 4)]
    shallow, deep = device.count(specs)
    assert deep.uploads == shallow.uploads
    assert deep.syncs == shallow.syncs


@pytest.mark.parametrize("kind", ["mhc", "mhc_lite"])
def test_a_mapping_in_bfloat16_stays_on_the_device(device: FakeDevice, kind: str) -> None:
    connection = {"kind": kind, "init": "megatron", "dynamic": True, "mapping_dtype": "bfloat16"}
    specs = [build_spec(SMALL, **EVERYTHING, depth=depth, connection=connection) for depth in (2, 4)]
    shallow, deep = device.count(specs)
    assert deep.uploads == shallow.uploads
    assert deep.syncs == shallow.syncs


def count_with_cpu_tensor(spec: RunSpec) -> Calls:
    """A fault: permutations are left on the CPU."""

    def mix(self: PermutationMap, raw: torch.Tensor) -> torch.Tensor:
        return torch.tensordot(torch.softmax(raw, dim=-1), self.permutations_Knn.to(raw.dtype), dims=1)

    with patch.object(PermutationMap, "__call__", mix):
        return count_run(spec)


def count_with_copies(spec: RunSpec) -> Calls:
    """A fault: permutations are copied to the device in every layer."""

    def mix(self: PermutationMap, raw: torch.Tensor) -> torch.Tensor:
        return torch.tensordot(torch.softmax(raw, dim=-1), self.permutations_Knn.to(raw), dims=1)

    with patch.object(PermutationMap, "__call__", mix):
        return count_run(spec)


def count_with_reads(spec: RunSpec) -> Calls:
    """A fault: the size of every state is read by the host."""
    layer = Stack.layer

    def read(self: Stack, *args: Any) -> LayerOutput:
        output = layer(self, *args)
        assert output.state.detach().abs().max().item() >= 0
        return output

    with patch.object(Stack, "layer", read):
        return count_run(spec)


def count_with_cpu_tensor_in_training(spec: RunSpec) -> Calls:
    """A fault on autograd's way down: what hears a gradient adds a tensor of the CPU."""
    hear = StepProbe._record_gradient

    def add(self: StepProbe, layer: int, grad: torch.Tensor) -> None:
        hear(self, layer, grad + torch.ones(grad.shape))

    with patch.object(StepProbe, "_record_gradient", add):
        return count_run(spec)


def count_with_boolean_index(spec: RunSpec) -> Calls:
    """A fault: as many values are taken as there are positive ones."""

    def pick(m_KNC: torch.Tensor) -> torch.Tensor:
        return m_KNC[m_KNC > 0].sum().expand(len(m_KNC))

    with patch("mhc_core.metrics.states.effective_rank", pick):
        return count_run(spec)


FAULTS = {
    "mixing": (count_with_cpu_tensor, {}, r"mm was given a tensor of shape \(24, 16\) on the CPU"),
    "training": (count_with_cpu_tensor_in_training, EVERYTHING, r"add was given a tensor of shape .* on the CPU"),
    "index": (count_with_boolean_index, {}, "index.* depends on values"),
}


@pytest.mark.parametrize(("work", "fields", "message"), FAULTS.values(), ids=FAULTS)
def test_what_does_not_lie_on_the_device_is_found(
    device: FakeDevice, work: Callable[[RunSpec], Calls], fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        device.count(build_pair("mhc_lite-dynamic", **fields)[:1], work)


def test_a_copy_in_every_layer_is_found(device: FakeDevice) -> None:
    shallow, deep = device.count(build_pair("mhc_lite-dynamic"), count_with_copies)
    assert deep.uploads - shallow.uploads == 2


def test_a_wait_in_every_layer_is_found(device: FakeDevice) -> None:
    shallow, deep = device.count(build_pair("mhc"), count_with_reads)
    assert (deep.syncs - shallow.syncs).total() == 2


# A run at the size that the page opens with, and one whose states are large: its layers are measured few at a time,
# and each is computed twice, once up and once more on the way down.
SIZES: dict[str, tuple[dict[str, Any], float]] = {
    "default": ({"depth": 64, "width": 64, "input": {"batch": 2, "tokens": 64}}, 0.15),
    "large": ({"depth": 64, "width": 512, "input": {"batch": 8, "tokens": 256}}, 0.2),
}
# The test of layers above counts the operators of every connection.
RUNS = [("default", "laurel"), ("default", "gated-dynamic"), ("default", "attnres"), ("large", "mhc")]


@pytest.mark.parametrize(("size", "name"), RUNS)
def test_waits_and_calls_of_a_whole_run(device: FakeDevice, size: str, name: str) -> None:
    """Waits of the eigensolver are among the waits."""
    fields, max_syncs = SIZES[size]
    spec = build_spec({"block": {"kind": "transformer"}}, connection=CONNECTIONS[name], **fields)
    (calls,) = device.count([spec])
    weights = 0 if spec.family.has_mixing else 1  # attention over depth fetches its weights at the end
    assert (calls.syncs.total() - weights) / spec.depth <= max_syncs
    assert calls.operators.total() / spec.depth <= get_most_operators(name, spec)
    if size == "default":
        # One transfer for 32 layers, up and down, and one of what is known at the end; one eigenvalue problem for 32
        # layers, and the input's own; the loss.
        assert calls.syncs <= Counter({"_to_copy": 5 + weights, "_linalg_eigh": 3, "_local_scalar_dense": 1})
