"""The cost that is told before a run starts, against what the run has."""

import itertools
import time
from itertools import cycle, pairwise
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mhc_core.cost import rates
from mhc_core.cost.counts import count_pass_bytes, count_tape_bytes
from mhc_core.cost.estimates import compare_connections, count_jacobian_bytes, estimate
from mhc_core.cost.rates import DEFAULT_RATES, calibrate, take_medians
from mhc_core.cost.shares import format_added
from mhc_core.families import FAMILIES
from mhc_core.measure.jacobian import linearise
from mhc_core.measure.training import train
from mhc_core.stack import build_stack
from tests.core.conftest import CONNECTIONS, build_spec
from tests.core.counters import count_kept_bytes, count_layer_bytes

PRESETS = ["residual", "mhc_lite", "lucidrains", "megatron", "deepseek_v4"]
MORE: dict[str, dict[str, Any]] = {
    f"mhc-{init}-{'dynamic' if dynamic else 'static'}": {"kind": "mhc", "init": init, "dynamic": dynamic}
    for init in PRESETS
    for dynamic in (False, True)
}
ALL = CONNECTIONS | MORE


@pytest.mark.sample(9, "values")
@pytest.mark.parametrize("streams", [1, 2, 4, 7])
@pytest.mark.parametrize("connection", ALL.values(), ids=ALL)
def test_the_count_of_parameters_is_exact(connection: dict[str, Any], streams: int) -> None:
    rule = FAMILIES[connection["kind"]].rule
    streams = next(allowed for allowed in (streams, 2, 4) if rule(allowed, 8) is None)
    # Blocks and inputs are counted apart from each other.
    blocks = *({"kind": kind} for kind in ("transformer", "conv", "pair", "mlp")), {"kind": "mlp", "mlp_ratio": 0}
    for block, kind in zip(blocks, cycle(("text", "corpus", "gaussian")), strict=False):
        fields: dict[str, Any] = {"block": block, "input": {"kind": kind, "tokens": 4}}
        spec = build_spec(depth=5, connection={**connection, "streams": streams}, **fields)
        counted = sum(parameter.numel() for parameter in build_stack(spec).parameters())
        assert estimate(spec).parameters == counted


@pytest.mark.sample(8)
@pytest.mark.parametrize("connection", CONNECTIONS.values(), ids=CONNECTIONS)
def test_outputs_gains_and_digits_are_counted(connection: dict[str, Any]) -> None:
    digits = {"kind": "digits", "tokens": 64}
    # Of outputs the head alone has parameters, and of scalings the last two.
    for output, scaling in (("auto", "constant"), ("mean", "rezero"), ("sum", "skipinit"), ("head", "rezero")):
        fields = {"connection": {**connection, "output": output}, "block": {"scaling": scaling}}
        spec = build_spec(**fields, input=digits)
        assert estimate(spec).parameters == sum(parameter.numel() for parameter in build_stack(spec).parameters())


@pytest.mark.sample(8)
@pytest.mark.parametrize("name", ["residual", "hc", "mhc", "frac", "hc-dynamic", "mhc-dynamic", "frac-dynamic"])
@pytest.mark.parametrize("block", ["mlp", "transformer"])
def test_the_arithmetic_is_what_the_operators_do(name: str, block: str) -> None:
    """Few tokens, so that measuring costs nearly nothing beside the pass itself; text ends are no part of a layer."""
    spec = build_spec(
        depth=6,
        width=128,
        dtype="float32",
        connection={**CONNECTIONS[name], "sinkhorn_iters": 2},
        block={"kind": block, "mlp_ratio": 4, "heads": 4},
        input={"kind": "gaussian", "batch": 1, "tokens": 8},
    )
    stack = build_stack(spec)
    with FlopCounterMode(display=False) as counter:
        stack().backward()
    assert estimate(spec).flops == pytest.approx(counter.get_total_flops(), rel=0.15)


