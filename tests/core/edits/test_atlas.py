"""The atlas against runs that are edited one by one; its progress, its costs, and what it refuses."""

from typing import Any

import numpy as np
import pytest

from mhc_core.measure import atlas
from mhc_core.measure.atlas import estimate_atlas, list_cuts, measure_atlas
from mhc_core.record.stages import AtlasFrame, ProgressFrame
from mhc_core.spec import RunSpec, SpecError
from tests.core.conftest import CONNECTIONS, build_spec, measure

CUT: dict[str, Any] = {"layers": [1, 1], "what": "stream", "index": 0, "do": "zero"}


def compute(spec: RunSpec) -> AtlasFrame:
    *progress, frame = measure_atlas(spec)
    assert isinstance(frame, AtlasFrame)
    shares = [one.done for one in progress if isinstance(one, ProgressFrame)]
    assert shares == [pytest.approx((place + 1) / len(progress)) for place in range(len(progress))]
    return frame


@pytest.mark.sample(25, "values")
@pytest.mark.parametrize("position", ["pre", "post"])
@pytest.mark.parametrize("connection", CONNECTIONS.values(), ids=CONNECTIONS)
def test_every_cut_is_that_of_a_single_run(connection: dict[str, Any], position: str) -> None:
    spec = build_spec(connection=connection, block={"norm_position": position}, depth=3)
    frame = compute(spec)
    for place, cut in enumerate(frame.cuts):
        for layer in range(cut.what == "source", 3):
            edit: dict[str, Any] = {"layers": [layer, layer], "what": cut.what, "do": cut.do}
            count = {"branch": 1, "source": layer + 1}.get(cut.what, spec.streams)
            stream = (layer + 1) % count
            edit |= {} if cut.what == "branch" else {"index": stream}
            assert np.isnan(frame.values["loss"][place, layer, count:]).all()
            single = measure(RunSpec.model_validate(spec.canonical() | {"edits": [edit]}))
            found = {key: values[place, layer, stream] for key, values in frame.values.items()}
            assert found["loss"] == pytest.approx(single.loss, rel=1e-6)
            assert found["output_kl"] == pytest.approx(single.output_kl, rel=1e-5, abs=1e-12)
            assert found["effect_last"] == pytest.approx(single.layers["effect_state"][-1], rel=1e-5, abs=1e-9)
    assert frame.loss_base == pytest.approx(measure(spec).loss, rel=1e-12)


def test_cuts_that_are_computed_apart_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = build_spec(connection=CONNECTIONS["hc"])
    together = compute(spec)
    monkeypatch.setattr(atlas, "BATCH_BYTES", 1)
    for key, values in compute(spec).values.items():
        np.testing.assert_allclose(values, together.values[key], rtol=1e-6)


def test_of_several_seeds_the_medians_are_given() -> None:
    singles = [compute(build_spec(connection=CONNECTIONS["hc"], seed=seed)) for seed in (4, 5, 6)]
    frame = compute(build_spec(connection=CONNECTIONS["hc"], seed=4, seeds=3))
    assert frame.seeds == 3
    for key, values in frame.values.items():
        np.testing.assert_allclose(values, np.median([one.values[key] for one in singles], axis=0), rtol=1e-6)


@pytest.mark.full
def test_the_trained_stack_is_cut() -> None:
    train = {"steps": 4, "lr": 0.01}
    frame = compute(build_spec(connection=CONNECTIONS["hc"], train=train))
    single = measure(build_spec(connection=CONNECTIONS["hc"], train=train, edits=[CUT]))
    assert frame.loss_base == pytest.approx(single.loss_base, rel=1e-9)
    assert frame.values["loss"][0, 1, 0] == pytest.approx(single.loss, rel=1e-6)


def test_vectors_have_no_divergence() -> None:
    frame = compute(build_spec(input={"kind": "gaussian"}))
    assert np.isnan(frame.values["output_kl"]).all()
    assert np.isfinite(frame.values["loss"]).all()


def test_a_stack_with_edits_has_no_atlas() -> None:
    with pytest.raises(SpecError) as caught:
        next(measure_atlas(build_spec(edits=[CUT])))
    assert caught.value.field == "edits"


def test_cost_grows_with_the_cuts_and_the_square_of_the_depth() -> None:
    small, deep = (estimate_atlas(build_spec(depth=depth, width=64, input={"tokens": 64})) for depth in (32, 64))
    assert deep.flops == pytest.approx(4 * small.flops, rel=0.1)
    assert len(list_cuts(build_spec())) == 3
