"""Edits of weights over depth: every form, edits that change nothing, skip connections, Verify, atlas, mistakes."""

from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.checks.recomputation import recompute
from mhc_core.checks.verification import verify
from mhc_core.edits import Edits
from mhc_core.measure.atlas import measure_atlas
from mhc_core.measure.run import run
from mhc_core.record.stages import AtlasFrame
from mhc_core.spec import SpecErrors
from mhc_core.stack import Stack, build_stack
from tests.core.checks.test_verify import failures
from tests.core.conftest import build_spec, collect, measure, shake
from tests.core.edits.test_edits import Edit, assert_as_in_numpy, differentiate
from tests.core.layers.test_depth import FORMS

KIND = {"kind": "attnres"}
CUT: Edit = {"layers": [3, 3], "what": "source", "index": 1, "do": "zero"}
EDITS: list[Edit] = [
    {"layers": [1, 3], "what": "source", "index": 0, "do": "zero"},
    {"layers": [2, 4], "what": "source", "do": "mean"},
    {"layers": [2, 3], "what": "source", "do": "noise", "value": 0.2},
    {"layers": [4, 4], "what": "source", "index": 0, "do": "freeze"},
]
DENSE: dict[str, Any] = {"kind": "denseformer"}
OF_AVERAGES: list[Edit] = [
    {"layers": [2, 4], "what": "source", "index": 1, "do": "scale", "value": -0.7},
    {"layers": [2, 3], "what": "source", "do": "noise", "value": 0.2},
    {"layers": [2, 4], "what": "source", "do": "mean"},
    {"layers": [4, 4], "what": "source", "do": "top_k", "k": 2},
    {"layers": [2, 4], "what": "source", "index": 0, "do": "zero"},
    {"layers": [4, 4], "what": "source", "index": 1, "do": "freeze"},
]


def build(form: dict[str, Any], *edits: Edit, **fields: Any) -> Any:
    return build_spec(depth=5, connection={**KIND, "noise": 0.3, **form}, edits=list(edits), **fields)


@pytest.mark.sample(5)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_edits_of_every_form_are_those_of_the_loops(form: dict[str, Any]) -> None:
    for position in ("pre", "post"):
        assert_as_in_numpy(shake(build_stack(build(form, *EDITS, block={"norm_position": position}))))


@pytest.mark.sample(5)
@pytest.mark.parametrize("block", [1, 2])
def test_edits_of_weighted_averages_are_those_of_the_loops(block: int) -> None:
    """In a block of two layers those that do not begin it read the plain state, and are left as they are."""
    form = {**DENSE, "depth_block": block}
    for position in ("pre", "post"):
        assert_as_in_numpy(shake(build_stack(build(form, *OF_AVERAGES, block={"norm_position": position}))))


@pytest.mark.parametrize("block", [1, 2])
def test_skip_connections_of_edited_averages_are_what_layers_read(block: int) -> None:
    spec = build({**DENSE, "depth_block": block, "noise": 1.0}, *OF_AVERAGES)
    stack, rows = build_stack(spec), torch.from_numpy(measure(spec).matrices["unfolded"])
    parts: list[torch.Tensor] = [stack.input().flatten(0, 1)]

    def compare(layer: int, output: Any) -> None:
        found = torch.einsum("j,jnc->nc", rows[layer, : layer + 1], torch.stack(parts))
        torch.testing.assert_close(found, output.u, rtol=1e-11, atol=1e-11)
        parts.append(output.y)

    stack.record_base()
    stack.run_layers(stack.embed(), compare)
    plain = measure(build({**DENSE, "depth_block": block, "noise": 1.0})).matrices["unfolded"]
    np.testing.assert_array_equal(rows[:2], plain[:2])
    assert (rows[2:] != torch.from_numpy(plain[2:])).any(1).all()


def test_the_atlas_cuts_each_source_where_a_block_begins() -> None:
    spec = build({**DENSE, "depth_block": 2})
    *_, frame = measure_atlas(spec)
    assert isinstance(frame, AtlasFrame)
    assert [(cut.what, cut.do) for cut in frame.cuts] == [("source", "zero"), ("branch", "zero"), ("branch", "mean")]
    loss = frame.values["loss"][0]
    assert np.isfinite(loss).sum(1).tolist() == [0, 0, 2, 0, 3]
    for layer, index in ((2, 0), (4, 1)):
        single = measure(build({**DENSE, "depth_block": 2}, CUT | {"layers": [layer, layer], "index": index}))
        assert loss[layer, index] == pytest.approx(single.loss, rel=1e-6)


@pytest.mark.parametrize("form", ["normed-heads-blocks", "delta-gated"])
def test_gradients_are_those_of_the_edited_network(form: str) -> None:
    stack = shake(build_stack(build(FORMS[form], *EDITS, block={"activation": "tanh"})))
    assert_gradients(stack)


