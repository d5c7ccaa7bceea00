"""Passes without edits that are kept: runs with edits read them, and every frame stays the same to the last bit."""

import math
from typing import Any

import pytest
import torch

from mhc_core.cost.counts import count_state_bytes
from mhc_core.edits import Base
from mhc_core.measure import passes
from mhc_core.measure import run as run_module
from mhc_core.measure.bases import Bases, count_bytes
from mhc_core.measure.effects import BasePass, EffectProbe
from mhc_core.measure.layout import lay_out
from mhc_core.measure.run import prepare, run
from mhc_core.metrics.effects import to_distance
from mhc_core.record import codec
from mhc_core.spec import RunSpec
from mhc_core.stack import build_stack
from tests.core.conftest import CONNECTIONS, MIXED, MULTI_STREAM, build_spec, require
from tests.core.counters import count_blocks

CPU = torch.device("cpu")
BRANCH: dict[str, Any] = {"layers": (1, 1), "what": "branch", "do": "zero"}
CUT: dict[str, Any] = {"layers": (2, 2), "what": "stream", "index": 1, "do": "zero"}
HELD: list[dict[str, Any]] = [{**BRANCH, "layers": (3, 3), "do": "freeze"}, {**CUT, "layers": (3, 3), "do": "restore"}]
SMALL: dict[str, Any] = {"depth": 4, "width": 8, "block": {"heads": 2}, "input": {"batch": 2, "tokens": 9}}


def encode(spec: RunSpec, bases: Bases | None = None) -> list[bytes]:
    return [codec.encode_frame(frame, "run", index) for index, frame in enumerate(run(spec, bases=bases))]


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("the run without edits is computed again")