WIDE: dict[str, Any] = {
    "depth": 6,
    "width": 64,
    "dtype": "float32",
    "input": {"kind": "gaussian", "batch": 2, "tokens": 64},
    "block": {"kind": "mlp"},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "relu": {"block": {"kind": "mlp", "activation": "relu"}},
    "one matrix": {"block": {"kind": "mlp", "mlp_ratio": 0}},
    "post-norm": {"block": {"kind": "mlp", "norm_position": "post"}},
    "transformer": {"block": {"kind": "transformer"}},
    "fixed values": {"block": {"kind": "transformer", "value_residual": "fixed"}},
    "learned values": {"block": {"kind": "transformer", "value_residual": "learned"}},
    "conv": {"block": {"kind": "conv"}},
    "pair": {"block": {"kind": "pair"}},
    "float64": {"dtype": "float64"},
    "bfloat16": {"dtype": "bfloat16"},
}
CASES = {name: {"connection": connection} for name, connection in CONNECTIONS.items()} | {
    f"{name}, {kind}": {"connection": {"kind": kind}, **fields}
    for name, fields in VARIANTS.items()
    for kind in ("residual", "hc")
}


@pytest.mark.sample(8)
@pytest.mark.parametrize("fields", CASES.values(), ids=CASES)
def test_the_bytes_kept_are_those_that_autograd_keeps(fields: dict[str, Any]) -> None:
    spec = build_spec(WIDE, **fields)
    assert count_tape_bytes(spec) == pytest.approx(count_kept_bytes(build_stack(spec)), rel=0.12)


@pytest.mark.sample(8)
@pytest.mark.parametrize("fields", CASES.values(), ids=CASES)
def test_the_bytes_moved_are_those_that_operators_move(fields: dict[str, Any]) -> None:
    spec = build_spec(WIDE, **fields)
    assert count_pass_bytes(spec) == pytest.approx(count_layer_bytes(build_stack(spec)), rel=0.2)


def test_time_follows_the_rates() -> None:
    spec = build_spec(WIDE)
    before = estimate(spec).seconds
    shares = 0.0
    for name, rate in DEFAULT_RATES:
        if name == "flops_per_s":
            slower: Any = {dtype: value / 2 for dtype, value in rate.items()}
        else:
            slower = rate * 2 if name == "s_per_call" else rate / 2
        after = estimate(spec, DEFAULT_RATES.model_copy(update={name: slower})).seconds
        assert after > before, name
        shares += after - before
    # Every part of the time doubles once.
    assert shares == pytest.approx(before)


def test_a_rate_counts_neither_waiting_nor_slow_rounds() -> None:
    """Programs that take the cores while a worker calibrates leave no trace in its rates."""
    rounds = itertools.count()

    def work() -> None:
        time.sleep(0.02)
        begun = time.thread_time()
        is_slow = next(rounds) % 2
        while is_slow and time.thread_time() - begun < 0.02:
            pass

    assert rates._seconds(work) < 0.01


def test_rates_are_measured_and_combined_by_their_median() -> None:
    measured = calibrate()
    for name, rate in measured:
        values = rate.values() if name == "flops_per_s" else [rate]
        assert all(0 < value < 1e15 for value in values), name
    slow = measured.model_copy(update={"bytes_per_s": 1.0, "flops_per_s": dict.fromkeys(measured.flops_per_s, 1.0)})
    assert take_medians([slow, measured, measured]) == measured
    assert take_medians([slow, slow, measured]) == slow


@pytest.mark.parametrize(
    ("added", "text"),
    [
        (0, "±0 %"),
        (-4e-6, "±0 %"),
        (1e-5, "+0.001 %"),
        (0.0674, "+6.7 %"),
        (0.125, "+13 %"),
        (1.125, "+113 %"),
        (-0.25, "−25 %"),
        (0.998, "+100 %"),
        (6.39, "+639 %"),
    ],
)
def test_what_a_connection_adds_is_a_share_with_a_sign(added: float, text: str) -> None:
    assert format_added(added) == text


def test_all_connections_are_compared_at_the_same_stack() -> None:
    spec = build_spec(connection={"kind": "mhc", "streams": 4, "dynamic": True})
    found = {cost.connection: cost for cost in compare_connections(spec)}
    assert set(found) >= {"none", "residual", "hc", "mhc", "kromhc"}
    assert found["mhc"].model_dump(exclude={"connection", "added"}) == estimate(spec).model_dump()
    assert set(found["residual"].added.values()) == {"±0 %"}
    assert all(text.startswith("+") for text in found["mhc"].added.values())
    residual = build_spec(connection={"kind": "residual"})
    assert found["residual"].parameters == sum(p.numel() for p in build_stack(residual).parameters())
    assert found["residual"].seconds < found["hc"].seconds < found["mhc"].seconds
    # Three streams are no power of two.
    three = compare_connections(build_spec(connection={"streams": 3}))
    assert "kromhc" not in {cost.connection for cost in three}