def test_gradients_of_edited_averages_are_those_of_the_edited_network() -> None:
    assert_gradients(shake(build_stack(build(DENSE, *OF_AVERAGES, block={"activation": "tanh"}))))


def assert_gradients(stack: Stack) -> None:
    direction = torch.randn(12, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    found, wanted = differentiate(stack, direction)
    assert found == pytest.approx(wanted, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("form", [{}, DENSE], ids=["attnres", "dense"])
@pytest.mark.parametrize(
    "edit", [{"do": "scale", "value": 1.0}, {"do": "swap", "index": 1, "other": 1}, {"do": "noise", "value": 0.0}]
)
def test_edits_that_change_nothing_leave_every_bit(edit: Edit, form: dict[str, Any]) -> None:
    plain = measure(build(form, dtype="float32"))
    edited = measure(build(form, {"layers": [2, 4], "what": "source"} | edit, dtype="float32"))
    for key in ("act_rms", "branch_in_rms", "branch_out_rms", "grad_rms", "param_grad_norm", "mixing_grad_norm"):
        np.testing.assert_array_equal(plain.layers[key], edited.layers[key], err_msg=key)
    np.testing.assert_array_equal(plain.matrices["unfolded"], edited.matrices["unfolded"])
    assert (edited.loss, edited.loss_base, edited.output_kl) == (plain.loss, plain.loss, 0.0)
    assert not edited.layers["effect_grad"].any()


def test_effective_skip_connections_include_the_edit() -> None:
    plain, edited = (measure(build({}, *edits)).matrices["unfolded"] for edits in ([], [CUT]))
    assert edited[3, 1] == 0 < plain[3, 1]
    np.testing.assert_allclose(edited[3, [0, 2, 3]], plain[3, [0, 2, 3]], rtol=1e-12)
    assert edited[3].sum() == pytest.approx(1 - plain[3, 1])
    np.testing.assert_array_equal(edited[:3], plain[:3])
    kept = measure(build({}, CUT | {"index": None, "do": "top_k", "k": 2})).matrices["unfolded"]
    assert kept[3].sum() == pytest.approx(1)


def find_failed(form: dict[str, Any], *edits: Edit) -> set[str]:
    spec = build(form, *edits, jacobian=2, block={"activation": "tanh"})
    checks = verify(spec, collect(list(run(spec))), recompute(spec))
    assert "depth_rule" in {check.name for check in checks if check.verdict == "holds"}
    return {name for name, _ in failures(checks)}


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("form", "edits"),
    [({"depth_heads": 2}, EDITS), ({**DENSE, "depth_block": 2}, OF_AVERAGES)],
    ids=["attnres", "dense"],
)
def test_verify_holds_for_edited_sources_and_finds_a_fault(
    form: dict[str, Any], edits: list[Edit], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_failed(form, *edits) == set()
    plain = Edits.weigh
    monkeypatch.setattr(Edits, "weigh", lambda self, layer, attention: plain(self, layer, attention).flip(0))
    assert "depth_weights" in find_failed(form, *edits)


WRONG: dict[str, tuple[dict[str, Any], Edit, str]] = {
    "the first layer": ({}, CUT | {"layers": [0, 2]}, "layers"),
    "a source that comes later": ({}, CUT | {"index": 4}, "index"),
    "a block that comes later": ({"depth_block": 2}, CUT | {"index": 3}, "index"),
    "a layer within a block": ({**DENSE, "depth_block": 2}, CUT, "layers"),
    "a block that is not full": ({"depth_block": 2, "depth_form": "delta"}, CUT | {"index": 2}, "index"),
    "another that comes later": ({}, CUT | {"do": "swap", "other": 4}, "other"),
    "values of too few": ({}, CUT | {"index": None, "do": "set", "values": [0.5, 0.5]}, "values"),
    "values of layers that differ": (
        {},
        CUT | {"layers": [2, 3], "index": None, "do": "set", "values": [0.4, 0.3, 0.3]},
        "layers",
    ),
    "too many kept": ({}, CUT | {"index": None, "do": "top_k", "k": 5}, "k"),
    "one of the largest": ({}, CUT | {"do": "top_k", "k": 1}, "index"),
    "what weights cannot do": ({}, CUT | {"do": "restore"}, "do"),
    "a connection with streams": ({"kind": "mhc"}, CUT, "what"),
}


@pytest.mark.parametrize(("connection", "edit", "field"), WRONG.values(), ids=WRONG)
def test_a_mistake_names_its_field(connection: dict[str, Any], edit: Edit, field: str) -> None:
    with pytest.raises(SpecErrors) as caught:
        build(connection, edit)
    assert [error.field for error in caught.value.errors] == [f"edits.0.{field}"]
