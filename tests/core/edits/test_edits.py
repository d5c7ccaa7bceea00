"""Every edit of every connection against the same network in numpy; edits that change nothing; effects; mistakes."""

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.families import FAMILIES
from mhc_core.metrics.effects import measure_distance
from mhc_core.spec import EditSpec, SpecErrors, parse_spec
from mhc_core.spec.edit import DOES, NEEDS, Edited, list_possible
from mhc_core.stack import Stack, build_stack
from tests.core.conftest import CONNECTIONS, MULTI_STREAM, build_spec, measure, select_connections, shake
from tests.core.reference import Trace, trace

Edit = dict[str, Any]
LAYERS = [1, 2]  # of four
SAME_SOURCES = [2, 2]  # layers that weigh equally many


def list_edits(connection: dict[str, Any]) -> Iterator[Edit]:
    """Every edit that a connection allows, of the whole and of a part."""
    family = FAMILIES[connection["kind"]]
    spec = build_spec(connection=connection)
    form = spec.connection.depth_block, spec.connection.depth_form != "replace"
    stack = Edited(connection["kind"], family, 4, spec.streams, *form)
    for what in list_possible(family):
        layers = SAME_SOURCES if what == "source" else LAYERS
        n = stack.count_entries(what, layers[0])
        for do in DOES[what]:
            yield from _fill_in({"layers": layers, "what": what, "do": do}, n, stack.is_matrix(what))


def _fill_in(edit: Edit, n: int, is_matrix: bool) -> Iterator[Edit]:
    what, do = edit["what"], edit["do"]
    last = n - 1
    parameters: dict[str, Edit] = {
        "scale": {"value": -0.7},
        "noise": {"value": 0.5},
        "swap": {"other": 0},
        "top_k": {"k": max(1, n - 2)},
    }
    edit |= parameters.get(do, {})
    is_one = what == "stream" or do == "swap"
    can_be_part = (what.startswith("h_") or what == "source") and (is_matrix or do != "top_k")
    for index in [last] if is_one else [None, last] if can_be_part else [None]:
        size = (n if is_matrix else 1) * (n if index is None else 1)
        values = {"values": [round(0.1 + 0.3 * place, 3) for place in range(size)]} if do == "set" else {}
        yield edit | values | ({} if index is None else {"index": index})


def assert_as_in_numpy(stack: Stack, base: Trace | None = None) -> None:
    wanted, found = trace(stack, base=base), []
    stack.record_base()
    state, _ = stack.run_layers(stack.embed(), lambda _, output: found.append(output))
    for layer, output in enumerate(found):
        streams = stack.connection.streams(output.state)
        for got, due in ((streams, wanted.states[layer + 1]), (output.u, wanted.u[layer])):
            size = max(1.0, float(np.abs(due).max()))
            error = np.abs(got.detach().double().numpy().reshape(due.shape) - due).max() / size
            assert error <= 1e-12, (layer, error)
    assert stack.loss(state).item() == pytest.approx(wanted.loss, rel=1e-12)


# The next test has several edits of every connection.
@pytest.mark.sample(25, "values")
@pytest.mark.parametrize("position", ["pre", "post"])
@pytest.mark.parametrize("connection", CONNECTIONS.values(), ids=CONNECTIONS)
def test_every_edit_of_every_connection(connection: dict[str, Any], position: str) -> None:
    base = None
    for edit in list_edits(connection):
        spec = build_spec(connection=connection, block={"norm_position": position}, edits=[edit])
        stack = shake(build_stack(spec))
        base = base or trace(stack, edits=False)  # the same for all edits
        assert_as_in_numpy(stack, base)


@pytest.mark.sample(8)
@pytest.mark.parametrize("connection", CONNECTIONS.values(), ids=CONNECTIONS)
def test_several_edits_are_applied_in_their_order(connection: dict[str, Any]) -> None:
    edits = [edit for edit in list_edits(connection) if edit["do"] != "zero"]
    order = np.random.default_rng(1).permutation(len(edits))[:12]
    assert_as_in_numpy(shake(build_stack(build_spec(connection=connection, edits=[edits[place] for place in order]))))