def test_edits_do_not_change_the_comparison_of_connections() -> None:
    cut: dict[str, Any] = {
        "edits": [{"what": "stream", "do": "zero", "index": 1, "layers": [1, 2]}]
    }  # residual has one
    settings: dict[str, Any] = {"depth": 4, "connection": {"kind": "mhc", "streams": 4}}
    assert compare_connections(build_spec(**settings, **cut)) == compare_connections(build_spec(**settings))


def test_cost_grows_with_everything_that_makes_a_run_larger() -> None:
    base: dict[str, Any] = {"connection": {"dynamic": True}, "dtype": "float32"}
    larger: list[dict[str, Any]] = [
        {"depth": 8},
        {"width": 16},
        {"input": {"tokens": 12}},
        {"input": {"batch": 4}},
        {"connection": {"dynamic": True, "streams": 8}},
        {"block": {"mlp_ratio": 4}},
    ]
    small = estimate(build_spec(**base))
    for fields in larger:
        large = estimate(build_spec(**{**base, **fields}))
        for key in ("flops", "bytes_moved", "peak_bytes", "seconds"):
            assert getattr(large, key) > getattr(small, key), (fields, key)


@pytest.mark.sample(8)
@pytest.mark.parametrize("name", ["residual", "hc", "mhc-dynamic"])
def test_the_arithmetic_of_a_step_is_what_the_operators_do(name: str) -> None:
    fields: dict[str, Any] = {
        "depth": 6,
        "width": 128,
        "dtype": "float32",
        "connection": {**CONNECTIONS[name], "sinkhorn_iters": 2},
        "input": {"batch": 1, "tokens": 8},
    }
    trained, once = build_spec(train={"steps": 3}, **fields), build_spec(**fields)
    stack = build_stack(trained)
    with FlopCounterMode(display=False) as counter:
        list(train(stack))
    steps = estimate(trained).flops - 2 * estimate(once).flops  # the stack is measured twice
    assert steps == pytest.approx(counter.get_total_flops(), rel=0.15)


def test_cost_grows_with_every_step() -> None:
    costs = [estimate(build_spec(train={"steps": steps})) for steps in (0, 1, 100, 1000)]
    for less, more in pairwise(costs):
        for key in ("flops", "bytes_moved", "seconds"):
            assert getattr(more, key) > getattr(less, key), key
    parameters = costs[0].parameters
    assert costs[1].peak_bytes - costs[0].peak_bytes >= 3 * 8 * parameters  # gradients and two means, in float64


def test_the_largest_spec_has_a_finite_cost() -> None:
    largest = build_spec(
        {},
        depth=1024,
        width=4096,
        dtype="float64",
        connection={"streams": 16, "dynamic": True, "sinkhorn_iters": 200},
        block={"mlp_ratio": 16},
        input={"batch": 64, "tokens": 1024},
    )
    cost = estimate(largest)
    assert cost.parameters > 3e11
    assert 0 < cost.seconds < 1e12


@pytest.mark.parametrize("name", ["residual", "mhc", "hc-dynamic", "mhc-dynamic"])
def test_the_graph_of_the_jacobian_fills_the_memory_that_is_predicted(name: str) -> None:
    """Every tensor that the graph saves, weights aside, against the difference that asking for it makes."""
    fields: dict[str, Any] = {"connection": CONNECTIONS[name], "block": {"heads": 4, "mlp_ratio": 4}}
    fields |= {"depth": 12, "width": 64, "dtype": "float32", "input": {"tokens": 64}}
    spec = build_spec(**fields, jacobian=1)
    stack = build_stack(spec).requires_grad_(False)
    weights = {parameter.untyped_storage().data_ptr() for parameter in stack.parameters()}
    saved: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        linearise(stack)
    total = sum(tensor.untyped_storage().nbytes() for place, tensor in saved.items() if place not in weights)
    assert count_jacobian_bytes(spec) == pytest.approx(total, rel=0.3)


def test_products_of_the_jacobian_cost_a_forward_pass_each() -> None:
    none, few, many = (estimate(build_spec(jacobian=steps)) for steps in (0, 10, 30))
    assert many.flops - few.flops == pytest.approx((few.flops - none.flops) * 40 / 22)
    for key in ("bytes_moved", "seconds"):
        assert getattr(none, key) < getattr(few, key) < getattr(many, key)