def build_both(connection: dict[str, Any], **fields: Any) -> tuple[RunSpec, RunSpec]:
    """A spec without edits, and the same with edits. Some edits read states of the run without edits."""
    edits = [BRANCH, CUT, *HELD] if fields.pop("cuts") else [BRANCH, HELD[0]]
    plain, edited = (build_spec(SMALL, connection=connection, edits=own, **fields) for own in ([], edits))
    return plain, edited


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "mhc-dynamic" else pytest.mark.full) for name in MIXED]
)
def test_a_run_with_edits_is_the_same_with_a_kept_base(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, edited = build_both(CONNECTIONS[name], cuts=name in MULTI_STREAM)
    due, bases = encode(edited), Bases()
    assert encode(plain, bases) == encode(plain)
    monkeypatch.setattr(passes, "record_base", refuse)
    assert encode(edited, bases) == due
    assert encode(edited, bases) == due, "it leaves what is kept as it was"
    with pytest.raises(AssertionError, match="computed again"):
        encode(edited.model_copy(update={"seed": 5}), bases)


@pytest.mark.full
@pytest.mark.parametrize("recomputes", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
@pytest.mark.parametrize("block", ["mlp", "conv", "pair", "transformer"])
def test_it_is_the_same_with_every_block_and_type(
    block: str, dtype: str, recomputes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "recomputes", lambda spec: recomputes)
    fields: dict[str, Any] = {"block": {"kind": block}, "dtype": dtype}
    if block == "transformer":
        fields["block"] |= {"value_residual": "learned"}
    plain, edited = build_both({"kind": "mhc", "dynamic": True}, cuts=True, **fields)
    due, bases = encode(edited), Bases()
    encode(plain, bases)
    monkeypatch.setattr(passes, "record_base", refuse)
    assert encode(edited, bases) == due


def test_a_run_with_edits_keeps_the_base_that_it_had_to_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    _, edited = build_both({"kind": "hc"}, cuts=True)
    other, bases = edited.model_copy(update={"edits": edited.edits[:2]}), Bases()
    due = encode(other)
    encode(edited, bases)
    monkeypatch.setattr(passes, "record_base", refuse)
    assert encode(other, bases) == due


@pytest.mark.full
def test_trained_stacks_share_the_base_of_the_stack_as_initialised() -> None:
    plain, edited = build_both({"kind": "mhc"}, cuts=True, train={"steps": 2})
    bases = Bases()
    encode(plain, bases)
    assert encode(edited, bases) == encode(edited)


# Blocks of 1, 2, 4, 8 and 5 layers are measured together.
@pytest.mark.parametrize(("first", "measured"), [(0, 20), (3, 17), (9, 13), (16, 5)])
@pytest.mark.parametrize("dynamic", [False, True])
def test_a_run_with_edits_measures_no_block_of_layers_below_them(
    dynamic: bool, first: int, measured: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"kind": "mhc", "dynamic": dynamic}
    cut = {**CUT, "layers": (first, first)}
    plain, edited = (build_spec(SMALL, depth=20, connection=connection, edits=own) for own in ([], [cut]))
    due, bases = encode(edited), Bases()
    encode(plain, bases)
    sizes = count_blocks(monkeypatch)
    monkeypatch.setattr(run_module, "build_stack", refuse)
    assert encode(edited, bases) == due
    assert sum(sizes) == measured
    assert encode(edited, bases) == due, "it leaves what is kept as it was"


@pytest.mark.parametrize("size", [math.inf, -math.inf, math.nan])
def test_a_state_that_is_not_finite_has_no_distance_from_itself(size: float) -> None:
    stack = build_stack(build_spec(SMALL, connection={"kind": "hc"}))
    state = stack.embed().detach()
    lost = state.clone()
    lost.view(-1)[3] = size
    layout = lay_out(stack, CPU)
    for one in (state, lost):
        base = BasePass([one], [], torch.zeros(()), Base([], [], []))
        below, above = (EffectProbe(base, layout, first) for first in (1, 0))
        for probe in (below, above):
            probe.add_state(0, one.clone())
        same, compared = (to_distance(probe.states[0]) for probe in (below, above))
        assert same.isnan() == compared.isnan() == (one is lost)
        assert torch.equal(same.nan_to_num(7.0), compared.nan_to_num(7.0))
        assert same.dtype == compared.dtype


def test_bases_take_no_more_memory_than_allowed() -> None:
    specs = [build_spec(SMALL, connection={"kind": "hc"}, seed=seed) for seed in range(4)]
    one = Bases()
    encode(specs[0], one)
    kept = require(one.find(specs[0]))
    size, states = count_bytes(kept), 2 * sum(state.nbytes for state in kept.states)
    assert states < size < 2 * states
    weights = sum(weight.nbytes for weight in require(kept.stack).parameters())
    grams = require(require(kept.forward).cka).grams_LPP.nbytes
    whole = one.count_kept_bytes()
    assert 0 <= size + weights + grams - whole < size / 10, "static mixing may be a parameter itself"
    bases = Bases(whole + 2 * size)
    for spec in specs[:3]:
        encode(spec, bases)
    assert [bool(bases.find_stack(spec)) for spec in specs] == [False, False, True, False]
    assert bases.count_kept_bytes() == bases.most_bytes
    assert bases.find(specs[0]), "which makes it the one that was used last"
    encode(specs[3], bases)
    assert [bool(bases.find(spec)) for spec in specs] == [True, False, True, True]
    assert [bool(bases.find_stack(spec)) for spec in specs] == [False, False, False, True]
    assert bases.count_kept_bytes() == bases.most_bytes
    alone = Bases(size)
    encode(specs[0], alone)
    assert alone.find(specs[0]), "without its stack and its measurements, for which there is no room"
    assert alone.find_stack(specs[0]) is None


def test_weights_that_are_trained_are_not_kept() -> None:
    plain, bases = build_spec(SMALL, connection={"kind": "hc"}, train={"steps": 1}), Bases()
    encode(plain, bases)
    assert bases.find(plain)
    assert bases.find_stack(plain) is None


def test_a_large_pass_and_one_on_a_card_are_not_kept() -> None:
    spec = build_spec(SMALL, connection={"kind": "hc"})
    small = Bases(1000)
    encode(spec, small)
    assert small.find(spec) is None
    assert Bases().has_room(spec, CPU)
    assert not Bases().has_room(spec, torch.device("cuda"))
    over_depth = build_spec(SMALL, connection={"kind": "denseformer"})
    assert not Bases().has_room(over_depth, CPU), "its states hold all earlier outputs"


def test_states_are_counted_as_large_as_they_are() -> None:
    for connection in CONNECTIONS.values():
        spec = build_spec(SMALL, connection=connection)
        layout = lay_out(build_stack(spec), CPU)
        if layout.has_mixing:
            assert count_state_bytes(spec) == spec.depth * layout.state_entries * layout.dtype.itemsize


@pytest.mark.parametrize("kind", ["residual", "hc"])
def test_a_base_that_is_prepared_is_the_one_that_a_run_keeps(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, edited = build_both({"kind": kind}, cuts=kind == "hc")
    due, bases = encode(edited), Bases()
    steps = prepare(plain, bases)
    next(steps)
    steps.close()
    assert bases.find(plain) is None, "it was stopped"
    assert sum(1 for _ in prepare(plain, bases)) == 2 * plain.depth
    monkeypatch.setattr(passes, "record_base", refuse)
    assert encode(edited, bases) == due
    assert list(prepare(plain, bases)) == [], "it is there"
    assert list(prepare(plain, Bases(1000))) == [], "it has no room"