def differentiate(stack: Stack, direction: torch.Tensor) -> tuple[float, float]:
    """The derivative of the loss along a move of the embedding: by autograd, and by the middle of two losses."""
    stack.record_base()

    def compute(step: float) -> torch.Tensor:
        moved = (stack.input().detach().flatten(0, 1) + step * direction).requires_grad_()
        loss = stack.loss(stack.run_layers(stack.connection.expand(moved))[0])
        if step == 0:
            loss.backward()
            assert moved.grad is not None
            return (moved.grad * direction).sum()
        return loss.detach()

    step = 1e-5
    return float(compute(0)), float(compute(step) - compute(-step)) / (2 * step)


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    "name", ["hc-dynamic", "hc", "mhc-dynamic", "mhc", "frac-dynamic", "residual", "attnres", "denseformer"]
)
def test_gradients_are_those_of_the_edited_network(name: str) -> None:
    for edit in list_edits(CONNECTIONS[name]):
        if edit["do"] == "restore":  # see below
            continue
        stack = shake(build_stack(build_spec(connection=CONNECTIONS[name], block={"activation": "tanh"}, edits=[edit])))
        direction = torch.randn(12, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        found, wanted = differentiate(stack, direction)
        assert found == pytest.approx(wanted, rel=1e-6, abs=1e-9), edit


def test_what_is_restored_passes_the_gradient_on() -> None:
    """As if the difference to the run without edits were added as a constant."""
    edit = {"layers": [2, 2], "what": "stream", "index": 1, "do": "restore"}
    cut = {"layers": [1, 1], "what": "stream", "index": 1, "do": "zero"}
    spec = build_spec(connection=CONNECTIONS["mhc"], edits=[cut, edit])
    stack = shake(build_stack(spec))
    stack.record_base()
    start = stack.embed().detach().requires_grad_()
    stack.loss(stack.run_layers(start)[0]).backward()
    cut_alone = shake(build_stack(build_spec(connection=CONNECTIONS["mhc"], edits=[cut])))
    outputs: list[Any] = []
    begin = start.detach().clone().requires_grad_()
    static = cut_alone.connection.static_mixing()
    assert static is not None
    assert stack.edits.base is not None
    state = begin
    for layer in range(4):
        if layer == 2:
            kept = stack.edits.base.states[2][1]
            constant = torch.zeros_like(state).index_copy(0, torch.tensor([1]), (kept - state[1]).detach()[None])
            state = state + constant
        state = cut_alone.layer(layer, state, type(static)(*(part[layer] for part in static))).state
        outputs.append(state)
    cut_alone.loss(state).backward()
    torch.testing.assert_close(start.grad, begin.grad, rtol=1e-12, atol=1e-14)


IDLE: dict[str, list[Edit]] = {
    "scale 1": [{"what": "stream", "index": 1, "do": "scale", "value": 1.0}],
    "swap with itself": [{"what": "stream", "index": 1, "do": "swap", "other": 1}],
    "restore immediately": [{"what": "stream", "index": 1, "do": "restore"}],
    "restore all": [{"what": "state", "do": "restore"}],
    "noise 0": [{"what": "stream", "index": 1, "do": "noise", "value": 0.0}],
    "scale a matrix by 1": [{"what": "h_res", "do": "scale", "value": 1.0}],
    "swap a row with itself": [{"what": "h_res", "index": 1, "do": "swap", "other": 1}],
    "scale the branch by 1": [{"what": "branch", "do": "scale", "value": 1.0}],
}
FROZEN: dict[str, list[Edit]] = {
    "freeze the mixing": [{"what": what, "do": "freeze"} for what in ("h_pre", "h_post", "h_res")],
    "freeze the branch": [{"what": "branch", "do": "freeze"}],
}


@pytest.mark.sample(9, 5)
@pytest.mark.parametrize("name", MULTI_STREAM)
@pytest.mark.parametrize("idle", [*IDLE, *FROZEN])
def test_edits_that_change_nothing_leave_every_bit(name: str, idle: str) -> None:
    """What is frozen is a constant, so that gradients do not pass it: there the way up is the same."""
    spec = build_spec(connection=CONNECTIONS[name], dtype="float32")
    possible = list_possible(FAMILIES[CONNECTIONS[name]["kind"]])
    edits = [{"layers": [1, 2]} | edit for edit in (IDLE | FROZEN)[idle] if edit["what"] in possible]
    if not edits:
        assert idle in ("scale a matrix by 1", "swap a row with itself")  # gates mix no streams
        return
    plain, edited = measure(spec), measure(build_spec(connection=CONNECTIONS[name], dtype="float32", edits=edits))
    is_static = not spec.connection.is_dynamic
    is_whole = idle in IDLE or (idle == "freeze the mixing" and is_static)
    keys = ["act_rms", "act_rms_streams", "branch_in_rms", "branch_out_rms", "cos_prev"]
    keys += ["grad_rms", "grad_rms_streams", "param_grad_norm", "composite_gain_fwd"] if is_whole else []
    for key in keys:
        np.testing.assert_array_equal(plain.layers[key], edited.layers[key], err_msg=key)
    assert (edited.loss, edited.output_kl) == (plain.loss, 0.0)
    assert edited.loss_base == plain.loss
    assert not edited.layers["effect_state"].any()
    has_effect = bool(edited.layers["effect_grad"].any())
    assert not (is_whole and has_effect)
    assert has_effect or idle != "freeze the branch"


@pytest.mark.parametrize("name", select_connections(lambda family: not family.has_streams))
@pytest.mark.parametrize("do", ["scale", "freeze"])
def test_edits_of_branches_that_change_nothing_leave_every_bit_without_streams(name: str, do: str) -> None:
    edit: Edit = {"layers": [1, 2], "what": "branch", "do": do} | ({"value": 1.0} if do == "scale" else {})
    plain, edited = (measure(build_spec(connection=CONNECTIONS[name], edits=edits)) for edits in ([], [edit]))
    keys = ["act_rms", "branch_in_rms", "branch_out_rms"] + (["grad_rms", "param_grad_norm"] if do == "scale" else [])
    for key in keys:
        np.testing.assert_array_equal(plain.layers[key], edited.layers[key], err_msg=key)
    assert (edited.loss, edited.loss_base, edited.output_kl) == (plain.loss, plain.loss, 0.0)
    assert not edited.layers["effect_state"].any()
    assert bool(edited.layers["effect_grad"].any()) is (do == "freeze")


@pytest.mark.parametrize("name", ["mhc", "hc-dynamic", "frac", "residual", "attnres"])
def test_the_effect_is_the_distance_from_the_run_without_edits(name: str) -> None:
    edit: Edit = {"layers": [1, 1], "what": "branch", "do": "scale", "value": 2.0}
    spec = build_spec(connection=CONNECTIONS[name], edits=[edit])
    result, stack = measure(spec), build_stack(spec)
    edited, base = trace(stack), trace(stack, edits=False)
    due = [np.linalg.norm(x - y) / np.linalg.norm(y) for x, y in zip(edited.states[1:], base.states[1:], strict=True)]
    np.testing.assert_allclose(result.layers["effect_state"], due, rtol=1e-9)
    assert due[0] == result.layers["effect_state"][0] == 0
    assert result.loss == pytest.approx(edited.loss, rel=1e-12)
    assert result.loss_base == pytest.approx(base.loss, rel=1e-12)


def test_the_divergence_of_the_output_is_that_of_its_probabilities() -> None:
    spec = build_spec(edits=[{"layers": [1, 1], "what": "stream", "index": 0, "do": "zero"}])
    stack = build_stack(spec)
    readout = dict(stack.input.named_parameters())["readout_VC"].detach().numpy()
    logits = []
    for edited in (False, True):
        last = trace(stack, edits=edited).merged[-1]
        normed = last / np.sqrt((last**2).mean(-1, keepdims=True) + 1e-20)
        logits.append(normed @ readout.T)
    p, q = (np.exp(z) / np.exp(z).sum(-1, keepdims=True) for z in logits)
    due = (p * np.log(p / q)).sum(-1).mean()
    assert due > 1e-6
    assert measure(spec).output_kl == pytest.approx(due, rel=1e-9)


@pytest.mark.parametrize("kind", ["gaussian", "correlated"])
def test_vectors_have_a_loss_and_no_divergence(kind: str) -> None:
    edit = {"layers": [1, 1], "what": "stream", "index": 0, "do": "zero"}
    result = measure(build_spec(input={"kind": kind}, edits=[edit]))
    assert math.isfinite(result.loss_base)
    assert math.isnan(result.output_kl)


def test_edits_act_on_what_is_measured_and_not_on_training() -> None:
    train = {"steps": 3, "lr": 0.01}
    edits = [{"layers": [1, 1], "what": "stream", "index": 0, "do": "zero"}]
    plain, edited = measure(build_spec(train=train)), measure(build_spec(train=train, edits=edits))
    np.testing.assert_array_equal(plain.steps["step_loss"], edited.steps["step_loss"])
    assert edited.loss_base == plain.loss
    assert edited.loss != plain.loss


# The spec.


@pytest.mark.parametrize("edits", [[], None])
def test_a_spec_without_edits_has_the_id_it_had(edits: list[Edit] | None) -> None:
    assert parse_spec({} if edits is None else {"edits": edits}).id == parse_spec({}).id
    assert "edits" not in parse_spec({}).canonical()


def test_the_canonical_form_has_the_edits_without_what_is_not_set() -> None:
    edit = {"layers": [20, 30], "what": "stream", "index": 2, "do": "zero"}
    spec = parse_spec({"edits": [edit]})
    assert spec.canonical()["edits"] == [edit]
    assert parse_spec(json.dumps(spec.canonical())) == spec
    assert parse_spec(spec.canonical()).id == spec.id != parse_spec({}).id


def test_the_order_of_edits_is_a_part_of_the_id() -> None:
    one = {"layers": [1, 1], "what": "stream", "index": 0, "do": "zero"}
    other = {"layers": [1, 1], "what": "stream", "index": 0, "do": "noise", "value": 1.0}
    assert parse_spec({"edits": [one, other]}).id != parse_spec({"edits": [other, one]}).id


GOOD: Edit = {"layers": [1, 2], "what": "stream", "index": 2, "do": "zero"}
WRONG: dict[str, tuple[Edit, str]] = {
    "a layer beyond the last": (GOOD | {"layers": [1, 64]}, "edits.0.layers"),
    "layers in the wrong order": (GOOD | {"layers": [3, 2]}, "edits.0.layers"),
    "one layer": (GOOD | {"layers": [3]}, "edits.0.layers.1"),
    "a layer that is no number": (GOOD | {"layers": [3, True]}, "edits.0.layers.1"),
    "another target": (GOOD | {"what": "head"}, "edits.0.what"),
    "what a stream cannot do": (GOOD | {"do": "identity"}, "edits.0.do"),
    "no stream": ({key: GOOD[key] for key in ("layers", "what", "do")}, "edits.0.index"),
    "a stream too many": (GOOD | {"index": 4}, "edits.0.index"),
    "a stream below 0": (GOOD | {"index": -1}, "edits.0.index"),
    "an index of all": (GOOD | {"what": "state"}, "edits.0.index"),
    "no factor": (GOOD | {"do": "scale"}, "edits.0.value"),
    "a factor of a cut": (GOOD | {"value": 2.0}, "edits.0.value"),
    "infinite": (GOOD | {"do": "scale", "value": math.inf}, "edits.0.value"),
    "negative noise": (GOOD | {"do": "noise", "value": -1.0}, "edits.0.value"),
    "no other": (GOOD | {"do": "swap"}, "edits.0.other"),
    "another too many": (GOOD | {"do": "swap", "other": 4}, "edits.0.other"),
    "too few values": (GOOD | {"what": "h_res", "do": "set", "values": [1.0]}, "edits.0.values"),
    "too many kept": (GOOD | {"what": "h_res", "do": "top_k", "k": 5}, "edits.0.k"),
    "an unknown field": (GOOD | {"strength": 1}, "edits.0.strength"),
}


@pytest.mark.parametrize(("edit", "field"), WRONG.values(), ids=WRONG)
def test_a_mistake_names_its_field_and_what_is_allowed(edit: Edit, field: str) -> None:
    with pytest.raises(SpecErrors) as caught:
        parse_spec({"edits": [edit]})
    assert [error.field for error in caught.value.errors] == [field]
    assert caught.value.errors[0].wanted


@pytest.mark.parametrize(
    ("kind", "what"), [("residual", "h_res"), ("none", "h_pre"), ("attnres", "stream"), ("attnres", "h_res")]
)
def test_what_a_connection_lacks_cannot_be_edited(kind: str, what: str) -> None:
    with pytest.raises(SpecErrors) as caught:
        parse_spec(
            {"connection": {"kind": kind}, "edits": [{"layers": [0, 0], "what": what, "do": "zero", "index": 0}]}
        )
    assert [error.field for error in caught.value.errors] == ["edits.0.what"]


def test_the_second_mistake_of_two_edits_is_named_by_its_place() -> None:
    with pytest.raises(SpecErrors, match="Edit 2"):
        parse_spec({"edits": [GOOD, GOOD | {"index": 9}]})


def test_every_parameter_of_an_edit_is_needed_by_some() -> None:
    fields = set(EditSpec.model_fields)
    assert fields == {"layers", "what", "index", "do", *NEEDS}


@pytest.mark.parametrize(("dtype", "size"), [("float32", 1e38), ("bfloat16", 1e38), ("float64", 1e300)])
def test_squares_of_the_largest_entries_do_not_overflow_a_distance(dtype: str, size: float) -> None:
    base = torch.full((2, 8, 4), size, dtype=getattr(torch, dtype))
    assert measure_distance(1.5 * base, base).item() == pytest.approx(0.5)
    assert measure_distance(base, base).item() == 0
    assert measure_distance(0 * base, 0 * base).item() == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_distance_with_an_entry_that_is_not_finite_is_nan(dtype: str) -> None:
    plain = torch.ones(2, 8, 4, dtype=getattr(torch, dtype))
    for entry in (math.inf, -math.inf, math.nan):
        lost = plain.clone()
        lost[0, 3, 1] = entry
        for pair in ((lost, plain), (plain, lost), (lost, lost)):
            assert measure_distance(*pair).isnan()
