"""Tables and arrays of a record, entry by entry against its columns."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars
import pytest

from mhc_core.metrics import METRICS
from mhc_core.record.result import Result
from mhc_core.spec import SpecError
from tests.conftest import ROOT
from tests.core.conftest import CONNECTIONS, build_spec, measure

KEYS = ["h_res", "h_pre", "cka", "unfolded", "act_rms", "step_grad_rms", "step_h_res", "step_cka"]
NO_POLARS = """
import sys
sys.modules["polars"] = None
from mhc_core.record.tables import to_polars
to_polars({"layer": [0]})
"""


@pytest.fixture(scope="module")
def trained() -> Result:
    return measure(build_spec(connection=CONNECTIONS["hc-dynamic"], train={"steps": 3, "kept": 2}))


def test_a_row_of_the_layer_table_is_a_layer(trained: Result) -> None:
    frame = trained.to_pandas()
    assert list(frame["layer"]) == [0, 1, 2, 3]
    for layer, row in frame.iterrows():
        assert row["act_rms"] == trained.layers["act_rms"][layer]
        assert row["act_rms.log10"] == pytest.approx(np.log10(row["act_rms"]), rel=1e-6)
        for stream in range(trained.streams):
            assert row[f"h_res_row_sum.{stream}"] == pytest.approx(trained.matrices["h_res"][layer, stream].sum())


def test_a_row_of_the_step_table_is_a_step(trained: Result) -> None:
    frame = trained.to_polars("steps")
    assert frame["step"].to_list() == [0, 1, 2]
    np.testing.assert_array_equal(frame["step_loss"], trained.steps["step_loss"])
    assert "step_grad_rms" not in frame.columns, "it has a value a layer"


@pytest.mark.parametrize("key", KEYS)
def test_a_row_of_a_metrics_table_is_an_entry(trained: Result, key: str) -> None:
    table = METRICS[key].table
    values: np.ndarray = getattr(trained, table)[key]
    frame = trained.to_pandas(key)
    *axes, last = frame.columns
    assert (last, len(frame), len(axes)) == (key, values.size, values.ndim)
    for *place, value in frame.itertuples(index=False):
        if table == "kept":
            place[0] = trained.kept_steps.index(place[0])
        np.testing.assert_equal(value, values[tuple(place)])


def test_axes_have_names(trained: Result) -> None:
    assert list(trained.to_pandas("h_res").columns) == ["layer", "row", "column", "h_res"]
    assert list(trained.to_pandas("step_cka").columns) == ["step", "layer", "other_layer", "step_cka"]
    assert set(trained.to_pandas("step_h_pre")["step"]) == set(trained.kept_steps)


def test_parquet_holds_the_same(trained: Result, tmp_path: Path) -> None:
    path = trained.to_parquet(tmp_path / "h_res.parquet", "h_res")
    assert polars.read_parquet(path).equals(trained.to_polars("h_res"))


def test_a_table_that_there_is_not_is_named(trained: Result) -> None:
    with pytest.raises(SpecError, match="what: got 'h_rez', wanted one of layers, steps, act_rms") as caught:
        trained.to_pandas("h_rez")
    assert caught.value.field == "what"
    with pytest.raises(SpecError, match="what: got 'steps', wanted one of layers, act_rms"):
        measure(build_spec()).to_polars("steps")


def test_a_package_that_is_missing_is_named() -> None:
    said = subprocess.run([sys.executable, "-c", NO_POLARS], cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 1
    assert "polars is not installed: pip install 'mhc-scope[tables]'" in said.stderr
